"""How far the foreground can be trusted, given what is known to be a thing.

Where a thing rested, or crept, the background picture shows the thing, and foreground says "background" in
the middle of it. A mask that somebody vouches for tells where: there "background" means "unknown".
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance as looks
from strefer_core.backends.classical.frames import Frames
from strefer_core.backends.classical.scene import UNKNOWN

Mask = NDArray[np.bool_]  # (H, W)

_DISTINCT = 0.3  # likeness of a colour, -1..1
_LOOKS = 8  # frames from which the colours of the background are taken


class TrustedForeground:
    """Foreground of working frames as one call of the tracker sees it."""

    def __init__(self, frames: Frames, known: Sequence[tuple[int, Mask]]) -> None:
        """`known` are masks of things, with their frames."""
        self._frames = frames
        self._doubts: dict[int, Mask] = {}  # by shot, as its first frame sees it
        for t, mask in known:
            self._doubt(t, mask & (frames.scene.foreground[t] < UNKNOWN // 2) & self._looks_like(t, mask))
        self.surroundings = self._background_colours()

    def at(self, t: int) -> NDArray[np.uint8]:
        """(H, W), 0..255; see `scene.UNKNOWN`."""
        foreground = self._frames.scene.foreground[t]
        doubt = self._doubts.get(int(self._frames.scene.shot[t]))
        if doubt is None:
            return foreground
        seen = _warp(doubt, np.linalg.inv(self._frames.scene.to_reference[t]))
        return np.where(seen, np.maximum(foreground, UNKNOWN), foreground).astype(np.uint8)

    def _looks_like(self, t: int, mask: Mask) -> Mask:
        """Where frame `t` has colours of the thing rather than of the rest: masks are not perfect."""
        index = self._frames.colours(t)
        rest = ~mask & (self._frames.scene.foreground[t] < UNKNOWN // 2)
        likeness = looks.likeness(looks.histogram(index, mask), looks.histogram(index, rest))
        return np.asarray(likeness[index] > _DISTINCT)

    def _doubt(self, t: int, mask: Mask) -> None:
        if mask.any():
            shot = int(self._frames.scene.shot[t])
            seen = _warp(mask, self._frames.scene.to_reference[t])
            self._doubts[shot] = self._doubts.get(shot, False) | seen

    def _background_colours(self) -> looks.Histogram:
        sampled = self._frames.footage.sampled
        chosen = sampled[:: max(1, len(sampled) // _LOOKS)]
        parts = [
            looks.histogram(self._frames.colours(int(t)), self.at(int(t)) < UNKNOWN // 2) for t in chosen
        ]
        return np.asarray(np.mean(parts, axis=0), np.float32)


def _warp(mask: Mask, transform: NDArray[np.float64]) -> Mask:
    if np.array_equal(transform, np.eye(3)):
        return mask
    size = (mask.shape[1], mask.shape[0])
    return cv2.warpAffine(mask.astype(np.uint8), transform[:2], size, flags=cv2.INTER_NEAREST) > 0
