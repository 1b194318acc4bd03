"""Shares and differences of shares over items, with bootstrap intervals over videos.

Items of one video are not independent: the bootstrap draws videos, with all that was asked about them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strefer_core.probe.figures import LEVEL, resamples

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A mean over items."""

    items: int
    value: float | None  # None: no items
    low: float | None = None  # 95 % interval; None for fewer than two videos
    high: float | None = None


def mean(values: Sequence[float], videos: Sequence[str], seed: int) -> Figure:
    """Mean of one value per item.

    Args:
        values: one per item.
        videos: whose item it is.
        seed: of the bootstrap.
    """
    table = by_video(values, videos)
    total, count = table.sum(axis=0)
    if not count:
        return Figure(items=0, value=None)
    low, high = _interval(table, seed)
    return Figure(items=int(count), value=float(total / count), low=low, high=high)


def by_video(values: Sequence[float], videos: Sequence[str]) -> Floats:
    """(videos, 2): sum of the values and their number, in order of names."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for value, video in zip(values, videos, strict=True):
        sums[video][0] += value
        sums[video][1] += 1
    return np.array([sums[name] for name in sorted(sums)], float).reshape(-1, 2)


def resampled(table: Floats, seed: int) -> Floats:
    """(resamples,) means over items of resampled videos, of (videos, 2) sums and numbers of items."""
    sums = table[resamples(len(table), seed)].sum(axis=1)
    return np.asarray(sums[:, 0] / sums[:, 1])


def _interval(table: Floats, seed: int) -> tuple[float, float] | tuple[None, None]:
    if len(table) < 2:
        return None, None
    low, high = np.quantile(resampled(table, seed), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def points(figure: Figure) -> Figure:
    """A difference of shares in percentage points."""

    def scaled(value: float | None) -> float | None:
        return None if value is None else 100 * value

    return Figure(
        items=figure.items, value=scaled(figure.value), low=scaled(figure.low), high=scaled(figure.high)
    )
