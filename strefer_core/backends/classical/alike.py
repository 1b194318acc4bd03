"""Patches that look like a thing that was tracked, and that nobody tracked: its name may fit them as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.attributes import COLOUR_NAMES, colour_places, outlines_of
from strefer_core.backends.classical.matching import noun_score
from strefer_core.backends.interfaces import Footage

Masks = NDArray[np.bool_]  # (F, H, W) on the sampled frames
Patch = NDArray[np.bool_]  # (H, W)

_LOOKS = 12  # frames that are searched for something else of the colour
_LEAST_AREA, _MOST_AREA = 1 / 100, 3.0  # of the mask's: a name without a size fits small ones as well
_STREWN_LOOKS = 3
_LEAST_PX = 40  # of working size: smaller ones are grain
_LEAST_EXTENT = 0.35  # of its box: a thing fills it, a strip of meadow or the rim of a wall does not
_RIM_PX = 7  # around masks, where their own colours spill over
_GAP_PX = 5  # of the other colour in stripes and checks
_MAY_BE = 0.25  # of `noun_score`: a creature's outline is no circle, a small one may be anything
_SAME_PLACE = 0.5  # IoU


def alike_share(
    footage: Footage, masks: Masks, taken: Masks, colour: str | None, noun: str, *, is_moving: bool = False
) -> float | None:
    """Share of the frames looked at, 0..1, that show a patch of the named colour, about as large as the
    entity and of an outline that its noun may have, on no masklet: something that the name may fit as well,
    and that nobody tracked.

    Args:
        footage: the working frames.
        masks: of the entity.
        taken: of all entities together.
        colour: that it is named by.
        noun: likewise.
        is_moving: its name says that it moves: a patch that others of the frames show in the same place is
            not meant. Under a moving camera all patches count.

    Returns:
        None for no colour, one that is not known, or a track that is never visible.
    """
    areas = masks.sum(axis=(1, 2))
    if colour not in COLOUR_NAMES or not areas.any():
        return None
    typical = float(np.median(areas[areas > 0]))
    looks = np.unique(np.linspace(0, len(masks) - 1, _LOOKS).round().astype(int))
    place = COLOUR_NAMES.index(colour)
    patches = [list(_patches(footage.images[footage.sampled[i]], taken[i], place, typical)) for i in looks]
    if is_moving:
        patches = _without_still(patches)
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
    images = [footage.images[footage.sampled[i]] for i in looks]
    colours = range(len(COLOUR_NAMES))
    found = [
        sum(1 for place in colours for _ in _patches(image, taken[i], place, typical))
        for i, image in zip(looks, images, strict=True)
    ]
    return float(np.mean(found))


def taken_by(masks: Sequence[Masks]) -> Masks:
    """Where any of the masks are."""
    return np.asarray(np.logical_or.reduce(list(masks)))


def _patches(
    image: NDArray[np.uint8], taken: NDArray[np.bool_], place: int, typical_px: float
) -> Iterator[Patch]:
    """(H, W) of each patch of a colour that is about as large as a thing; gaps of a pattern are closed."""
    free = cv2.dilate(taken.astype(np.uint8), _square(_RIM_PX)) == 0
    shown = ((colour_places(image) == place) & free).astype(np.uint8)
    shown = cv2.morphologyEx(shown, cv2.MORPH_CLOSE, _square(_GAP_PX))
    shown = cv2.morphologyEx(shown, cv2.MORPH_OPEN, _square(3))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(shown, connectivity=8)
    for label, row in enumerate(stats[1:], start=1):
        if _is_thing(row, typical_px, shown.shape):
            yield labels == label


def _without_still(looks: list[list[Patch]]) -> list[list[Patch]]:
    """Of each look the patches that lie where no other look has one."""
    return [
        [
            patch
            for patch in found
            if not any(_is_same(patch, one) for one in chain(*looks[:i], *looks[i + 1 :]))
        ]
        for i, found in enumerate(looks)
    ]


def _is_same(a: Patch, b: Patch) -> bool:
    return bool((a & b).sum() >= _SAME_PLACE * (a | b).sum())


def _square(side_px: int) -> NDArray[np.uint8]:
    return np.ones((side_px, side_px), np.uint8)


def _may_be(noun: str, patch: Patch) -> bool:
    return noun_score(noun, outlines_of(patch), 0.0) >= _MAY_BE


def _is_thing(row: NDArray[np.int32], typical_px: float, shape: tuple[int, ...]) -> bool:
    left, top, width, height, area = (int(value) for value in row)
    is_cut = left == 0 or top == 0 or left + width == shape[1] or top + height == shape[0]
    fills = area >= _LEAST_EXTENT * width * height
    least, most = max(_LEAST_PX, _LEAST_AREA * typical_px), _MOST_AREA * typical_px
    return not is_cut and fills and least <= area <= most
