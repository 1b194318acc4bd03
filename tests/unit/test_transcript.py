"""What things do, told from masks that were drawn: motion, rest, comings and goings, and no noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed, Told
from strefer_core.backends.rules import RulesTranscriber
from strefer_core.config import TranscriptConfig
from strefer_core.errors import BackendError
from strefer_core.stages import transcript
from tests.samples import (
    DURATION_S,
    TIMES_S,
    Actor,
    BoxAt,
    Sample,
    between,
    mover,
    path,
    red,
    rich,
    sample,
    task,
)

FRAME_S = TIMES_S[1] - TIMES_S[0]


def segments_of(given: Sample) -> list[dm.TranscriptSegment]:
    return list(transcript.run(task("transcript", given, RulesTranscriber())).segments)


def kinds(segment: dm.TranscriptSegment) -> list[tuple[str, str | None]]:
    return [(action.kind, action.direction) for action in segment.actions]


def test_a_square_moves_left_then_stops() -> None:
    (segment,) = segments_of(mover())
    assert kinds(segment) == [("move", "left"), ("stand", None)]
    move, stand = segment.actions
    assert move.start_s == 0
    assert move.end_s == pytest.approx(4.0, abs=FRAME_S)
    assert (stand.start_s, stand.end_s) == (move.end_s, TIMES_S[-1])
    assert segment.text == "The red square moves to the left, then stops."


CASES: list[tuple[str, BoxAt, list[tuple[str, str | None]]]] = [
    ("right", path((0, 20, 100), (8, 250, 100)), [("move", "right")]),
    ("up", path((0, 100, 190), (8, 100, 10)), [("move", "up")]),
    ("down", path((0, 100, 10), (8, 100, 190)), [("move", "down")]),
    ("mostly right", path((0, 20, 50), (8, 250, 100)), [("move", "right")]),
    ("slow drift", path((0, 200, 100), (8, 140, 100)), [("move", "left")]),
    ("still", path((0, 100, 100)), [("stand", None)]),
    (
        "there and back",
        path((0, 20, 100), (4, 250, 100), (8, 20, 100)),
        [("move", "right"), ("move", "left")],
    ),
    (
        "in over the right edge",
        between(2, 9, path((2, 330, 100), (4, 200, 100))),
        [("enter", "right"), ("move", "left"), ("stand", None)],
    ),
    (
        "out over the left edge",
        path((0, 150, 100), (3, 150, 100), (5, -45, 100)),
        [("stand", None), ("move", "left"), ("leave", "left")],
    ),
    (
        "all at once",
        between(2, 5, path((0, 100, 100))),
        [("appear", None), ("stand", None), ("disappear", None)],
    ),
]


CASES += [
    (
        "a hop on the way to the right",  # half a hop is no way up
        path((1.03, 60, 150), (1.3, 62, 147), (1.8, 68, 135), (2.06, 75, 125), (2.3, 81, 128), (8, 250, 110)),
        [("stand", None), ("move", "right")],
    ),
    (
        "a sliver at the border goes, which is no leaving, and comes back with all of it",
        lambda t: None if 1.2 <= t < 2.4 else path((0, 314, 100), (3, 314, 100), (6, 150, 100))(t),
        [("appear", None), ("move", "left"), ("stand", None)],
    ),
]


@pytest.mark.parametrize(("name", "corner", "expected"), CASES, ids=[case[0] for case in CASES])
def test_one_thing(name: str, corner: BoxAt, expected: list[tuple[str, str | None]]) -> None:
    (segment,) = segments_of(sample([red(corner)]))
    assert kinds(segment) == expected


def test_growth_is_no_motion() -> None:
    small = sample([red(path((0, 140, 100)))])
    sides = [20 + 4 * i for i in range(len(TIMES_S))]
    corners = [(160 - side / 2, 120 - side / 2) for side in sides]
    drawn = [
        sample([Actor("the red square", "square", path((0, *corner)), side)]).masklets[0]
        for corner, side in zip(corners, sides, strict=True)
    ]
    grown = replace(
        small.masklets[0],
        masks=tuple(m.masks[i] for i, m in enumerate(drawn)),
        boxes_px=tuple(m.boxes_px[i] for i, m in enumerate(drawn)),
        areas_px=tuple(m.areas_px[i] for i, m in enumerate(drawn)),
    )
    (segment,) = segments_of(replace(small, masklets=(grown,)))
    assert ("grow", None) in kinds(segment)
    assert "move" not in {action.kind for action in segment.actions}


def test_nobody_sees_growth_while_the_thing_is_away() -> None:
    """Gone over a border as a small thing and back as a large one: when it grew is not known."""
    away = [None if 2.5 <= t < 5.0 else (100.0, 100.0) for t in TIMES_S]
    small, large = (
        sample([Actor("the red square", "square", between(*seen, path((0, 100, 100))), side_px=side)])
        for seen, side in (((0.0, 2.5), 40), ((5.0, 9.0), 80))
    )
    halves = [large if t >= 5.0 else small for t in TIMES_S]
    masklet = replace(
        small.masklets[0],
        **{
            name: tuple(getattr(half.masklets[0], name)[i] for i, half in enumerate(halves))
            for name in ("masks", "boxes_px", "areas_px")
        },
    )
    assert [mask is None for mask in masklet.masks] == [corner is None for corner in away]
    (segment,) = segments_of(replace(small, masklets=(masklet,)))
    assert not {"grow", "shrink"} & {kind for kind, _ in kinds(segment)}


def test_approach_names_the_nearest_thing_ahead() -> None:
    given = sample(
        [
            red(path((0, 10, 100), (6, 150, 100))),
            Actor("the blue circle", "circle", path((0, 200, 100))),
            Actor("the green star", "star", path((0, 280, 100))),
        ]
    )
    first, *_ = segments_of(given)
    assert first.text == "The red square moves to the right towards the blue circle, then stops."
    towards = [action for action in first.actions if action.kind == "approach"]
    assert [action.other_entity_id for action in towards] == [given.entity_id("circle")]


def test_what_two_do_who_meet() -> None:
    given = sample(
        [
            red(path((0, 10, 100), (3, 120, 100), (4, 120, 100), (7, 10, 100))),
            Actor(
                "the blue circle", "circle", path((0, 280, 100), (3, 170, 100), (4, 170, 100), (7, 280, 100))
            ),
        ]
    )
    square, circle = (given.entity_id(noun) for noun in ("square", "circle"))
    for segment, other in zip(segments_of(given), (circle, square), strict=True):
        between_two = [(a.kind, a.other_entity_id) for a in segment.actions if a.other_entity_id]
        assert between_two == [("approach", other), ("move_away", other)]


def test_passing_by_is_an_approach_only_until_they_are_nearest() -> None:
    given = sample(
        [
            red(path((0, 10, 100), (8, 270, 100))),
            Actor("the ball", "ball", path((0, 140, 60)), 30),
        ]
    )
    square, _ = segments_of(given)
    nearest_s = 8 * 125 / 260  # the middle of the square is above that of the ball
    (to,) = [action for action in square.actions if action.kind == "approach"]
    (off,) = [action for action in square.actions if action.kind == "move_away"]
    assert to.end_s == pytest.approx(nearest_s, abs=FRAME_S)
    assert off.start_s == pytest.approx(nearest_s, abs=FRAME_S)


def test_following_keeps_its_distance() -> None:
    given = sample(
        [
            Actor("the dog", "dog", path((0, 10, 100), (8, 180, 100)), 30),
            Actor("the cat", "cat", path((0, 80, 100), (8, 250, 100)), 30),
        ]
    )
    dog, cat = segments_of(given)
    assert [a.other_entity_id for a in dog.actions if a.kind == "follow"] == [given.entity_id("cat")]
    assert "follow" not in {action.kind for action in cat.actions}


def test_passing_in_front_hides_the_other() -> None:
    front = path((0, 10, 95), (8, 270, 95))

    def behind(t: float) -> tuple[float, float] | None:
        x = front(t)
        assert x is not None
        return None if x[0] <= 130 and x[0] + 50 >= 160 else (130, 105)

    given = sample([Actor("the red box", "box", front, 50), Actor("the ball", "ball", behind, 30)])
    box, ball = segments_of(given)
    hides = [action for action in box.actions if action.kind == "occlude"]
    assert [action.other_entity_id for action in hides] == [given.entity_id("ball")]
    assert {"disappear", "appear"} <= {action.kind for action in ball.actions}
    assert "passes in front of the ball" in str(box.text)


def test_clips_have_their_own_segments_and_frames() -> None:
    given = rich()
    told = segments_of(given)
    assert len(told) == len(given.clips) * len(given.masklets)
    assert len({segment.segment_id for segment in told}) == len(told)
    for segment in told:
        frames = set(TIMES_S)
        for action in segment.actions:
            assert segment.start_s <= action.start_s < action.end_s <= segment.end_s
            assert {action.start_s, action.end_s} <= frames


def test_text_is_none_exactly_where_no_frame_shows_the_thing() -> None:
    given = sample(
        [red(between(5, 9, path((0, 100, 100))))],
        cuts_s=(4.0, TIMES_S[20] + 0.01, TIMES_S[20] + 0.02),  # the third clip lies between two frames
    )
    assert [segment.text is None for segment in segments_of(given)] == [True, False, True, False]


def test_a_clip_with_one_frame_says_no_more_than_that_it_is_seen() -> None:
    given = sample([red(path((0, 100, 100)))], cuts_s=(0.1,))
    assert segments_of(given)[0].text == "The red square can be seen."
    assert segments_of(given)[0].actions == ()


def test_no_masklet_no_segment() -> None:
    given = replace(mover(), masklets=())
    assert segments_of(given) == []


@dataclass
class Babbler:
    """A transcriber that answers with what it is given."""

    answers: list[list[Told]]

    def transcribe(self, seen: Observed, config: TranscriptConfig) -> list[list[Told]]:
        return self.answers


def does(kind: str, start_s: float, end_s: float) -> list[list[Told]]:
    return [[Told(text="It flies.", actions=(dm.Action(kind=kind, start_s=start_s, end_s=end_s),))]]


SILENT = Told(text=None)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([], "answers for 0 clips where 1 were asked"),
        ([[SILENT], [SILENT]], "answers for 2 clips where 1 were asked"),
        ([[SILENT, SILENT]], "2 answers for 1 masklets"),
        (does("fly", 0, 1), "unknown action kind 'fly'"),
        (does("move", 0, DURATION_S + 1), "is not inside"),
        (does("move", 2, 2), "is not inside"),
    ],
)
def test_answers_that_do_not_fit_are_refused(answers: list[list[Told]], message: str) -> None:
    with pytest.raises(BackendError, match=message):
        transcript.run(task("transcript", mover(), Babbler(answers)))


def test_all_that_was_said_is_kept() -> None:
    said = Told(text="It flies.", samples=("It flies.", "It flies.", None), agreement=2 / 3)
    (segment,) = transcript.run(task("transcript", mover(), Babbler([[said]]))).segments
    assert (segment.text, segment.samples, segment.agreement) == (said.text, said.samples, said.agreement)


def test_a_backend_is_shown_all_that_is_known() -> None:
    given = replace(rich(), camera=((1.0, 0.0, 0.0, 0.0, 1.0, 0.0),) * (len(TIMES_S) - 1))
    seen = transcript.observed(task("transcript", given))
    assert (seen.video, seen.clips, seen.camera) == (given.video, given.clips, given.camera)
    assert (seen.entities, seen.masklets) == (given.entities, given.masklets)
