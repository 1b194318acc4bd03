"""Masks and masklets in the forms in which models and people take regions: point, box, scribble, polygon.

Coordinates are `x, y` in pixels as boxes have them: pixel (row, column) covers `[column, column + 1) x
[row, row + 1)`, its centre is `(column + 0.5, row + 0.5)`. Normalised ones are divided by width and height.

    format     value                             back to a mask
    point      [x, y], inside for sure           -
    box        [x0, y0, x1, y1], half-open       the box's pixels
    scribble   [[x, y], ...], inside for sure    -
    polygon    [[exterior, hole, ...], ...]      the very same mask, bit for bit
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from strefer_core import data_model as dm
from strefer_core.errors import ConfigError
from strefer_core.masks import Mask, decode, tight_box
from strefer_core.outlines import Point, Polygon, mask_of, polygons_of
from strefer_core.scribbles import MAX_POINTS, depth_px, scribble_of

__all__ = [
    "FORMATS",
    "Format",
    "Point",
    "Polygon",
    "box_of",
    "mask_from_box",
    "mask_from_polygons",
    "mask_from_value",
    "masklet_regions",
    "point_of",
    "polygons_of",
    "region_value",
    "scribble_of",
]

Format = Literal["point", "box", "scribble", "polygon"]
FORMATS: tuple[str, ...] = get_args(Format)

box_of = tight_box
mask_from_polygons = mask_of


def point_of(mask: Mask) -> Point | None:
    """The centre of the pixel deepest in a mask (H, W), its pole of inaccessibility; None where it is empty.

    Of several that are equally deep, as in a bar, the one next to the mask's centre of gravity.
    """
    if not mask.any():
        return None
    depth = depth_px(mask)
    deepest = np.argwhere(depth >= depth.max() - 1e-6)
    off = np.linalg.norm(deepest - np.argwhere(mask).mean(axis=0), axis=1)
    y, x = deepest[off.argmin()]
    return float(x) + 0.5, float(y) + 0.5


def mask_from_box(box: dm.Box, height_px: int, width_px: int) -> Mask:
    """The pixels (height_px, width_px) whose centres lie in a box: the inverse of `box_of` for rectangles."""
    x0, y0, x1, y1 = box
    xs, ys = np.arange(width_px) + 0.5, np.arange(height_px) + 0.5
    inside: Mask = ((ys >= y0) & (ys < y1))[:, None] & ((xs >= x0) & (xs < x1))
    return inside


def region_value(
    mask: Mask,
    form: Format,
    *,
    normalised: bool = False,
    max_points: int = MAX_POINTS,
    max_error_px: float = 0.0,
) -> list[Any] | None:
    """A mask (H, W) in one of the formats above, as JSON has it; None where it is empty.

    Args:
        mask: (H, W) bool.
        form: which format.
        normalised: divide x by the width and y by the height.
        max_points: of a scribble.
        max_error_px: of polygons: how far their outlines may be from the exact ones.

    Raises:
        ConfigError: no such format.
    """
    if form not in FORMATS:
        raise ConfigError(f"region format {form!r}; known are {', '.join(FORMATS)}")
    if not mask.any():
        return None
    unit = (float(mask.shape[1]), float(mask.shape[0])) if normalised else (1.0, 1.0)
    if form == "polygon":
        polygons = polygons_of(mask, max_error_px)
        return [[_divided(ring, unit) for ring in (one.exterior, *one.holes)] for one in polygons]
    if form == "scribble":
        return _divided(scribble_of(mask, max_points) or (), unit)
    x0, y0, x1, y1 = tight_box(mask) or (0.0, 0.0, 0.0, 0.0)
    points = [(x0, y0), (x1, y1)] if form == "box" else [point_of(mask) or (0.0, 0.0)]
    return [number for point in _divided(points, unit) for number in point]


def mask_from_value(
    value: Sequence[Any] | None, form: Format, height_px: int, width_px: int, *, normalised: bool = False
) -> Mask:
    """The mask (height_px, width_px) that a value of `region_value` says; exact for an exact polygon.

    Raises:
        ConfigError: points and scribbles do not say a mask.
    """
    if form not in ("box", "polygon"):
        raise ConfigError(f"a {form} does not say which pixels belong to the region; use box or polygon")
    if value is None:
        return np.zeros((height_px, width_px), bool)
    unit = (float(width_px), float(height_px)) if normalised else (1.0, 1.0)
    if form == "box":
        x0, y0, x1, y1 = value
        return mask_from_box((x0 * unit[0], y0 * unit[1], x1 * unit[0], y1 * unit[1]), height_px, width_px)
    polygons = [[tuple((x * unit[0], y * unit[1]) for x, y in ring) for ring in rings] for rings in value]
    return mask_of([Polygon(first, tuple(holes)) for first, *holes in polygons], height_px, width_px)


def masklet_regions(
    masklet: dm.Masklet,
    form: Format,
    *,
    normalised: bool = False,
    max_points: int = MAX_POINTS,
    max_error_px: float = 0.0,
) -> dict[str, Any]:
    """A masklet's region on every frame, as JSON has it; the arguments are those of `region_value`.

    Returns:
        `entity_id`, `masklet_id`, `format`, `normalised`, and `frames`: for each sampled frame `frame_index`,
        `pts_s` and `region`, which is None where the entity is not visible.
    """
    frames = [
        {
            "frame_index": index,
            "pts_s": pts_s,
            "region": rle
            and region_value(
                decode(rle), form, normalised=normalised, max_points=max_points, max_error_px=max_error_px
            ),
        }
        for index, (pts_s, rle) in enumerate(zip(masklet.frames_pts_s, masklet.masks, strict=True))
    ]
    return {
        "entity_id": masklet.entity_id,
        "masklet_id": masklet.masklet_id,
        "format": form,
        "normalised": normalised,
        "frames": frames,
    }


def _divided(points: Sequence[Point], unit: Point) -> list[list[float]]:
    return [[x / unit[0], y / unit[1]] for x, y in points]
