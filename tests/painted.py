"""Drawn footage whose truth is known: shapes on a textured ground, with exact masks of what can be seen.

Nothing here uses the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Footage

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Mask = NDArray[np.bool_]  # (H, W)
Place = Callable[[int], tuple[float, float] | None]  # frame -> centre (x, y), or None: not there

WIDTH_PX, HEIGHT_PX = 320, 180
COLOURS = {"red": (222, 38, 44), "blue": (42, 88, 226), "yellow": (248, 214, 36), "green": (52, 176, 62)}


@dataclass(frozen=True)
class Shape:
    kind: str  # a key of `outline`
    colour: str  # a key of COLOURS
    place: Place
    radius_px: float = 22.0


def outline(kind: str, radius_px: float, turn_deg: float = 0.0) -> NDArray[np.float64]:
    """Corner points (N, 2) of a shape around (0, 0)."""
    corners, inner = {
        "circle": (72, 1.0),
        "triangle": (3, 1.0),
        "square": (4, 1.0),
        "hexagon": (6, 1.0),
        "star": (10, 0.45),
    }[kind]
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + np.radians(turn_deg)
    radii = np.where(np.arange(corners) % 2, inner, 1.0) * radius_px
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def shape_mask(kind: str, centre: tuple[float, float], radius_px: float, turn_deg: float = 45.0) -> Mask:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    points = np.round(outline(kind, radius_px, turn_deg) + centre).astype(np.int32)
    cv2.fillPoly(mask, [points], 1)
    return mask > 0


def ground(seed: int = 0, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> Image:
    """Dull blotches with enough corners to track."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 150, (height_px // 6 + 1, width_px // 6 + 1, 1)).repeat(3, axis=2)
    fine = cv2.resize(coarse.astype(np.uint8), (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.uint8)


def paint(
    shapes: Sequence[Shape],
    frame_count: int,
    *,
    ground_at: Callable[[int], Image] | None = None,
    noise: float = 1.5,
) -> tuple[NDArray[np.uint8], list[NDArray[np.bool_]]]:
    """Frames (T, H, W, 3) and, per shape, masks (T, H, W) of its visible part; later shapes are in front."""
    rng = np.random.default_rng(1)
    still = ground()
    images = np.empty((frame_count, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    masks = [np.zeros((frame_count, HEIGHT_PX, WIDTH_PX), bool) for _ in shapes]
    for t in range(frame_count):
        image = (ground_at(t) if ground_at else still).astype(float)
        for number, shape in enumerate(shapes):
            centre = shape.place(t)
            if centre is None:
                continue
            seen = shape_mask(shape.kind, centre, shape.radius_px)
            image[seen] = COLOURS[shape.colour]
            for behind in masks[:number]:
                behind[t] &= ~seen
            masks[number][t] = seen
        images[t] = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    return images, masks


def footage(images: NDArray[np.uint8], fps: float = 10.0) -> Footage:
    """Working frames that are the video itself, at display size."""
    count, height, width = images.shape[:3]
    return Footage(
        images=images,
        pts_s=np.arange(count) / fps,
        sampled=np.linspace(0, count - 1, min(32, count)).astype(np.int64),
        scale=1.0,
        width_px=width,
        height_px=height,
    )


def line(start: tuple[float, float], step: tuple[float, float]) -> Place:
    """A way at constant speed: `step` pixels per frame."""
    return lambda t: (start[0] + step[0] * t, start[1] + step[1] * t)
