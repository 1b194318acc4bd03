"""Masks as polygons with holes and back, bit for bit.

A polygon runs along the edges of pixels, so its corners are whole numbers in the coordinates of boxes: pixel
(row, column) covers `[column, column + 1) x [row, row + 1)`. A pixel belongs to a polygon where its centre
does, by the even-odd rule. With both, outlines and masks say exactly the same; contours through the centres
of border pixels, as OpenCV traces them, do not: their holes and thin parts change when they are filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.masks import Mask

Point = tuple[float, float]  # x, y in pixels
Ring = tuple[Point, ...]  # closed: the last corner is joined to the first, which is not repeated


@dataclass(frozen=True, slots=True)
class Polygon:
    """One connected part of a mask; its holes lie within it. Even-odd over all its rings is its inside."""

    exterior: Ring
    holes: tuple[Ring, ...] = ()


def polygons_of(mask: Mask, max_error_px: float = 0.0) -> tuple[Polygon, ...]:
    """The outlines of a mask (H, W), one polygon per part that is connected by sides; () for an empty one.

    Args:
        mask: (H, W) bool.
        max_error_px: where above 0, corners are left out (Douglas and Peucker, 1973) as long as every
            outline stays within this distance of the exact one; what would vanish stays as it is. At 0 the
            outlines are exact.
    """
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return tuple(
        _polygon(labels[y : y + height, x : x + width] == part, x, y, max_error_px)
        for part, (x, y, width, height, _) in enumerate(boxes.tolist())
        if part  # 0 is the background
    )


def mask_of(polygons: Sequence[Polygon], height_px: int, width_px: int) -> Mask:
    """The pixels (height_px, width_px) whose centres lie in any polygon: the inverse of `polygons_of`."""
    mask = np.zeros((height_px, width_px), bool)
    for polygon in polygons:
        rings = [np.array(ring, float) for ring in (polygon.exterior, *polygon.holes)]
        x0, y0 = np.floor(rings[0].min(axis=0)).clip(0, (width_px, height_px)).astype(int)
        x1, y1 = np.ceil(rings[0].max(axis=0)).clip((x0, y0), (width_px, height_px)).astype(int)
        window = mask[y0:y1, x0:x1]
        window |= _filled([ring - (x0, y0) for ring in rings], *window.shape)
    return mask


def _filled(rings: Sequence[NDArray[np.float64]], height: int, width: int) -> Mask:
    """Pixels (height, width) with their centres inside: every edge turns over all pixels to its right."""
    turns = np.zeros((height, width + 1), np.int64)
    for ring in rings:
        (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
        # Rows whose centre lines the edge crosses, its upper end taken in; none where it is level.
        top = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, height).astype(int)
        bottom = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, height).astype(int)
        edge = np.repeat(np.arange(len(ring)), bottom - top)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(bottom - top) - bottom, bottom - top)
        crossing = x0[edge] + (row + 0.5 - y0[edge]) / (y1 - y0)[edge] * (x1 - x0)[edge]
        np.add.at(turns, (row, np.ceil(crossing - 0.5).clip(0, width).astype(int)), 1)
    filled: Mask = np.cumsum(turns[:, :-1], axis=1) % 2 == 1
    return filled


# --- tracing ------------------------------------------------------------------------------------------------

Way = tuple[int, int]  # dx, dy of one step along the edge of a pixel
Corner = tuple[int, int]  # x, y


def _polygon(part: Mask, x: int, y: int, max_error_px: float) -> Polygon:
    """The polygon of one connected part (H, W) whose upper left corner is at (x, y)."""
    rings = [_thinned(ring + np.array([x, y]), max_error_px) for ring in _rings(part)]
    return Polygon(rings[0], tuple(rings[1:]))


def _rings(part: Mask) -> Iterator[NDArray[np.int64]]:
    """Rings of corners (N, 2) `x, y` along the edges of a mask, which is on their right; exterior first."""
    ways = _edges(part)
    left = {(corner, way) for corner, there in ways.items() for way in there}
    for start in sorted(left):  # the leftmost corner of all is one of the exterior
        if start not in left:
            continue
        corners: list[Corner] = []
        (at, way), last = start, None
        while (at, way) in left:
            left.remove((at, way))
            if way != last:
                corners.append(at)
            at, last = (at[0] + way[0], at[1] + way[1]), way
            way = _turned(way, ways[at])
        yield np.array(corners)


def _turned(way: Way, ways: list[Way]) -> Way:
    """The way on. Where two pixels meet only in this corner, to the right: they are not connected here."""
    right = -way[1], way[0]
    return right if right in ways else ways[0]


def _edges(part: Mask) -> dict[Corner, list[Way]]:
    """The ways along pixel edges from each corner, such that the mask lies on their right."""
    padded = np.pad(part, 1).astype(np.int8)
    below = np.diff(padded, axis=0)[:, 1:-1]  # at (y, x): 1 where the mask begins, -1 where it ends
    beside = np.diff(padded, axis=1)[1:-1]
    ways: dict[Corner, list[Way]] = {}
    for change, value, begins, way in (
        (below, 1, (0, 0), (1, 0)),
        (below, -1, (1, 0), (-1, 0)),
        (beside, -1, (0, 0), (0, 1)),
        (beside, 1, (0, 1), (0, -1)),
    ):
        for y, x in np.argwhere(change == value).tolist():
            ways.setdefault((x + begins[0], y + begins[1]), []).append(way)
    return ways


def _thinned(ring: NDArray[np.int64], max_error_px: float) -> Ring:
    kept = _kept(ring, max_error_px) if max_error_px > 0 else np.ones(len(ring), bool)
    corners = ring[kept] if kept.sum() > 2 else ring
    return tuple((float(x), float(y)) for x, y in corners)


def _kept(ring: NDArray[np.int64], max_error_px: float) -> NDArray[np.bool_]:
    """Which corners (N,) Douglas and Peucker keep."""
    closed = np.vstack([ring, ring[:1]])
    far = int(np.linalg.norm(ring - ring[0], axis=1).argmax())
    kept = np.zeros(len(ring), bool)
    spans = [(0, far), (far, len(ring))]  # two halves, between corners far apart
    while spans:
        first, last = spans.pop()
        kept[first] = True
        errors = _distances(closed[first + 1 : last], closed[first], closed[last])
        if len(errors) and errors.max() > max_error_px:
            middle = first + 1 + int(errors.argmax())
            spans += [(first, middle), (middle, last)]
    return kept


def _distances(
    points: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Distances (N,) of points (N, 2) from the segment between two corners."""
    along = end - start
    share = ((points - start) @ along / max(float(along @ along), 1e-9)).clip(0, 1)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)
