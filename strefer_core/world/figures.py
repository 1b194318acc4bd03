"""Outlines of what lives in the world: shapes and simple creatures, as polygons in unit coordinates.

A figure is a function of its gait phase (0..1, one wing beat or one wag of the tail) that gives parts
from back to front. x points right, y points down, everything lies within [-1, 1]; creatures look right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2): x, y
Tone = Literal["main", "dark", "light", "white", "black"]


@dataclass(frozen=True)
class Part:
    """One filled polygon; `main` parts carry the character's colour and pattern."""

    points: Points
    tone: Tone = "main"


Figure = Callable[[float], list[Part]]


def _points(*xy: tuple[float, float]) -> Points:
    return np.array(xy, dtype=np.float64)


def _ellipse(cx: float, cy: float, rx: float, ry: float) -> Points:
    angles = np.linspace(0, 2 * pi, 48, endpoint=False)
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)


def _regular(corners: int, radius: float = 1.0) -> Points:
    angles = np.linspace(0, 2 * pi, corners, endpoint=False) - pi / 2
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _eye(x: float, y: float, radius: float) -> list[Part]:
    return [
        Part(_ellipse(x, y, radius, radius), "white"),
        Part(_ellipse(x + radius * 0.3, y, radius * 0.5, radius * 0.5), "black"),
    ]


def _circle(phase: float) -> list[Part]:
    return [Part(_ellipse(0, 0, 0.95, 0.95))]


def _square(phase: float) -> list[Part]:
    return [Part(_points((-0.78, -0.78), (0.78, -0.78), (0.78, 0.78), (-0.78, 0.78)))]


def _triangle(phase: float) -> list[Part]:
    return [Part(_regular(3))]


def _hexagon(phase: float) -> list[Part]:
    return [Part(_regular(6, 0.97))]


def _star(phase: float) -> list[Part]:
    points = _regular(10)
    points[1::2] *= 0.48
    return [Part(points)]


def _heart(phase: float) -> list[Part]:
    t = np.linspace(0, 2 * pi, 64, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [Part(np.stack([x, -y - 2], axis=1) / 17)]


def _fish(phase: float) -> list[Part]:
    wag = 0.16 * sin(2 * pi * phase)
    flap = 0.1 * sin(4 * pi * phase)
    return [
        Part(_points((-0.45, 0), (-1, -0.48 + wag), (-0.8, wag), (-1, 0.48 + wag)), "dark"),
        Part(_points((-0.35, -0.35), (-0.25, -0.72), (0.05, -0.68), (0.4, -0.35)), "dark"),
        Part(_points((-0.2, 0.35), (-0.35, 0.66), (0.1, 0.4)), "dark"),
        Part(_ellipse(0.12, 0, 0.8, 0.48)),
        Part(_points((0.2, 0.08), (-0.22, 0.02 + flap), (-0.14, 0.3 + flap)), "dark"),
        *_eye(0.56, -0.12, 0.13),
    ]


def _bird(phase: float) -> list[Part]:
    beat = sin(2 * pi * phase)
    return [
        Part(_points((-0.45, 0.05), (-1, -0.12), (-0.95, 0.2), (-0.4, 0.3)), "dark"),
        Part(_points((0.72, -0.3), (1, -0.16), (0.72, -0.06)), "black"),
        Part(_ellipse(-0.02, 0.12, 0.62, 0.4)),
        Part(_ellipse(0.5, -0.2, 0.31, 0.3)),
        Part(_points((0.28, 0.08), (-0.42, 0.12), (-0.5, 0.05 - 0.95 * beat), (-0.2, -0.75 * beat)), "dark"),
        *_eye(0.58, -0.25, 0.1),
    ]


def _snail(phase: float) -> list[Part]:
    stretch = 0.07 * sin(2 * pi * phase)
    return [
        Part(_points((0.66, 0.1), (0.58 + stretch, -0.52), (0.66 + stretch, -0.52), (0.78, 0.1)), "light"),
        Part(_points((0.74, 0.1), (0.9 + stretch, -0.5), (0.98 + stretch, -0.5), (0.86, 0.1)), "light"),
        Part(_ellipse(0.74, 0.28, 0.19, 0.4), "light"),
        Part(_ellipse(-0.02 + stretch / 2, 0.66, 0.94, 0.2), "light"),
        Part(_ellipse(-0.14, 0.02, 0.68, 0.66)),
        Part(_ellipse(-0.1, 0.06, 0.36, 0.35), "dark"),
        Part(_ellipse(-0.12, 0.03, 0.23, 0.22)),
        *_eye(0.78, 0.12, 0.08),
    ]


def _butterfly(phase: float) -> list[Part]:
    spread = 0.75 + 0.25 * cos(2 * pi * phase)
    wings = []
    for side in (-spread, spread):
        wings += [
            Part(_ellipse(0.42 * side, 0.42, abs(0.4 * side), 0.4)),
            Part(_ellipse(0.5 * side, -0.32, abs(0.48 * side), 0.52)),
            Part(_ellipse(0.6 * side, -0.42, abs(0.15 * side), 0.16), "dark"),
        ]
    feelers = [Part(_points((0, -0.5), (x - 0.04, -0.95), (x + 0.04, -0.95)), "black") for x in (-0.22, 0.22)]
    return [*wings, *feelers, Part(_ellipse(0, 0, 0.1, 0.62), "black")]


def _crab(phase: float) -> list[Part]:
    step = 0.1 * sin(2 * pi * phase)
    parts = []
    for side in (-1, 1):
        for row, reach in enumerate((0.95, 0.9, 0.75)):
            y = 0.1 + 0.2 * row
            foot = y + 0.28 + step * (1 if row % 2 else -1) * side
            parts.append(
                Part(
                    _points((0.4 * side, y - 0.06), (reach * side, foot), (0.4 * side, y + 0.1)),
                    "dark",
                )
            )
        claw = -0.48 + step * side
        parts.append(Part(_points((0.4 * side, 0.0), (0.66 * side, claw), (0.82 * side, claw)), "dark"))
        parts.append(Part(_ellipse(0.74 * side, claw - 0.12, 0.24, 0.24)))
        parts.append(
            Part(
                _points((0.74 * side, claw - 0.1), (0.68 * side, claw - 0.42), (0.84 * side, claw - 0.42)),
                "dark",
            )
        )
    eyes = [part for x in (-0.2, 0.2) for part in _eye(x, -0.24, 0.12)]
    return [*parts, Part(_ellipse(0, 0.12, 0.64, 0.44)), *eyes]


SHAPES: dict[str, Figure] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "hexagon": _hexagon,
    "heart": _heart,
}
CREATURES: dict[str, Figure] = {
    "fish": _fish,
    "bird": _bird,
    "snail": _snail,
    "butterfly": _butterfly,
    "crab": _crab,
}
FIGURES = SHAPES | CREATURES
FACING = {"fish", "bird", "snail"}  # the others look the same both ways and never turn round


def generalized_noun(noun: str) -> str:
    """ "animal" for a creature, "shape" for a shape."""
    return "animal" if noun in CREATURES else "shape"
