"""Where a video changes between its cuts, by features of its frames: what `clips` splits and joins by."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from ruptures import KernelCPD

_WINDOW_S = 1.0  # what comes before and after a border is compared over this long
_SETTLING_S = 0.5  # two seconds that differ by one change are two pieces, two halves of one need two changes
_UNUSUAL = (
    3.0  # times as much as one second and the next usually differ: where all is busy, nothing new begins
)
_EDGE_S = 0.6  # a change shows within this time on both sides of it ...
_EDGE_SHARE = 0.7  # ... to this share of how far what lies before and what lies behind are apart
_EPSILON_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of frames at some times of a video."""

    times_s: NDArray[np.float64]  # (F,) ascending, exact presentation times of frames
    values: NDArray[np.float32]  # (F, D) of unit norm
    change: float  # squared distance that counts as a change

    def changes_s(self, start_s: float, end_s: float, min_s: float) -> list[float]:
        """Times in one shot from which on it shows something else, ascending, about `min_s` apart or more.

        Splits are those that explain the features best, at a price for each (PELT, arXiv 1101.1438) that is
        higher where much goes on all the time. A steady drift, as of a camera that pans, is no change: what
        is right before and right behind a split must differ about as much as the whole pieces do.
        """
        inside = self._inside(start_s, end_s)
        step_s = self._step_s
        least = max(2, ceil(min_s / step_s - _EPSILON_S))
        if len(inside) < 2 * least:
            return []
        values = self.values[inside]
        change = max(self.change, _UNUSUAL * _usual(values, max(1, round(_WINDOW_S / step_s))))
        price = change * _SETTLING_S / step_s
        edges = [0, *_splits(values, price, least)]
        window = max(1, round(_EDGE_S / step_s))
        return [
            float(self.times_s[inside[b]])
            for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
            if _is_sudden(values[a:b], values[b:c], window) and _lasts(values[a:b], values[b:c], price)
        ]

    def distance(self, left_s: tuple[float, float], right_s: tuple[float, float]) -> float | None:
        """Squared distance between the end of one interval and the start of the next; None where one of them
        holds no frame that was looked at."""
        before = self._inside(max(left_s[0], left_s[1] - _WINDOW_S), left_s[1])
        behind = self._inside(right_s[0], min(right_s[1], right_s[0] + _WINDOW_S))
        if not len(before) or not len(behind):
            return None
        # Medians: a flash or a blurred frame at the border says nothing of either side.
        apart = np.median(self.values[before], axis=0) - np.median(self.values[behind], axis=0)
        return float(apart @ apart)

    @property
    def _step_s(self) -> float:
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 1.0

    def _inside(self, start_s: float, end_s: float) -> NDArray[np.int64]:
        times_s = self.times_s + _EPSILON_S
        return np.flatnonzero((times_s >= start_s) & (times_s < end_s))


def _usual(values: NDArray[np.float32], window: int) -> float:
    """Median squared distance between the means of neighbouring windows; 0 where there are no two."""
    if len(values) < 2 * window:
        return 0.0
    sums = np.cumsum(np.vstack([np.zeros_like(values[:1]), values]), axis=0, dtype=np.float64)
    means = (sums[window:] - sums[:-window]) / window
    return float(np.median(((means[window:] - means[:-window]) ** 2).sum(axis=1)))


def _splits(values: NDArray[np.float32], price: float, least: int) -> list[int]:
    """Places at which pieces begin, as alike within as can be at `price` a piece; at last the end."""
    found: list[int] = KernelCPD(kernel="linear", min_size=least).fit(values).predict(pen=price)
    return found


def _is_sudden(before: NDArray[np.float32], behind: NDArray[np.float32], window: int) -> bool:
    """Whether frames next to the split differ about as much as the whole pieces."""
    whole = np.linalg.norm(before.mean(axis=0) - behind.mean(axis=0))
    near = np.linalg.norm(before[-window:].mean(axis=0) - behind[:window].mean(axis=0))
    return bool(near >= _EDGE_SHARE * whole)


def _lasts(before: NDArray[np.float32], behind: NDArray[np.float32], price: float) -> bool:
    """Whether most frames of both pieces differ, not just a few: their medians are worth half the price."""
    apart = np.median(before, axis=0) - np.median(behind, axis=0)
    weight = len(before) * len(behind) / (len(before) + len(behind))
    return bool(weight * float(apart @ apart) >= price / 2)
