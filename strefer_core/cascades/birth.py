"""How good a track is, measured when it is made; the quality stage decides what is good enough.

What can be wrong with a track without anybody knowing the truth: the detector no longer sees a thing of its
noun under it, its mask jumps in place, size or colours, it ends where the picture is blurred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.appearance import Histogram, colour_index, histogram, similarity
from strefer_core.backends.classical.alike import alike_share, strewn_patches
from strefer_core.backends.interfaces import Detection, Footage
from strefer_core.cascades.anchors import NAMES, picture_sharpness
from strefer_core.cascades.colour_evidence import colour_agreement, colour_margin, shares_of
from strefer_core.cascades.steps import box_iou
from strefer_core.masks import tight_box

_AGREES = 0.5  # IoU of a new box with the mask's box


@dataclass(frozen=True, kw_only=True)
class Named:
    """What an entity's name says of how it looks."""

    noun: str
    colour: str | None
    is_moving: bool  # it says that the entity moves, whatever else looks like it

    @classmethod
    def of(cls, entity: dm.Entity) -> Named:
        said = dict(entity.attributes)
        is_moving = "direction" in said or "motion" in said
        return cls(noun=entity.noun, colour=said.get("colour"), is_moving=is_moving)


@dataclass(frozen=True, kw_only=True)
class BirthQuality:
    """The measured fields of `data_model.Masklet` of the same names; None where nothing could be measured."""

    redetection_share: float | None
    area_jump: float | None
    position_jump: float | None
    loss_sharpness: float | None
    appearance_similarity: float | None
    colour_agreement: float | None
    colour_margin: float | None
    alike_share: float | None
    strewn_patches: float | None


def measure(
    footage: Footage,
    masks: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    boxes: Mapping[int, Sequence[Detection]],
    noun: int,
    named: Named,
) -> BirthQuality:
    """Measure the masks of one entity.

    Args:
        footage: the working frames.
        masks: (F, H, W) on the sampled frames, working size.
        taken: likewise, of all entities together.
        boxes: of the frames that the detector looked at, by index.
        noun: place of the entity's noun in the boxes' `noun_scores`.
        named: what it is called.
    """
    own = [tight_box(mask) for mask in masks]
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    shares = shares_of(footage, masks)
    return BirthQuality(
        redetection_share=redetection_share(own, boxes, noun),
        area_jump=area_jump(areas),
        position_jump=position_jump(own),
        loss_sharpness=loss_sharpness(footage, areas),
        appearance_similarity=appearance_similarity(footage, masks),
        colour_agreement=colour_agreement(shares, named.colour),
        colour_margin=colour_margin(shares, named.colour),
        alike_share=alike_share(footage, masks, taken, named.colour, named.noun, is_moving=named.is_moving),
        strewn_patches=strewn_patches(footage, masks, taken),
    )


def redetection_share(
    own: Sequence[dm.Box | None], boxes: Mapping[int, Sequence[Detection]], noun: int
) -> float | None:
    """Share of the frames looked at and held on which a box of the noun lies where the mask is."""
    agree = [
        any(box.noun_scores[noun] >= NAMES and box_iou(box.box, here) >= _AGREES for box in seen)
        for index, seen in boxes.items()
        if (here := own[index]) is not None
    ]
    return float(np.mean(agree)) if agree else None


def area_jump(areas_px: Sequence[int]) -> float | None:
    """Largest ratio of areas of neighbouring visible frames, 1 or more."""
    ratios = [max(a, b) / min(a, b) for a, b in pairwise(areas_px) if a and b]
    return max(ratios, default=None)


def position_jump(own: Sequence[dm.Box | None]) -> float | None:
    """Largest step of the box between neighbouring visible frames, in diagonals of the larger box."""
    steps = [_step(a, b) for a, b in pairwise(own) if a is not None and b is not None]
    return max(steps, default=None)


def loss_sharpness(footage: Footage, areas_px: Sequence[int]) -> float | None:
    """Sharpness of the first picture without the mask, lowest over all losses, over the median of all
    pictures: well below 1 where blur may have ended the track. None where it was never lost."""
    lost = [i for i in range(1, len(areas_px)) if areas_px[i - 1] and not areas_px[i]]
    if not lost:
        return None
    sharpness = [picture_sharpness(footage, index) for index in range(len(areas_px))]
    typical = float(np.median(sharpness))
    return float(min(sharpness[i] for i in lost) / typical) if typical else None


def appearance_similarity(footage: Footage, masks: NDArray[np.bool_]) -> float | None:
    """Lowest likeness, 0..1, of the colours under the mask on one frame with those on all its frames:
    a track that went over to another thing shows two things' colours. None below two visible frames."""
    shown = [index for index, mask in enumerate(masks) if mask.any()]
    if len(shown) < 2:
        return None
    looks = [histogram(colour_index(footage.images[footage.sampled[i]]), masks[i]) for i in shown]
    usual: Histogram = np.stack(looks).mean(axis=0)
    return min(1.0, *(similarity(look, usual) for look in looks))


def _step(a: dm.Box, b: dm.Box) -> float:
    dx, dy = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    diagonals = [float(np.hypot(box[2] - box[0], box[3] - box[1])) for box in (a, b)]
    return float(np.hypot(dx, dy)) / max(diagonals)
