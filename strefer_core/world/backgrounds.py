"""Textured places, duller than anything that lives in them. Each seed lays one out anew."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.world import clutter
from strefer_core.world.script import HEIGHT_PX, WIDTH_PX, Background

Floats = NDArray[np.float32]
Rng = np.random.Generator

_MAX_SATURATION = 0.42  # of a background pixel, HSV


def draw(background: Background, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """(height_px, width_px, 3) RGB. The same background in another size is another picture."""
    rng = np.random.default_rng(background.seed)
    image = KINDS[background.kind](rng, width_px, height_px)
    # Large soft patches of light and shade make any two places differ, also to a perceptual hash.
    image *= 1 + 0.3 * np.clip(noise(rng, width_px, height_px, 190), -1, 1)[..., None]
    image += 2.0 * rng.standard_normal((height_px, width_px, 1), dtype=np.float32)
    place = _dull(np.clip(image, 0, 235).astype(np.uint8))
    things = round(background.clutter * width_px * height_px / (WIDTH_PX * HEIGHT_PX))
    return clutter.strewn(rng, place, things) if things else place


def _dull(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pull pixels that are too saturated towards their own brightest channel."""
    top = image.max(axis=2, keepdims=True).astype(np.float32)
    saturation = 1 - image.min(axis=2, keepdims=True) / np.maximum(top, 1)
    keep = np.minimum(1, _MAX_SATURATION / np.maximum(saturation, 1e-3))
    return np.asarray(np.round(top - (top - image) * keep), dtype=np.uint8)


def noise(rng: Rng, width: int, height: int, cell_px: float, stretch: float = 1.0) -> Floats:
    """(height, width) smooth noise, about -2..2; `stretch` > 1 draws it out along x."""
    rows, columns = int(height / cell_px) + 4, int(width / (cell_px * stretch)) + 4
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    # Cubic weights need a neighbour on each side: the outer cells are cut off again.
    size = (round(columns * cell_px * stretch), round(rows * cell_px))
    large = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return np.asarray(large[top : top + height, left : left + width], dtype=np.float32)


def rough(rng: Rng, width: int, height: int, cell_px: float, stretch: float = 1.0) -> Floats:
    """Noise of three octaves, about -2..2."""
    octaves = [noise(rng, width, height, cell_px / 2**i, stretch) * w for i, w in enumerate((0.6, 0.3, 0.18))]
    return np.asarray(sum(octaves), dtype=np.float32)


def _blend(low: tuple[int, int, int], high: tuple[int, int, int], share: Floats) -> Floats:
    """Colours between two, (height, width, 3); share 0..1."""
    share = np.clip(share, 0, 1)[..., None]
    mixed = np.array(low, np.float32) * (1 - share) + np.array(high, np.float32) * share
    return np.asarray(mixed, dtype=np.float32)


def _meadow(rng: Rng, width: int, height: int) -> Floats:
    image = _blend((84, 104, 70), (128, 142, 98), 0.5 + 0.35 * rough(rng, width, height, 60))
    xs, ys = rng.integers(0, width, 5 * width), rng.integers(0, height, 5 * width)
    lean, length = rng.integers(-4, 5, 5 * width), rng.integers(5, 13, 5 * width)
    shade = rng.uniform(0.78, 1.18, 5 * width)
    for x, y, dx, dy, s in zip(xs, ys, lean, length, shade, strict=True):
        blade = (104 * s, 122 * s, 82 * s)
        cv2.line(image, (int(x), int(y)), (int(x + dx), int(y - dy)), blade, 1, cv2.LINE_AA)
    return image


def _sand(rng: Rng, width: int, height: int) -> Floats:
    y = np.arange(height, dtype=np.float32)[:, None]
    bend = 34 * noise(rng, width, height, 120, 1.6)
    ripples = np.sin((y + bend) * 2 * np.pi / rng.uniform(17, 24))
    grains = rng.standard_normal((height, width), dtype=np.float32)
    return _blend(
        (172, 154, 122),
        (216, 202, 174),
        0.5 + 0.2 * ripples + 0.25 * rough(rng, width, height, 90) + 0.05 * grains,
    )


def _water(rng: Rng, width: int, height: int) -> Floats:
    depth = np.linspace(1.0, 0.05, height, dtype=np.float32)[:, None]
    web = np.abs(rough(rng, width, height, 52, 1.5))  # thin bright lines where the noise crosses zero
    caustics = np.exp(-7 * web) * (0.25 + 0.6 * depth)
    return _blend((50, 76, 92), (116, 146, 152), 0.55 * depth + 0.4 * caustics)


