"""Change points of features, and the features that need no weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strefer_core.backends.clipper.layout import LayoutEmbedder
from strefer_core.stages.changes import Features

STEP_S = 0.2
Floats = NDArray[np.float64]


def features(angles: Floats, change: float = 0.01) -> Features:
    """Unit vectors in a plane, five a second: where nothing but their angle tells them apart."""
    values = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Features(times_s=np.arange(len(angles)) * STEP_S, values=values, change=change)


def changes(angles: Floats, min_s: float = 1.0, change: float = 0.01) -> list[float]:
    return features(angles, change).changes_s(0.0, len(angles) * STEP_S, min_s)


def noise(count: int, size: float, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, size, count)


def step(count: int, at: int, height: float) -> Floats:
    return height * (np.arange(count) >= at)


@given(at=st.integers(10, 40), height=st.floats(0.3, 3.0), seed=st.integers(0, 999))
@settings(max_examples=30)
def test_a_step_is_told_where_it_is(at: int, height: float, seed: int) -> None:
    assert changes(step(50, at, height) + noise(50, 0.01, seed)) == [pytest.approx(at * STEP_S)]


def test_several_steps_are_told() -> None:
    assert changes(step(60, 15, 0.5) + step(60, 40, 0.4)) == [pytest.approx(3.0), pytest.approx(8.0)]


@pytest.mark.parametrize(
    ("name", "angles"),
    [
        ("nothing happens", np.zeros(60)),
        ("noise", noise(60, 0.05)),
        ("a steady drift", np.linspace(0, 1.5, 60)),
        ("a passing look", step(60, 30, 0.5) - step(60, 32, 0.5)),
        ("a small step", step(60, 30, 0.03)),
        ("a step where all is busy", np.cumsum(noise(60, 0.25, 3)) + step(60, 30, 0.5)),
        ("too short to hold two", step(9, 5, 1.0)),
        ("one frame", np.zeros(1)),
        ("no frame", np.zeros(0)),
    ],
)
def test_no_change(name: str, angles: Floats) -> None:
    assert changes(angles) == [], name


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.4, 1.0, 2.0]))
@settings(max_examples=40)
def test_pieces_are_long_enough(seed: int, min_s: float) -> None:
    rng = np.random.default_rng(seed)
    angles = np.repeat(rng.uniform(0, 3, 12), rng.integers(1, 12, 12))
    found = changes(angles, min_s)
    bounds = [0.0, *found, len(angles) * STEP_S]
    assert all(b - a >= min_s - 1e-6 for a, b in pairwise(bounds) if found)


def test_only_the_shot_itself_is_looked_at() -> None:
    seen = features(step(60, 10, 1.0) + step(60, 30, 0.6) + step(60, 50, 1.0))
    assert seen.changes_s(2.0, 10.0, 1.0) == [pytest.approx(6.0)]


def test_the_least_change_is_a_setting() -> None:
    angles = step(60, 30, 0.2)
    assert changes(angles, change=0.01) == [pytest.approx(6.0)]
    assert changes(angles, change=0.5) == []


def test_the_distance_across_a_border_is_that_of_what_lies_next_to_it() -> None:
    seen = features(step(60, 15, 1.0) + step(60, 30, 0.5))
    assert seen.distance((0.0, 6.0), (6.0, 12.0)) == pytest.approx(2 - 2 * np.cos(0.5), abs=1e-6)
    assert seen.distance((0.0, 5.0), (5.0, 6.0)) == pytest.approx(0.0, abs=1e-6)
    assert seen.distance((0.0, 12.0), (12.0, 13.0)) is None


def picture(*things: tuple[int, int, tuple[int, int, int]], shade: int = 120) -> NDArray[np.uint8]:
    image = np.full((180, 320, 3), shade, np.uint8)
    image[:, :, 2] += np.linspace(0, 40, 320).astype(np.uint8)
    for x, y, colour in things:
        image[y : y + 50, x : x + 50] = colour
    return image


RED, GREEN = (220, 40, 40), (40, 190, 60)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    a, b = LayoutEmbedder().embed(np.stack([one, other]))
    return float(((a - b) ** 2).sum())


def test_features_have_unit_norm_whatever_is_shown() -> None:
    rng = np.random.default_rng(0)
    shown = [
        np.zeros((90, 160, 3), np.uint8),
        np.full((90, 160, 3), 255, np.uint8),
        np.broadcast_to(np.array([255, 0, 255], np.uint8), (90, 160, 3)),  # in the outermost bin
        rng.integers(0, 256, (90, 160, 3), dtype=np.uint8),
    ]
    found = LayoutEmbedder().embed(np.stack(shown))
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(4), abs=1e-5)


def test_who_is_there_tells_more_than_where() -> None:
    change = LayoutEmbedder.change
    here, there = picture((20, 20, RED)), picture((230, 100, RED))
    assert apart(here, there) < change / 2
    assert apart(here, picture((20, 20, RED), (200, 90, GREEN))) > 2 * change
    assert apart(here, picture()) > 2 * change


def test_a_dark_and_a_light_place_of_one_colour_differ() -> None:
    assert apart(picture(shade=40), picture(shade=200)) > 2 * LayoutEmbedder.change
