"""Frames on which a track no longer looks like what it began with: it may have slid off or changed over.

Asking the detector on every frame would settle it and cost too much; colours cost next to nothing, and say
where a look is worth it. They are compared as they are and with the light taken out, and the better of the
two counts: neither a change of light nor one of place makes a thing another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance
from strefer_core.backends.interfaces import Footage, Track

_ALIKE = 0.75  # share of a track's usual likeness with its beginning below which it is in doubt
_GRAY = 110.0  # mean of every channel of a picture whose light was taken out

LIGHTS = (False, True)
"""Whether the light is taken out."""


class Looks:
    """How much each track looks like itself on its anchor frame, on all sampled frames."""

    def __init__(self, footage: Footage) -> None:
        self._footage = footage
        self._colours: dict[tuple[int, bool], appearance.ColourIndex] = {}

    def likeness(self, one: Track) -> NDArray[np.float64]:
        """(F,) Bhattacharyya coefficient of colours, 0..1; NaN where there is no mask."""
        return np.asarray(np.fmax(*(self._likeness(one, relit) for relit in LIGHTS)))

    def doubtful(self, one: Track) -> NDArray[np.bool_]:
        """(F,) whether a mask looks much less like the track's beginning than its masks usually do."""
        likeness = self.likeness(one)
        if np.isnan(likeness).all():
            return np.zeros(len(likeness), np.bool_)
        return np.asarray(np.nan_to_num(likeness, nan=1.0) < _ALIKE * np.nanquantile(likeness, 0.75))

    def colours(self, t: int, relit: bool = False) -> appearance.ColourIndex:
        """Histogram bin of every pixel (H, W) of a working frame; `relit`: with the light taken out."""
        if (t, relit) not in self._colours:
            image = self._footage.images[t]
            self._colours[t, relit] = appearance.colour_index(_relit(image) if relit else image)
        return self._colours[t, relit]

    def _likeness(self, one: Track, relit: bool) -> NDArray[np.float64]:
        first = self._histogram(one, one.detection.frame_index, relit)
        result = np.full(len(self._footage.sampled), np.nan)
        for frame in range(len(result) if first is not None else 0):
            here = self._histogram(one, frame, relit)
            if first is not None and here is not None:
                result[frame] = appearance.similarity(first, here)
        return result

    def _histogram(self, one: Track, frame: int, relit: bool) -> appearance.Histogram | None:
        t = int(self._footage.sampled[frame])
        return appearance.histogram(self.colours(t, relit), one.masks[t]) if one.masks[t].any() else None


def _relit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with every channel brought to one mean: gains and casts go (the gray-world assumption)."""
    gains = _GRAY / np.maximum(image.mean(axis=(0, 1)), 1.0)
    return np.asarray(np.clip(image * gains.astype(np.float32), 0, 255), dtype=np.uint8)
