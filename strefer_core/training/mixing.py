"""Which records a step learns from: parts by weight, videos together, alike lengths together, all by seed.

The plan of an epoch is a function of the seed and the epoch's number, and a step's batch one of the plan: a
run that goes on after a kill needs the number of its step and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strefer_core.errors import ConfigError

_TOGETHER = 50  # batches whose samples are sorted by length together


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Parts of the data by weight, and how they are batched."""

    groups: Sequence[str]  # per record
    videos: Sequence[str]  # per record
    words: NDArray[np.int32]  # per record
    weights: Mapping[str, float] = field(default_factory=dict)  # by group; empty: as they come
    videos_per_batch: int = 8
    questions_per_video: int = 8  # of one video in one batch, at most
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.weights) - set(self.groups)):
            held = ", ".join(sorted(set(self.groups)))
            raise ConfigError(
                f"the mixture weighs {unknown[0]!r}, which the data does not hold; it holds {held}"
            )
        if any(weight < 0 for weight in self.weights.values()) or (
            self.weights and not sum(self.weights.values()) > 0
        ):
            raise ConfigError("the weights of a mixture are not negative, and not all are 0")

    def shares(self) -> dict[str, float]:
        """Of each part in an epoch."""
        counts = {group: self.groups.count(group) for group in sorted(set(self.groups))}
        given: Mapping[str, float] = self.weights or counts
        total = sum(given.values())
        return {group: given.get(group, 0.0) / total for group in counts}

    def epoch(self, number: int) -> list[list[int]]:
        """The batches of an epoch, each a list of record numbers, those of one video next to each other."""
        rng = np.random.default_rng([self.seed, number])
        chunks = self._chunks(self._drawn(number), rng)
        return self._batches(chunks, rng)

    def _drawn(self, number: int) -> list[int]:
        """As many records as there are where nothing is weighed; a part begins anew when it is used up."""
        records = defaultdict(list)
        for place, group in enumerate(self.groups):
            records[group].append(place)
        total = sum(len(records[group]) for group, share in self.shares().items() if share)
        drawn = []
        for group, share in self.shares().items():
            wanted = round(share * total)
            drawn += _stretch(records[group], number * wanted, wanted, [self.seed, _number(group)])
        return drawn

    def _chunks(self, drawn: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
        """Records of one video, few enough for one batch."""
        of_video = defaultdict(list)
        for place in rng.permutation(np.array(drawn, np.int64)):
            of_video[self.videos[place]].append(int(place))
        size = self.questions_per_video
        return [
            records[first : first + size]
            for records in of_video.values()
            for first in range(0, len(records), size)
        ]

    def _batches(self, chunks: Sequence[list[int]], rng: np.random.Generator) -> list[list[int]]:
        shuffled = [chunks[place] for place in rng.permutation(len(chunks))]
        size, batches = self.videos_per_batch, []
        for first in range(0, len(shuffled), size * _TOGETHER):
            near = sorted(shuffled[first : first + size * _TOGETHER], key=self._length)
            batches += [near[place : place + size] for place in range(0, len(near), size)]
        return [
            [record for chunk in batches[place] for record in chunk]
            for place in rng.permutation(len(batches))
        ]

    def _length(self, chunk: Sequence[int]) -> int:
        return int(sum(self.words[place] for place in chunk))


def _stretch(records: Sequence[int], first: int, count: int, seed: Sequence[int]) -> list[int]:
    """`count` records from place `first` of an endless row of shuffled rounds through all of them."""
    found: list[int] = []
    while len(found) < count and records:
        lap, place = divmod(first + len(found), len(records))
        order = np.random.default_rng([*seed, lap]).permutation(len(records))
        found += [records[i] for i in order[place : place + count - len(found)]]
    return found


def _number(name: str) -> int:
    return int.from_bytes(name.encode()[-7:], "big")
