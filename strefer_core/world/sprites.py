"""Characters as small premultiplied pictures, drawn once per gait phase and moved about by warping."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.world.figures import FIGURES, Part
from strefer_core.world.script import COLOURS, Character

Image = NDArray[np.uint8]

GAIT_PHASES = 16
_OVERSAMPLE = 4  # figures are drawn this much larger, then averaged down: smooth edges
_OUTLINE = 0.045  # width, in radii
_CREAM = (250, 244, 224)


@dataclass(frozen=True)
class Placed:
    """A character's picture at one place: its top left corner in frame pixels, perhaps outside the frame."""

    x_px: int
    y_px: int
    rgb: Image  # (h, w, 3), premultiplied by alpha
    alpha: Image  # (h, w)

    @property
    def solid(self) -> NDArray[np.bool_]:
        """(h, w): the character's whole mask, where its antialiased coverage is at least one half."""
        return self.alpha >= 128


def place(
    character: Character,
    x: float,
    y: float,
    angle_deg: float,
    facing: float,
    phase: float,
    scale: float = 1.0,
    detail: float = 1.0,
) -> Placed:
    """Draw a character with its middle at (x, y) frame pixels; (0, 0) is the corner of the first pixel.

    Args:
        character: who; its radius is in world pixels.
        x: of the middle, in frame pixels.
        y: likewise.
        angle_deg: clockwise for one that looks right.
        facing: horizontal scale -1..1; negative looks left.
        phase: 0..1 of its gait.
        scale: frame pixels per world pixel.
        detail: scale at which the figure is drawn before it is moved about: the largest that is wanted.
    """
    picture = _sprite(character, int(phase * GAIT_PHASES) % GAIT_PHASES, detail)
    return moved(picture, x, y, angle_deg, facing, scale / detail)


def moved(
    picture: Image, x: float, y: float, angle_deg: float = 0.0, facing: float = 1.0, scale: float = 1.0
) -> Placed:
    """Put the middle of a premultiplied RGBA picture (h, w, 4) at (x, y) frame pixels, turned and scaled."""
    rows, columns = (ceil(side / 2 * max(scale, 1.0)) + 1 for side in picture.shape[:2])
    reach = (columns, rows) if angle_deg == 0 else (max(rows, columns),) * 2
    left, top = int(np.floor(x)) - reach[0], int(np.floor(y)) - reach[1]
    # cv2 counts from pixel middles, hence the halves; the picture's own middle lies between pixels.
    turn = cv2.getRotationMatrix2D((0.0, 0.0), -angle_deg * (1 if facing > 0 else -1), scale)[:, :2]
    turn = turn @ np.diag([facing, 1.0])
    middle = np.array([picture.shape[1], picture.shape[0]]) / 2 - 0.5
    shift = np.array([x - left - 0.5, y - top - 0.5]) - turn @ middle
    size = (2 * reach[0] + 1, 2 * reach[1] + 1)
    matrix = np.column_stack([turn, shift])
    warped = np.asarray(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)
    return Placed(left, top, warped[:, :, :3], warped[:, :, 3])


def paint(image: Image, placed: Placed) -> None:
    """Paint onto an RGB image (H, W, 3) in place; what lies beyond its borders is cut off."""
    height, width = placed.alpha.shape
    top, bottom = (min(max(v, 0), image.shape[0]) for v in (placed.y_px, placed.y_px + height))
    left, right = (min(max(v, 0), image.shape[1]) for v in (placed.x_px, placed.x_px + width))
    if top == bottom or left == right:
        return
    within = (
        slice(top - placed.y_px, bottom - placed.y_px),
        slice(left - placed.x_px, right - placed.x_px),
    )
    rest = cv2.cvtColor(255 - placed.alpha[within], cv2.COLOR_GRAY2RGB)
    under = cv2.multiply(image[top:bottom, left:right], rest, scale=1 / 255)
    image[top:bottom, left:right] = cv2.add(under, np.ascontiguousarray(placed.rgb[within]))


