"""Stretches without a mask, and the frames on which a look into them tells the most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

_FRAMES_PER_LOOK = 14  # of a gap, for one more look into it
_LOOKS_FOR_MISSING = 16  # into the gap of an entity that was never seen
_LEAST_CHANCE = 0.25  # of seeing the thing, for a look

Worth = dict[int, float]  # what a look at a frame is worth to one gap


def gaps(held: Collection[int], count: int, least: int) -> list[range]:
    """Runs of at least `least` sampled frames, of `count`, that are not held."""
    edges = [-1, *sorted(held), count]
    return [range(a + 1, b) for a, b in pairwise(edges) if b - a - 1 >= least]


def worth_of_looks(
    gap: range, looked_at: Collection[int], chance: Callable[[int], float], *, is_whole: bool
) -> Worth:
    """What a look at each frame of a gap is worth; {} where it was looked into enough, or nothing is likely.

    Args:
        gap: sampled frames.
        looked_at: frames that the detector looked at.
        chance: of seeing the thing on a frame, 0..1.
        is_whole: the entity is without any mask, so much hangs on it.
    """
    looks = sum(index in looked_at for index in gap)
    if looks >= (_LOOKS_FOR_MISSING if is_whole else 1 + len(gap) // _FRAMES_PER_LOOK):
        return {}
    edges = [gap[0] - 1, *(index for index in gap if index in looked_at), gap[-1] + 1]
    unseen = [range(a + 1, b) for a, b in pairwise(edges) if b - a > 1]
    chances = {index: chance(index) for part in unseen for index in part}
    return {
        index: chances[index] * _insight(index, part)
        for part in unseen
        for index in part
        if chances[index] >= _LEAST_CHANCE
    }


def frames_to_look_at(worths: Sequence[Worth], most: int) -> list[int]:
    """Up to `most` frames that see into as many gaps as can be; one look per gap."""
    chosen: list[int] = []
    left = [worth for worth in worths if worth]
    while left and len(chosen) < most:
        total: Counter[int] = Counter()
        for worth in left:
            total.update(worth)
        chosen.append(max(sorted(total), key=lambda index: total[index]))
        left = [worth for worth in left if chosen[-1] not in worth]
    return chosen


def _insight(index: int, part: range) -> float:
    """How much a look at a frame tells of an unseen stretch: most in its middle, more of a long one."""
    from_middle = abs(2 * index - part[0] - part[-1]) / len(part)
    return float(len(part) ** 0.5 * (1 - 0.7 * from_middle))
