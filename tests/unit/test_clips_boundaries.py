"""Scores of borders, from truths made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strefer_core.probe.boundaries import NO_BORDERS, Matches, event_times_s, matched, score
from strefer_core.world.truth import TrueAction, WorldTruth
from tests.true_worlds import Square, still, world

FRAME_S = 0.05  # of these truths


def truth(cuts_s: tuple[float, ...] = (), changes_s: tuple[float, ...] = ()) -> WorldTruth:
    """Somebody enters or leaves, in turn, over 0.4 s around each of the changes."""
    made = world(Square(way=still(100, 90)), cuts_s=cuts_s)
    actions = tuple(
        TrueAction(kind=("enter", "leave")[i % 2], start_s=at - 0.2, end_s=at + 0.2, direction="left")
        for i, at in enumerate(changes_s)
    )
    moves = (TrueAction(kind="move", start_s=0.0, end_s=5.0, direction="right"),)
    return replace(made, entities=(replace(made.entities[0], actions=actions + moves),))


def test_events_are_the_middles_of_entering_and_leaving() -> None:
    assert event_times_s(truth(changes_s=(1.0, 3.0, 3.4, 5.0))) == [pytest.approx(t) for t in (1.0, 3.0, 5.0)]
    assert event_times_s(truth(cuts_s=(2.0,))) == []


@pytest.mark.parametrize(
    ("borders_s", "cuts", "events", "both"),
    [  # (told, right) of two cuts at 2 and 4 s and one event at 3 s
        ((2.0, 4.0), (2, 2), (0, 0), (2, 2)),
        ((2.0, 3.3, 4.0), (2, 2), (1, 1), (3, 3)),
        ((2.0 + FRAME_S, 4.0 - FRAME_S), (2, 2), (0, 0), (2, 2)),
        ((2.0 + 2 * FRAME_S, 4.0), (2, 1), (1, 0), (2, 1)),
        ((2.9, 3.1), (1, 0), (2, 1), (2, 1)),  # one event is told once
        ((5.0,), (1, 0), (1, 0), (1, 0)),
        ((), (0, 0), (0, 0), (0, 0)),
    ],
)
def test_borders_are_right_or_wrong(
    borders_s: tuple[float, ...], cuts: tuple[int, int], events: tuple[int, int], both: tuple[int, int]
) -> None:
    found = score(borders_s, truth(cuts_s=(2.0, 4.0), changes_s=(3.0,)))
    assert found.cuts == Matches(found=cuts[0], true=2, right=cuts[1])
    assert found.events == Matches(found=events[0], true=1, right=events[1])
    assert found.all == Matches(found=both[0], true=3, right=both[1])


def test_figures_and_sums() -> None:
    one = Matches(found=4, true=5, right=3)
    assert (one.precision, one.recall) == (0.75, 0.6)
    assert one.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))
    assert one + one == Matches(found=8, true=10, right=6)
    nothing = NO_BORDERS.all
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, None)


times = st.lists(st.floats(0, 20), max_size=8)


@given(times, times, st.floats(0.01, 2))
def test_matches_use_each_border_once_and_are_the_most(
    told: list[float], true: list[float], tolerance_s: float
) -> None:
    pairs = matched(told, true, tolerance_s)
    assert all(abs(told[a] - true[b]) <= tolerance_s for a, b in pairs)
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    # On a line, taking the earliest partner that fits gives as many pairs as can be.
    waiting, count = sorted(true), 0
    for border in sorted(told):
        fits = [at for at in waiting if abs(at - border) <= tolerance_s]
        if fits:
            waiting.remove(fits[0])
            count += 1
    assert len(pairs) == count
