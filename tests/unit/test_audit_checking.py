"""Whole pairs held against worlds drawn by hand: form, regions, words, and what they take for granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from strefer_core import data_model as dm
from strefer_core.audit.checking import Checker, Verdict
from strefer_core.audit.judging import Judge
from strefer_core.world.truth import WorldTruth
from tests.samples import box_of, encode
from tests.true_worlds import DURATION_S, HEIGHT_PX, WIDTH_PX, Square, along, still, world

RED = Square(way=along((0, 40, 90), (3, 220, 90)), noun="square")  # goes right until 3 s, then stays
BLUE = Square(
    way=still(260, 40), colour="blue", noun="circle", hidden=lambda t: 2 <= t < 4
)  # out of sight for two seconds
SCENE = world(RED, BLUE)


def entities_of(truth: WorldTruth) -> list[dm.Entity]:
    return [
        dm.Entity(
            entity_id=f"ent-{i}",
            video_id="v",
            index=i,
            expression=one.expression,
            noun=one.noun,
            generalized_noun=one.generalized_noun,
            attributes=one.attributes,
        )
        for i, one in enumerate(truth.entities)
    ]


def masklet(entity_id: str, masks: Sequence[dm.Rle | None], times_s: Sequence[float]) -> dm.Masklet:
    return dm.Masklet(
        masklet_id=f"m-{entity_id}",
        video_id="v",
        entity_id=entity_id,
        frames_pts_s=tuple(times_s),
        masks=tuple(masks),
        boxes_px=(None,) * len(masks),
        areas_px=(0,) * len(masks),
        detector_score=1.0,
        assignment_margin=None,
        start_frame_index=0,
        forward_backward_iou=None,
    )


def masklets_of(truth: WorldTruth) -> list[dm.Masklet]:
    frames = np.linspace(0, len(truth.frames_pts_s) - 1, dm.FRAME_COUNT).round().astype(int).tolist()
    times = [truth.frames_pts_s[frame] for frame in frames]
    return [
        masklet(f"ent-{i}", [one.masks[frame] for frame in frames], times)
        for i, one in enumerate(truth.entities)
    ]


def pair(
    *texts: str, regions: Sequence[int] = (), asked: tuple[float, float] | None = None
) -> dm.Instruction:
    roles = ("human", "gpt") * len(texts)
    return dm.Instruction(
        instruction_id="i",
        video_id="v",
        group="G3",
        task_type="event_at_time",
        turns=tuple(dm.Turn(role=role, text=text) for role, text in zip(roles, texts, strict=False)),  # type: ignore[arg-type]
        region_entity_ids=tuple(f"ent-{place}" for place in regions),
        start_s=asked[0] if asked else None,
        end_s=asked[1] if asked else None,
        template_id="t.f.0.answers.0",
    )


def check(given: dm.Instruction, masklets: Sequence[dm.Masklet] | None = None) -> Verdict:
    shown = masklets_of(SCENE) if masklets is None else masklets
    return Checker(Judge(SCENE), entities_of(SCENE), shown).check(given)


def kinds(given: dm.Instruction, masklets: Sequence[dm.Masklet] | None = None) -> list[str]:
    return [fault.kind for fault in check(given, masklets).faults]


WHAT = "What is the red square doing between <start_time> and <end_time>?"
WHERE = "Where is the <region> between <start_time> and <end_time>?"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pair(WHAT, "It moves to the right.", asked=(0, 3)), []),
        (pair(WHAT, "It moves to the left.", asked=(0, 3)), ["wrong_action"]),
        (pair(WHAT, "It moves to the right.", asked=(3.5, 6)), ["wrong_time"]),
        (pair(WHAT, "It moves to the right, then stops.", asked=(0, 6)), []),
        (pair(WHAT, "It stays in place, then moves to the right.", asked=(0, 6)), ["wrong_order"]),
        (pair("Does the red square ever move to the left?", "Yes."), ["wrong_action"]),
        (pair("Does the red square ever move to the left?", "No."), []),
        (pair("Does the red square ever move to the right?", "No."), ["false_denial"]),
        (pair("What is the green star doing in the video?", "It moves to the left."), ["no_such_entity"]),
        (pair(WHERE, "On the right side of the picture.", regions=[0], asked=(4, 6)), []),
        (pair(WHERE, "On the left side of the picture.", regions=[0], asked=(4, 6)), ["wrong_place"]),
        (pair(WHAT, "It hums a tune.", asked=(0, 3)), ["unreadable"]),
    ],
)
def test_what_a_pair_says_is_held_against_the_truth(given: dm.Instruction, expected: list[str]) -> None:
    assert kinds(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        pair(WHAT, "It moves to the right."),
        pair(WHAT, "It moves to the right.", asked=(3, 0)),
        pair(WHAT, "It moves to the right.", asked=(0, DURATION_S + 1)),
        pair("Does the red square ever move?", "Yes.", asked=(0, 3)),
        pair(WHERE, "On the right side of the picture.", asked=(4, 6)),
        pair(WHERE, "On the right side of the picture.", regions=[0, 1], asked=(4, 6)),
        pair(WHERE, "On the right side of the picture.", regions=[7], asked=(4, 6)),
        pair("Does the red square ever move to the right?"),
        pair(),
    ],
)
def test_regions_and_times_must_fit_the_text(given: dm.Instruction) -> None:
    assert kinds(given) == ["malformed"]


def test_a_region_is_whomever_its_masklet_lies_on_whatever_its_entity_is_called() -> None:
    red, blue = masklets_of(SCENE)
    swapped = [replace(blue, entity_id="ent-0"), replace(red, entity_id="ent-1")]
    moves = pair("Does the <region> ever move to the right?", "Yes.", regions=[0])
    assert kinds(moves) == []
    assert kinds(moves, swapped) == ["wrong_action"]


def test_a_masklet_must_lie_on_somebody_on_most_of_its_frames() -> None:
    red, blue = masklets_of(SCENE)
    grid = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    grid[150:170, 10:30] = 1
    assert box_of(grid) == (10, 150, 30, 170)
    elsewhere = encode(grid)
    moves = pair("Does the <region> ever move to the right?", "Yes.", regions=[0])
    for strays, expected in ((15, []), (16, ["wrong_region"])):
        astray = replace(red, masks=(elsewhere,) * strays + red.masks[strays:])
        assert kinds(moves, [astray, blue]) == expected, strays


def test_what_a_question_takes_for_granted_must_hold() -> None:
    unseen = pair(
        "Is the blue circle moving to the left between <start_time> and <end_time>?", "No.", asked=(2.3, 3.7)
    )
    assert kinds(unseen) == ["wrong_visibility"]
    said = pair(
        "What is the blue circle doing between <start_time> and <end_time>?",
        "The blue circle is not visible from <start_time> to <end_time>.",
        asked=(2.3, 3.7),
    )
    assert kinds(said) == []
    assert kinds(replace(unseen, start_s=4.5, end_s=6.0)) == []


def test_a_leak_is_a_fault_and_comes_with_what_is_given_away() -> None:
    leaky = pair("Does the red <region> ever move to the right?", "Yes.", regions=[0])
    assert "red" in check(leaky).leaked
    assert "leak" in kinds(leaky)


def test_what_was_said_before_can_leak_too() -> None:
    talk = pair(
        "What is the <region>?",
        "It is a red square.",
        "Which colour is <region>?",
        "Red.",
        regions=[0, 0],
    )
    assert "red" in check(talk).leaked
    assert not check(pair("Which colour is <region>?", "Red.", regions=[0])).leaked


def test_every_fault_names_the_claim_that_it_is_about() -> None:
    (fault,) = check(pair(WHAT, "It moves to the left.", asked=(0, 3))).faults
    assert "kind='move'" in fault.claim
    assert "direction='left'" in fault.claim
    assert "e0 move left through 0.00-3.00 s; truly never" in fault.why
