"""One cascade's masklets on one video against the truth: the figures of each entity.

All of it is counted on the sampled frames, at the video's own size, and for the entities that can be told by
their words and are seen on at least one sampled frame. An entity without a masklet has an empty one.

- J, F: mean over the frames on which the entity is visible in truth or prediction. Frames on which it is in
  neither are left out; DAVIS counts them as 1, which would praise a masklet for what is not there.
- tracked: the mean IoU over the frames on which it is visible in truth is at least 0.5.
- presence accuracy: share of all sampled frames on which visible or not agrees with the truth.
- what a masklet lies on: per frame the true entity with the best IoU, if that is at least 0.5; over all
  frames the one with the most of them. Right where that is the entity that it was given to, wrong where it
  is another or none.
- identity switches: changes of what it lies on, from one frame with a match to the next one with a match.
- fragments: stretches, among the frames on which the entity is visible, that its masklet covers (IoU of at
  least 0.5). Going away and coming back makes no new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.masks import decode, rle_iou
from strefer_core.probe.metrics import boundary_measure
from strefer_core.probe.questions import Kind, Question

MATCH_IOU = 0.5
"""From it a mask lies on a thing, and a masklet is right: the usual bound of detection benchmarks."""

Masks = Sequence[dm.Rle | None]  # one per sampled frame, at display size


@dataclass(frozen=True, kw_only=True)
class EntityFigures:
    """How one entity fared; see the table above."""

    expression: str
    true_id: str
    has_masklet: bool
    j: float
    f: float
    is_tracked: bool
    presence_accuracy: float
    lies_on: str | None  # entity id; None: on none, or no masklet
    identity_switches: int
    fragments: int
    visible_frames: int  # in truth

    @property
    def j_and_f(self) -> float:
        return (self.j + self.f) / 2

    @property
    def is_right(self) -> bool:
        """Whether its masklet lies on it."""
        return self.lies_on == self.true_id


@dataclass(frozen=True, kw_only=True)
class Score:
    """One cascade on one video."""

    entities: tuple[EntityFigures, ...]  # in order of questions
    asked: dict[Kind, int]
    masklets: dict[Kind, int]  # given to names of each kind
    detector_calls: int
    tracked_frames: int
    assigner_calls: int
    seconds: float  # of the cascade, the decoding of frames not among them


def score_entity(question: Question, things: dict[str, Masks], predicted: Masks | None) -> EntityFigures:
    """Figures of one entity that is present.

    Args:
        question: of kind "present".
        things: true masks by entity id, one per sampled frame.
        predicted: of its masklet; None where it has none.
    """
    assert question.true_id is not None
    truth = things[question.true_id]
    masks = predicted or [None] * len(truth)
    overlaps = np.array([rle_iou(a, b) for a, b in zip(truth, masks, strict=True)])
    seen = np.array([mask is not None for mask in truth])
    shown = np.array([mask is not None for mask in masks])
    either = seen | shown
    boundaries = [_boundary(a, b) for a, b, is_there in zip(truth, masks, either, strict=True) if is_there]
    met = matches(things, masks)
    return EntityFigures(
        expression=question.entity.expression,
        true_id=question.true_id,
        has_masklet=bool(shown.any()),
        j=float(overlaps[either].mean()),
        f=float(np.mean(boundaries)),
        is_tracked=bool(overlaps[seen].mean() >= MATCH_IOU),
        presence_accuracy=float((seen == shown).mean()),
        lies_on=_majority(met),
        identity_switches=sum(a != b for a, b in pairwise(met)),
        fragments=_stretches(overlaps[seen] >= MATCH_IOU),
        visible_frames=int(seen.sum()),
    )


def matches(things: dict[str, Masks], masks: Masks) -> list[str]:
    """What a masklet lies on, frame by frame, frames on which it lies on nothing left out."""
    met = []
    for frame, mask in enumerate(masks):
        overlaps = {name: rle_iou(truth[frame], mask) for name, truth in things.items()}
        best = max(overlaps, key=overlaps.__getitem__)
        if overlaps[best] >= MATCH_IOU:
            met.append(best)
    return met


def _boundary(truth: dm.Rle | None, predicted: dm.Rle | None) -> float:
    if truth is None or predicted is None:
        return 0.0
    return boundary_measure(decode(truth), decode(predicted))


def _majority(met: Sequence[str]) -> str | None:
    """The most frequent; of two as frequent ones the one met first."""
    return Counter(met).most_common(1)[0][0] if met else None


def _stretches(covered: NDArray[np.bool_]) -> int:
    starts = np.diff(np.concatenate([[False], covered]).astype(np.int8)) == 1
    return int(starts.sum())
