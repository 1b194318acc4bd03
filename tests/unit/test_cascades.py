"""The three cascades on puppets: what each must find, and faults known of the released script."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection
from strefer_core.cascades import CASCADES, Outcome, run_cascade
from strefer_core.cascades.anchors import best_anchor, fill
from strefer_core.cascades.paper import resolve
from strefer_core.cascades.steps import box_iou, sample, suppress
from strefer_core.config import MaskletsConfig
from strefer_core.errors import ConfigError
from tests.puppets import FILM, FRAMES, Puppets, entity, rest

GIRL, BOY = entity(0, "the girl", "person"), entity(1, "the boy", "person")
DOG = entity(2, "the dog", "dog")
PERSON = {"person": 0.9}
MATCHES = {
    "the girl": {"girl": 0.9, "boy": 0.3},
    "the boy": {"boy": 0.9, "girl": 0.3},
    "the dog": {"dog": 0.9},
}


def run(name: str, puppets: Puppets, *entities: dm.Entity) -> Outcome:
    puppets.expressions = [one.expression for one in entities]
    return run_cascade(name, puppets, FILM, entities, MaskletsConfig())


def who(puppets: Puppets, outcome: Outcome) -> dict[str, list[str | None]]:
    """Per expression the thing under its mask on every frame."""
    return {
        puppets.expressions[one.entity]: [
            thing_under(puppets, one.track.masks[frame], frame) for frame in range(FRAMES)
        ]
        for one in outcome.found
    }


def thing_under(puppets: Puppets, mask: NDArray[np.bool_], frame: int) -> str | None:
    if not mask.any():
        return None
    return next(name for name in puppets.things if np.array_equal(puppets.mask(name, frame), mask))


def girl_and_boy() -> Puppets:
    return Puppets(
        things={"girl": rest(10, 10), "boy": rest(60, 10)},
        labels={"girl": PERSON, "boy": PERSON},
        answers=MATCHES,
    )


# sample and detect


def test_the_order_is_the_published_one() -> None:
    assert sample(32)[:9] == [15, 7, 23, 3, 11, 19, 27, 1, 5]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32])
def test_every_frame_comes_once(count: int) -> None:
    assert sorted(sample(count)) == list(range(count))


def box(*noun_scores: float, score: float = 0.8, at: tuple[float, ...] = (0, 0, 9, 9)) -> Detection:
    x0, y0, x1, y1 = at
    return Detection(frame_index=0, box=(x0, y0, x1, y1), score=score, noun_scores=noun_scores)


@pytest.mark.parametrize(
    ("boxes", "counts", "filled"),
    [
        ([], [1], 0),
        ([box(0.9)], [1], 1),
        ([box(0.9), box(0.9), box(0.9)], [1], 1),  # duplicates of one noun do not end the search
        ([box(0.9, 0.1), box(0.9, 0.1)], [1, 1], 1),
        ([box(0.9, 0.6), box(0.9, 0.1)], [1, 1], 2),  # the first can stand for the second noun
        ([box(0.3)], [1], 0),  # not of that noun
        ([box(0.9)], [0], 0),
        ([box(0.9, 0.0), box(0.8, 0.0), box(0.0, 0.9)], [2, 1], 3),
    ],
)
def test_a_frame_is_full_when_every_noun_has_its_count(
    boxes: list[Detection], counts: list[int], filled: int
) -> None:
    assert sum(one is not None for one in fill(boxes, counts)) == filled


def test_of_two_full_frames_the_one_with_surer_boxes_is_the_anchor() -> None:
    weak, sure = [box(0.9, score=0.4)], [box(0.9, score=0.9)]
    assert best_anchor(FILM, {3: weak, 5: sure}, [1]) == sure


def test_boxes_of_one_thing_are_one() -> None:
    first, same, other = (
        box(0.9, score=0.8),
        box(0.9, score=0.9, at=(0, 0, 9, 8)),
        box(0.9, at=(20, 0, 29, 9)),
    )
    assert box_iou(first.box, same.box) == pytest.approx(72 / 81)
    assert suppress([first, same, other], 0.7) == [same, other]


# what every cascade does


@pytest.mark.parametrize("name", CASCADES)
def test_things_that_are_always_there_are_found(name: str) -> None:
    puppets = girl_and_boy()
    outcome = run(name, puppets, GIRL, BOY)
    assert who(puppets, outcome) == {"the girl": ["girl"] * FRAMES, "the boy": ["boy"] * FRAMES}
    assert outcome.tracked_frames == FRAMES


@pytest.mark.parametrize("name", CASCADES)
def test_without_entities_nothing_is_looked_for(name: str) -> None:
    puppets = girl_and_boy()
    outcome = run(name, puppets)
    assert outcome.found == ()
    assert puppets.looked_at == []


@pytest.mark.parametrize("name", CASCADES)
def test_where_nothing_is_seen_nothing_is_found(name: str) -> None:
    nobody = Puppets(things={}, labels={}, answers={})
    assert run(name, nobody, GIRL).found == ()


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="known: first_frame, paper, strefer"):
        run("other", girl_and_boy(), GIRL)


@pytest.mark.parametrize("name", ["paper", "strefer"])
def test_one_expression_with_several_boxes_keeps_one_of_them_and_nobody_elses(name: str) -> None:
    """In the released script ids are overwritten when one expression keeps several boxes."""
    puppets = girl_and_boy()
    puppets.things = {"girl": rest(10, 10), "girl2": rest(10, 60), "boy": rest(60, 10), "dog": rest(60, 60)}
    puppets.labels = {"girl": PERSON, "girl2": PERSON, "boy": PERSON, "dog": {"dog": 0.9}}
    puppets.answers = MATCHES | {"the girl": {"girl": 0.9, "girl2": 0.6}}
    found = who(puppets, run(name, puppets, GIRL, BOY, DOG))
    assert found == {"the girl": ["girl"] * FRAMES, "the boy": ["boy"] * FRAMES, "the dog": ["dog"] * FRAMES}


@pytest.mark.parametrize("name", CASCADES)
def test_a_label_of_two_nouns_loses_no_box(name: str) -> None:
    """In the released script a box labelled "person dog" matches no noun and is dropped silently."""
    puppets = Puppets(
        things={"girl": rest(10, 10), "dog": rest(60, 10)},
        labels={"girl": {"person": 0.8, "dog": 0.6}, "dog": {"person": 0.55, "dog": 0.7}},
        answers=MATCHES,
    )
    assert who(puppets, run(name, puppets, GIRL, DOG)) == {
        "the girl": ["girl"] * FRAMES,
        "the dog": ["dog"] * FRAMES,
    }


# the paper's, weak points included


def test_the_paper_stops_at_the_first_frame_with_enough_boxes_of_any_noun() -> None:
    puppets = Puppets(
        things={"girl": rest(10, 10), "girl2": rest(60, 10), "dog": rest(60, 60, range(20, 32))},
        labels={"girl": PERSON, "girl2": PERSON, "dog": {"dog": 0.9}},
        answers=MATCHES,
    )
    outcome = run("paper", puppets, GIRL, DOG)
    assert puppets.looked_at == [15]  # two persons; the dog is not there
    assert [one.entity for one in outcome.found] == [0]


def test_the_paper_takes_the_richest_frame_where_none_has_enough() -> None:
    puppets = girl_and_boy()
    puppets.detected = {"girl": [9, 30], "boy": [9]}
    outcome = run("paper", puppets, GIRL, BOY, DOG)
    assert sorted(puppets.looked_at) == list(range(FRAMES))
    assert {one.track.detection.frame_index for one in outcome.found} == {9}


def test_a_group_of_one_expression_and_one_box_needs_no_question() -> None:
    puppets = Puppets(things={"dog": rest(10, 10)}, labels={"dog": {"dog": 0.9}}, answers={})
    outcome = run("paper", puppets, DOG)
    assert outcome.assigner_calls == 0
    assert puppets.asked == []
    assert [one.entity for one in outcome.found] == [0]


@pytest.mark.parametrize(
    ("answers", "owned"),
    [
        ({0: [5], 1: [6]}, {0: 5, 1: 6}),
        ({0: [5, 6], 1: [5]}, {1: 5, 0: 6}),  # single answers first
        ({0: [5, 6], 1: [5, 6]}, {0: 5, 1: 6}),
        ({0: [5], 1: []}, {0: 5}),
        ({0: [5], 1: [5]}, {}),  # a contradiction
        ({0: [5], 1: [5], 2: [6]}, {}),  # drops the whole group
    ],
)
def test_the_papers_greedy_resolution(answers: dict[int, list[int]], owned: dict[int, int]) -> None:
    scored = {entity: [(box, 0.9) for box in boxes] for entity, boxes in answers.items()}
    assert {entity: box for entity, (box, _) in resolve(scored).items()} == owned


# ours, on the same weak points


def test_boxes_of_another_noun_do_not_end_our_search() -> None:
    puppets = Puppets(
        things={"girl": rest(10, 10), "girl2": rest(60, 10), "dog": rest(60, 60, range(20, 32))},
        labels={"girl": PERSON, "girl2": PERSON, "dog": {"dog": 0.9}},
        answers=MATCHES,
    )
    found = who(puppets, run("strefer", puppets, GIRL, DOG))
    assert found == {"the girl": ["girl"] * FRAMES, "the dog": [None] * 20 + ["dog"] * 12}


def test_a_contradiction_costs_one_entity_and_not_its_group() -> None:
    puppets = girl_and_boy()
    puppets.answers = MATCHES | {"the tall girl": {"girl": 0.6}}
    tall = entity(2, "the tall girl", "person")
    assert run("paper", puppets, GIRL, BOY, tall).found == ()
    assert who(puppets, run("strefer", puppets, GIRL, BOY, tall)) == {
        "the girl": ["girl"] * FRAMES,
        "the boy": ["boy"] * FRAMES,
    }


def test_things_that_never_meet_are_both_tracked() -> None:
    puppets = girl_and_boy()
    puppets.things = {"girl": rest(10, 10, range(10)), "boy": rest(60, 10, range(22, 32))}
    found = who(puppets, run("strefer", puppets, GIRL, BOY))
    assert found == {"the girl": ["girl"] * 10 + [None] * 22, "the boy": [None] * 22 + ["boy"] * 10}
    assert len(run("paper", puppets, GIRL, BOY).found) == 1


def test_a_track_that_does_not_come_back_is_joined_with_one_that_does() -> None:
    puppets = girl_and_boy()
    puppets.things = {"girl": rest(10, 10, [*range(10), *range(18, 32)]), "boy": rest(60, 10)}
    puppets.follows = lambda thing, start, frame: (
        thing if thing == "boy" or (start < 10) == (frame < 14) else None
    )
    found = who(puppets, run("strefer", puppets, GIRL, BOY))
    assert found["the girl"] == ["girl"] * 10 + [None] * 8 + ["girl"] * 14
    lost = who(puppets, run("paper", puppets, GIRL, BOY))["the girl"]
    assert lost.count("girl") < 24


def test_a_switched_identity_is_mended() -> None:
    def cross(x: int, step: int) -> dict[int, tuple[int, int]]:
        return {frame: (x + step * frame, 40) for frame in range(FRAMES)}

    right, left = cross(4, 4), cross(128, -4)
    puppets = girl_and_boy()
    puppets.things = {"girl": right.get, "boy": left.get}
    other = {"girl": "boy", "boy": "girl"}
    puppets.follows = lambda thing, start, frame: thing if (frame >= 17) == (start >= 17) else other[thing]
    found = who(puppets, run("strefer", puppets, GIRL, BOY))
    for name, thing in (("the girl", "girl"), ("the boy", "boy")):
        assert sum(one == thing for one in found[name]) >= FRAMES - 3
    switched = who(puppets, run("paper", puppets, GIRL, BOY))["the girl"]
    assert {"girl", "boy"} <= set(switched)


def test_one_wrong_answer_on_one_frame_changes_nothing() -> None:
    puppets = girl_and_boy()
    wrong = {
        ("the girl", "boy"): 0.95,
        ("the girl", "girl"): 0.2,
        ("the boy", "girl"): 0.95,
        ("the boy", "boy"): 0.2,
    }
    puppets.one_answer = lambda words, thing, frame: wrong.get((words, thing)) if frame == 15 else None
    assert who(puppets, run("strefer", puppets, GIRL, BOY))["the girl"] == ["girl"] * FRAMES
    assert who(puppets, run("paper", puppets, GIRL, BOY))["the girl"] == ["boy"] * FRAMES


def test_an_absent_entity_gets_no_masklet() -> None:
    absent = entity(2, "the man in blue", "person")
    puppets = girl_and_boy()
    puppets.answers = MATCHES | {"the man in blue": {"boy": 0.25, "girl": 0.1}}
    outcome = run("strefer", puppets, GIRL, BOY, absent)
    assert [one.entity for one in outcome.found] == [0, 1]


def test_words_that_fit_two_things_get_neither() -> None:
    puppets = girl_and_boy()
    either = entity(2, "the child", "person")
    puppets.answers = MATCHES | {"the child": {"girl": 0.9, "boy": 0.88}}
    assert [one.entity for one in run("strefer", puppets, GIRL, BOY, either).found] == [0, 1]


def test_no_two_entities_share_a_mask() -> None:
    puppets = girl_and_boy()
    twin = entity(2, "the child", "person")
    puppets.answers = MATCHES | {"the child": {"girl": 0.9, "boy": 0.6}}
    found = who(puppets, run("strefer", puppets, GIRL, BOY, twin))
    for frame in range(FRAMES):
        held = [things[frame] for things in found.values() if things[frame]]
        assert len(held) == len(set(held))


def test_a_full_frame_costs_one_look() -> None:
    puppets = girl_and_boy()
    outcome = run("strefer", puppets, GIRL, BOY)
    assert puppets.looked_at == [15]
    assert outcome.detector_calls == 1
