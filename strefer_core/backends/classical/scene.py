"""What moves in the footage: camera-compensated change, a background picture per shot, and foreground.

The background of a pixel is its median colour over the times when nothing moves at that place, so that a
person who sways on one spot does not become part of it. Where something always moves the background is
unknown, and foreground there rests on change alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.background import (
    CHANGE_STEP,
    QUIET,
    Codes,
    difference,
    find_background,
    pixels,
)
from strefer_core.backends.interfaces import Footage
from strefer_core.backends.shots import cut_positions
from strefer_core.camera import CameraPath, camera_path

Plane = NDArray[np.uint8]  # (H, W)
Planes = NDArray[np.uint8]  # (T, H, W)

UNKNOWN = 128
"""Foreground value of a pixel about which nothing is known; 255 is surely a thing, 0 surely background."""

_LAG_S = 0.2  # change is looked for over this time: long enough for slow things, short enough for fast ones
_SLOW_LAG_S = 1.0  # what changes over this time may creep: its inside must not pass for background
_SURE = 200
_NOISE_FLOOR = 7.0  # Lab units; compression noise of good video stays below
_NOISE_FACTOR = 5.0  # times the median change, for noisy video


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All planes are of working size."""

    foreground: Planes  # (T, H, W), 0..255; see UNKNOWN
    moving: Planes  # (T, H, W), 1 where the picture changes against frames before and after
    shot: NDArray[np.int64]  # (T,) number of the shot that the frame belongs to
    to_reference: NDArray[np.float64]  # (T, 3, 3): frame -> first frame of its shot; undoes camera motion
    codes: Codes  # the frames as `background.pixels`: as much memory as the frames themselves


def analyse(footage: Footage) -> Scene:
    """Find shots, camera motion, background and foreground of all working frames."""
    count, height, width = footage.images.shape[:3]
    foreground = np.zeros((count, height, width), np.uint8)
    moving = np.zeros_like(foreground)
    codes = np.stack([pixels(image) for image in footage.images])
    to_reference = np.zeros((count, 3, 3))
    shot = np.zeros(count, np.int64)
    cuts = [0, *cut_positions(footage.images), count]
    for number, (start, stop) in enumerate(pairwise(cuts)):
        frames = slice(start, stop)
        images = footage.images[frames]
        path = camera_path([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])
        settled = _fill_motion(codes[frames], path, footage.pts_s[frames], moving[frames])
        _fill_foreground(codes[frames], path, settled, moving[frames], foreground[frames])
        to_reference[frames] = path.to_reference
        shot[frames] = number
    return Scene(foreground=foreground, moving=moving, shot=shot, to_reference=to_reference, codes=codes)


def _lag_frames(pts_s: NDArray[np.float64], lag_s: float) -> int:
    step_s = float(np.median(np.diff(pts_s))) if len(pts_s) > 1 else 1.0
    return max(1, round(lag_s / max(step_s, 1e-6)))


def warp(image: NDArray[np.uint8], transform: NDArray[np.float64], fill: int = 0) -> NDArray[np.uint8]:
    """Resample an image by `transform` (its pixels -> result's pixels), same size."""
    height, width = image.shape[:2]
    return cv2.warpAffine(image, transform[:2], (width, height), borderValue=(fill, fill, fill))


def _change(codes: Codes, path: CameraPath, t: int, other: int) -> Plane:
    """Distance of frame `t` from frame `other` seen from t's camera pose; 0 where `other` did not look."""
    here, there = codes[t], codes[other]
    if path.is_still:
        return difference(here, there)
    transform = np.linalg.inv(path.to_reference[t]) @ path.to_reference[other]
    seen = warp(np.full(here.shape[:2], 255, np.uint8), transform)
    seen = cv2.erode(seen, np.ones((5, 5), np.uint8))
    return cv2.min(difference(here, warp(there, transform)), seen)


def _fill_motion(codes: Codes, path: CameraPath, pts_s: NDArray[np.float64], moving: Planes) -> Planes:
    """Write `moving`; return where each frame is quiet: outside of all change, closed and filled.

    QUIET where nothing changes over a while, STILL where something creeps, 0 where it moves.
    """
    count = len(codes)
    settled = np.full_like(moving, QUIET)
    short, long = (
        min(_lag_frames(pts_s, lag_s), max(1, (count - 1) // 2)) for lag_s in (_LAG_S, _SLOW_LAG_S)
    )
    for t in range(count):
        quick = _changes(codes, path, t, short)
        if not quick:
            break
        moving[t] = opened(np.minimum.reduce(quick) > _threshold(quick))
        slow = _changes(codes, path, t, long)
        quick_change = opened(np.maximum.reduce(quick) > _threshold(quick))
        any_change = quick_change | opened(np.maximum.reduce(slow) > _threshold(slow))
        settled[t] -= _grown(any_change)
        settled[t][_grown(quick_change) > 0] = 0
    return settled


def _changes(codes: Codes, path: CameraPath, t: int, lag: int) -> list[Plane]:
    """Change against the frames `lag` before and after, where these are."""
    others = sorted({max(t - lag, 0), min(t + lag, len(codes) - 1)} - {t})
    return [_change(codes, path, t, other) for other in others]


def _grown(change: Plane) -> Plane:
    return cv2.dilate(filled(change), np.ones((5, 5), np.uint8))


def _threshold(changes: list[Plane]) -> float:
    return max(_NOISE_FLOOR, _NOISE_FACTOR * float(np.median(np.maximum.reduce(changes))))


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
    codes: Codes, path: CameraPath, settled: Planes, moving: Planes, foreground: Planes
) -> None:
    found = find_background(codes, path, settled)
    background, spread, known, to_canvas = found.picture, found.spread, found.known, found.to_canvas
    height, width = foreground.shape[1:]
    for t, (image, transform) in enumerate(zip(codes, to_canvas, strict=True)):
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
        away = difference(image, expected).astype(np.float32)
        step = CHANGE_STEP + 0.7 * noise.astype(np.float32)
        sure = np.clip((away / step - 0.5) * 255, 0, 255)
        motion = filled(moving[t] | ((is_known > 0) & (sure > _SURE)))
        unknown = np.where(motion > 0, UNKNOWN + 40, UNKNOWN)
        doubted = np.where(is_known > 0, np.maximum(sure, unknown), unknown)
        foreground[t] = np.where(is_known == QUIET, sure, doubted).astype(np.uint8)
