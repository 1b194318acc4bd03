"""Where tracks begin: masks of detections, kept apart, and of what else moves beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.cutout import mask_in_box
from strefer_core.backends.classical.frames import Frames
from strefer_core.backends.classical.regions import regions
from strefer_core.backends.interfaces import Detection, Masks
from strefer_core.masks import tight_box

Mask = NDArray[np.bool_]  # (H, W)
Start = tuple[int, Mask]  # working frame and the mask on it

_RIVAL_SCORE = 0.3  # of a region
_KNOWN = 0.3  # share of a region in a mask, or of a mask in a region, from which they are one thing
_MAX_RIVALS = 6
_NEAR_PX = 12  # between boxes


def starts_of(frames: Frames, detections: Sequence[Detection]) -> list[Start]:
    """Masks of the things in the boxes, without shared pixels: the smaller one is in front, or unseen."""
    footage = frames.footage
    found = []
    for detection in detections:
        t = int(footage.sampled[detection.frame_index])
        found.append((t, mask_in_box(footage.images[t], frames.scene.foreground[t], detection.box)))
    return [(t, _without_smaller(t, mask, found)) for t, mask in found]


def _without_smaller(t: int, mask: Mask, others: Sequence[Start]) -> Mask:
    area = int(mask.sum())
    smaller = [other for time, other in others if time == t and 0 < int(other.sum()) < area]
    return mask & ~np.logical_or.reduce(smaller) if smaller else mask


def rivals_of(frames: Frames, starts: Sequence[Start]) -> list[Start]:
    """Moving things on the frames of the starts that are none of them, the surest ones."""
    return [
        (t, region.mask)
        for t in sorted({t for t, _ in starts})
        for region in regions(frames.scene, t)[:_MAX_RIVALS]
        if region.score >= _RIVAL_SCORE and not _is_known(region.mask, [m for time, m in starts if time == t])
    ]


def meet(frames: Frames, a: Masks, b: Masks) -> bool:
    """Whether two tracks (T, H, W) come near each other on a sampled frame, by their boxes."""
    for t in frames.footage.sampled:
        one, other = tight_box(a[t]), tight_box(b[t])
        if (
            one
            and other
            and all(
                one[side] - _NEAR_PX < other[side + 2] and other[side] < one[side + 2] + _NEAR_PX
                for side in (0, 1)
            )
        ):
            return True
    return False


def _is_known(mask: Mask, known: Sequence[Mask]) -> bool:
    shared = [int((mask & other).sum()) for other in known]
    return any(
        both > _KNOWN * min(int(mask.sum()), int(other.sum()))
        for both, other in zip(shared, known, strict=True)
    )
