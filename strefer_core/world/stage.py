"""One scene, with all that is computed once: the place, the camera's way and the actors' ways."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.world import backgrounds, motion, props, sprites
from strefer_core.world.script import Prop, Scene, Script

Floats = NDArray[np.float64]
PROPS = -1  # where a place in the cast is told: every prop, and the place itself


def times_s(script: Script) -> Floats:
    """(T,) presentation times of the frames."""
    return np.arange(script.frame_count) / float(script.fps)


class Stage:
    """Where everything of a scene is, at any time. Times are counted in frames; between two, lines."""

    def __init__(self, script: Script, scene: Scene) -> None:
        times = times_s(script)
        self.light = scene.light
        self._size = (script.width_px, script.height_px)
        self._characters = [script.characters[actor.character] for actor in scene.actors]
        self._places = [actor.character for actor in scene.actors]
        self._poses = [
            motion.poses(character, actor.path, times)
            for character, actor in zip(self._characters, scene.actors, strict=True)
        ]
        self._camera = motion.camera_positions(scene.camera, times, self._size)
        self._zoom = motion.camera_zooms(scene.camera.zoom, times)
        self._detail = max(1.0, float(self._zoom.max()))
        self._corner = np.floor(self._camera.min(axis=0)) - 1
        self._scene = scene
        self._background: NDArray[np.uint8] | None = None

    @property
    def is_still(self) -> bool:
        """Whether neither pan, shake nor zoom ever moves the picture."""
        return bool(np.ptp(self._camera, axis=0).max() == 0 and np.ptp(self._zoom) == 0)

    def camera(self, when: float) -> Floats:
        """(2,) world position of the frame's top left corner."""
        return np.asarray(_at(self._camera, when), dtype=np.float64)

    def zoom(self, when: float) -> float:
        """Frame pixels per world pixel."""
        return float(_at(self._zoom, when))

    def on_frame(self, when: float) -> dict[int, Floats]:
        """Where everyone's middle is on the frame, by place in the script; -1: the place itself."""
        corner, zoom = self.camera(when), self.zoom(when)
        found = {
            place: (np.array([_at(poses.x_px, when), _at(poses.y_px, when)]) - corner) * zoom
            for place, poses in zip(self._places, self._poses, strict=True)
        }
        # The corner stands for the place, not its middle: zooming moves it as well.
        return found | {PROPS: -corner * zoom}

    def placed(self, when: float) -> Iterator[tuple[int, sprites.Placed]]:
        """Actors (by place in the script) and things in front of some (-1), from the back to the front."""
        fronts = [prop for prop in self._scene.props if prop.layer > 0]
        for layer in range(len(self._places)):
            yield self._places[layer], self._actor(layer, when)
            for prop in fronts:
                if prop.layer == layer + 1:
                    yield PROPS, self._prop(prop, when)

    def backdrop(self, when: float) -> NDArray[np.uint8]:
        """(H, W, 3) RGB: the place as the camera sees it, with all that everybody passes in front of."""
        if self._background is None:
            self._background = self._drawn_background()
        zoom = self.zoom(when)
        # Pixel middles lie at halves: one half of a frame pixel is another length in the world.
        shift = self.camera(when) - self._corner + (0.5 / zoom - 0.5)
        matrix = np.array([[1 / zoom, 0, shift[0]], [0, 1 / zoom, shift[1]]], dtype=np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(self._background, matrix, self._size, flags=flags), dtype=np.uint8)

    def _drawn_background(self) -> NDArray[np.uint8]:
        far = self._camera + np.array(self._size) / self._zoom[:, None]
        width, height = (int(v) for v in np.ceil(far.max(axis=0)) + 2 - self._corner)
        image = backgrounds.draw(self._scene.background, width, height)
        for prop in self._scene.props:
            if prop.layer == 0:
                x, y = np.array(prop.at) - self._corner
                sprites.paint(image, props.place(prop, float(x), float(y)))
        return image

    def _actor(self, layer: int, when: float) -> sprites.Placed:
        poses, corner, zoom = self._poses[layer], self.camera(when), self.zoom(when)
        x, y = (_at(poses.x_px, when) - corner[0]) * zoom, (_at(poses.y_px, when) - corner[1]) * zoom
        frame = min(max(round(when), 0), len(poses.facing) - 1)
        return sprites.place(
            self._characters[layer],
            float(x),
            float(y),
            float(_at(poses.angle_deg, when)),
            float(poses.facing[frame]),
            float(poses.phase[frame]),
            scale=zoom,
            detail=self._detail,
        )

    def _prop(self, prop: Prop, when: float) -> sprites.Placed:
        zoom = self.zoom(when)
        x, y = (np.array(prop.at) - self.camera(when)) * zoom
        return props.place(prop, float(x), float(y), scale=zoom, detail=self._detail)


def _at(values: Floats, when: float) -> Floats:
    """A row of `values` (T, ...) at a time in frames: the row itself at a whole number, else on the line."""
    first = int(np.floor(when))
    share = when - first
    rows = values[min(max(first, 0), len(values) - 1)], values[min(max(first + 1, 0), len(values) - 1)]
    return np.asarray(rows[0] if share == 0 else (1 - share) * rows[0] + share * rows[1], dtype=np.float64)
