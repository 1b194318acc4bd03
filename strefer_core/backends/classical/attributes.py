"""Names for what a mask shows: its colours and its geometric shape."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.masks import tight_box

Mask = NDArray[np.bool_]  # (H, W)

SHAPES = ("circle", "square", "triangle", "star", "hexagon", "heart")

COMPACT = "compact"
"""Stands for an outline without limbs that is none of SHAPES for sure."""

_MIN_SHAPE_PX = 130
_SHAPE_SIDE_PX = 120.0
_SMOOTH = 0.7  # px of the mask
_LIMBS, _NO_LIMBS = 0.9, 0.96  # solidity of a creature, of a solid
_COMPACT_WEIGHT = 0.7
_TINY_WEIGHT = 0.5  # what is too small to have an outline may be anything

_COLOURS: dict[str, tuple[tuple[int, int, int], ...]] = {  # RGB examples, from deep to light
    "red": ((205, 30, 40), (150, 20, 25), (235, 80, 75)),
    "orange": ((245, 140, 25), (220, 110, 20), (250, 170, 90)),
    "yellow": ((245, 215, 45), (210, 180, 40), (250, 235, 130)),
    "green": ((50, 165, 60), (20, 95, 35), (125, 200, 110), (95, 130, 40)),
    "turquoise": ((25, 190, 195), (15, 125, 130), (120, 220, 215)),
    "blue": ((40, 85, 220), (25, 40, 115), (35, 45, 70), (90, 150, 235), (70, 100, 150)),
    "purple": ((145, 60, 190), (85, 35, 115), (180, 130, 215)),
    "pink": ((245, 110, 175), (200, 60, 130), (250, 180, 205), (215, 160, 150)),
    "brown": ((125, 75, 40), (75, 45, 25), (165, 120, 85)),
    "white": ((245, 245, 245), (222, 220, 215)),
    "grey": ((128, 128, 128), (85, 85, 85), (180, 180, 180)),
    "black": ((15, 15, 15), (42, 40, 40)),
}
COLOUR_NAMES = tuple(_COLOURS)

_BROWN = COLOUR_NAMES.index("brown")
# With so much of a warm colour in the light, of brown's share, brown is its shade or pattern. Dark orange is
# brown, so little orange tells; dark red is less so, and wood beside some red is wood.
_SHADED = {COLOUR_NAMES.index(name): 0.6 for name in ("red", "yellow")} | {COLOUR_NAMES.index("orange"): 0.2}


@cache
def _name_table() -> NDArray[np.uint8]:
    """Place in COLOUR_NAMES for each RGB colour at 5 bits a channel: nearest example in CIE Lab."""
    levels = (np.arange(32, dtype=np.float32) * 8 + 4) / 255
    red, green, blue = np.meshgrid(levels, levels, levels, indexing="ij")
    grid = cv2.cvtColor(np.stack([red, green, blue], axis=-1).reshape(1, -1, 3), cv2.COLOR_RGB2LAB)[0]
    owner = np.concatenate([[i] * len(examples) for i, examples in enumerate(_COLOURS.values())])
    flat = np.array([rgb for examples in _COLOURS.values() for rgb in examples], np.float32)
    examples = cv2.cvtColor(flat[None] / 255, cv2.COLOR_RGB2LAB)[0]
    weights = np.array([0.6, 1, 1], np.float32)  # shade matters less than hue
    distance = (((grid[:, None] - examples[None]) * weights) ** 2).sum(axis=-1)
    return owner[distance.argmin(axis=1)].astype(np.uint8)


def colour_places(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Place in COLOUR_NAMES of every pixel of RGB pixels (..., 3), each by itself."""
    coarse = image.astype(np.int32) >> 3
    return np.asarray(_name_table()[coarse[..., 0] * 1024 + coarse[..., 1] * 32 + coarse[..., 2]])


def colour_shares(image: NDArray[np.uint8], mask: Mask) -> NDArray[np.float64]:
    """Share of the masked pixels per colour of COLOUR_NAMES; zeros for an empty mask.

    The rim is left out: there the colours of thing and surroundings mix. Brown beside some of a lit warm
    colour is the shaded side of that, or its pattern.
    """
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    chosen = colour_places(image[inner if inner.sum() >= 20 else mask])
    counts = np.bincount(chosen, minlength=len(COLOUR_NAMES)).astype(float)
    return _lit(counts / max(counts.sum(), 1))


