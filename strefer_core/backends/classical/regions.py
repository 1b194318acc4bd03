"""Moving things in single frames: connected foreground with change in or around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical.scene import Scene
from strefer_core.masks import tight_box

Mask = NDArray[np.bool_]  # (H, W)

_FOREGROUND = 140  # a little above UNKNOWN
_GAP_SHARE = 0.02  # of the longer side: pieces that are nearer belong together
_MIN_AREA_SHARE = 0.0006  # of the frame
_MAX_AREA_SHARE = 0.6  # more is a change of light, not a thing
_ACTIVITY_FRAMES = 2  # before and after
_FULL_ACTIVITY = 0.1  # share of changing pixels at which a thing certainly moves


@dataclass(frozen=True, kw_only=True)
class Region:
    """One piece of moving foreground of frame `t`."""

    t: int
    mask: Mask
    box: dm.Box  # working pixels, half-open
    score: float  # 0..1: how surely it is a thing and moves


def regions(scene: Scene, t: int) -> list[Region]:
    """Moving pieces of one working frame, best first."""
    foreground = scene.foreground[t]
    height, width = foreground.shape
    size = max(3, round(0.01 * max(height, width)) | 1)
    solid = cv2.morphologyEx(
        (foreground > _FOREGROUND).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    gap = max(3, round(_GAP_SHARE * max(height, width)) | 1)
    grown = cv2.dilate(solid, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap)))
    count, labels = cv2.connectedComponents(grown, connectivity=8)
    active = _active(scene, t)
    found = []
    for label in range(1, count):
        mask = (labels == label) & (solid > 0)
        if not _MIN_AREA_SHARE <= mask.mean() <= _MAX_AREA_SHARE:
            continue
        activity = float(active[mask].mean())
        certainty = float(foreground[mask].mean()) / 255
        score = certainty * min(1.0, activity / _FULL_ACTIVITY)
        box = tight_box(mask)
        assert box is not None
        found.append(Region(t=t, mask=mask, box=box, score=score))
    return sorted(found, key=lambda region: -region.score)


def _active(scene: Scene, t: int) -> Mask:
    """Where the picture changes around frame `t`, in the same shot."""
    near = range(max(t - _ACTIVITY_FRAMES, 0), min(t + _ACTIVITY_FRAMES + 1, len(scene.moving)))
    frames = [scene.moving[other] for other in near if scene.shot[other] == scene.shot[t]]
    return np.maximum.reduce(frames) > 0


def mask_in_box(image: NDArray[np.uint8], foreground: NDArray[np.uint8], box: dm.Box) -> Mask:
    """Mask of the thing in a box: the foreground in it, or GrabCut's guess where there is hardly any.

    Args:
        image: RGB (H, W, 3) uint8.
        foreground: (H, W) uint8, see `scene.UNKNOWN`.
        box: working pixels, half-open.
    """
    height, width = foreground.shape
    x0, y0 = max(int(box[0]), 0), max(int(box[1]), 0)
    x1, y1 = min(int(np.ceil(box[2])), width), min(int(np.ceil(box[3])), height)
    mask = np.zeros((height, width), bool)
    if x1 <= x0 or y1 <= y0:
        return mask
    inside = (foreground[y0:y1, x0:x1] > _FOREGROUND).astype(np.uint8)
    closed = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    if closed.mean() < 0.15:
        return _grab(image, (x0, y0, x1, y1))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    keep = np.concatenate([[False], areas >= 0.1 * areas.max()])
    mask[y0:y1, x0:x1] = keep[labels]
    return mask


def _grab(image: NDArray[np.uint8], box: tuple[int, int, int, int]) -> Mask:
    """GrabCut from a box, seen with half its size around it as surely background."""
    x0, y0, x1, y1 = box
    height, width = image.shape[:2]
    pad_x, pad_y = (x1 - x0) // 2 + 2, (y1 - y0) // 2 + 2
    left, top = max(x0 - pad_x, 0), max(y0 - pad_y, 0)
    view = np.ascontiguousarray(image[top : y1 + pad_y, left : x1 + pad_x])
    mask = np.zeros((height, width), bool)
    if min(x1 - x0, y1 - y0) < 4 or view.shape[:2] == (y1 - y0, x1 - x0):
        mask[y0:y1, x0:x1] = True
        return mask
    cv2.setRNGSeed(0)  # GrabCut starts from k-means
    labels = np.zeros(view.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    rectangle = (x0 - left, y0 - top, x1 - x0, y1 - y0)
    cv2.grabCut(view, labels, rectangle, *models, 3, cv2.GC_INIT_WITH_RECT)
    mask[top : top + view.shape[0], left : left + view.shape[1]] = (labels == cv2.GC_FGD) | (
        labels == cv2.GC_PR_FGD
    )
    return mask
