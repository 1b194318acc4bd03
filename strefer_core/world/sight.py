"""From a script to pictures and to what can be seen in them: one pass, the same geometry for both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.world import light, shutter, sprites
from strefer_core.world.script import Script, Shot
from strefer_core.world.stage import PROPS, Stage, times_s

__all__ = ["PROPS", "Moment", "Seen", "moments", "sightings", "times_s"]

Frame = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class Seen:
    """One character on one frame of a scene that it plays in."""

    box_px: dm.Box  # of the whole mask, may pass the borders
    whole_px: int  # area of the whole mask
    in_frame_px: int  # of it, within the borders
    visible: NDArray[np.bool_]  # visible part of the clipped window
    window: tuple[slice, slice]  # rows and columns of the frame that `visible` covers
    hidden_px: dict[int, int] = field(default_factory=dict)  # by whom (place in the script, PROPS): area

    @property
    def visible_fraction(self) -> float:
        return int(np.count_nonzero(self.visible)) / self.whole_px

    @property
    def in_frame_fraction(self) -> float:
        return self.in_frame_px / self.whole_px


@dataclass(frozen=True)
class Moment:
    """One frame: the picture, and who is seen in it, by place in `Script.characters`."""

    picture: Frame
    camera_px: tuple[float, float]
    zoom: float
    seen: dict[int, Seen]
    blur_px: dict[int, float]  # length of the smear, by place in the script


def moments(script: Script) -> Iterator[Moment]:
    """Every frame of the script, in order."""
    painters = [_Painter(script, Stage(script, scene)) for scene in script.scenes]
    for shot in script.shots:
        yield from _shot(painters[shot.scene], shot)


def sightings(script: Script, frames: Iterable[int]) -> Iterator[dict[int, Seen]]:
    """Who is seen on the given frames, as `moments` has it, without painting anything."""
    stages = [Stage(script, scene) for scene in script.scenes]
    size = (script.width_px, script.height_px)
    for frame in frames:
        scene = next(shot.scene for shot in script.shots if frame < shot.end_frame)
        yield _seen(list(stages[scene].placed(frame)), size)


def _shot(painter: _Painter, shot: Shot) -> Iterator[Moment]:
    for frame in range(shot.start_frame, shot.end_frame):
        yield painter.moment(frame)


class _Painter:
    """Paints one scene."""

    def __init__(self, script: Script, stage: Stage) -> None:
        self._stage, self._size = stage, (script.width_px, script.height_px)
        self._shutter_s, self._fps = script.shutter_s, float(script.fps)
        self._gains = light.gains(stage.light, times_s(script))
        self._still = stage.backdrop(0) if stage.is_still else None

    def moment(self, frame: int) -> Moment:
        """One frame; masks are those of the middle of the time that the shutter is open."""
        placed = list(self._stage.placed(frame))
        seen = _seen(placed, self._size)
        smears = self._smears(frame)
        if smears:
            whens = shutter.instants(frame, self._shutter_s * self._fps, max(smears.values()))
            picture = shutter.integrated(
                self._painted(when, list(self._stage.placed(when))) for when in whens
            )
        else:
            picture = self._painted(frame, placed)
        corner = self._stage.camera(frame)
        return Moment(
            picture=light.lit(picture, self._gains[frame]),
            camera_px=(float(corner[0]), float(corner[1])),
            zoom=self._stage.zoom(frame),
            seen=seen,
            blur_px={place: smear for place, smear in smears.items() if place >= 0},
        )

    def _smears(self, frame: int) -> dict[int, float]:
        """How far everyone, and the place itself (-1), goes over the frame while the shutter is open."""
        if not self._shutter_s:
            return {}
        half = self._shutter_s * self._fps / 2
        before, after = (self._stage.on_frame(frame + shift) for shift in (-half, half))
        return {place: float(np.hypot(*(after[place] - before[place]))) for place in before}

    def _painted(self, when: float, placed: list[tuple[int, sprites.Placed]]) -> Frame:
        """The scene at a time (in frames), from the back to the front."""
        picture = self._stage.backdrop(when) if self._still is None else self._still.copy()
        for _, one in placed:
            sprites.paint(picture, one)
        return picture


def _seen(placed: list[tuple[int, sprites.Placed]], size: tuple[int, int]) -> dict[int, Seen]:
    """Who of those placed, from the back to the front, is seen in a frame of `size`."""
    seen: dict[int, Seen] = {}
    for place, picture in placed:
        one = _look(picture, size)
        _hide(seen, place, one)
        if place != PROPS:
            seen[place] = one
    return seen


def _window(placed: sprites.Placed, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the frame under the picture; empty slices where it is outside."""
    height, width = placed.alpha.shape
    top, bottom = (min(max(v, 0), size[1]) for v in (placed.y_px, placed.y_px + height))
    left, right = (min(max(v, 0), size[0]) for v in (placed.x_px, placed.x_px + width))
    if top == bottom or left == right:
        return slice(0, 0), slice(0, 0)
    return slice(top, bottom), slice(left, right)


def _within(placed: sprites.Placed, window: tuple[slice, slice]) -> tuple[slice, slice]:
    """The frame's window in the picture's own rows and columns."""
    rows, columns = window
    return (
        slice(rows.start - placed.y_px, rows.stop - placed.y_px),
        slice(columns.start - placed.x_px, columns.stop - placed.x_px),
    )


def _look(placed: sprites.Placed, size: tuple[int, int]) -> Seen:
    """The character as it is seen while nobody stands in front of it."""
    solid = placed.solid
    window = _window(placed, size)
    inside = solid[_within(placed, window)].copy() if _area(window) else np.zeros((0, 0), np.bool_)
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    box = (
        float(placed.x_px + columns[0]),
        float(placed.y_px + rows[0]),
        float(placed.x_px + columns[-1] + 1),
        float(placed.y_px + rows[-1] + 1),
    )
    whole = int(np.count_nonzero(solid))
    return Seen(box, whole, int(np.count_nonzero(inside)), inside, window)


def _area(window: tuple[slice, slice]) -> int:
    rows, columns = window
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _hide(seen: dict[int, Seen], place: int, front: Seen) -> None:
    """Take from everyone behind what the one in front covers now."""
    for behind in seen.values():
        rows, columns = (
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(behind.window, front.window, strict=True)
        )
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        ours, theirs = (
            one.visible[
                rows.start - one.window[0].start : rows.stop - one.window[0].start,
                columns.start - one.window[1].start : columns.stop - one.window[1].start,
            ]
            for one in (behind, front)
        )
        covered = int(np.count_nonzero(ours & theirs))
        if covered:
            behind.hidden_px[place] = behind.hidden_px.get(place, 0) + covered
            ours &= ~theirs
