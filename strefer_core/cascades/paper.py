"""The cascade of Strefer (arXiv 2509.03501, Referring Masklet Generator), from its description.

Its steps and thresholds, its weak points included: the count test does not ask which noun a box has; only
the start frame is tracked from and only it decides who is who; a group that contradicts itself is dropped.
Not taken over are two faults of the released script that the description does not ask for: boxes whose
label is two merged nouns count for the noun that they answer to best, and a box belongs to one expression.
"""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.cascades.outcome import Found, Outcome, Perception
from strefer_core.cascades.steps import Search, best_noun, sample, track_boxes
from strefer_core.config import MaskletsConfig

_MIN_SCORE = 0.5  # of a box
_MIN_NOUN_SCORE = 0.3  # the detector's text threshold
_YES = 0.5  # match score from which the referring model lists a box for an expression

Answers = dict[int, list[tuple[int, float]]]  # per entity the tracks that it was answered with, and scores


def cascade(
    perception: Perception, footage: Footage, entities: Sequence[dm.Entity], config: MaskletsConfig
) -> Outcome:
    """Search one start frame, track its boxes both ways, assign on that frame, group by group."""
    search = Search(perception, footage, entities, min_score=_MIN_SCORE)
    start = find_start(search, len(footage.sampled), len(entities)) if entities else []
    tracks = track_boxes(perception, footage, start)
    found: list[Found] = []
    calls = 0
    for noun, name in enumerate(search.nouns):
        wanted = [place for place, entity in enumerate(entities) if entity.generalized_noun == name]
        boxes = [
            place for place, one in enumerate(tracks) if best_noun(one.detection, _MIN_NOUN_SCORE) == noun
        ]
        if len(wanted) == 1 and len(boxes) == 1:
            only = tracks[boxes[0]]
            found.append(Found(entity=wanted[0], track=only, score=only.detection.score, margin=None))
        elif wanted and boxes:
            calls += len(wanted)  # the referring model is asked one expression at a time
            found += _ask(perception, footage, entities, tracks, wanted, boxes)
    return Outcome(
        found=tuple(sorted(found, key=lambda one: one.entity)),
        detector_calls=search.calls,
        tracked_frames=len(footage.sampled) if tracks else 0,
        assigner_calls=calls,
        nouns=tuple(search.nouns),
        boxes=search.found,
    )


def find_start(search: Search, frame_count: int, wanted: int) -> list[Detection]:
    """Boxes of the first frame, middle first, with at least `wanted` of them; else of the richest frame."""
    for index in sample(frame_count):
        search.look([index])
        if len(search.found[index]) >= wanted:
            return search.found[index]
    return max(search.found.values(), key=len, default=[])


def _ask(
    perception: Perception,
    footage: Footage,
    entities: Sequence[dm.Entity],
    tracks: Sequence[Track],
    wanted: Sequence[int],
    boxes: Sequence[int],
) -> list[Found]:
    """One group: every box of the start frame that the referring model lists for an expression."""
    start = tracks[0].detection.frame_index
    asked, shown = [entities[place] for place in wanted], [tracks[place] for place in boxes]
    scores = perception.scores(footage, shown, asked, [start])[0]
    answers: Answers = {
        entity: [
            (box, float(scores[row, column]))
            for column, box in enumerate(boxes)
            if scores[row, column] >= _YES
        ]
        for row, entity in enumerate(wanted)
    }
    return [
        Found(entity=entity, track=tracks[box], score=score, margin=None)
        for entity, (box, score) in resolve(answers).items()
    ]


def resolve(answers: Answers) -> dict[int, tuple[int, float]]:
    """One box per expression: expressions with a single box first, the others take the first one left.

    Two expressions that have only the same single box contradict each other: the whole group is dropped.
    """
    owned: dict[int, tuple[int, float]] = {}
    for entity, listed in answers.items():
        if len(listed) == 1:
            if listed[0][0] in {box for box, _ in owned.values()}:
                return {}
            owned[entity] = listed[0]
    for entity, listed in answers.items():
        if len(listed) > 1:
            taken = {box for box, _ in owned.values()}
            left = [one for one in listed if one[0] not in taken]
            if left:
                owned[entity] = left[0]
    return owned
