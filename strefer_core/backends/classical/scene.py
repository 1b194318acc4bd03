"""What moves in the footage: camera-compensated change, a background picture per shot, and foreground.

The background of a pixel is its median colour over the times when nothing moves at that place, so that a
person who sways on one spot does not become part of it. Where something always moves the background is
unknown, and foreground there rests on change alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.camera import CameraPath, camera_path
from strefer_core.backends.interfaces import Footage
from strefer_core.backends.shots import cut_positions

Plane = NDArray[np.uint8]  # (H, W)
Planes = NDArray[np.uint8]  # (T, H, W)
Pixels = NDArray[np.uint8]  # (H, W, 3) Lab, lightness halved: shadows weigh less than colours

UNKNOWN = 128
"""Foreground value of a pixel about which nothing is known; 255 is surely a thing, 0 surely background."""

_LAG_S = 0.2  # change is looked for over this time: long enough for slow things, short enough for fast ones
_NOISE_FLOOR = 7.0  # Lab units; compression noise of good video stays below
_NOISE_FACTOR = 5.0  # times the median change, for noisy video
_BACKGROUND_FRAMES = 40
_MIN_SETTLED = 0.15  # share of looks at a place that must be quiet: else what is quiet there is a thing
_CHANGE_STEP = 14.0  # distance from the background that counts as half sure
_CANVAS_LIMIT = 3.0  # sides of the background picture, in sides of the frame


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All planes are of working size."""

    foreground: Planes  # (T, H, W), 0..255; see UNKNOWN
    moving: Planes  # (T, H, W), 1 where the picture changes against frames before and after
    shot: NDArray[np.int64]  # (T,) number of the shot that the frame belongs to
    to_reference: NDArray[np.float64]  # (T, 3, 3): frame -> first frame of its shot; undoes camera motion


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


def analyse(footage: Footage) -> Scene:
    """Find shots, camera motion, background and foreground of all working frames."""
    count, height, width = footage.images.shape[:3]
    foreground = np.zeros((count, height, width), np.uint8)
    moving = np.zeros_like(foreground)
    to_reference = np.zeros((count, 3, 3))
    shot = np.zeros(count, np.int64)
    cuts = [0, *cut_positions(footage.images), count]
    for number, (start, stop) in enumerate(pairwise(cuts)):
        frames = slice(start, stop)
        images = footage.images[frames]
        path = camera_path([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])
        lag = _lag_frames(footage.pts_s[frames])
        settled = _fill_motion(images, path, lag, moving[frames])
        _fill_foreground(images, path, settled, moving[frames], foreground[frames])
        to_reference[frames] = path.to_reference
        shot[frames] = number
    return Scene(foreground=foreground, moving=moving, shot=shot, to_reference=to_reference)


def _lag_frames(pts_s: NDArray[np.float64]) -> int:
    step_s = float(np.median(np.diff(pts_s))) if len(pts_s) > 1 else 1.0
    return max(1, round(_LAG_S / max(step_s, 1e-6)))


def warp(image: NDArray[np.uint8], transform: NDArray[np.float64], fill: int = 0) -> NDArray[np.uint8]:
    """Resample an image by `transform` (its pixels -> result's pixels), same size."""
    height, width = image.shape[:2]
    return cv2.warpAffine(image, transform[:2], (width, height), borderValue=(fill, fill, fill))


def _change(images: NDArray[np.uint8], path: CameraPath, t: int, other: int) -> Plane:
    """Distance of frame `t` from frame `other` seen from t's camera pose; 0 where `other` did not look."""
    here, there = pixels(images[t]), pixels(images[other])
    if path.is_still:
        return difference(here, there)
    transform = np.linalg.inv(path.to_reference[t]) @ path.to_reference[other]
    seen = warp(np.full(here.shape[:2], 255, np.uint8), transform)
    seen = cv2.erode(seen, np.ones((5, 5), np.uint8))
    return cv2.min(difference(here, warp(there, transform)), seen)


