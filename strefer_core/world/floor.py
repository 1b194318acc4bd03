"""The frame over time while a play is being planned: who is already where on the screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from strefer_core.world import motion
from strefer_core.world.script import HEIGHT_PX, WIDTH_PX, Board, Camera, Character, Path, Point, Prop

Floats = NDArray[np.float64]
Room = tuple[float, float, float, float]  # x0, y0, x1, y1

_STEP_S = 0.05
_SHAKES = 3.0  # a hand's tremor goes this many standard deviations at most, nearly always


class NoRoom(Exception):
    """What was asked for does not fit beside what is there; another throw of the dice may."""


class Floor:
    """Screen pixels over the seconds of a video, under a camera that pans and zooms."""

    def __init__(self, end_s: float, camera: Camera) -> None:
        self.end_s = end_s
        self.times_s: Floats = np.arange(round(end_s / _STEP_S) + 1, dtype=np.float64) * _STEP_S
        self._camera = camera
        size = (WIDTH_PX, HEIGHT_PX)
        self._corner = motion.camera_positions(replace(camera, shake_px=0.0), self.times_s, size)
        self._zoom = motion.camera_zooms(camera.zoom, self.times_s)
        self.margin_px = 4 + _SHAKES * camera.shake_px * float(self._zoom.max())
        self._taken: list[tuple[Floats, Floats]] = []  # positions (T, 2) and half sides (T, 2)

    def reach(self, character: Character) -> float:
        """The largest radius on the screen."""
        return character.radius_px * float(self._zoom.max())

    def room(self, character: Character) -> Room:
        """Where its middle can be while all of it is in the frame."""
        margin = self.reach(character) * 1.05 + self.margin_px
        return margin, margin, WIDTH_PX - margin, HEIGHT_PX - margin

    def gap(self, character: Character, positions: Floats) -> float:
        """The least distance to anybody over time, in sums of the two reaches: below 1 they may touch."""
        half = self._half(character)
        return min((_gap(positions, half, *other) for other in self._taken), default=np.inf)

    def take(self, character: Character, positions: Floats) -> None:
        """Put somebody there."""
        self._taken.append((positions, self._half(character)))

    def take_board(self, prop: Prop) -> None:
        """Put a board there: others keep clear of it."""
        assert isinstance(prop.look, Board)
        half = np.array([prop.look.width_px, prop.look.height_px]) / 2
        self._taken.append((self.seen_at(prop.at), half * self._zoom[:, None]))

    def seen_at(self, point: Point) -> Floats:
        """(T, 2): a fixed point of the world on the screen."""
        return np.asarray((np.array(point) - self._corner) * self._zoom[:, None], dtype=np.float64)

    def in_world(self, point: Point, time_s: float) -> tuple[Point, float]:
        """What lies at a point of the screen at a time, and how long a screen pixel is there."""
        i = int(np.argmin(np.abs(self.times_s - time_s)))
        x, y = self._corner[i] + np.array(point) / self._zoom[i]
        return (float(x), float(y)), 1 / float(self._zoom[i])

    def positions(self, path: Path) -> Floats:
        """(T, 2) of a path in screen pixels."""
        return motion.base_positions(path, self.times_s)

    def through_camera(self, path: Path) -> Path:
        """The path through the world that looks like `path` on the screen."""
        if np.ptp(self._corner, axis=0).max() == 0 and np.ptp(self._zoom) == 0:
            return path
        world = self._corner + self.positions(path) / self._zoom[:, None]
        points = tuple((float(x), float(y)) for x, y in world)
        return replace(path, times_s=tuple(self.times_s.tolist()), points=points, smooth_s=0.02)

    def _half(self, character: Character) -> Floats:
        return np.asarray(np.repeat((character.radius_px * self._zoom)[:, None], 2, axis=1))


def _gap(one: Floats, half: Floats, other: Floats, other_half: Floats) -> float:
    """Circles among each other, a circle and a box: the excess over the box's sides counts."""
    if (other_half[:, 0] == other_half[:, 1]).all():
        distance = np.hypot(*(one - other).T)
        return float((distance / (half[:, 0] + other_half[:, 0])).min())
    outside = np.maximum(np.abs(one - other) - other_half, 0)
    return float((np.hypot(*outside.T) / half[:, 0]).min())
