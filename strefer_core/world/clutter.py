"""Things strewn over a place: coloured, striped and dotted, without a name anybody would call them by."""

from __future__ import annotations

from math import pi

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Rng = np.random.Generator

_SIDE_PX = (10, 46)  # half of a thing's length
_GREY = 0.22  # share of grey in their colours: a little duller than those who act


def strewn(rng: Rng, place: Image, count: int) -> Image:
    """A copy of the place (H, W, 3) RGB with `count` things on it."""
    image = place.copy()
    for _ in range(count):
        _throw(rng, image)
    return image


def _throw(rng: Rng, image: Image) -> None:
    height, width = image.shape[:2]
    side = rng.uniform(*_SIDE_PX)
    outline = _outline(rng, side) + rng.uniform((0, 0), (width, height))
    x0, y0 = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 2, 0)
    x1, y1 = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 3, (width, height))
    if x0 >= x1 or y0 >= y1:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    corners = np.round(outline - (x0, y0)).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA)
    share = mask[..., None].astype(np.float32) / 255
    under = image[y0:y1, x0:x1].astype(np.float32)
    mixed = under * (1 - share) + _texture(rng, x1 - x0, y1 - y0) * share
    image[y0:y1, x0:x1] = mixed.astype(np.uint8)
    cv2.polylines(image[y0:y1, x0:x1], [corners], True, (50, 46, 44), 1, cv2.LINE_AA)


def _outline(rng: Rng, side: float) -> NDArray[np.float64]:
    """(N, 2): a pebble, a plank or a shard about the origin, turned at will."""
    kind = rng.integers(3)
    if kind == 0:
        turn = np.linspace(0, 2 * pi, 24, endpoint=False)
        radius = side * (0.8 + 0.2 * np.sin(rng.integers(2, 5) * turn + rng.uniform(0, 2 * pi)))
        points = np.stack([radius * np.cos(turn), rng.uniform(0.5, 1) * radius * np.sin(turn)], axis=1)
    elif kind == 1:
        half = side * rng.uniform(0.15, 0.5)
        points = np.array([(-side, -half), (side, -half), (side, half), (-side, half)])
    else:
        turn = np.sort(rng.uniform(0, 2 * pi, 5))
        points = side * rng.uniform(0.5, 1, (5, 1)) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    angle = rng.uniform(0, 2 * pi)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(points @ turned.T, dtype=np.float64)


def _texture(rng: Rng, width: int, height: int) -> NDArray[np.float32]:
    """(height, width, 3): one colour, with stripes, dots or nothing in another tone of it."""
    hue, saturation, value = rng.uniform(0, 360), rng.uniform(0.5, 0.95), rng.uniform(90, 235)
    hsv = np.array([[[hue, saturation * (1 - _GREY), value]]], np.float32)
    colour = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    step = rng.uniform(5, 14)
    kind = rng.integers(3)
    if kind == 0:
        marked = np.zeros((height, width), bool)
    elif kind == 1:
        marked = (x * rng.uniform(-1, 1) + y) / step % 1 < 0.45
    else:
        marked = (x / step % 1 - 0.5) ** 2 + (y / step % 1 - 0.5) ** 2 < 0.08
    return np.asarray(colour * np.where(marked, rng.uniform(0.45, 0.7), 1.0)[..., None], dtype=np.float32)