def _lit(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    warm = max(_SHADED, key=lambda place: shares[place])
    if shares[warm] < _SHADED[warm] * shares[_BROWN]:
        return shares
    lit = shares.copy()
    lit[warm], lit[_BROWN] = shares[warm] + shares[_BROWN], 0.0
    return lit


def outlines_of(mask: Mask) -> dict[str, float]:
    """How surely an outline is each of SHAPES, 0..1.

    Under COMPACT: how surely it is one of them, whichever. Empty where nothing can be said, as for masks
    that the border cuts.
    """
    if mask[[0, -1]].any() or mask[:, [0, -1]].any():
        return {}
    outline = _outline(mask)
    if outline is None:
        return {COMPACT: _TINY_WEIGHT}
    area = cv2.contourArea(outline)
    shape = _classify(outline, area)
    if shape is not None:
        return {shape: 1.0}
    solidity = area / max(cv2.contourArea(cv2.convexHull(outline)), 1.0)
    compact = float(np.clip((solidity - _LIMBS) / (_NO_LIMBS - _LIMBS), 0, 1))
    return {COMPACT: _COMPACT_WEIGHT * compact} if compact else {}


def _outline(mask: Mask) -> NDArray[np.int32] | None:
    """Outline of the largest piece, so large that the steps of its pixels do not count; None if tiny."""
    box = tight_box(mask)
    if box is None or mask.sum() < _MIN_SHAPE_PX:
        return None
    x0, y0, x1, y1 = (int(side) for side in box)
    scale = max(1.0, _SHAPE_SIDE_PX / np.sqrt(float(mask.sum())))
    padded = cv2.copyMakeBorder(
        mask[y0:y1, x0:x1].astype(np.float32), 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=0
    )
    large = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(large, (0, 0), _SMOOTH * scale) > 0.5
    outlines, _ = cv2.findContours(smooth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return max(outlines, key=cv2.contourArea, default=None)


def _classify(outline: NDArray[np.int32], area: float) -> str | None:
    """Shape from ratios of the outline's area to the areas of simple figures around it."""
    hull_area = max(cv2.contourArea(cv2.convexHull(outline)), 1.0)
    solidity = area / hull_area
    if solidity < 0.8:
        return "star" if _is_star(outline, area, solidity) else None
    if 0.88 < solidity < 0.97 and _is_heart(outline, area):
        return "heart"
    if solidity < 0.92:
        return None
    (_, (width, height), _) = cv2.minAreaRect(outline)
    (_, radius) = cv2.minEnclosingCircle(outline)
    (triangle_area, _) = cv2.minEnclosingTriangle(outline)
    in_box = area / max(width * height, 1.0)
    in_circle = area / (np.pi * radius**2)
    in_triangle = area / max(float(triangle_area), 1.0)
    aspect = min(width, height) / max(width, height, 1.0)
    if in_triangle > 0.82:
        return "triangle"
    if in_box > 0.88 and aspect > 0.85:
        return "square"
    if in_circle > 0.88:
        return "circle"
    if 0.74 < in_circle < 0.87 and 0.6 < in_triangle < 0.74 and aspect > 0.8 and in_box < 0.84:
        corners = len(cv2.approxPolyDP(outline, 0.035 * cv2.arcLength(outline, closed=True), closed=True))
        return "hexagon" if corners == 6 else None
    return None


def _is_star(outline: NDArray[np.int32], area: float, solidity: float) -> bool:
    """Five equal points: five dents in the hull, about equally deep and evenly spread around the middle."""
    dents = _dents(outline)
    deep = dents[dents[:, 3] > 0.12 * np.sqrt(area)]
    if not 0.45 < solidity < 0.8 or len(deep) != 5 or deep[:, 3].min() < 0.65 * deep[:, 3].max():
        return False
    away = outline[deep[:, 2].astype(int), 0] - outline[:, 0].mean(axis=0)
    angles = np.sort(np.degrees(np.arctan2(away[:, 1], away[:, 0])))
    gaps = np.diff(np.append(angles, angles[0] + 360))
    return bool(gaps.min() > 50 and gaps.max() < 95)


def _is_heart(outline: NDArray[np.int32], area: float) -> bool:
    """One deep dent and a point opposite: the rest of the hull is nearly a triangle."""
    depths = np.sort(np.append(_dents(outline)[:, 3], [0, 0])) / np.sqrt(area)
    (triangle_area, _) = cv2.minEnclosingTriangle(outline)
    has_dent = 0.07 < depths[-1] < 0.35 and depths[-2] < 0.45 * depths[-1]
    return bool(has_dent and 0.66 < area / triangle_area < 0.82)


def _dents(outline: NDArray[np.int32]) -> NDArray[np.float64]:
    """Dents of an outline in its hull, (N, 4): start, end and deepest point (places), depth in pixels."""
    hull = cv2.convexHull(outline, returnPoints=False)
    hull[::-1].sort(axis=0)
    found = cv2.convexityDefects(outline, hull)
    dents = np.zeros((0, 4)) if found is None else found[:, 0].astype(float)
    dents[:, 3] /= 256
    return dents
