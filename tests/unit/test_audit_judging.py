"""The judge on worlds drawn by hand: what is right and what is wrong is worked out here, not there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strefer_core import claims as cl
from strefer_core.audit.judging import Judge, Reference
from strefer_core.audit.scene import Interval, TrueScene
from strefer_core.errors import InputError
from strefer_core.world.truth import Decoy, WorldTruth
from tests.true_worlds import (
    DURATION_S,
    Square,
    along,
    backwards,
    between,
    mirrored,
    occludes,
    still,
    world,
)

IT, THAT, THIRD = (cl.Who(region=place) for place in range(3))
WHOLE = (0.0, DURATION_S)
OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}


def pred(kind: str, detail: str | None = None, other: cl.Who | None = None) -> cl.Predicate:
    """ "move left", "at upper", "approach" somebody."""
    if kind == "at":
        return cl.Predicate(kind=kind, place=detail)  # type: ignore[arg-type]
    return cl.Predicate(kind=kind, direction=detail, other=other)  # type: ignore[arg-type]


def does(what: cl.Predicate, span: cl.Span = "through", *, denied: bool = False) -> cl.Does:
    return cl.Does(who=IT, what=what, window="asked", span=span, is_denied=denied)


def kind_of(truth: WorldTruth, claim: cl.Claim, asked: Interval | None = WHOLE) -> str | None:
    """What is wrong with a claim whose regions are e0, e1, ... in order; None: it is right."""
    ids = [one.entity_id for one in truth.entities]
    fault = Judge(truth).fault(claim, Reference(regions=ids, asked=asked, named_ids=frozenset(ids)))
    return fault.kind if fault else None


# Goes right until 2 s, stays until 4 s, goes up and a little left: 100, 0, 75 px/s.
MOVER = Square(way=along((0, 60, 150), (2, 260, 150), (4, 260, 150), (5.5, 230, 40)))
SITTER = Square(way=still(160, 90), colour="blue")
SCENE = world(MOVER, SITTER)

DOES: list[tuple[str, cl.Predicate, Interval, cl.Span, bool]] = [
    ("goes right", pred("move", "right"), (0, 2), "through", True),
    ("moves, somewhere", pred("move"), (0, 2), "through", True),
    ("not left", pred("move", "left"), (0, 2), "through", False),
    ("not up while it goes right", pred("move", "up"), (0, 2), "through", False),
    ("most of the time is enough", pred("move", "right"), (0.5, 3), "through", True),
    ("less is not", pred("move", "right"), (1, 3.5), "through", False),
    ("but sometime", pred("move", "right"), (1, 3.5), "sometime", True),
    ("half a second of it", pred("move", "right"), (1.5, 3.5), "sometime", True),
    ("five pixels are nothing", pred("move", "right"), (1.95, 3.5), "sometime", False),
    ("up, and left within 60 degrees is not left", pred("move", "left"), (4, 5.5), "through", False),
    ("up", pred("move", "up"), (4, 5.5), "through", True),
    ("stands", pred("stand"), (2, 4), "through", True),
    ("stands sometime", pred("stand"), (0, 4), "sometime", True),
    ("does not stand while it goes", pred("stand"), (0, 2), "sometime", False),
    ("at rest nobody moves", pred("move"), (2.1, 3.9), "sometime", False),
    ("on the right", pred("at", "right"), (2, 4), "through", True),
    ("lower", pred("at", "lower"), (0, 4), "through", True),
    ("not upper", pred("at", "upper"), (0, 4), "through", False),
    ("left at first", pred("at", "left"), (0, 0.7), "through", True),
    ("not left in all of it", pred("at", "left"), (0, 2), "through", False),
    ("left at some time", pred("at", "left"), (0, 2), "sometime", True),
    ("in the middle as it passes", pred("at", "middle"), (0.5, 1.5), "through", True),
    ("seen", pred("visible"), (0, 6), "through", True),
    ("never leaves", pred("leave"), (0, 6), "sometime", False),
    ("never appears: it is there", pred("appear"), (0, 6), "sometime", False),
    ("comes nearer to the blue one", pred("approach", other=THAT), (0, 0.9), "through", True),
    ("and goes away from it", pred("move_away", other=THAT), (1.2, 2), "through", True),
    ("not nearer then", pred("approach", other=THAT), (1.2, 2), "sometime", False),
    ("follows nobody who stands", pred("follow", other=THAT), (0, 2), "sometime", False),
    ("no camera, no growing", pred("grow"), (0, 6), "sometime", False),
]


@pytest.mark.parametrize("what", DOES, ids=[case[0] for case in DOES])
def test_what_a_square_does(what: tuple[str, cl.Predicate, Interval, cl.Span, bool]) -> None:
    _, predicate, window, span, holds = what
    assert (kind_of(SCENE, does(predicate, span), window) is None) == holds
    denied = kind_of(SCENE, does(predicate, span, denied=True), window)
    assert denied == ("false_denial" if holds else None)


@pytest.mark.parametrize("what", DOES, ids=[case[0] for case in DOES])
def test_in_a_mirror_left_is_right_and_all_else_is_the_same(
    what: tuple[str, cl.Predicate, Interval, cl.Span, bool],
) -> None:
    _, predicate, window, span, holds = what
    swap = {"left": "right", "right": "left"}
    turned = replace(
        predicate,
        direction=swap.get(predicate.direction or "", predicate.direction),
        place=swap.get(predicate.place or "", predicate.place),
    )
    assert (kind_of(mirrored(SCENE), does(turned, span), window) is None) == holds


BACK = {"enter": "leave", "leave": "enter", "appear": "disappear", "disappear": "appear"}
BACK |= {"approach": "move_away", "move_away": "approach", "grow": "shrink", "shrink": "grow"}


@pytest.mark.parametrize("what", DOES, ids=[case[0] for case in DOES])
def test_a_film_that_runs_backwards_turns_every_way_about(
    what: tuple[str, cl.Predicate, Interval, cl.Span, bool],
) -> None:
    _, predicate, (start_s, end_s), span, holds = what
    turned = replace(predicate, kind=BACK.get(predicate.kind, predicate.kind))
    if predicate.kind == "move" and predicate.direction:
        turned = replace(turned, direction=OPPOSITE[predicate.direction])  # type: ignore[arg-type]
    window = DURATION_S - end_s - 0.025, DURATION_S - start_s - 0.025  # the very same frames
    assert (kind_of(backwards(SCENE), does(turned, span), window) is None) == holds


@pytest.mark.parametrize(
    ("predicate", "window", "kind"),
    [
        (pred("move", "left"), (0, 2), "wrong_action"),
        (pred("move", "up"), (0, 2), "wrong_time"),
        (pred("at", "left"), (3, 4), "wrong_place"),
        (pred("approach", other=THAT), (3, 4), "wrong_time"),
        (pred("grow"), (3, 4), "wrong_action"),
    ],
)
def test_the_kind_of_error_says_what_is_wrong(predicate: cl.Predicate, window: Interval, kind: str) -> None:
    assert kind_of(SCENE, does(predicate), window) == kind


# --- coming and going ---

# Comes in over the left border at about 2 s, goes out at the top at about 5 s.
VISITOR = world(Square(way=along((1, -60, 100), (3, 140, 100), (4, 140, 100), (5.5, 140, -60))))

VISITS: list[tuple[str, cl.Predicate, Interval, bool]] = [
    ("comes in from the left", pred("enter", "left"), (1.4, 1.8), True),
    ("a sampling gap early", pred("enter", "left"), (0.6, 1.4), True),
    ("long before", pred("enter", "left"), (0, 1), False),
    ("long after", pred("enter", "left"), (2.6, 4), False),
    ("not from the right", pred("enter", "right"), (0, 6.2), False),
    ("not from the top", pred("enter", "up"), (0, 6.2), False),
    ("from somewhere", pred("enter"), (0, 6.2), True),
    ("goes out at the top", pred("leave", "up"), (4.5, 5.2), True),
    ("not on the left", pred("leave", "left"), (0, 6.2), False),
    ("appears", pred("appear"), (1.2, 2), True),
    ("disappears", pred("disappear"), (4.5, 5.5), True),
    ("does not disappear before", pred("disappear"), (0, 4), False),
    ("not seen before", pred("visible"), (0, 1), False),
]


@pytest.mark.parametrize("what", VISITS, ids=[case[0] for case in VISITS])
def test_comings_and_goings(what: tuple[str, cl.Predicate, Interval, bool]) -> None:
    _, predicate, window, holds = what
    assert (kind_of(VISITOR, does(predicate, "sometime"), window) is None) == holds
    denied = kind_of(VISITOR, does(predicate, "sometime", denied=True), window)
    assert denied == ("false_denial" if holds else None)


def test_backwards_who_came_in_on_the_left_goes_out_there() -> None:
    back = backwards(VISITOR)
    assert kind_of(back, does(pred("leave", "left"), "sometime")) is None
    assert kind_of(back, does(pred("enter", "up"), "sometime")) is None
    assert kind_of(back, does(pred("enter", "left"), "sometime")) == "wrong_action"


def test_a_cut_is_no_coming_in_and_nothing_moves_across_it() -> None:
    truth = world(
        Square(way=lambda t: (60, 90) if t < 3 else (260, 90)),
        Square(way=between(3, 9, still(160, 60)), colour="blue"),
        cuts_s=(3.0,),
    )
    blue = cl.Who(words="blue square")
    for kind in ("enter", "leave"):
        assert kind_of(truth, cl.Does(who=blue, what=pred(kind), window="video", span="sometime"))
    assert kind_of(truth, does(pred("move", "right"), "sometime")) == "wrong_action"
    assert kind_of(truth, cl.Does(who=blue, what=pred("appear"), window="video", span="sometime")) is None


def test_who_steps_behind_something_disappears_but_does_not_leave() -> None:
    truth = world(Square(way=along((0, 60, 90), (6, 260, 90)), hidden=lambda t: 2 <= t < 4))
    assert kind_of(truth, does(pred("disappear"), "sometime"), (1.5, 2.5)) is None
    assert kind_of(truth, does(pred("appear"), "sometime"), (3.5, 4.5)) is None
    assert kind_of(truth, does(pred("leave"), "sometime")) == "wrong_action"
    assert kind_of(truth, does(pred("move", "right")), (0, 6)) is None, "it comes out further right"


def test_nobody_can_tell_the_ends_of_being_out_of_sight_to_less_than_a_sampling_gap() -> None:
    truth = world(Square(way=still(100, 90), hidden=lambda t: 2 <= t < 4))
    denied = does(pred("visible"), "sometime", denied=True)
    assert kind_of(truth, denied, (2, 4)) is None
    assert kind_of(truth, denied, (1.9, 4.1)) is None
    assert kind_of(truth, denied, (1.5, 4)) == "false_denial"
    assert kind_of(truth, does(pred("visible"), "sometime"), (2.2, 3.8)) == "wrong_visibility"


# --- the camera ---


def test_a_camera_that_pans_moves_nothing_over_the_ground() -> None:
    truth = world(Square(way=still(160, 90)), camera=lambda t: (20 * t, 0))
    assert kind_of(truth, does(pred("stand"))) is None
    assert kind_of(truth, does(pred("move"), "sometime")) == "wrong_action"
    assert kind_of(truth, does(pred("at", "left")), (5, 6)) is None, "places are those in the picture"


def test_who_keeps_pace_with_the_camera_moves_all_the_same() -> None:
    truth = world(Square(way=along((0, 100, 90), (6, 400, 90))), camera=lambda t: (50 * t, 0))
    assert kind_of(truth, does(pred("move", "right"))) is None
    assert kind_of(truth, does(pred("stand"), "sometime")) == "wrong_action"


def test_a_camera_that_comes_nearer_makes_larger_and_nothing_else() -> None:
    truth = world(
        Square(way=still(160, 90)),
        Square(way=still(200, 120), colour="blue"),
        camera=lambda t: (160 * (1 - 1 / (1 + t / 12)), 90 * (1 - 1 / (1 + t / 12))),
        zoom=lambda t: 1 + t / 12,
    )
    assert kind_of(truth, does(pred("grow")), (0, 6)) is None
    assert kind_of(truth, does(pred("shrink"), "sometime")) == "wrong_action"
    assert kind_of(truth, does(pred("grow")), (0, 1)) == "wrong_time", "8 % are not enough"
    assert kind_of(truth, does(pred("move_away", other=THAT), "sometime")) == "wrong_action"
    assert kind_of(truth, does(pred("move"), "sometime")) == "wrong_action"


# --- two ---


def test_who_walks_behind_follows() -> None:
    truth = world(
        Square(way=along((0, 40, 90), (4, 200, 90))),
        Square(way=along((0, 110, 100), (4, 270, 100)), colour="blue"),
        Square(way=along((0, 250, 60), (4, 90, 60)), colour="green"),
    )
    assert kind_of(truth, does(pred("follow", other=THAT)), (0, 4)) is None
    assert kind_of(truth, does(pred("follow", other=THIRD)), (0, 4)) == "wrong_action"
    leads = cl.Does(who=THAT, what=pred("follow", other=IT), window="asked", span="through")
    assert kind_of(truth, leads, (0, 4)) == "wrong_action", "it is ahead"


def test_only_the_one_in_front_passes_in_front() -> None:
    truth = world(
        Square(way=along((0, 60, 90), (6, 260, 90))),
        Square(way=still(160, 90), colour="blue", side_px=20),
        events=[occludes("e0", "e1", 2.4, 3.6)],
    )
    assert kind_of(truth, does(pred("occlude", other=THAT), "sometime"), (2, 4)) is None
    assert kind_of(truth, does(pred("occlude", other=THAT), "sometime"), (4.5, 6)) == "wrong_time"
    hidden = cl.Does(who=THAT, what=pred("occlude", other=IT), window="video", span="sometime")
    assert kind_of(truth, hidden) == "wrong_action"


# --- orders, times, parts ---

RIGHT, UP, STAND = pred("move", "right"), pred("move", "up"), pred("stand")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ((RIGHT, UP), None),
        ((RIGHT, STAND), None),
        ((RIGHT, STAND, UP), None),
        ((UP, RIGHT), "wrong_order"),
        ((STAND, RIGHT), "wrong_order"),
        ((RIGHT, UP, STAND), None),  # after it went up it stands again, from 5.5 s
        ((RIGHT, pred("move", "left")), "wrong_action"),
        ((pred("approach", other=THAT), RIGHT), None),  # at once, as near as frames tell
    ],
)
def test_stories_are_told_in_their_order(told: tuple[cl.Predicate, ...], kind: str | None) -> None:
    assert kind_of(SCENE, cl.Story(who=IT, what=told, window="video")) == kind


@pytest.mark.parametrize(
    ("what", "window", "kind"),
    [
        (RIGHT, (0, 2), None),
        (RIGHT, (0.2, 2.2), None),
        (RIGHT, (0, 3), "wrong_time"),
        (RIGHT, (1, 2), "wrong_time"),
        (RIGHT, (2, 4), "wrong_time"),
        (UP, (4, 5.5), None),
        (STAND, (2, 4), "wrong_time"),  # and once more in the end
        (pred("move", "left"), (0, 2), "wrong_action"),
        (pred("visible"), (0, 6.2), None),
        (pred("visible"), (0, 4), "wrong_time"),
    ],
)
def test_an_answer_in_times_is_the_whole_of_the_one_time(
    what: cl.Predicate, window: Interval, kind: str | None
) -> None:
    assert kind_of(SCENE, cl.Timed(who=IT, what=what), window) == kind


def test_the_one_time_when_it_is_not_seen() -> None:
    truth = world(Square(way=still(100, 90), hidden=lambda t: 2 <= t < 4))
    unseen = cl.Timed(who=IT, what=pred("visible"), is_denied=True)
    assert kind_of(truth, unseen, (2, 4)) is None
    assert kind_of(truth, unseen, (0, 2)) == "wrong_time"
    assert kind_of(SCENE, unseen, (2, 4)) == "wrong_visibility"
    twice = world(Square(way=still(100, 90), hidden=lambda t: 1 <= t < 2 or 4 <= t < 5))
    assert kind_of(twice, unseen, (1, 2)) == "wrong_time"


@pytest.mark.parametrize(
    ("first", "second", "at_once", "kind"),
    [
        (cl.Event(who=IT, what=RIGHT), cl.Event(who=IT, what=UP), False, None),
        (cl.Event(who=IT, what=UP), cl.Event(who=IT, what=RIGHT), False, "wrong_order"),
        (cl.Event(who=IT, what=RIGHT), cl.Event(who=IT, what=STAND), True, None),
        (cl.Event(who=IT, what=RIGHT), cl.Event(who=IT, what=UP), True, "wrong_order"),
        (cl.Event(who=IT, what=RIGHT), cl.Event(who=IT, what=pred("leave")), False, "wrong_action"),
        (cl.Event(who=IT), cl.Event(who=IT, what=UP), False, None),
        (cl.Event(who=IT), cl.Event(who=THAT), False, "wrong_order"),  # both are there from the start
    ],
)
def test_what_comes_before_what(first: cl.Event, second: cl.Event, at_once: bool, kind: str | None) -> None:
    assert kind_of(SCENE, cl.Before(first=first, second=second, at_once=at_once)) == kind


def test_while() -> None:
    truth = world(MOVER, Square(way=along((2, 60, 60), (4, 160, 60)), colour="blue"))
    event = cl.Event(who=THAT, what=RIGHT)
    assert kind_of(truth, cl.While(who=IT, what=STAND, other=event)) is None
    assert kind_of(truth, cl.While(who=IT, what=UP, other=event)) == "wrong_time"
    assert kind_of(truth, cl.While(who=IT, what=pred("leave"), other=event)) == "wrong_action"


@pytest.mark.parametrize(
    ("what", "part", "kind"),
    [
        (RIGHT, "beginning", None),
        (RIGHT, "middle", "wrong_time"),
        (UP, "end", None),
        (UP, "beginning", "wrong_time"),
        (STAND, "middle", "wrong_time"),  # and in the end
        (RIGHT, "throughout", "wrong_time"),
        (pred("visible"), "throughout", None),
        (pred("visible"), "end", "wrong_time"),
    ],
)
def test_thirds(what: cl.Predicate, part: str, kind: str | None) -> None:
    assert kind_of(SCENE, cl.InPart(who=IT, what=what, part=part)) == kind  # type: ignore[arg-type]


LATE = world(
    Square(way=still(60, 90)),
    Square(way=between(2, 9, still(160, 90)), colour="blue"),
    Square(way=between(4, 9, still(260, 90)), colour="green"),
)


@pytest.mark.parametrize(
    ("who", "others", "side", "kind"),
    [
        (THAT, (IT,), "before", None),
        (THAT, (THIRD,), "after", None),
        (THIRD, (IT, THAT), "before", None),
        (THIRD, (IT,), "before", "wrong_order"),
        (THIRD, (), "after", None),
        (IT, (), "before", None),
        (IT, (THAT,), "before", "wrong_order"),
        (THAT, (), "before", "wrong_order"),
    ],
)
def test_who_else_is_seen_before_and_after(
    who: cl.Who, others: tuple[cl.Who, ...], side: str, kind: str | None
) -> None:
    assert kind_of(LATE, cl.Others(who=who, others=others, side=side)) == kind  # type: ignore[arg-type]


# --- words ---

CAST = world(
    Square(way=along((0, 60, 40), (6, 200, 40)), colour="red", size="small", side_px=16),
    Square(way=still(250, 40), colour="red", size="medium"),
    Square(way=still(60, 140), colour="blue", noun="star", pattern="striped"),
    decoys=[
        Decoy(noun="star", generalized_noun="shape", attributes=(("colour", "red"), ("pattern", "plain")))
    ],
)


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("small red square", "e0"),
        ("medium red square", "e1"),
        ("large red square", "e1"),  # beside a small one
        ("blue star", "e2"),
        ("blue shape", "e2"),
        ("blue thing", "e2"),
        ("striped blue star", "e2"),
        ("red square on the left", "e0"),
        ("red square on the right", "e1"),
        ("red square that moves right", "e0"),
        ("object in blue", "e2"),
        ("small moving red square", "e0"),
        ("moving red square", "e0"),
        ("moving blue star", "no_such_entity"),  # it stands
        ("red square", "ambiguous_words"),
        ("shape", "ambiguous_words"),
        ("green square", "no_such_entity"),
        ("spotted blue star", "no_such_entity"),
        ("person in blue", "no_such_entity"),
        ("helicopter", "no_such_entity"),
        ("red star", "no_such_entity"),  # nobody who plays: a thing of the place
        ("fluffy blue star", "no_such_entity"),
        ("red square that moves left", "no_such_entity"),
    ],
)
def test_whom_words_fit(words: str, who: str) -> None:
    claim = cl.Shown(who=(cl.Who(words=words),))
    kind = kind_of(CAST, claim)
    if not who.startswith("e"):
        assert kind == who
        return
    assert kind is None
    is_a = [kind_of(CAST, cl.IsA(who=cl.Who(region=place), words=words)) for place in range(3)]
    assert [f"e{place}" for place, wrong in enumerate(is_a) if wrong is None] == [who]


def test_a_colour_alone_need_not_tell_anybody_apart() -> None:
    assert kind_of(CAST, cl.IsA(who=IT, words="red")) is None
    assert kind_of(CAST, cl.IsA(who=IT, words="blue")) == "wrong_description"
    assert kind_of(CAST, cl.IsA(who=IT, words="red square")) == "ambiguous_words"


def test_who_is_absent_fits_nobody_not_even_a_thing_of_the_place() -> None:
    assert kind_of(CAST, cl.Absent(words="green star")) is None
    assert kind_of(CAST, cl.Absent(words="blue star")) == "not_absent"
    assert kind_of(CAST, cl.Absent(words="red star")) == "not_absent"


# --- references ---


def test_a_region_that_lies_on_nobody_and_one_that_is_not_there() -> None:
    judge = Judge(SCENE)
    given = Reference(regions=[None], asked=WHOLE)
    assert judge.fault(does(STAND), given).kind == "wrong_region"  # type: ignore[union-attr]
    assert judge.fault(does(STAND), Reference(asked=WHOLE)).kind == "malformed"  # type: ignore[union-attr]
    assert kind_of(SCENE, does(STAND), None) == "malformed"


def test_kinds_that_no_table_has_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="nobody knows what 'dance' means"):
        kind_of(SCENE, does(pred("dance")))
    with pytest.raises(ValueError, match="no part 'top'"):
        kind_of(SCENE, does(pred("at", "top")))


def test_a_truth_from_before_is_refused() -> None:
    old = replace(SCENE, entities=tuple(replace(one, ground_px=()) for one in SCENE.entities))
    with pytest.raises(InputError, match="render it again"):
        TrueScene(old)


# --- properties ---


@dataclass(frozen=True)
class Facts:
    """A square's way in steps of one direction each, all clear: 40 px in 0.8 s, then 0.8 s of rest."""

    ways: tuple[str, ...]
    starts_s: tuple[float, ...] = field(default=(0.4, 2.0, 3.6))

    def truth(self) -> WorldTruth:
        x, y, points = 160.0, 90.0, [(0.0, 160.0, 90.0)]
        for way, start_s in zip(self.ways, self.starts_s, strict=True):
            dx, dy = {"left": (-40, 0), "right": (40, 0), "up": (0, -25), "down": (0, 25)}[way]
            points += [(start_s, x, y), (start_s + 0.8, x + dx, y + dy)]
            x, y = x + dx, y + dy
        return world(Square(way=along(*points)))


@given(st.lists(st.sampled_from(sorted(OPPOSITE)), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_clear_ways_are_told_and_their_opposites_are_not(ways: list[str]) -> None:
    facts = Facts(tuple(ways))
    truth = facts.truth()
    for way, start_s in zip(ways, facts.starts_s, strict=True):
        window = (start_s, start_s + 0.8)
        assert kind_of(truth, does(pred("move", way)), window) is None
        for other in set(OPPOSITE) - {way}:
            assert kind_of(truth, does(pred("move", other)), window) in ("wrong_action", "wrong_time")
            assert kind_of(truth, does(pred("move", other), denied=True), window) is None
        assert kind_of(truth, does(STAND), (start_s + 0.8, start_s + 1.6)) is None
    story = cl.Story(who=IT, what=tuple(pred("move", way) for way in ways), window="video")
    assert kind_of(truth, story) is None
    back = cl.Story(who=IT, what=story.what[::-1], window="video")
    assert (kind_of(truth, back) is None) == (ways == ways[::-1])
