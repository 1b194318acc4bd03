"""The masklet cascade: its steps one by one, and whole on drawn footage with exact masks."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical import ClassicalPerception
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.config import MaskletsConfig
from strefer_core.masks import decode, tight_box
from strefer_core.pipeline import Filtered, StageTask
from strefer_core.stages.masklets import Assignment, assign, cascade, fill, margin, run, sample
from tests.media import write_video
from tests.painted import Shape, footage, line, paint

OPTIONS: dict[str, Any] = {"batch": 4, "min_score": 0.3, "max_anchors": 3, "min_match": 0.3}


def entity(index: int, expression: str, noun: str, **attributes: str) -> dm.Entity:
    return dm.Entity(
        entity_id=f"ent-{index}", video_id="0" * 16, index=index, expression=expression, noun=noun,
        generalized_noun="shape", attributes=tuple(sorted(attributes.items())),
    )  # fmt: skip


RED_CIRCLE = entity(0, "the red circle", "circle", colour="red")
BLUE_SQUARE = entity(1, "the blue square", "square", colour="blue")


# sample


def test_the_order_is_the_published_one() -> None:
    assert sample(32)[:9] == [15, 7, 23, 3, 11, 19, 27, 1, 5]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32])
def test_every_frame_comes_once(count: int) -> None:
    assert sorted(sample(count)) == list(range(count))


# detect


def box(*noun_scores: float, score: float = 0.8, frame_index: int = 0) -> Detection:
    return Detection(frame_index=frame_index, box=(0, 0, 9, 9), score=score, noun_scores=noun_scores)


@pytest.mark.parametrize(
    ("boxes", "counts", "filled"),
    [
        ([], [1], 0),
        ([box(0.9)], [1], 1),
        ([box(0.9), box(0.9), box(0.9)], [1], 1),  # duplicates of one noun do not end the search
        ([box(0.9, 0.1), box(0.9, 0.1)], [1, 1], 1),
        ([box(0.9, 0.6), box(0.9, 0.1)], [1, 1], 2),  # the first can stand for the second noun
        ([box(0.4)], [1], 0),  # not of that noun
        ([box(0.9)], [0], 0),
        ([box(0.9, 0.0), box(0.8, 0.0), box(0.0, 0.9)], [2, 1], 3),
    ],
)
def test_a_frame_is_full_when_every_noun_has_its_count(
    boxes: list[Detection], counts: list[int], filled: int
) -> None:
    assert fill(boxes, counts)[0] == filled


class Stage:
    """A backend of known things: each is seen on some sampled frames, at a place of its own."""

    def __init__(self, seen: dict[str, range], names: dict[str, str]) -> None:
        self.seen = seen  # thing -> sampled frames on which it is detected
        self.names = names  # thing -> expression that it answers
        self.asked: list[int] = []

    def place(self, thing: str) -> int:
        return 10 * list(self.seen).index(thing)

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        self.asked += frame_indices
        return [
            [
                Detection(
                    frame_index=index,
                    box=(self.place(thing), 0, self.place(thing) + 8, 8),
                    score=0.9,
                    noun_scores=tuple(float(thing.startswith(noun)) for noun in nouns),
                )
                for thing, frames in self.seen.items()
                if index in frames
            ]
            for index in frame_indices
        ]

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        return [self._track(footage, detection) for detection in detections]

    def _track(self, footage: Footage, detection: Detection) -> Track:
        masks = np.zeros(footage.images.shape[:3], bool)
        left = int(detection.box[0])
        thing = next(name for name in self.seen if self.place(name) == left)
        masks[footage.sampled[list(self.seen[thing])], :8, left : left + 8] = True
        return Track(detection=detection, masks=masks, forward_backward_iou=1.0)

    def scores(
        self, footage: Footage, tracks: Sequence[Track], entities: Sequence[dm.Entity]
    ) -> NDArray[np.float64]:
        things = [next(n for n in self.seen if self.place(n) == int(t.detection.box[0])) for t in tracks]
        return np.array(
            [
                [1.0 if self.names.get(thing) == one.expression else 0.1 for thing in things]
                for one in entities
            ]
        )


NAMES = {"circle": "the red circle", "square": "the blue square"}
FILM = footage(np.zeros((64, 10, 40, 3), np.uint8))


def test_the_search_stops_at_the_first_full_frame() -> None:
    stage = Stage(
        {"circle": range(32), "square": range(32)}, {"circle": "the red circle", "square": "the blue square"}
    )
    tracks, assignments = cascade(stage, FILM, [RED_CIRCLE, BLUE_SQUARE], **OPTIONS)
    assert stage.asked == [15, 7, 23, 3]  # one batch
    assert len(tracks) == len(assignments) == 2


def test_things_that_never_meet_get_anchors_of_their_own() -> None:
    stage = Stage(
        {"circle": range(0, 10), "square": range(22, 32)},
        {"circle": "the red circle", "square": "the blue square"},
    )
    tracks, assignments = cascade(stage, FILM, [RED_CIRCLE, BLUE_SQUARE], **OPTIONS)
    starts = {one.entity: tracks[one.track].detection.frame_index for one in assignments}
    assert starts[0] in range(0, 10)
    assert starts[1] in range(22, 32)


def test_boxes_of_another_noun_do_not_end_the_search() -> None:
    stage = Stage(
        {"square": range(32), "square2": range(32), "circle": range(30, 32)}, {"circle": "the red circle"}
    )
    tracks, (found,) = cascade(stage, FILM, [RED_CIRCLE], **OPTIONS)
    assert tracks[found.track].detection.frame_index in (30, 31)


def test_an_entity_that_nothing_answers_has_no_track() -> None:
    stage = Stage({"circle": range(32)}, {"circle": "the red circle"})
    _, assignments = cascade(stage, FILM, [RED_CIRCLE, entity(1, "the green circle", "circle")], **OPTIONS)
    assert [one.entity for one in assignments] == [0]


def test_without_entities_nothing_is_looked_for() -> None:
    stage = Stage({"circle": range(32)}, {})
    assert cascade(stage, FILM, [], **OPTIONS) == ([], [])
    assert stage.asked == []


# assign


class Scores:
    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = rows

    def scores(self, *_: object) -> NDArray[np.float64]:
        return np.array(self.rows)


@pytest.mark.parametrize(
    ("rows", "pairs"),
    [
        ([[0.9, 0.8], [0.85, 0.1]], {0: 1, 1: 0}),  # the best total, not the first come
        ([[0.9, 0.2], [0.8, 0.2]], {0: 0}),  # the other is better off without
        ([[0.2, 0.1]], {}),
        ([[0.6], [0.7]], {1: 0}),
        ([[0.5, 0.6, 0.4]], {0: 1}),
    ],
)
def test_assignment_is_a_matching(rows: list[list[float]], pairs: dict[int, int]) -> None:
    found = assign(Scores(rows), FILM, [], [], 0.3)
    assert {one.entity: one.track for one in found} == pairs


@pytest.mark.parametrize(
    ("scores", "chosen", "expected"), [([0.9, 0.4], 0, 0.5), ([0.6, 0.8], 0, -0.2), ([0.7], 0, None)]
)
def test_margin(scores: list[float], chosen: int, expected: float | None) -> None:
    found = margin(np.array(scores), chosen)
    assert found == (None if expected is None else pytest.approx(expected))


# the whole cascade on drawn footage


def tracked(
    shapes: list[Shape], entities: list[dm.Entity], frame_count: int = 60
) -> tuple[Footage, list[NDArray[np.bool_]], dict[int, Track], list[Assignment]]:
    images, truth = paint(shapes, frame_count)
    film = footage(images)
    tracks, assignments = cascade(ClassicalPerception(), film, entities, **OPTIONS)
    return film, truth, {one.entity: tracks[one.track] for one in assignments}, assignments


def mean_iou(film: Footage, found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Over the sampled frames where one of the two is visible."""
    either = [(found[t] | truth[t]).sum() for t in film.sampled]
    both = [(found[t] & truth[t]).sum() for t in film.sampled]
    return float(np.mean([b / e for b, e in zip(both, either, strict=True) if e]))