def _fill_motion(images: NDArray[np.uint8], path: CameraPath, lag: int, moving: Planes) -> Planes:
    """Write `moving`; return where each frame is quiet (1): outside of all change, closed and filled."""
    count = len(images)
    settled = np.ones_like(moving)
    lag = min(lag, max(1, (count - 1) // 2))
    for t in range(count):
        others = sorted({max(t - lag, 0), min(t + lag, count - 1)} - {t})
        if not others:
            break
        changes = [_change(images, path, t, other) for other in others]
        some = np.maximum.reduce(changes)
        both = np.minimum.reduce(changes)
        threshold = max(_NOISE_FLOOR, _NOISE_FACTOR * float(np.median(some)))
        moving[t] = opened(both > threshold)
        settled[t] = 1 - cv2.dilate(filled(opened(some > threshold)), np.ones((5, 5), np.uint8))
    return settled


def opened(mask: NDArray[np.bool_]) -> Plane:
    """Without specks: a pixel stays where most of its surroundings are set too."""
    return (cv2.blur(mask.astype(np.uint8) * 255, (3, 3)) > 127).astype(np.uint8) & mask


def filled(mask: Plane) -> Plane:
    """Outlines become areas: gaps closed, holes filled."""
    size = max(3, round(0.03 * max(mask.shape)) | 1)
    margin = size
    padded = cv2.copyMakeBorder(mask, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(
        padded, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    )
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED)
    return closed[margin:-margin, margin:-margin]


def _fill_foreground(
    images: NDArray[np.uint8], path: CameraPath, settled: Planes, moving: Planes, foreground: Planes
) -> None:
    background, spread, known, to_canvas = _background(images, path, settled)
    height, width = foreground.shape[1:]
    for t, (image, transform) in enumerate(zip(images, to_canvas, strict=True)):
        if path.is_still:
            expected, noise, is_known = background, spread, known
        else:
            expected, noise, is_known = (
                cv2.warpAffine(
                    plane, transform[:2], (width, height), flags=flags | cv2.WARP_INVERSE_MAP, borderValue=0
                )
                for plane, flags in (
                    (background, cv2.INTER_LINEAR),
                    (spread, cv2.INTER_LINEAR),
                    (known, cv2.INTER_NEAREST),
                )
            )
        away = difference(pixels(image), expected).astype(np.float32)
        step = _CHANGE_STEP + 0.7 * noise.astype(np.float32)
        sure = np.clip((away / step - 0.5) * 255, 0, 255)
        motion = filled(moving[t])
        unknown = np.where(motion > 0, UNKNOWN + 40, UNKNOWN)
        foreground[t] = np.where(is_known > 0, sure, unknown).astype(np.uint8)


def _background(
    images: NDArray[np.uint8], path: CameraPath, settled: Planes
) -> tuple[Pixels, Plane, Plane, NDArray[np.float64]]:
    """Background picture, its spread over time, where it is known, and frame -> picture transforms."""
    height, width = images.shape[1:3]
    to_canvas, size = _canvas(path, (height, width))
    chosen = np.unique(np.linspace(0, len(images) - 1, _BACKGROUND_FRAMES).round().astype(int))
    stack = np.full((len(chosen), size[1], size[0], 3), 255, np.uint8)
    looks = np.zeros((size[1], size[0]), np.uint8)
    for place, (image, quiet) in zip(
        stack, _canvas_frames(images, settled, to_canvas, chosen, size), strict=True
    ):
        place[quiet > 0] = image[quiet > 0]
        looks += quiet
    stack.sort(axis=0)  # places without a look hold 255 and sort to the end
    last = np.maximum(looks, 1)[None, :, :, None].astype(np.int64)
    low, middle, high = (np.take_along_axis(stack, last * quarter // 4, axis=0)[0] for quarter in (1, 2, 3))
    spread = cv2.transform(cv2.subtract(high, low), np.ones((1, 3), np.float32))
    needed = max(1, round(_MIN_SETTLED * len(chosen)))
    return middle, spread, (looks >= needed).astype(np.uint8), to_canvas


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
    images: NDArray[np.uint8],
    settled: Planes,
    to_canvas: NDArray[np.float64],
    chosen: NDArray[np.int64],
    size: tuple[int, int],
) -> Iterator[tuple[Pixels, Plane]]:
    for t in chosen:
        image, quiet = pixels(images[t]), settled[t]
        if size != (image.shape[1], image.shape[0]) or not np.array_equal(to_canvas[t], np.eye(3)):
            image = cv2.warpAffine(image, to_canvas[t][:2], size)
            quiet = cv2.warpAffine(quiet, to_canvas[t][:2], size, flags=cv2.INTER_NEAREST)
        yield image, quiet
