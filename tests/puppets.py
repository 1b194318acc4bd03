"""A perception of known things for tests of cascades: squares on given places, every answer given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Track
from tests.painted import footage

SIDE_PX = 16
FRAMES = 32
FILM: Footage = footage(np.zeros((FRAMES, 120, 160, 3), np.uint8))

Place = Callable[[int], tuple[int, int] | None]  # frame -> top left corner, or None: not there


def rest(x: int, y: int, seen: Sequence[int] = range(FRAMES)) -> Place:
    """A thing that stays on one spot and is there on some frames only."""
    return lambda frame: (x, y) if frame in seen else None


@dataclass
class Puppets:
    """Things by name; `labels` are noun scores, `answers` match scores by expression and thing.

    `detected` says on which frames a thing has a box (default: where it is). `follows` says on which thing
    a track lies on a frame, by the thing and frame that it began with (default: the same thing).
    """

    things: Mapping[str, Place]
    labels: Mapping[str, Mapping[str, float]]
    answers: Mapping[str, Mapping[str, float]]
    detected: Mapping[str, Sequence[int]] = field(default_factory=dict)
    follows: Callable[[str, int, int], str | None] = lambda thing, start, frame: thing
    one_answer: Callable[[str, str, int], float | None] = lambda expression, thing, frame: None
    expressions: Sequence[str] = ()  # of the entities asked for last
    looked_at: list[int] = field(default_factory=list)
    asked: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def mask(self, thing: str | None, frame: int) -> NDArray[np.bool_]:
        mask = np.zeros(FILM.images.shape[1:3], np.bool_)
        place = self.things[thing](frame) if thing else None
        if place:
            mask[place[1] : place[1] + SIDE_PX, place[0] : place[0] + SIDE_PX] = True
        return mask

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        self.looked_at += frame_indices
        return [
            [self._box(thing, index, nouns) for thing in self.things if self._is_detected(thing, index)]
            for index in frame_indices
        ]

    def _is_detected(self, thing: str, index: int) -> bool:
        return self.things[thing](index) is not None and index in self.detected.get(thing, range(FRAMES))

    def _box(self, thing: str, index: int, nouns: Sequence[str]) -> Detection:
        place = self.things[thing](index)
        assert place is not None
        named = self.labels[thing]
        return Detection(
            frame_index=index,
            box=(place[0], place[1], place[0] + SIDE_PX, place[1] + SIDE_PX),
            score=0.9,
            noun_scores=tuple(named.get(noun, 0.0) for noun in nouns),
        )

    def thing_at(self, detection: Detection) -> str:
        corner = (int(detection.box[0]), int(detection.box[1]))
        return next(name for name, place in self.things.items() if place(detection.frame_index) == corner)

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        return [self._track(detection) for detection in detections]

    def _track(self, detection: Detection) -> Track:
        thing = self.thing_at(detection)
        followed = [self.follows(thing, detection.frame_index, frame) for frame in range(FRAMES)]
        masks = np.stack([self.mask(one, frame) for frame, one in enumerate(followed)])
        return Track(detection=detection, masks=masks, forward_backward_iou=1.0)

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        self.asked += [(index, tuple(one.expression for one in entities)) for index in frame_indices]
        return np.array(
            [
                [[self._score(one.expression, track, index) for track in tracks] for one in entities]
                for index in frame_indices
            ]
        )

    def _score(self, expression: str, track: Track, index: int) -> float:
        mask = track.masks[index]
        if not mask.any():
            return float("nan")
        thing = next(name for name in self.things if np.array_equal(self.mask(name, index), mask))
        special = self.one_answer(expression, thing, index)
        return self.answers.get(expression, {}).get(thing, 0.05) if special is None else special


def entity(index: int, expression: str, noun: str) -> dm.Entity:
    """An entity whose generalized noun is `noun`."""
    return dm.Entity(
        entity_id=f"ent-{index}", video_id="0" * 16, index=index, expression=expression, noun=noun,
        generalized_noun=noun,
    )  # fmt: skip