@lru_cache(maxsize=512)
def _sprite(character: Character, phase_index: int, detail: float) -> Image:
    """(S, S, 4) premultiplied RGBA."""
    parts = FIGURES[character.noun](phase_index / GAIT_PHASES)
    radius_px = character.radius_px * detail
    half = ceil(radius_px * (_extent(character.noun) + _OUTLINE)) + 1
    large, main = _draw(parts, COLOURS[character.colour], radius_px * _OVERSAMPLE, half * _OVERSAMPLE)
    _paint_pattern(large, main, character, radius_px * _OVERSAMPLE)
    size = (2 * half, 2 * half)
    small = np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    light = np.linspace(1.06, 0.86, 2 * half)[:, None, None]  # from above, as on every day outdoors
    small[:, :, :3] = np.minimum(small[:, :, :3] * light, small[:, :, 3:]).astype(np.uint8)
    return small


@lru_cache
def _extent(noun: str) -> float:
    """Distance from a figure's middle to its farthest point, in radii: it stays inside however it turns."""
    phases = (i / GAIT_PHASES for i in range(GAIT_PHASES))
    return max(float(np.linalg.norm(part.points, axis=1).max()) for p in phases for part in FIGURES[noun](p))


def _draw(
    parts: list[Part], colour: tuple[int, int, int], scale: float, half: int
) -> tuple[Image, NDArray[np.bool_]]:
    """Oversampled RGBA and the mask of the parts that carry the pattern."""
    canvas = np.zeros((2 * half, 2 * half, 4), np.uint8)
    main = np.zeros((2 * half, 2 * half), np.uint8)
    width = max(1, round(scale * _OUTLINE)) | 1  # odd: as much to one side as to the other
    outline = (*_mix(colour, (0, 0, 0), 0.62), 255)
    for part in parts:
        corners = [np.round(part.points * scale + half - 0.5).astype(np.int32)]
        cv2.fillPoly(canvas, corners, (*_tone(part.tone, colour), 255))
        cv2.polylines(canvas, corners, True, outline, width, cv2.LINE_8)
        cv2.fillPoly(main, corners, int(part.tone == "main"))
        cv2.polylines(main, corners, True, 0, width, cv2.LINE_8)
    return canvas, main.astype(bool)


def _paint_pattern(canvas: Image, main: NDArray[np.bool_], character: Character, scale: float) -> None:
    """Stripes and checks in a darker tone of the same hue, spots in cream; under half of the area."""
    if character.pattern == "plain":
        return
    chosen = _pattern(character.pattern, canvas.shape[0], scale)
    colour = COLOURS[character.colour]
    canvas[main & chosen, :3] = _CREAM if character.pattern == "spotted" else _mix(colour, (0, 0, 0), 0.48)


@lru_cache(maxsize=16)
def _pattern(pattern: str, side_px: int, scale: float) -> NDArray[np.bool_]:
    """(side_px, side_px): where the pattern's marks are; the same in all phases of a gait."""
    side = np.arange(side_px) / scale
    x, y = np.meshgrid(side, side)
    if pattern == "striped":
        chosen = (x + 0.35 * y) * 2.6 % 1 < 0.4
    elif pattern == "checked":
        chosen = (np.floor(x * 2.8) + np.floor(y * 2.8)) % 2 == 0
    else:
        chosen = ((x * 2.4 + 0.5 * (np.floor(y * 2.4) % 2)) % 1 - 0.5) ** 2 + (y * 2.4 % 1 - 0.5) ** 2 < 0.09
    return np.asarray(chosen, dtype=np.bool_)


def _tone(tone: str, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    if tone == "dark":
        return _mix(colour, (0, 0, 0), 0.22)
    if tone == "light":
        return _mix(colour, _CREAM, 0.4)
    return {"main": colour, "white": (248, 248, 244), "black": (28, 26, 30)}[tone]


def _mix(colour: tuple[int, int, int], other: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(c * (1 - share) + o * share) for c, o in zip(colour, other, strict=True))
    return red, green, blue