CIRCLE = Shape("circle", "red", line((30, 60), (4, 0)))
SQUARE = Shape("square", "blue", line((290, 130), (-4, 0)))


def test_masks_lie_on_the_things() -> None:
    film, truth, found, assignments = tracked([CIRCLE, SQUARE], [RED_CIRCLE, BLUE_SQUARE])
    assert mean_iou(film, found[0].masks, truth[0]) > 0.9
    assert mean_iou(film, found[1].masks, truth[1]) > 0.9
    assert all(one.margin is not None and one.margin > 0.5 for one in assignments)
    assert all((track.forward_backward_iou or 0) > 0.85 for track in found.values())


def test_a_thing_that_leaves_has_empty_masks_from_then_on() -> None:
    film, (truth,), found, _ = tracked(
        [Shape("circle", "red", line((100, 60), (8, 0)))], [RED_CIRCLE]
    )  # gone after frame 30
    gone = [t for t in film.sampled if not truth[t].any()]
    assert len(gone) >= 12
    assert not found[0].masks[gone].any()
    assert mean_iou(film, found[0].masks, truth) > 0.85


def test_a_thing_that_comes_back_is_the_same() -> None:
    def place(t: int) -> tuple[float, float] | None:
        return (200 + 8 * t, 60.0) if t < 20 else (360 - 6 * (t - 30), 70.0) if t > 30 else None

    film, (truth,), found, _ = tracked([Shape("circle", "red", place)], [RED_CIRCLE])
    assert mean_iou(film, found[0].masks, truth) > 0.85


