"""The mask of the thing in a box, on the frame that the box was found on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm

Mask = NDArray[np.bool_]  # (H, W)
Labels = NDArray[np.uint8]  # (H, W), values of GrabCut
Window = tuple[int, int, int, int]  # x0, y0, x1, y1; whole pixels

_FOREGROUND = 140  # a little above unknown
_SURE = 200
_HARDLY_ANY = 0.15  # share of the box: less foreground says nothing
_SPILL = 0.25  # share of the frame around the box that is foreground: the box shows a part of what moves
_RING_PX = 3
_MAX_GRAB_PX = 6000  # larger boxes are cut out at a smaller scale
_GRAB_ROUNDS = 3


def mask_in_box(image: NDArray[np.uint8], foreground: NDArray[np.uint8], box: dm.Box) -> Mask:
    """Mask of the thing in a box: GrabCut (Rother et al. 2004) with what is known of the foreground.

    Where the foreground ends with the box it surely is the thing, and what else looks like it is added:
    the leg that a person stands on is background to one who looks for motion. Where the foreground goes on
    outside, or there is hardly any, the colours in the box against those around it decide.

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
    pad_x, pad_y = (x1 - x0) // 2 + 2, (y1 - y0) // 2 + 2
    view = slice(max(y0 - pad_y, 0), y1 + pad_y), slice(max(x0 - pad_x, 0), x1 + pad_x)
    inner = x0 - view[1].start, y0 - view[0].start, x1 - view[1].start, y1 - view[0].start
    labels = _hints(foreground[view], inner)
    mask[view] = _large_pieces(_grab(np.ascontiguousarray(image[view]), labels, inner))
    if not mask.any():  # colours tell nothing
        mask[y0:y1, x0:x1] = _large_pieces(foreground[y0:y1, x0:x1] > _FOREGROUND)
    return mask


def _hints(foreground: NDArray[np.uint8], box: Window) -> Labels:
    """What GrabCut begins with: background outside of the box, and inside what the foreground says."""
    x0, y0, x1, y1 = box
    labels = np.full(foreground.shape, cv2.GC_BGD, np.uint8)
    inside = foreground[y0:y1, x0:x1]
    ring = np.ones(foreground.shape, bool)
    ring[max(y0 - _RING_PX, 0) : y1 + _RING_PX, max(x0 - _RING_PX, 0) : x1 + _RING_PX] = False
    ring = ~ring
    ring[y0:y1, x0:x1] = False
    spills = bool(ring.any()) and float((foreground[ring] > _FOREGROUND).mean()) > _SPILL
    if spills or float((inside > _FOREGROUND).mean()) < _HARDLY_ANY:
        labels[y0:y1, x0:x1] = cv2.GC_PR_FGD
    else:
        labels[y0:y1, x0:x1] = np.where(
            inside > _SURE, cv2.GC_FGD, np.where(inside > _FOREGROUND, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
        )
    return labels


def _grab(view: NDArray[np.uint8], labels: Labels, box: Window) -> Mask:
    """GrabCut of a picture that begins with labels, at a scale at which it is fast."""
    x0, y0, x1, y1 = box
    if min(x1 - x0, y1 - y0) < 4 or not (labels == cv2.GC_BGD).any():
        return np.asarray(labels != cv2.GC_BGD)
    scale = min(1.0, float(np.sqrt(_MAX_GRAB_PX / ((x1 - x0) * (y1 - y0)))))
    size = (max(round(view.shape[1] * scale), 1), max(round(view.shape[0] * scale), 1))
    small = cv2.resize(view, size, interpolation=cv2.INTER_AREA)
    found = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    cv2.setRNGSeed(0)  # GrabCut starts from k-means
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, found, None, *models, _GRAB_ROUNDS, cv2.GC_INIT_WITH_MASK)
    cut = ((found == cv2.GC_FGD) | (found == cv2.GC_PR_FGD)).astype(np.float32)
    large = cv2.resize(cut, (view.shape[1], view.shape[0]), interpolation=cv2.INTER_LINEAR) > 0.5
    return np.asarray((large & (labels != cv2.GC_BGD)) | (labels == cv2.GC_FGD))


def _large_pieces(mask: Mask) -> Mask:
    """Without crumbs, small gaps closed."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    if count <= 1:
        return np.zeros_like(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.concatenate([[False], areas >= 0.1 * areas.max()])[labels]
