"""The background picture of one shot: what each place looks like while nothing is there.

It is the median of a place's quiet looks. Where a thing rested for longer than it was away, that is the
thing; there the other look is taken, if it goes better with what lies around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.camera import CameraPath

Plane = NDArray[np.uint8]  # (H, W)
Planes = NDArray[np.uint8]  # (T, H, W)
Pixels = NDArray[np.uint8]  # (H, W, 3) Lab, lightness halved: shadows weigh less than colours

Codes = NDArray[np.uint8]  # (T, H, W, 3) of these

CHANGE_STEP = 14.0
"""Distance from the background that counts as half sure."""

QUIET, STILL = 2, 1
"""Levels of a look at a place: nothing changes for a while, something creeps; 0 where it moves."""

_BACKGROUND_FRAMES = 40
_MIN_SETTLED = 0.07  # share of looks at a place that must be quiet: else what is quiet there is a thing
_CANVAS_LIMIT = 3.0  # sides of the background picture, in sides of the frame
_MIN_OTHER = 0.05  # share of looks that must show something else at a place
_MIN_GHOST_PX = 40
_BAND_PX = 7
_CLEARLY = 0.1  # by so much must the other look of a patch be more like its surroundings


def pixels(image: NDArray[np.uint8]) -> Pixels:
    """RGB (H, W, 3) to Lab with lightness halved."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] //= 2
    return lab


def difference(a: Pixels, b: Pixels) -> Plane:
    """City-block colour distance, 0..255, forgiving a shift of `b` by one pixel."""
    kernel = np.ones((3, 3), np.uint8)
    over = cv2.subtract(a, cv2.dilate(b, kernel))
    under = cv2.subtract(cv2.erode(b, kernel), a)
    return cv2.transform(cv2.add(over, under), np.ones((1, 3), np.float32))


@dataclass(frozen=True, kw_only=True)
class Background:
    """A picture (h, w) that holds all that the camera saw; of the frame's size where it stands still."""

    picture: Pixels
    spread: Plane  # between the quartiles of a place's quiet looks
    known: Plane  # QUIET where enough looks were quiet, STILL where these crept, 0 where it is not known
    to_canvas: NDArray[np.float64]  # (T, 3, 3): frame pixels -> pixels of the picture


def find_background(codes: Codes, path: CameraPath, settled: Planes) -> Background:
    """The background of a shot's frames; `settled` has the levels QUIET, STILL, 0."""
    height, width = codes.shape[1:3]
    to_canvas, size = _canvas(path, (height, width))
    chosen = np.unique(np.linspace(0, len(codes) - 1, _BACKGROUND_FRAMES).round().astype(int))
    views = list(_canvas_frames(codes, settled, to_canvas, chosen, size))
    needed = max(1, round(_MIN_SETTLED * len(chosen)))
    quiet_looks = np.sum([level == QUIET for _, level in views], axis=0)
    least = np.where(quiet_looks >= needed, QUIET, STILL)
    stack = np.full((len(chosen), size[1], size[0], 3), 255, np.uint8)
    looks = np.zeros((size[1], size[0]), np.uint8)
    for place, (image, level) in zip(stack, views, strict=True):
        place[level >= least] = image[level >= least]
        looks += level >= least
    stack.sort(axis=0)  # places without a look hold 255 and sort to the end
    last = np.maximum(looks, 1)[None, :, :, None].astype(np.int64)
    low, middle, high = (np.take_along_axis(stack, last * quarter // 4, axis=0)[0] for quarter in (1, 2, 3))
    spread = cv2.transform(cv2.subtract(high, low), np.ones((1, 3), np.float32))
    _clear(middle, spread, views)
    known = np.where(looks >= needed, least, 0).astype(np.uint8)
    return Background(picture=middle, spread=spread, known=known, to_canvas=to_canvas)


def _clear(picture: Pixels, spread: Plane, views: list[tuple[Pixels, Plane]]) -> None:
    """Take things that rested out of the picture, where other looks go better with what lies around."""
    total, count = np.zeros(picture.shape, np.float32), np.zeros(picture.shape[:2], np.float32)
    for image, quiet in views:
        other = ((difference(image, picture) > 2 * CHANGE_STEP) & (quiet > 0)).astype(np.float32)
        total += image * other[..., None]
        count += other
    shown = (total / np.maximum(count, 1)[..., None]).astype(np.uint8)
    often = (count >= max(2, _MIN_OTHER * len(views))).astype(np.uint8)
    often = cv2.morphologyEx(often, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    kinds, labels, stats, _ = cv2.connectedComponentsWithStats(often, connectivity=8)
    for label in range(1, kinds):
        if stats[label, cv2.CC_STAT_AREA] < _MIN_GHOST_PX:
            continue
        left, top, width, height = stats[label, :4]
        window = (
            slice(max(top - _BAND_PX, 0), top + height + _BAND_PX),
            slice(max(left - _BAND_PX, 0), left + width + _BAND_PX),
        )
        patch = cv2.dilate((labels[window] == label).astype(np.uint8), np.ones((5, 5), np.uint8))
        inside = (patch > 0) & (count[window] > 0)
        replaced = np.where(inside[..., None], shown[window], picture[window])
        if _belonging(replaced, patch) > _belonging(picture[window], patch) + _CLEARLY:
            picture[window] = replaced
            spread[window][inside] = 0


def _belonging(picture: Pixels, patch: Plane) -> float:
    """Likeness of the colours in a patch to those around it: Bhattacharyya coefficient, 0..1."""
    around = (cv2.dilate(patch, np.ones((_BAND_PX, _BAND_PX), np.uint8)) > 0) & (patch == 0)
    codes = picture.astype(np.int32) >> (4, 3, 3)
    bins = (codes[..., 0] << 10) + (codes[..., 1] << 5) + codes[..., 2]
    inside, outside = (
        np.bincount(bins[where], minlength=1 << 14) / max(int(where.sum()), 1)
        for where in (patch > 0, around)
    )
    return float(np.sqrt(inside * outside).sum())


def _canvas(path: CameraPath, shape: tuple[int, int]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Transforms frame -> background picture, and that picture's (width, height), which is bounded."""
    height, width = shape
    if path.is_still:
        return path.to_reference, (width, height)
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float).T
    places = (path.to_reference @ corners)[:, :2]
    low, high = places.min(axis=(0, 2)), places.max(axis=(0, 2))
    shift = np.eye(3)
    shift[:2, 2] = -np.floor(low)
    limit = np.ceil(np.array([width, height]) * _CANVAS_LIMIT)
    size = np.minimum(np.ceil(high - low), limit).astype(int)
    return shift @ path.to_reference, (int(size[0]), int(size[1]))


def _canvas_frames(
    codes: Codes,
    settled: Planes,
    to_canvas: NDArray[np.float64],
    chosen: NDArray[np.int64],
    size: tuple[int, int],
) -> Iterator[tuple[Pixels, Plane]]:
    for t in chosen:
        image, quiet = codes[t], settled[t]
        if size != (image.shape[1], image.shape[0]) or not np.array_equal(to_canvas[t], np.eye(3)):
            image = cv2.warpAffine(image, to_canvas[t][:2], size)
            quiet = cv2.warpAffine(quiet, to_canvas[t][:2], size, flags=cv2.INTER_NEAREST)
        yield image, quiet
