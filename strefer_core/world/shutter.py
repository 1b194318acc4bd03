"""Motion blur: one picture out of several over the time that the shutter is open."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

_STEP_PX = 2.5  # two pictures of one frame are this far apart at most: closer than an outline is wide
_MOST = 14  # pictures of one frame
_SHARP_PX = 0.5  # a shorter smear cannot be seen


def instants(frame: int, open_frames: float, smear_px: float) -> list[float]:
    """Times (in frames) at which a frame is painted, evenly over `open_frames` about its own time.

    As many as the longest smear on it needs; the frame's own time alone where nothing smears visibly.
    """
    if smear_px < _SHARP_PX:
        return [float(frame)]
    count = min(ceil(smear_px / _STEP_PX) + 1, _MOST)
    return [frame + open_frames * ((i + 0.5) / count - 0.5) for i in range(count)]


def integrated(pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The mean of pictures (H, W, 3), all of which got as much light; at least one."""
    rest = iter(pictures)
    first, count = next(rest), 1
    total = first.astype(np.float32)
    for count, picture in enumerate(rest, start=2):  # noqa: B007 (the last count is wanted)
        cv2.accumulate(picture, total)
    return first if count == 1 else np.asarray(cv2.convertScaleAbs(total, alpha=1 / count), dtype=np.uint8)
