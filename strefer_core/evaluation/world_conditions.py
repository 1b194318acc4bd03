"""Other masks and other times for an item of the world's bench, such that what is right to answer changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

from strefer_core import data_model as dm
from strefer_core.evaluation.items import Interval
from strefer_core.evaluation.world_judging import Said, VideoJudge
from strefer_core.evaluation.world_options import Options, interval_of, shifts

_MOST_TRIED = 12

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What an item is asked with instead, and whether that makes its right answer wrong."""

    region_ids: tuple[str, ...] | None = None
    region_changes: bool = False
    interval_s: Interval | None = None
    interval_changes: bool = False


class ConditionChooser:
    """Chooses for the items of one video.

    Args:
        judge: of the video.
        intervals: that any of its questions asks about.
    """

    def __init__(self, judge: VideoJudge, intervals: Sequence[Interval]) -> None:
        self._judge = judge
        self._intervals = intervals
        kinds: Mapping[str, str] = {one.entity_id: one.generalized_noun for one in judge.entities}
        self._kinds = {one.entity_id: kinds[one.entity_id] for one in judge.masklets}

    def changed(self, pair: dm.Instruction, options: Options, rng: random.Random) -> Changed:
        """Other regions, where the question has any, and another interval, where it asks about one."""
        question = pair.turns[0].text
        region_ids = pair.region_entity_ids[: question.count("<region>")]
        ids, ids_change = self._best(
            self._shuffles(region_ids, rng), lambda one: self._score(options, region_ids=one)
        )
        given = interval_of(pair) if "<start_time>" in question else None
        shifted, shift_changes = self._best(
            self._shifts(given, rng), lambda one: self._score(options, interval_s=one)
        )
        return Changed(
            region_ids=ids, region_changes=ids_change, interval_s=shifted, interval_changes=shift_changes
        )

    @staticmethod
    def _best(tried: Iterable[T], score: Callable[[T], int]) -> tuple[T | None, bool]:
        """The first of the highest score, and whether that is one at which the right answer is wrong."""
        best, best_score = None, -1
        for one in tried:
            if (found := score(one)) > best_score:
                best, best_score = one, found
            if best_score == 2:
                break
        return best, best_score > 0

    def _score(
        self, options: Options, region_ids: Sequence[str] | None = None, interval_s: Interval | None = None
    ) -> int:
        """2: another option is right instead; 1: the right one is wrong; 0: it stays right.

        Of a premise only the other one's being right counts: there are no more than two.
        """
        right = options.said[options.right]
        if right is None or not self._judge.faults(right, region_ids, self._asked(options, interval_s)):
            return 0
        others = [said for place, said in enumerate(options.said) if said and place != options.right]
        is_other_right = any(self._is_right(options, said, region_ids, interval_s) for said in others)
        return 2 if is_other_right else int(options.form != "premise")

    def _is_right(
        self,
        options: Options,
        said: Said,
        region_ids: Sequence[str] | None,
        interval_s: Interval | None,
    ) -> bool:
        return not options.intervals_s and not self._judge.faults(said, region_ids, interval_s)

    @staticmethod
    def _asked(options: Options, interval_s: Interval | None) -> Interval | None:
        return options.intervals_s[options.right] if options.intervals_s else interval_s

    def _shuffles(self, region_ids: tuple[str, ...], rng: random.Random) -> list[tuple[str, ...]]:
        """Other entities of the same kinds, as many as there are regions: questions may name the kind."""
        found = [
            one
            for one in permutations(sorted(self._kinds), len(region_ids))
            if one != region_ids
            and all(self._kinds[a] == self._kinds[b] for a, b in zip(one, region_ids, strict=True))
        ]
        return rng.sample(found, min(len(found), _MOST_TRIED)) if region_ids else []

    def _shifts(self, given: Interval | None, rng: random.Random) -> list[Interval]:
        """Intervals that share less than half of their time with the given one."""
        if given is None:
            return []
        known = [one for one in self._intervals if min(one[1], given[1]) - max(one[0], given[0]) <= 0]
        found = list(dict.fromkeys((*known, *shifts(given, self._judge.duration_s))))
        return rng.sample(found, min(len(found), _MOST_TRIED))
