"""The classical tracker on drawn footage: what passes, hides, swaps, creeps and comes apart."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical import ClassicalPerception
from strefer_core.backends.classical.scene import analyse
from strefer_core.backends.classical.templates import Template
from strefer_core.backends.classical.tracking import in_contact
from strefer_core.backends.interfaces import Detection, Footage, Track
from tests.painted import HEIGHT_PX, WIDTH_PX, Mask, Place, Shape, footage, ground, line, paint

Masks = NDArray[np.bool_]  # (T, H, W)


def overlap(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def mean_overlap(film: Footage, track: Track, truth: Masks) -> float:
    """Over the sampled frames where one of the two is visible."""
    seen = [t for t in film.sampled if track.masks[t].any() or truth[t].any()]
    return float(np.mean([overlap(track.masks[t], truth[t]) for t in seen]))


def box_of(mask: Mask) -> dm.Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def track_from(film: Footage, truth: list[Masks], index: int, which: list[int]) -> list[Track]:
    """Tracks begun with the true boxes on one sampled frame."""
    boxes = [box_of(truth[number][film.sampled[index]]) for number in which]
    wanted = [Detection(frame_index=index, box=box, score=1.0, noun_scores=(1.0,)) for box in boxes]
    return ClassicalPerception().track(film, wanted)


def forth_and_back(start: tuple[float, float], step: float, turn: int) -> Place:
    return lambda t: (start[0] + step * (t if t < turn else 2 * turn - t), start[1])


@pytest.mark.parametrize("front", [0, 1])
@pytest.mark.parametrize("colours", [("red", "blue"), ("red", "red")])
def test_things_that_pass_each_other_keep_their_identity(colours: tuple[str, str], front: int) -> None:
    pair = [
        Shape("circle", colours[0], line((40, 85), (4, 0)), radius_px=24),
        Shape("square", colours[1], line((280, 95), (-4, 0)), radius_px=30),
    ]
    images, drawn = paint(pair if front else pair[::-1], 60)
    truth = drawn if front else drawn[::-1]
    film = footage(images)
    for track, masks in zip(track_from(film, truth, 3, [0, 1]), truth, strict=True):
        assert mean_overlap(film, track, masks) > 0.8
        assert track.forward_backward_iou is not None
        assert track.forward_backward_iou > 0.7


def test_a_thing_that_vanishes_behind_another_comes_out_again() -> None:
    small = Shape("circle", "yellow", line((30, 90), (4, 0)), radius_px=16)
    large = Shape("square", "blue", forth_and_back((170, 90), 0.6, 30), radius_px=50)
    images, truth = paint([small, large], 64)
    film = footage(images)
    assert any(not truth[0][t].any() for t in film.sampled)
    tracks = track_from(film, truth, 2, [0, 1])
    assert mean_overlap(film, tracks[0], truth[0]) > 0.8
    assert mean_overlap(film, tracks[1], truth[1]) > 0.8
    hidden = [t for t in film.sampled if not truth[0][t].any()]
    assert np.mean([tracks[0].masks[t].any() for t in hidden]) <= 0.3


def test_a_thing_that_is_not_asked_for_is_not_swallowed() -> None:
    """Two of one colour meet, and only one of them is to be tracked."""
    pair = [
        Shape("circle", "red", line((40, 90), (4, 0)), radius_px=18),
        Shape("square", "red", line((280, 90), (-4, 0)), radius_px=38),
    ]
    images, truth = paint(pair, 60)
    film = footage(images)
    (track,) = track_from(film, truth, 3, [1])
    assert mean_overlap(film, track, truth[1]) > 0.8


def test_a_kicked_ball_is_found_where_it_flies() -> None:
    """It turns round between two frames while it touches something larger."""

    def bounce(t: int) -> tuple[float, float]:
        return 160.0, 30.0 + 22.0 * abs((t + 2) % 8 - 4)

    player = Shape("square", "blue", lambda t: (160 + 2 * np.sin(t / 3), 90), radius_px=75)
    ball = Shape("circle", "yellow", bounce, radius_px=13)
    images, truth = paint([player, ball], 48)
    film = footage(images)
    tracks = track_from(film, truth, 4, [0, 1])
    assert mean_overlap(film, tracks[0], truth[0]) > 0.8
    assert mean_overlap(film, tracks[1], truth[1]) > 0.8


def test_what_creeps_does_not_become_background() -> None:
    """The middle of the square is red all the time."""

    def creeps(t: int) -> tuple[float, float]:
        return 100 + 0.5 * t, 70 + 0.5 * t

    images, (truth,) = paint([Shape("square", "red", creeps, radius_px=30)], 80)
    scene = analyse(footage(images))
    inside = [(scene.foreground[t][truth[t]] > 140).mean() for t in range(5, 75, 10)]
    assert np.mean(inside) > 0.8


def test_what_rested_longer_than_it_was_away_is_taken_out_of_the_background() -> None:
    def rests(t: int) -> tuple[float, float]:
        return (60.0 + 6 * min(t, 15), 90.0)

    images, (truth,) = paint([Shape("circle", "red", rests)], 60)
    scene = analyse(footage(images))
    assert overlap(scene.foreground[50] > 140, truth[50]) > 0.7
    assert (scene.foreground[2] > 140)[truth[50]].mean() < 0.1


def test_a_box_holds_the_thing_before_another_one() -> None:
    """Foreground goes on around the ball's box: the player's chest is not the ball."""
    player = Shape("square", "blue", line((150, 90), (1.5, 0)), radius_px=70)
    ball = Shape("circle", "yellow", line((140, 80), (2.5, 0.5)), radius_px=16)
    images, truth = paint([player, ball], 40)
    film = footage(images)
    tracks = track_from(film, truth, 16, [0, 1])
    t = film.sampled[16]
    for track, masks in zip(tracks, truth, strict=True):
        assert overlap(track.masks[t], masks[t]) > 0.85


def test_what_comes_apart_was_two_things() -> None:
    pair = [
        Shape("circle", "red", line((150, 90), (-2, 0)), radius_px=30),
        Shape("circle", "red", line((170, 90), (2, 0)), radius_px=20),
    ]
    images, truth = paint(pair, 50)
    film = footage(images)
    both = box_of(truth[0][film.sampled[0]] | truth[1][film.sampled[0]])
    start = Detection(frame_index=0, box=both, score=1.0, noun_scores=(1.0,))
    (track,) = ClassicalPerception().track(film, [start])
    last = film.sampled[-2]
    assert overlap(track.masks[last], truth[0][last]) > 0.8


# templates


def scenery() -> tuple[NDArray[np.uint8], Mask]:
    """A frame with a red disc of radius 15 at (100, 60), and its mask."""
    image = ground(seed=5)
    x, y = np.meshgrid(np.arange(WIDTH_PX), np.arange(HEIGHT_PX))
    mask = (x - 100) ** 2 + (y - 60) ** 2 < 15**2
    image[mask] = (222, 38, 44)
    return image, mask


def test_a_template_finds_its_shift() -> None:
    image, mask = scenery()
    moved = cv2.warpAffine(image, np.float64([[1, 0, 13], [0, 1, -9]]), (WIDTH_PX, HEIGHT_PX))
    foreground = np.roll(mask, (-9, 13), axis=(0, 1)).astype(np.uint8) * 255
    shift, fit = Template.cut(image, mask).search(moved, foreground, 20)
    assert shift.tolist() == [13, -9]
    assert fit > 0.95
    explained = np.ones(mask.shape, np.float32)
    assert Template.cut(image, mask).search(moved, foreground, 20, explained)[1] <= 0


def test_a_template_keeps_what_others_hide() -> None:
    image, mask = scenery()
    template = Template.cut(image, mask)
    front = mask.copy()
    front[:, :100] = False
    covered = np.where(front[..., None], np.uint8(0), image)
    renewed = template.renewed(covered, mask & ~front, front, float(mask.sum()))
    assert np.array_equal(renewed.spread(mask.shape), mask)
    assert renewed.agreement(image)[mask].min() == 1.0
    assert renewed.agreement(covered)[front].max() == 0.0
    assert template.renewed(covered, mask & False, mask & False, float(mask.sum())) is template


def test_templates_may_leave_the_frame() -> None:
    image, mask = scenery()
    away = Template.cut(image, mask).moved(np.array([-1000.0, 0.0]))
    assert not away.spread(mask.shape).any()
    nothing = Template.cut(image, mask & False)
    assert nothing.search(image, mask.astype(np.uint8), 5) == (pytest.approx([0, 0]), 0.0)


def test_contact_is_told_by_distance() -> None:
    image, mask = scenery()
    here = Template.cut(image, mask)
    near, far = here.moved(np.array([32.0, 0.0])), here.moved(np.array([80.0, 0.0]))
    assert in_contact([here, near, far], mask.shape) == [True, True, False]


@pytest.mark.parametrize("index", [1, 9])
def test_what_was_hidden_by_something_fast_is_found_again(index: int) -> None:
    """On the frame in the middle the circle is behind the square; on the next the two are far apart."""
    pair = [
        Shape("circle", "red", line((60, 90), (20, 0)), radius_px=12),
        Shape("square", "blue", line((260, 90), (-20, 0)), radius_px=26),
    ]
    images, truth = paint(pair, 11)
    film = footage(images)
    circle, square = track_from(film, truth, index, [0, 1])
    assert not truth[0][5].any()
    assert not circle.masks[5].any()
    assert overlap(square.masks[5], truth[1][5]) > 0.8
    assert all(overlap(circle.masks[t], truth[0][t]) > 0.5 for t in (1, 9))
