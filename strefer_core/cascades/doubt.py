"""Frames on which a track no longer looks like what it began with: it may have slid off or changed over.

Asking the detector on every frame would settle it and cost too much; colours cost next to nothing, and say
where a look is worth it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical import appearance
from strefer_core.backends.interfaces import Footage, Track

_ALIKE = 0.75  # share of a track's usual likeness with its beginning below which it is in doubt


class Looks:
    """How much each track looks like itself on its anchor frame, on all sampled frames."""

    def __init__(self, footage: Footage) -> None:
        self._footage = footage
        self._colours: dict[int, appearance.ColourIndex] = {}

    def likeness(self, one: Track) -> NDArray[np.float64]:
        """(F,) Bhattacharyya coefficient of colours, 0..1; NaN where there is no mask."""
        first = self._histogram(one, one.detection.frame_index)
        result = np.full(len(self._footage.sampled), np.nan)
        if first is not None:
            for frame in range(len(result)):
                here = self._histogram(one, frame)
                if here is not None:
                    result[frame] = appearance.similarity(first, here)
        return result

    def doubtful(self, one: Track) -> NDArray[np.bool_]:
        """(F,) whether a mask looks much less like the track's beginning than its masks usually do."""
        likeness = self.likeness(one)
        if np.isnan(likeness).all():
            return np.zeros(len(likeness), np.bool_)
        return np.asarray(np.nan_to_num(likeness, nan=1.0) < _ALIKE * np.nanquantile(likeness, 0.75))

    def _histogram(self, one: Track, frame: int) -> appearance.Histogram | None:
        t = int(self._footage.sampled[frame])
        if not one.masks[t].any():
            return None
        if t not in self._colours:
            self._colours[t] = appearance.colour_index(self._footage.images[t])
        return appearance.histogram(self._colours[t], one.masks[t])
