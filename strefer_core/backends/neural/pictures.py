"""What an assigner shows of tracks to a model: cuts, marks, and which track is where on a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Footage, Images, Track
from strefer_core.masks import Mask, tight_box

_MARGIN = 0.15  # around a thing in a cut, in sides of its box: words speak of what it wears and holds, too
_SMALLEST_CUT_PX = 8


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One track on one frame where it has a mask."""

    frame: int  # place among the asked frames
    track: int
    image: Images  # (H, W, 3)
    mask: Mask  # (H, W)
    box: dm.Box


def sights(footage: Footage, tracks: Sequence[Track], frame_indices: Sequence[int]) -> list[Sight]:
    """Every track on every asked sampled frame on which it is visible."""
    return [
        Sight(frame=frame, track=number, image=footage.images[place], mask=track.masks[place], box=box)
        for frame, place in enumerate(footage.sampled[list(frame_indices)])
        for number, track in enumerate(tracks)
        if (box := tight_box(track.masks[place])) is not None
    ]


def filled(
    shape: tuple[int, int, int],
    seen: Sequence[Sight],
    answer: Callable[[Sequence[Sight]], Sequence[NDArray[np.float64]]],
) -> NDArray[np.float64]:
    """Scores (frames, entities, tracks) from one answer (entities,) per sight; NaN where nothing is seen."""
    scores = np.full(shape, np.nan)
    if seen and shape[1]:
        for sight, found in zip(seen, answer(seen), strict=True):
            scores[sight.frame, :, sight.track] = found
    return scores


def cut(sight: Sight) -> Images:
    """(h, w, 3): the thing with a margin, at least a few pixels wide and high, within the picture."""
    height, width = sight.image.shape[:2]
    (x0, x1), (y0, y1) = (
        _span(sight.box[axis], sight.box[axis + 2], side) for axis, side in ((0, width), (1, height))
    )
    return sight.image[y0:y1, x0:x1]


def _span(start: float, end: float, limit: int) -> tuple[int, int]:
    margin = max(_MARGIN * (end - start), (_SMALLEST_CUT_PX - (end - start)) / 2)
    return max(0, int(start - margin)), min(limit, int(np.ceil(end + margin)))
