"""Where to look on: gaps, what a look into them is worth, and what colours say of it."""

from __future__ import annotations

import numpy as np
import pytest

from strefer_core.backends.interfaces import Detection, Track
from strefer_core.cascades.doubt import Looks
from strefer_core.cascades.gaps import frames_to_look_at, gaps, worth_of_looks
from strefer_core.cascades.glimpse import Glimpses
from tests.painted import footage


def likely(_: int) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (range(32), []),
        ([], [range(32)]),
        (range(10, 32), [range(10)]),
        ([*range(10), *range(16, 32)], [range(10, 16)]),
        ([*range(10), *range(15, 32)], []),  # shorter than asked for
    ],
)
def test_gaps_are_what_is_not_held(held: list[int], expected: list[range]) -> None:
    assert gaps(held, 32, 6) == expected


def test_the_middle_of_the_largest_unseen_part_is_worth_the_most() -> None:
    worth = worth_of_looks(range(32), [14], likely, is_whole=True)
    assert set(worth) == set(range(32)) - {14}
    assert max(worth, key=lambda index: worth[index]) == 23  # of 15..31; 0..13 is shorter


def test_a_gap_is_looked_into_as_often_as_its_length_deserves() -> None:
    assert worth_of_looks(range(10), [], likely, is_whole=False)
    assert worth_of_looks(range(10), [4], likely, is_whole=False) == {}
    assert worth_of_looks(range(20), [9], likely, is_whole=False)
    assert worth_of_looks(range(32), [3, 7, 11, 15, 19, 23, 27], likely, is_whole=True)


def test_where_nothing_is_likely_nobody_looks() -> None:
    chances = {index: 1.0 if index == 8 else 0.1 for index in range(10)}
    assert list(worth_of_looks(range(10), [], chances.__getitem__, is_whole=False)) == [8]
    assert worth_of_looks(range(10), [], lambda _: 0.0, is_whole=False) == {}


def test_one_frame_that_sees_into_two_gaps_is_better_than_two_frames() -> None:
    assert frames_to_look_at([{3: 1.0, 5: 0.8}, {5: 0.8, 9: 1.0}], 4) == [5]
    assert frames_to_look_at([{3: 1.0}, {9: 2.0}, {}], 4) == [9, 3]
    assert frames_to_look_at([{3: 1.0}, {9: 2.0}], 1) == [9]
    assert frames_to_look_at([], 4) == []


# colours

RED, GREEN = (220, 40, 40), (40, 180, 60)


def film_of(squares: dict[int, tuple[int, int, int]], dim_from: int = 99) -> np.ndarray:
    """A square in one place on some frames, in a colour; the light is low from a frame on."""
    images = np.full((12, 60, 80, 3), (120, 118, 124), np.uint8)
    for frame, colour in squares.items():
        images[frame, 20:40, 30:50] = colour
    images[dim_from:] = images[dim_from:] // 2
    return images


def first_track(images: np.ndarray, frames: range) -> Track:
    masks = np.zeros(images.shape[:3], np.bool_)
    masks[frames.start : frames.stop, 20:40, 30:50] = True
    detection = Detection(
        frame_index=frames.start, box=(30.0, 20.0, 50.0, 40.0), score=0.9, noun_scores=(0.9,)
    )
    return Track(detection=detection, masks=masks, forward_backward_iou=None)


def test_a_lost_thing_is_likely_where_its_colours_are() -> None:
    images = film_of({**dict.fromkeys(range(4), RED), 6: RED, 7: GREEN})
    film = footage(images)
    one = first_track(images, range(3))
    glimpses = Glimpses(film, Looks(film))
    assert glimpses.chance([one], 0, 6) == 1.0
    assert glimpses.chance([one], 0, 7) < 0.25  # something else
    assert glimpses.chance([one], 0, 9) == 0.0  # nothing
    assert glimpses.chance([one], 0, 1) == 0.0  # its own mask is no other thing


def test_what_looks_like_its_surroundings_may_be_anywhere() -> None:
    images = film_of(dict.fromkeys(range(4), (121, 118, 124)))
    film = footage(images)
    assert Glimpses(film, Looks(film)).chance([first_track(images, range(3))], 0, 9) == 1.0


def test_a_change_of_light_raises_no_doubt_and_hides_nothing() -> None:
    images = film_of(dict.fromkeys(range(12), RED), dim_from=6)
    film = footage(images)
    assert not Looks(film).doubtful(first_track(images, range(12))).any()
    assert Glimpses(film, Looks(film)).chance([first_track(images, range(5))], 0, 9) == 1.0
