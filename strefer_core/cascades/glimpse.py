"""Where a lost thing's colours can be seen: a look there is worth its price, elsewhere it is not.

A thing that left the frame has no colours left in it. Where its colours do not tell it from its surroundings
nothing is known, and every frame is as good as another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance
from strefer_core.backends.interfaces import Footage, Track
from strefer_core.cascades.doubt import LIGHTS, Looks

_STEP = 3  # every so many-th row and column is looked at
_TELLING = 3.0  # times more frequent in the thing than around it: a colour of the thing
_MOST_OUTSIDE = 0.5  # pixels of such colours outside the thing on its anchor frame, over its own
_LEAST_INSIDE = 0.5  # share of the thing that has them
_ENOUGH = 0.3  # of the thing's area, in its colours, is as good as seeing it

Like = NDArray[np.bool_]  # by colour index: a colour of the thing


@dataclass(frozen=True)
class _Model:
    """What tells a thing from its surroundings by colour."""

    like: Like
    area: int  # of the thing, in looked-at pixels


class Glimpses:
    """Chances to see lost things, from colours alone."""

    def __init__(self, footage: Footage, looks: Looks) -> None:
        self._footage, self._looks = footage, looks
        self._models: dict[tuple[int, bool], _Model | None] = {}  # by place of the track and light

    def chance(self, tracks: Sequence[Track], place: int, frame: int) -> float:
        """How much of the thing of a track may be seen on a sampled frame outside of all tracks, 0..1."""
        t = int(self._footage.sampled[frame])
        return max(self._chance(tracks, place, t, relit) for relit in LIGHTS)

    def _chance(self, tracks: Sequence[Track], place: int, t: int, relit: bool) -> float:
        if (place, relit) not in self._models:
            self._models[place, relit] = self._model(tracks[place], relit)
        model = self._models[place, relit]
        if model is None:
            return 1.0
        like = model.like[self._looks.colours(t, relit)[::_STEP, ::_STEP]]
        for one in tracks:
            like &= ~one.masks[t][::_STEP, ::_STEP]
        # Single pixels are noise; a thing has neighbours of its own colours.
        solid = cv2.blur(like.astype(np.float32), (3, 3)) > 0.5
        return float(min(np.count_nonzero(solid) / (_ENOUGH * model.area), 1.0))

    def _model(self, one: Track, relit: bool) -> _Model | None:
        """None where the colours do not tell the thing from the rest of its anchor frame."""
        t = int(self._footage.sampled[one.detection.frame_index])
        colours, mask = self._looks.colours(t, relit)[::_STEP, ::_STEP], one.masks[t][::_STEP, ::_STEP]
        if not mask.any() or mask.all():
            return None
        own, other = appearance.histogram(colours, mask), appearance.histogram(colours, ~mask)
        like = np.asarray(own > _TELLING * other + 1e-6)
        seen = like[colours]
        area = int(np.count_nonzero(mask))
        outside, inside = np.count_nonzero(seen & ~mask), np.count_nonzero(seen & mask)
        if outside > _MOST_OUTSIDE * area or inside < _LEAST_INSIDE * area:
            return None
        return _Model(like, area)
