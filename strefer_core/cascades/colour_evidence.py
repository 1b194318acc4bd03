"""Whether the colour that an entity is named by fits its masks, and nothing else in the pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.attributes import (
    COLOUR_NAMES,
    colour_places,
    colour_shares,
    outlines_of,
)
from strefer_core.backends.classical.matching import noun_score
from strefer_core.backends.interfaces import Footage

Masks = NDArray[np.bool_]  # (F, H, W) on the sampled frames

_WORST = 0.1  # share of the frames that count as its worst
_LOOKS = 12  # frames that are searched for something else of the colour
_LEAST_AREA, _MOST_AREA = 1 / 100, 3.0  # of the mask's: a name without a size fits small ones as well
_STREWN_LOOKS = 3
_LEAST_PX = 40  # of working size: smaller ones are grain
_LEAST_EXTENT = 0.35  # of its box: a thing fills it, a strip of meadow or the rim of a wall does not
_RIM_PX = 7  # around masks, where their own colours spill over
_GAP_PX = 5  # of the other colour in stripes and checks
_MAY_BE = 0.25  # of `noun_score`: a creature's outline is no circle, a small one may be anything


def shares_of(footage: Footage, masks: Masks) -> NDArray[np.float64]:
    """(visible frames, COLOUR_NAMES) share of the masked pixels per colour."""
    shown = [index for index, mask in enumerate(masks) if mask.any()]
    found = [colour_shares(footage.images[footage.sampled[i]], masks[i]) for i in shown]
    return np.array(found).reshape(len(shown), len(COLOUR_NAMES))


def colour_agreement(shares: NDArray[np.float64], colour: str | None) -> float | None:
    """Share of the masked pixels, 0..1, that have the colour of this name: of the visible frames the lower
    tenth. None for no name, one that is not known, or a track that is never visible."""
    if colour not in COLOUR_NAMES or not len(shares):
        return None
    return float(np.clip(np.quantile(shares[:, COLOUR_NAMES.index(colour)], _WORST), 0, 1))


def colour_margin(shares: NDArray[np.float64], colour: str | None) -> float | None:
    """Mean share of the named colour minus that of the strongest other one, -1..1; None as above.

    Small where a person might as well have named the other, below 0 where the name is another thing's.
    """
    if colour not in COLOUR_NAMES or not len(shares):
        return None
    place, usual = COLOUR_NAMES.index(colour), shares.mean(axis=0)
    return float(usual[place] - np.delete(usual, place).max())


def alike_share(footage: Footage, masks: Masks, taken: Masks, colour: str | None, noun: str) -> float | None:
    """Share of the frames looked at, 0..1, that show a patch of the named colour, about as large as the
    entity and of an outline that its noun may have, on no masklet: something that the name may fit as well,
    and that nobody tracked.

    Args:
        footage: the working frames.
        masks: of the entity.
        taken: of all entities together.
        colour: that it is named by.
        noun: likewise.

    Returns:
        None for no colour, one that is not known, or a track that is never visible.
    """
    areas = masks.sum(axis=(1, 2))
    if colour not in COLOUR_NAMES or not areas.any():
        return None
    typical = float(np.median(areas[areas > 0]))
    looks = np.unique(np.linspace(0, len(masks) - 1, _LOOKS).round().astype(int))
    place = COLOUR_NAMES.index(colour)
    patches = (_patches(footage.images[footage.sampled[i]], taken[i], place, typical) for i in looks)
    return float(np.mean([any(_may_be(noun, patch) for patch in found) for found in patches]))


def strewn_patches(footage: Footage, masks: Masks, taken: Masks) -> float | None:
    """Patches of any colour per frame looked at, about as large as the entity, on no masklet.

    Where there are many, one of the entity's colour among them is decor rather than a second one. Arguments
    as of `alike_share`; None for a track that is never visible.
    """
    areas = masks.sum(axis=(1, 2))
    if not areas.any():
        return None
    typical = float(np.median(areas[areas > 0]))
    looks = np.unique(np.linspace(0, len(masks) - 1, _STREWN_LOOKS).round().astype(int))
    return float(
        np.mean(
            [
                sum(
                    1
                    for place in range(len(COLOUR_NAMES))
                    for _ in _patches(footage.images[footage.sampled[i]], taken[i], place, typical)
                )
                for i in looks
            ]
        )
    )


def taken_by(masks: Sequence[Masks]) -> Masks:
    """Where any of the masks are."""
    return np.asarray(np.logical_or.reduce(list(masks)))


def _patches(
    image: NDArray[np.uint8], taken: NDArray[np.bool_], place: int, typical_px: float
) -> Iterator[NDArray[np.bool_]]:
    """(H, W) of each patch of a colour that is about as large as a thing; gaps of a pattern are closed."""
    free = cv2.dilate(taken.astype(np.uint8), _square(_RIM_PX)) == 0
    shown = ((colour_places(image) == place) & free).astype(np.uint8)
    shown = cv2.morphologyEx(shown, cv2.MORPH_CLOSE, _square(_GAP_PX))
    shown = cv2.morphologyEx(shown, cv2.MORPH_OPEN, _square(3))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(shown, connectivity=8)
    for label, row in enumerate(stats[1:], start=1):
        if _is_thing(row, typical_px, shown.shape):
            yield labels == label


def _square(side_px: int) -> NDArray[np.uint8]:
    return np.ones((side_px, side_px), np.uint8)


def _may_be(noun: str, patch: NDArray[np.bool_]) -> bool:
    return noun_score(noun, outlines_of(patch), 0.0) >= _MAY_BE


def _is_thing(row: NDArray[np.int32], typical_px: float, shape: tuple[int, ...]) -> bool:
    left, top, width, height, area = (int(value) for value in row)
    is_cut = left == 0 or top == 0 or left + width == shape[1] or top + height == shape[0]
    fills = area >= _LEAST_EXTENT * width * height
    least, most = max(_LEAST_PX, _LEAST_AREA * typical_px), _MOST_AREA * typical_px
    return not is_cut and fills and least <= area <= most
