"""What the cascades share: the order of frames, looking at them once, and boxes of one thing told apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Detector, Footage, Track, Tracker


def sample(count: int) -> list[int]:
    """Indices 0..count-1 in the order of a balanced binary tree, top down: 15, 7, 23, 3, ... for 32.

    Middle frames come first: a thing is most often in view there, and both directions are short.
    """
    order: list[int] = []
    spans = deque([(0, count)])
    while spans:
        start, stop = spans.popleft()
        if start < stop:
            middle = (start + stop - 1) // 2
            order.append(middle)
            spans += [(start, middle), (middle + 1, stop)]
    return order


class Search:
    """Looks at sampled frames, at each of them once at most, and remembers the boxes.

    Boxes are found by generalized nouns, as the paper has it. With `specific`, the same call asks for the
    entities' own nouns as well: a box answers to a generalized noun by the best of both, and what it
    answered to the specific ones is kept in `named`.
    """

    def __init__(
        self,
        detector: Detector,
        footage: Footage,
        entities: Sequence[dm.Entity],
        *,
        min_score: float,
        specific: bool = False,
    ) -> None:
        self.nouns = sorted({entity.generalized_noun for entity in entities})
        self.found: dict[int, list[Detection]] = {}  # by frame index; `noun_scores` by `nouns`
        self.named: dict[Detection, dict[str, float]] = {}  # by a box of `found`: score per specific noun
        self._detector, self._footage, self._min_score = detector, footage, min_score
        self._kinds = {entity.noun: entity.generalized_noun for entity in entities} if specific else {}
        self._asked = [*self.nouns, *sorted(self._kinds.keys() - set(self.nouns))]

    @property
    def calls(self) -> int:
        """Frames that the detector looked at."""
        return len(self.found)

    def look(self, indices: Sequence[int]) -> None:
        """Look at frames in one call of the detector; boxes below the least score are dropped."""
        fresh = [index for index in indices if index not in self.found]
        if not fresh:
            return
        answers = self._detector.detect(self._footage, fresh, self._asked)
        for index, boxes in zip(fresh, answers, strict=True):
            self.found[index] = [self._taken(box) for box in boxes if box.score >= self._min_score]

    def _taken(self, box: Detection) -> Detection:
        """The box with a score per generalized noun; its specific ones are noted."""
        scores = dict(zip(self._asked, box.noun_scores, strict=True))
        general = tuple(
            max(scores[noun], *(scores[own] for own, kind in self._kinds.items() if kind == noun), 0.0)
            for noun in self.nouns
        )
        taken = replace(box, noun_scores=general)
        self.named[taken] = {noun: scores[noun] for noun in self._kinds}
        return taken


def best_noun(box: Detection, min_noun_score: float) -> int | None:
    """Place of the noun that a box answers to best; None where it answers to none of them."""
    place = int(np.argmax(box.noun_scores))
    return place if box.noun_scores[place] >= min_noun_score else None


def box_iou(a: dm.Box, b: dm.Box) -> float:
    """Intersection over union of two half-open boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(a) + _area(b) - both)


def suppress(boxes: Sequence[Detection], max_iou: float) -> list[Detection]:
    """Greedy non-maximum suppression over all nouns: of boxes that overlap, the one with the best score."""
    kept: list[Detection] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(box_iou(box.box, other.box) <= max_iou for other in kept):
            kept.append(box)
    return kept


def track_boxes(tracker: Tracker, footage: Footage, boxes: Sequence[Detection]) -> list[Track]:
    """Carry boxes forward and backward; tracks that are on no sampled frame are left out."""
    if not boxes:
        return []
    return [one for one in tracker.track(footage, boxes) if one.masks[footage.sampled].any()]


def score_on(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over frames (F, E, K) -> (E, K); 0 where a track is on none of them."""
    seen = ~np.isnan(scores)
    count = seen.sum(axis=0)
    return np.asarray(np.where(seen, scores, 0).sum(axis=0) / np.maximum(count, 1))


def _area(box: dm.Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
