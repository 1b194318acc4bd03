"""Masks as a tracker draws them: outlines a little off, and sliding off a thing that it loses hold of."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.masks import tight_box

Mask = NDArray[np.bool_]  # (H, W)
Floats = NDArray[np.float64]

GRID = 4
"""An outline's noise is smooth: it is drawn on a grid of GRID x GRID points around the thing."""
_MARGIN = 0.25  # of the box's longer side around it
_MEAN_OFF = 0.54  # mean absolute value of the field: 0.8 for normal draws, less by interpolation and pixels


def rough(mask: Mask, edge: float, draws: Floats) -> Mask:
    """Move the outline in and out so that 1 - J with the mask is `edge` on average.

    Args:
        mask: (H, W), not empty.
        edge: wanted mean of 1 - J, 0 for the mask itself.
        draws: (GRID * GRID,) standard normal.
    """
    box = tight_box(mask)
    if edge <= 0 or box is None:
        return mask
    rows, columns = _window(box, mask.shape)
    inner = mask[rows, columns].astype(np.uint8)
    inside = cv2.distanceTransform(cv2.copyMakeBorder(inner, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
    inside = inside[1:-1, 1:-1]
    depth = np.where(inner > 0, inside - 0.5, 0.5 - cv2.distanceTransform(1 - inner, cv2.DIST_L2, 3))
    outline_px = max(1, int(((inside > 0) & (inside <= 1)).sum()))
    off_px = edge * float(inner.sum()) / outline_px / _MEAN_OFF
    grid = draws.reshape(GRID, GRID).astype(np.float32)
    field = cv2.resize(grid, (inner.shape[1], inner.shape[0]), interpolation=cv2.INTER_LINEAR)
    result = np.zeros_like(mask)
    result[rows, columns] = depth > off_px * field
    return result if result.any() else mask


def slid(mask: Mask, way: float, turn: float) -> Mask:
    """Shift a mask by `way` sides (square roots of its area) in direction `turn` (0..1 of a full turn)."""
    if way <= 0:
        return mask
    length_px = way * float(np.sqrt(mask.sum()))
    matrix = np.array(
        [[1, 0, length_px * np.cos(2 * np.pi * turn)], [0, 1, length_px * np.sin(2 * np.pi * turn)]]
    )
    moved = cv2.warpAffine(
        mask.astype(np.uint8), matrix, (mask.shape[1], mask.shape[0]), flags=cv2.INTER_NEAREST
    )
    return cast(Mask, moved > 0)


def _window(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (int(side) for side in box)
    margin = 2 + int(_MARGIN * max(x1 - x0, y1 - y0))
    return (
        slice(max(y0 - margin, 0), min(y1 + margin, shape[0])),
        slice(max(x0 - margin, 0), min(x1 + margin, shape[1])),
    )
