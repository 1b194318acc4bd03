"""From a script to pictures and to what can be seen in them: one pass, the same geometry for both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.world import backgrounds, motion, sprites
from strefer_core.world.script import Scene, Script, Shot

Frame = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class Seen:
    """One character on one frame of a scene that it plays in."""

    box_px: dm.Box  # of the whole mask, may pass the borders
    whole_px: int  # area of the whole mask
    in_frame_px: int  # of it, within the borders
    visible: NDArray[np.bool_]  # visible part of the clipped window
    window: tuple[slice, slice]  # rows and columns of the frame that `visible` covers
    hidden_px: dict[int, int] = field(default_factory=dict)  # by whom (place in the script): area, in frame


@dataclass(frozen=True)
class Moment:
    """One frame: the picture, and who is seen in it, by place in `Script.characters`."""

    picture: Frame
    camera_px: tuple[float, float]
    seen: dict[int, Seen]


def times_s(script: Script) -> NDArray[np.float64]:
    """(T,) presentation times of the frames."""
    return np.arange(script.frame_count) / float(script.fps)


def moments(script: Script) -> Iterator[Moment]:
    """Every frame of the script, in order."""
    stages = [_Stage(script, scene) for scene in script.scenes]
    for shot in script.shots:
        yield from _shot(stages[shot.scene], shot)


def _shot(stage: _Stage, shot: Shot) -> Iterator[Moment]:
    for frame in range(shot.start_frame, shot.end_frame):
        yield stage.moment(frame)


class _Stage:
    """One scene with all that is computed once: the background, the camera's and the actors' ways."""

    def __init__(self, script: Script, scene: Scene) -> None:
        times = times_s(script)
        self._size = (script.width_px, script.height_px)
        self._characters = [script.characters[actor.character] for actor in scene.actors]
        self._places = [actor.character for actor in scene.actors]
        self._poses = [
            motion.poses(character, actor.path, times)
            for character, actor in zip(self._characters, scene.actors, strict=True)
        ]
        self._camera = motion.camera_positions(scene.camera, times)
        self._corner = np.floor(self._camera.min(axis=0)) - 1
        reach = np.ceil(self._camera.max(axis=0)) + 2 - self._corner
        width, height = (int(v) for v in reach + self._size)
        self._background = backgrounds.draw(scene.background, width, height)
        self._still = self._warped(self._camera[0]) if np.ptp(self._camera, axis=0).max() == 0 else None

    def moment(self, frame: int) -> Moment:
        """Paint one frame, from the back to the front."""
        camera = self._camera[frame]
        picture = self._warped(camera) if self._still is None else self._still.copy()
        seen: dict[int, Seen] = {}
        for place, character, poses in zip(self._places, self._characters, self._poses, strict=True):
            x, y = poses.x_px[frame] - camera[0], poses.y_px[frame] - camera[1]
            pose = poses.angle_deg[frame], poses.facing[frame], poses.phase[frame]
            placed = sprites.place(character, float(x), float(y), *(float(v) for v in pose))
            one = _look(placed, self._size)
            _paint(picture, placed, one.window)
            _hide(seen, place, one)
            seen[place] = one
        return Moment(picture, (float(camera[0]), float(camera[1])), seen)

    def _warped(self, camera: NDArray[np.float64]) -> Frame:
        shift = camera - self._corner
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], dtype=np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(self._background, matrix, self._size, flags=flags), dtype=np.uint8)


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


def _paint(picture: Frame, placed: sprites.Placed, window: tuple[slice, slice]) -> None:
    if not _area(window):
        return
    within = _within(placed, window)
    rest = cv2.cvtColor(255 - placed.alpha[within], cv2.COLOR_GRAY2RGB)
    under = cv2.multiply(picture[window], rest, scale=1 / 255)
    picture[window] = cv2.add(under, np.ascontiguousarray(placed.rgb[within]))


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
            behind.hidden_px[place] = covered
            ours &= ~theirs