def test_a_thing_that_comes_late_is_reached() -> None:
    late = Shape("square", "blue", lambda t: (-20 + 10 * (t - 40), 130) if t >= 40 else None)
    film, truth, found, _ = tracked([CIRCLE, late], [RED_CIRCLE, BLUE_SQUARE])
    assert mean_iou(film, found[1].masks, truth[1]) > 0.8
    assert not found[1].masks[:38].any()


def test_things_that_pass_in_front_of_each_other_keep_who_they_are() -> None:
    crossing = Shape("square", "blue", line((290, 65), (-4, 0)))
    film, truth, found, _ = tracked([CIRCLE, crossing], [RED_CIRCLE, BLUE_SQUARE])
    assert mean_iou(film, found[0].masks, truth[0]) > 0.75
    assert mean_iou(film, found[1].masks, truth[1]) > 0.75


def test_an_absent_entity_gets_no_mask() -> None:
    _, _, found, _ = tracked([CIRCLE], [RED_CIRCLE, entity(1, "the green star", "star", colour="green")])
    assert set(found) == {0}


# the stage


def task(path: Path, entities: Sequence[dm.Entity]) -> StageTask:
    return StageTask(
        video_id="0" * 16,
        fingerprint="abcdef012345" + "0" * 20,
        video_path=path,
        config=MaskletsConfig(),
        backend=ClassicalPerception(),
        inputs={"entities": dm.EntitiesResult(entities=tuple(entities))},
    )


def test_the_stage_writes_masks_at_display_size(tmp_path: Path) -> None:
    images, (truth,) = paint([CIRCLE], 40)
    large = images.repeat(2, axis=1).repeat(2, axis=2)
    path = write_video(tmp_path / "a.mp4", 40, paint=lambda i: large[i], rate=Fraction(10))
    (masklet,) = run(task(path, [RED_CIRCLE])).masklets
    positions = np.linspace(0, 39, 32).astype(int)
    assert masklet.masklet_id == "msk-abcdef012345-0000"
    assert masklet.entity_id == RED_CIRCLE.entity_id
    assert masklet.frames_pts_s == pytest.approx(positions / 10)
    overlaps = []
    for rle, box, area, position in zip(
        masklet.masks, masklet.boxes_px, masklet.areas_px, positions, strict=True
    ):
        assert rle is not None
        mask = decode(rle)
        assert mask.shape == (360, 640)
        assert box == tight_box(mask)
        assert area == mask.sum()
        wanted = truth[position].repeat(2, axis=0).repeat(2, axis=1)
        overlaps.append((mask & wanted).sum() / (mask | wanted).sum())
    assert np.mean(overlaps) > 0.85
    assert 0.3 <= masklet.detector_score <= 1
    assert masklet.assignment_margin is None  # there was no other track
    assert masklet.forward_backward_iou is not None


@pytest.mark.parametrize("frame_count", [1, 2, 20])
def test_a_video_in_which_nothing_moves_is_filtered(tmp_path: Path, frame_count: int) -> None:
    still, _ = paint([Shape("circle", "red", line((99, 99), (0, 0)))], 1, noise=0.0)
    path = write_video(tmp_path / "a.mp4", frame_count, paint=lambda _: still[0])
    with pytest.raises(Filtered, match="none of 1 entities"):
        run(task(path, [RED_CIRCLE]))
