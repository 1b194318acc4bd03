"""Growing and shrinking in the picture, whether the thing comes nearer or the camera does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo

LEAST_STEP_S = 0.25  # sizes are compared over steps of at least this length
SMOOTH_S = 0.3  # outlines tremble faster than things grow
RATE_PER_S = 0.06  # change of log length per second that starts growing or shrinking
KEEP_SHARE = 0.5  # it goes on until the rate falls below this share of that
RATIO = 1.3  # least change of length
SIDE_RATIO = 1.2  # least change of either side: an occlusion shortens one side only ...
SKEW = 1.2  # ... or one more than the other by this ratio
LOST_FRAMES = 2.5  # over longer gaps than this many frames nobody sees it grow
LEAST_S = 1.0  # shorter changes are turns and occlusions
LINEAR = 0.95  # correlation of time and log length: growing is steady, hiding is sudden


def sizes(trail: geo.Trail, others: Sequence[geo.Trail]) -> list[dm.Action]:
    """Growing and shrinking over frames on which neither the picture's edge nor another thing cuts it."""
    free = trail.visible & ~trail.at_edge.any(axis=(1, 2)) & ~geo.touched(trail, others)
    whole = trail.select(free)
    found: list[dm.Action] = []
    for frames in np.split(np.arange(len(whole.times_s)), _breaks(whole)):
        found += _in_stretch(whole.select(frames))
    return found


def _breaks(trail: geo.Trail) -> NDArray[np.int64]:
    """Places of the frames before which there is a cut, or a time at which its size is not known."""
    gap_s = LOST_FRAMES * trail.frame_gap_s
    return np.flatnonzero((np.diff(trail.shots) != 0) | (np.diff(trail.times_s) > gap_s)) + 1


def _in_stretch(trail: geo.Trail) -> list[dm.Action]:
    trail = trail.select(np.array(geo.spaced(trail.times_s, LEAST_STEP_S), dtype=np.int64))
    if len(trail.times_s) < 2:
        return []
    sigma = SMOOTH_S / float(np.median(np.diff(trail.times_s)))
    lengths = gaussian_filter1d(np.log(np.sqrt(trail.areas_px)), sigma, mode="nearest")
    labels: list[str | None] = []
    for rate in np.diff(lengths) / np.diff(trail.times_s):
        sign = "grow" if rate > 0 else "shrink"
        least = RATE_PER_S * (KEEP_SHARE if labels and labels[-1] == sign else 1)
        labels.append(sign if abs(rate) >= least else None)
    return [
        dm.Action(kind=label, start_s=float(trail.times_s[first]), end_s=float(trail.times_s[last]))
        for label, first, last in geo.runs(labels)
        if isinstance(label, str) and _changes(trail, label, first, last)
    ]


def _changes(trail: geo.Trail, label: str, first: int, last: int) -> bool:
    """Whether mask and both sides of the box change alike, steadily and by enough."""
    part = trail.select(np.arange(first, last + 1))
    sides = part.boxes[:, :, 1] - part.boxes[:, :, 0]
    logs = np.log(np.column_stack([np.sqrt(part.areas_px), sides]))  # (k, 3)
    change = (logs[-1] - logs[0]) * (1 if label == "grow" else -1)
    if np.exp(change[0]) < RATIO or np.exp(change.min()) < SIDE_RATIO or np.exp(np.ptp(change)) > SKEW:
        return False
    lasts = float(part.times_s[-1] - part.times_s[0])
    return lasts >= LEAST_S and all(abs(np.corrcoef(part.times_s, log)[0, 1]) >= LINEAR for log in logs.T)
