"""J and F of one pair of masks, as the DAVIS benchmark defines them.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016,
section 5.1, with the constants of the evaluation of DAVIS 2017. Both are 1 for a pair of empty masks and 0
where only one is empty, as there; how frames are averaged is said in `scoring`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.masks import Mask, iou, tight_box

BOUNDARY_TOLERANCE = 0.008  # of the picture's diagonal


def region_similarity(truth: Mask, predicted: Mask) -> float:
    """J: intersection over union of two masks (H, W), 0..1; 1 where both are empty."""
    return iou(truth, predicted) if truth.any() or predicted.any() else 1.0


def boundary_measure(truth: Mask, predicted: Mask, *, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """F: harmonic mean of the precision and recall of boundary pixels, 0..1.

    A boundary pixel is matched where the other mask has one within `tolerance_px`.

    Args:
        truth: (H, W) bool.
        predicted: (H, W) bool.
        tolerance: share of the diagonal.
    """
    height, width = truth.shape
    window = _window(truth | predicted)
    if window is None:
        return 1.0
    ours, theirs = boundary(predicted[window]), boundary(truth[window])
    if not ours.any() or not theirs.any():
        # Only an empty mask and one over the whole picture have no boundary.
        return float(np.array_equal(truth, predicted))
    disk = _disk(tolerance_px(height, width, tolerance))
    precision = _share_near(ours, theirs, disk)
    recall = _share_near(theirs, ours, disk)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def tolerance_px(height_px: int, width_px: int, tolerance: float = BOUNDARY_TOLERANCE) -> int:
    """How far apart boundary pixels may be and still match: a share of the diagonal, rounded up."""
    return math.ceil(tolerance * math.hypot(height_px, width_px))


def boundary(mask: Mask) -> Mask:
    """Pixels (H, W) unlike the one to the right, below, or right below; outside is as at the border."""
    edges = np.zeros_like(mask)
    edges[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edges[:-1] |= mask[:-1] ^ mask[1:]
    edges[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edges


def _window(mask: Mask) -> tuple[slice, slice] | None:
    """What of the picture holds all boundary pixels: the mask's box and one pixel around it."""
    box = tight_box(mask)
    if box is None:
        return None
    x0, y0, x1, y1 = (int(side) for side in box)
    return slice(max(y0 - 1, 0), y1 + 1), slice(max(x0 - 1, 0), x1 + 1)


def _share_near(edges: Mask, others: Mask, disk: NDArray[np.uint8]) -> float:
    near = cv2.dilate(others.view(np.uint8), disk)
    return float(np.count_nonzero(near.view(np.bool_) & edges) / np.count_nonzero(edges))


@cache
def _disk(radius_px: int) -> NDArray[np.uint8]:
    """(2r + 1, 2r + 1): 1 within the radius, its rim included."""
    steps = np.arange(-radius_px, radius_px + 1)
    return cast(NDArray[np.uint8], (steps[:, None] ** 2 + steps**2 <= radius_px**2).astype(np.uint8))
