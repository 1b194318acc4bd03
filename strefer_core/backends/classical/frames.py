"""Colours and optical flow of the working frames, shared by all passes of the tracker."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance as looks
from strefer_core.backends.classical.background import Pixels
from strefer_core.backends.classical.scene import Scene
from strefer_core.backends.interfaces import Footage

Flow = NDArray[np.float16]  # (H/2, W/2, 2) x, y offsets in full pixels


class Frames:
    """Colours and optical flow of working frames, computed on first use and kept: several passes need them.

    Holds at most 2 + 8 bytes per pixel and frame at half size, so about 0.4 MB for a 480 x 270 frame.
    """

    def __init__(self, footage: Footage, scene: Scene) -> None:
        self.footage = footage
        self.scene = scene
        self._colours: dict[int, looks.ColourIndex] = {}
        self._flows: dict[tuple[int, int], Flow] = {}
        self._engine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def colours(self, t: int) -> looks.ColourIndex:
        if t not in self._colours:
            self._colours[t] = looks.colour_index(self.footage.images[t])
        return self._colours[t]

    def pixels(self, t: int) -> Pixels:
        return self.scene.codes[t]

    def flow(self, t: int, other: int) -> Flow | None:
        """For each pixel of frame `t`, where it is in frame `other`: (H/2, W/2, 2) offsets in full pixels;
        None across a cut."""
        if self.scene.shot[t] != self.scene.shot[other]:
            return None
        if (t, other) not in self._flows:
            self._flows[t, other] = self._compute_flow(t, other)
        return self._flows[t, other]

    def _compute_flow(self, t: int, other: int) -> Flow:
        height, width = self.footage.images.shape[1:3]
        half = (max(width // 2, 16), max(height // 2, 16))
        small = [
            cv2.resize(
                cv2.cvtColor(self.footage.images[i], cv2.COLOR_RGB2GRAY), half, interpolation=cv2.INTER_AREA
            )
            for i in (t, other)
        ]
        flow = self._engine.calc(small[0], small[1], None)
        scale = np.array([width / half[0], height / half[1]], np.float32)
        return (flow * scale).astype(np.float16)
