"""Which frame to track from: the one whose boxes fill the wanted count of every noun best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from strefer_core.backends.interfaces import Detection, Footage, Track

NAMES = 0.35  # noun score from which a box counts as a thing of that noun
_COVERED = 0.4  # share of a box's thing under known tracks from which it is known already
_LARGE = 0.02  # share of the frame from which a box is as easy to track as any


def fill(boxes: Sequence[Detection], counts: Sequence[int]) -> list[Detection | None]:
    """The box for each wanted place, places in order of nouns; None where no box is left for it.

    Each box fills one place of one noun at most: a matching, so that three boxes of one noun do not stand
    for three different things, and a box with two nouns is not lost to either.
    """
    slots = [noun for noun, count in enumerate(counts) for _ in range(count)]
    filled: list[Detection | None] = [None] * len(slots)
    if not slots or not boxes:
        return filled
    named = np.array([[box.noun_scores[noun] for box in boxes] for noun in slots])
    weight = np.where(named >= NAMES, named * np.array([box.score for box in boxes]) + 1, 0)
    for row, column in zip(*linear_sum_assignment(weight, maximize=True), strict=True):
        if weight[row, column] > 0:
            filled[row] = boxes[column]
    return filled


def is_full(boxes: Sequence[Detection], counts: Sequence[int]) -> bool:
    """Whether the boxes of a frame fill every wanted place."""
    return None not in fill(boxes, counts)


def best_anchor(
    footage: Footage, found: Mapping[int, Sequence[Detection]], counts: Sequence[int]
) -> list[Detection]:
    """The boxes that fill the wanted counts on the frame that does it best; [] where none fills any.

    More places come first; then surer, larger boxes on a sharper picture.
    """
    sharpness = {index: picture_sharpness(footage, index) for index in found}
    sharpest = max(sharpness.values(), default=1.0) or 1.0
    best: list[Detection] = []
    best_value = 0.0
    for index, boxes in found.items():
        chosen = [box for box in fill(boxes, counts) if box is not None]
        quality = sum(box.score * _ease(footage, box) for box in chosen) / max(sum(counts), 1)
        value = len(chosen) + 0.5 * quality * (1 + np.sqrt(sharpness[index] / sharpest))
        if chosen and value > best_value:
            best, best_value = chosen, float(value)
    return best


def picture_sharpness(footage: Footage, index: int) -> float:
    """Variance of the Laplacian of a sampled frame: low where the picture is blurred."""
    gray = cv2.cvtColor(footage.images[footage.sampled[index]], cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(gray, cv2.CV_32F).var())


def fresh_boxes(footage: Footage, boxes: Sequence[Detection], tracks: Sequence[Track]) -> list[Detection]:
    """The boxes of one frame that no track covers there."""
    return [box for box in boxes if not any(_covers(footage, one, box) for one in tracks)]


def _covers(footage: Footage, one: Track, box: Detection) -> bool:
    mask: NDArray[np.bool_] = one.masks[footage.sampled[box.frame_index]]
    x0, y0, x1, y1 = (max(round(side), 0) for side in box.box)
    inside = int(np.count_nonzero(mask[y0:y1, x0:x1]))
    return inside > 0 and inside >= _COVERED * min(int(np.count_nonzero(mask)), (x1 - x0) * (y1 - y0))


def _ease(footage: Footage, box: Detection) -> float:
    """How easily a box is tracked by its size, 0..1."""
    height, width = footage.images.shape[1:3]
    x0, y0, x1, y1 = box.box
    return float(min(np.sqrt((x1 - x0) * (y1 - y0) / (_LARGE * height * width)), 1.0))
