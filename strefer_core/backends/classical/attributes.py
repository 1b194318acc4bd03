"""Names for what a mask shows: colour, geometric shape, whether it looks like a person."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.masks import tight_box

Mask = NDArray[np.bool_]  # (H, W)

_SKIN_SHARE = 0.04

SHAPES = ("circle", "square", "triangle", "star", "hexagon")

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


def colour_shares(image: NDArray[np.uint8], mask: Mask) -> NDArray[np.float64]:
    """Share of the masked pixels per colour of COLOUR_NAMES; zeros for an empty mask.

    The rim is left out: there the colours of thing and surroundings mix.
    """
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    chosen = image[inner if inner.sum() >= 20 else mask].astype(np.int32) >> 3
    names = _name_table()[chosen[:, 0] * 1024 + chosen[:, 1] * 32 + chosen[:, 2]]
    counts = np.bincount(names, minlength=len(COLOUR_NAMES)).astype(float)
    return counts / max(counts.sum(), 1)


def shape_of(mask: Mask) -> str | None:
    """One of SHAPES where the outline is clearly that, else None (also for masks cut by the border)."""
    if mask[[0, -1]].any() or mask[:, [0, -1]].any():
        return None
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    outline = max(outlines, key=cv2.contourArea)
    area = cv2.contourArea(outline)
    if area < 150 or len(outline) < 20:
        return None
    return _classify(outline, area)


def _classify(outline: NDArray[np.int32], area: float) -> str | None:
    """Shape from ratios of the outline's area to the areas of simple figures around it."""
    hull_area = max(cv2.contourArea(cv2.convexHull(outline)), 1.0)
    solidity = area / hull_area
    if solidity < 0.8:
        return "star" if _is_star(outline, area, solidity) else None
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
    if not 0.45 < solidity < 0.8:
        return False
    hull = cv2.convexHull(outline, returnPoints=False)
    hull[::-1].sort(axis=0)
    defects = cv2.convexityDefects(outline, hull)
    if defects is None:
        return False
    deep = defects[defects[:, 0, 3] / 256 > 0.12 * np.sqrt(area), 0]
    if len(deep) != 5 or deep[:, 3].min() < 0.65 * deep[:, 3].max():
        return False
    away = outline[deep[:, 2], 0] - outline[:, 0].mean(axis=0)
    angles = np.sort(np.degrees(np.arctan2(away[:, 1], away[:, 0])))
    gaps = np.diff(np.append(angles, angles[0] + 360))
    return bool(gaps.min() > 50 and gaps.max() < 95)


def shows_skin(image: NDArray[np.uint8], mask: Mask) -> bool:
    """Whether the upper part of a thing has colours of human skin, light to dark.

    The box in Cr and Cb is that of Chai and Ngan 1999; the HOG detector alone takes butterflies for people.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return False
    upper = mask.copy()
    upper[rows[0] + (rows[-1] - rows[0] + 1) // 2 :] = False
    codes = cv2.cvtColor(image[upper][None], cv2.COLOR_RGB2YCrCb)[0]
    skin = (codes[:, 1] >= 133) & (codes[:, 1] <= 173) & (codes[:, 2] >= 77) & (codes[:, 2] <= 127)
    return bool(skin.mean() >= _SKIN_SHARE) and not is_painted(image, mask)


def is_painted(image: NDArray[np.uint8], mask: Mask) -> bool:
    """Whether most of a thing has a saturated colour, as toys and drawings have."""
    codes = cv2.cvtColor(image[mask][None], cv2.COLOR_RGB2HSV)[0]
    return bool(((codes[:, 1] > 150) & (codes[:, 2] > 60)).mean() > 0.5)


@cache
def _people() -> cv2.HOGDescriptor:
    detector = cv2.HOGDescriptor()
    detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    return detector


def person_score(image: NDArray[np.uint8], mask: Mask) -> float:
    """How much a thing looks like an upright person to OpenCV's HOG detector, 0..1.

    The thing is brought to the height that the detector was trained on (Dalal and Triggs 2005: 96 of
    128 pixels), because it misses people who are smaller in the frame.
    """
    box = tight_box(mask)
    if box is None:
        return 0.0
    width, height = box[2] - box[0], box[3] - box[1]
    if height < 40 or height < 1.2 * width or not shows_skin(image, mask):
        return 0.0
    best = 0.0
    for target_px in (88.0, 104.0):
        scale = target_px / height
        crop = _around(image, box, width_px=96 / scale, height_px=152 / scale)
        view = cv2.resize(crop, (96, 152), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        _, weights = _people().detect(view, hitThreshold=-0.5, winStride=(4, 4))
        best = max([best, *(float(weight) for weight in np.ravel(weights))])
    return min(best, 1.0)


def _around(image: NDArray[np.uint8], box: dm.Box, *, width_px: float, height_px: float) -> NDArray[np.uint8]:
    """Part of the image of a size around the middle of a box; the border is repeated where it sticks out."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    columns = np.clip(np.arange(round(width_px)) + round(middle[0] - width_px / 2), 0, image.shape[1] - 1)
    rows = np.clip(np.arange(round(height_px)) + round(middle[1] - height_px / 2), 0, image.shape[0] - 1)
    return image[rows[:, None], columns[None]]
