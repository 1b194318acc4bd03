"""People: whether a thing looks like one, and where in a frame they stand, moving or not."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.masks import tight_box

Mask = NDArray[np.bool_]  # (H, W)

_SKIN_SHARE = 0.15  # real people show 0.25 and more, cream spots on purple 0.1
_SEARCH_HEIGHT_PX = 405  # people from a quarter of the frame's height on
_HOG_WEIGHT = 0.3
_MIN_HEIGHT = 0.35  # of the frame; smaller finds are hardly ever people
_MARGINS = (0.15, 0.08)  # of the detector's window around a person: sideways, up and down


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


def find_people(image: NDArray[np.uint8]) -> list[tuple[dm.Box, float]]:
    """Boxes of upright people on an RGB image (H, W, 3), moving or not, with scores 0..1, best first.

    The HOG detector (Dalal and Triggs 2005) sees people in window frames and trouser legs, so what it finds
    must be tall enough and show skin in its upper half. It misses most who bend or turn away.
    """
    scale = _SEARCH_HEIGHT_PX / image.shape[0]
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    boxes, weights = _people().detectMultiScale(
        large, hitThreshold=_HOG_WEIGHT, winStride=(8, 8), scale=1.1, groupThreshold=1
    )
    found = []
    for (x, y, width, height), weight in zip(boxes, np.ravel(weights), strict=True):
        margin_x, margin_y = _MARGINS[0] * width, _MARGINS[1] * height  # of the window around the person
        corners = (x + margin_x, y + margin_y, x + width - margin_x, y + height - margin_y)
        left, top, right, bottom = (float(side / scale) for side in corners)
        box = max(left, 0.0), max(top, 0.0), min(right, image.shape[1]), min(bottom, image.shape[0])
        if box[3] - box[1] >= _MIN_HEIGHT * image.shape[0] and shows_skin(image, _ellipse(image, box)):
            found.append((box, min(float(weight), 1.0)))
    return sorted(found, key=lambda item: -item[1])


def _ellipse(image: NDArray[np.uint8], box: dm.Box) -> Mask:
    """The middle of a box, where a person is rather than what is around."""
    mask = np.zeros(image.shape[:2], np.uint8)
    middle = round((box[0] + box[2]) / 2), round((box[1] + box[3]) / 2)
    axes = max(round((box[2] - box[0]) * 0.3), 1), max(round((box[3] - box[1]) * 0.5), 1)
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 1, cv2.FILLED)
    return mask > 0


def _around(image: NDArray[np.uint8], box: dm.Box, *, width_px: float, height_px: float) -> NDArray[np.uint8]:
    """Part of the image of a size around the middle of a box; the border is repeated where it sticks out."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    columns = np.clip(np.arange(round(width_px)) + round(middle[0] - width_px / 2), 0, image.shape[1] - 1)
    rows = np.clip(np.arange(round(height_px)) + round(middle[1] - height_px / 2), 0, image.shape[0] - 1)
    return image[rows[:, None], columns[None]]
