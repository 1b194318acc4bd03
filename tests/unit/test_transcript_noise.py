"""Noise is no action, and what is told of ways drawn at random is so: the way is the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from strefer_core import data_model as dm
from strefer_core.backends.rules import RulesTranscriber
from strefer_core.stages import transcript
from tests.samples import DURATION_S, HEIGHT_PX, TIMES_S, WIDTH_PX, Actor, BoxAt, path, red, sample, task

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
FLIPPED = {"left": "right", "right": "left"}
FRAMES = len(TIMES_S)
jitter = st.lists(st.tuples(*[st.integers(-2, 2)] * 2), min_size=FRAMES, max_size=FRAMES)
points = st.lists(
    st.tuples(st.floats(10, WIDTH_PX - 50), st.floats(10, HEIGHT_PX - 50)), min_size=2, max_size=5
)


def told(actors: Sequence[Actor]) -> list[dm.TranscriptSegment]:
    return list(transcript.run(task("transcript", sample(actors), RulesTranscriber())).segments)


def shaken(corner: BoxAt, noise: Sequence[tuple[int, int]], lost: Sequence[int] = ()) -> BoxAt:
    """The way with another error on every sampled frame, and no mask at all on some."""

    def at(time: float) -> tuple[float, float] | None:
        frame = TIMES_S.index(time)
        place = corner(time)
        return (
            None
            if frame in lost or place is None
            else (place[0] + noise[frame][0], place[1] + noise[frame][1])
        )

    return at


@settings(max_examples=40, deadline=None)
@forall(noise=jitter, lost=st.sets(st.integers(0, FRAMES // 2 - 1).map(lambda frame: 2 * frame), max_size=4))
def test_a_thing_that_stands_does_nothing_else_whatever_the_noise(
    noise: list[tuple[int, int]], lost: set[int]
) -> None:
    (segment,) = told([red(shaken(path((0, 140, 100)), noise, sorted(lost)))])
    assert {action.kind for action in segment.actions} <= {"stand"}


@settings(max_examples=40, deadline=None)
@forall(noise=jitter)
def test_a_walk_stays_one_walk_whatever_the_noise(noise: list[tuple[int, int]]) -> None:
    (segment,) = told([red(shaken(path((0, 20, 100), (8, 250, 100)), noise))])
    (walk,) = segment.actions
    assert (walk.kind, walk.direction) == ("move", "right")
    assert walk.end_s - walk.start_s > 0.9 * TIMES_S[-1]


def through(corners: Sequence[tuple[float, float]]) -> BoxAt:
    """From point to point in equal times, with a rest at the last one."""
    times = np.linspace(0, DURATION_S - 2, len(corners))
    return path(*((float(t), x, y) for t, (x, y) in zip(times, corners, strict=True)))


def positions(corner: BoxAt, start_s: float, end_s: float) -> np.ndarray:
    """(k, 2) corners, 100 a second."""
    found = [corner(float(t)) for t in np.arange(start_s, end_s, 0.01)]
    return np.array([place for place in found if place is not None])


@settings(max_examples=60, deadline=None)
@forall(corners=points)
def test_what_is_told_of_a_way_is_so(corners: list[tuple[float, float]]) -> None:
    """By the bounds of `strefer_core.claims`, over nine tenths of the time that is named."""
    way = through(corners)
    (segment,) = told([red(way)])
    for action in segment.actions:
        slack_s = 0.05 * (action.end_s - action.start_s)
        places = positions(way, action.start_s + slack_s, action.end_s - slack_s)
        if action.kind == "stand":
            assert np.ptp(places, axis=0).max() <= 0.05 * WIDTH_PX
            continue
        assert action.kind == "move"
        gone = places[-1] - places[0]
        assert np.hypot(*gone) >= 0.02 * WIDTH_PX
        assert gone @ WAYS[str(action.direction)] >= 0.5 * np.hypot(*gone)


@settings(max_examples=40, deadline=None)
@forall(corners=points)
def test_a_mirrored_way_is_told_mirrored(corners: list[tuple[float, float]]) -> None:
    way = _in_whole_pixels(through(corners))
    (one,), (other,) = told([red(way)]), told([red(_mirrored(way))])
    expected = [replace(a, direction=FLIPPED.get(str(a.direction), a.direction)) for a in one.actions]
    assert list(other.actions) == expected


def _in_whole_pixels(corner: BoxAt) -> BoxAt:
    """Drawing rounds to even halves, which has no mirror image."""

    def at(time: float) -> tuple[float, float] | None:
        place = corner(time)
        return None if place is None else (float(round(place[0])), float(round(place[1])))

    return at


def _mirrored(corner: BoxAt) -> BoxAt:
    def at(time: float) -> tuple[float, float] | None:
        place = corner(time)
        return None if place is None else (WIDTH_PX - 40 - place[0], place[1])

    return at