def _bricks(rng: Rng, width: int, height: int) -> Floats:
    image = np.full((height, width, 3), (168, 162, 152), np.float32)
    brick_w, brick_h = int(rng.integers(52, 70)), int(rng.integers(24, 30))
    for row in range(height // brick_h + 1):
        for column in range(-1, width // brick_w + 2):
            x = column * brick_w + (row % 2) * brick_w // 2
            colour = np.array((126, 98, 88)) * rng.uniform(0.84, 1.16)
            corner = (x + brick_w - 4, row * brick_h + brick_h - 4)
            cv2.rectangle(image, (x, row * brick_h), corner, colour.tolist(), -1)
    image *= 1 + 0.07 * rough(rng, width, height, 14)[..., None]
    return image


def _planks(rng: Rng, width: int, height: int) -> Floats:
    board = int(rng.integers(46, 68))
    rows = np.arange(height) // board
    tone = rng.uniform(0.8, 1.2, rows.max() + 1).astype(np.float32)[rows][:, None]
    grain = np.sin(9 * noise(rng, width, height, 16, 16)) + 0.5 * noise(rng, width, height, 3, 30)
    image = _blend((106, 86, 68), (150, 128, 104), 0.5 + 0.22 * grain)
    image *= tone[..., None]
    image[np.arange(height) % board < 2] *= 0.55
    return image


def _night(rng: Rng, width: int, height: int) -> Floats:
    up = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    image = _blend((42, 44, 64), (88, 90, 114), 0.8 * up + 0.22 * rough(rng, width, height, 110, 2))
    for x, y in zip(
        rng.integers(0, width, width // 5), rng.integers(0, int(height * 0.7), width // 5), strict=True
    ):
        glow = float(rng.uniform(110, 200))
        cv2.circle(
            image, (int(x), int(y)), int(rng.integers(1, 3)), (glow, glow, glow * 0.92), -1, cv2.LINE_AA
        )
    return _ridges(rng, image, [(60, 62, 74), (44, 46, 56)])


def _hills(rng: Rng, width: int, height: int) -> Floats:
    down = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    clouds = np.clip(rough(rng, width, height, 80, 2.4), 0, 1.2)
    sky = _blend((158, 174, 192), (218, 218, 212), 0.5 * down + 0.55 * clouds)
    return _ridges(rng, sky, [(140, 152, 148), (112, 126, 108), (88, 102, 80)])


def _ridges(rng: Rng, image: Floats, colours: list[tuple[int, int, int]]) -> Floats:
    """Draw hills from far to near over the lower half."""
    height, width = image.shape[:2]
    y = np.arange(height, dtype=np.float32)[:, None]
    for depth, colour in enumerate(colours):
        line = height * (0.55 + 0.14 * depth) + 34 * noise(rng, width, 1, 130 - 25 * depth)
        texture = 1 + 0.08 * rough(rng, width, height, 12, 2)
        hill = np.array(colour, np.float32) * texture[..., None]
        image = np.where((y > line)[..., None], hill, image).astype(np.float32)
    return image


def _cobbles(rng: Rng, width: int, height: int) -> Floats:
    stones = rng.uniform(0, 1, (width * height // 900, 2)) * (width, height)
    seeds = np.full((height, width), 255, np.uint8)
    seeds[stones[:, 1].astype(int), stones[:, 0].astype(int)] = 0
    distance, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    tone = rng.uniform(0.85, 1.15, label.max() + 1).astype(np.float32)[label]
    edges = cv2.morphologyEx(label.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((4, 4), np.uint8)) > 0
    shade = tone * (1.08 - 0.012 * distance)
    image = (
        _blend((132, 134, 138), (162, 160, 154), 0.5 + 0.5 * rough(rng, width, height, 70)) * shade[..., None]
    )
    image[edges] = (96, 96, 98)
    return np.asarray(cv2.GaussianBlur(image, (3, 3), 0), dtype=np.float32)


def _snow(rng: Rng, width: int, height: int) -> Floats:
    drifts = 0.12 * rough(rng, width, height, 120, 1.8) + 0.2 * rough(rng, width, height, 26, 3.2)
    sparkle = np.clip(rng.standard_normal((height, width), dtype=np.float32) - 2.4, 0, 1)
    return _blend((158, 168, 182), (226, 226, 224), 0.6 + drifts + 0.5 * sparkle)


def _tiles(rng: Rng, width: int, height: int) -> Floats:
    side = int(rng.integers(54, 76))
    rows, columns = np.arange(height) // side, np.arange(width) // side
    tone = rng.uniform(0.78, 1.16, (rows.max() + 1, columns.max() + 1)).astype(np.float32)
    marble = np.exp(-5 * np.abs(rough(rng, width, height, 46)))
    image = _blend((140, 150, 152), (104, 118, 124), marble) * tone[rows][:, columns][..., None]
    image[np.arange(height) % side < 3] = (192, 192, 186)
    image[:, np.arange(width) % side < 3] = (192, 192, 186)
    return image


KINDS: dict[str, Callable[[Rng, int, int], Floats]] = {
    "meadow": _meadow,
    "sand": _sand,
    "water": _water,
    "bricks": _bricks,
    "planks": _planks,
    "night": _night,
    "hills": _hills,
    "cobbles": _cobbles,
    "snow": _snow,
    "tiles": _tiles,
}
CLASHING_COLOURS: dict[str, tuple[str, ...]] = {  # too near to the background's own hue or brightness
    "meadow": ("green",),
    "sand": ("yellow",),
    "water": ("blue", "turquoise"),
    "bricks": ("red", "orange"),
    "planks": ("orange",),
    "night": ("blue", "purple"),
    "hills": ("green",),
    "cobbles": (),
    "snow": (),
    "tiles": ("turquoise",),
}
IS_DARK = {"water", "planks", "night", "bricks", "meadow"}  # a cut goes between a dark and a light place
