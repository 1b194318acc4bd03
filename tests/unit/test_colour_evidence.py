"""What the colour of a name says of a masklet, on painted pictures."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from strefer_core.backends.classical.alike import alike_share, strewn_patches, taken_by
from strefer_core.backends.classical.attributes import COLOUR_NAMES, colour_shares
from strefer_core.backends.interfaces import Footage
from strefer_core.cascades.colour_evidence import colour_agreement, colour_margin, shares_of
from tests.painted import footage

RED, BLUE, GREY = (205, 30, 40), (40, 85, 220), (128, 128, 128)
ORANGE, BROWN = (245, 140, 25), (125, 75, 40)
FRAMES, SIDE = 8, 20
Place = tuple[int, int]  # left, top


def film(*things: tuple[Place, tuple[int, int, int]], since: int = 0) -> Footage:
    """Squares on grey; all but the first only from frame `since` on."""
    images = np.full((FRAMES, 100, 160, 3), GREY, np.uint8)
    for number, ((x, y), rgb) in enumerate(things):
        images[since if number else 0 :, y : y + SIDE, x : x + SIDE] = rgb
    return footage(images)


def masks_at(place: Place) -> NDArray[np.bool_]:
    masks = np.zeros((FRAMES, 100, 160), np.bool_)
    masks[:, place[1] : place[1] + SIDE, place[0] : place[0] + SIDE] = True
    return masks


HERE, THERE = (20, 40), (100, 40)


@pytest.mark.parametrize(
    ("rgb", "since", "expected"), [(RED, 0, 1.0), (RED, FRAMES // 2, 0.5), (BLUE, 0, 0.0)]
)
def test_what_looks_alike_and_is_not_tracked_is_noticed(
    rgb: tuple[int, int, int], since: int, expected: float
) -> None:
    shown, own = film((HERE, RED), (THERE, rgb), since=since), masks_at(HERE)
    assert alike_share(shown, own, own, "red", "object") == expected


@pytest.mark.parametrize(
    ("noun", "expected"), [("square", 1.0), ("object", 1.0), ("star", 0.0), ("circle", 0.0)]
)
def test_only_what_the_noun_may_fit_counts(noun: str, expected: float) -> None:
    shown, own = film((HERE, RED), (THERE, RED)), masks_at(HERE)
    assert alike_share(shown, own, own, "red", noun) == expected


def test_a_striped_thing_is_one_patch() -> None:
    shown, own = film((HERE, RED), (THERE, RED)), masks_at(HERE)
    for row in range(THERE[1] + 4, THERE[1] + SIDE, 8):
        shown.images[:, row : row + 4, THERE[0] : THERE[0] + SIDE] = (245, 245, 245)
    assert alike_share(shown, own, own, "red", "object") == 1.0


def test_what_stands_still_is_not_meant_by_a_name_that_moves() -> None:
    shown, own = film((HERE, RED), (THERE, RED)), masks_at(HERE)
    assert alike_share(shown, own, own, "red", "object", is_moving=True) == 0.0
    for number, image in enumerate(shown.images):
        image[THERE[1] : THERE[1] + SIDE, THERE[0] :] = GREY
        left = 60 + 11 * number
        image[THERE[1] : THERE[1] + SIDE, left : left + SIDE] = RED
    moved = alike_share(shown, own, own, "red", "object", is_moving=True)
    assert moved == alike_share(shown, own, own, "red", "object")
    assert moved is not None
    assert moved >= 0.75


def test_what_another_masklet_covers_is_known() -> None:
    shown = film((HERE, RED), (THERE, RED))
    own, other = masks_at(HERE), masks_at(THERE)
    assert alike_share(shown, own, taken_by([own, other]), "red", "object") == 0.0


def test_a_strip_of_ground_is_no_thing() -> None:
    shown, own = film((HERE, RED)), masks_at(HERE)
    shown.images[:, 80:84, :] = RED
    assert alike_share(shown, own, own, "red", "object") == 0.0


def test_a_patch_far_larger_or_smaller_is_no_rival() -> None:
    shown, own = film((HERE, RED)), masks_at(HERE)
    shown.images[:, 10:90, 60:150] = RED
    shown.images[:, 10:16, 30:36] = RED
    assert alike_share(shown, own, own, "red", "object") == 0.0


def test_what_is_strewn_about_is_counted_whatever_its_colour() -> None:
    shown, own = film((HERE, RED), (THERE, BLUE), ((100, 70), ORANGE)), masks_at(HERE)
    assert strewn_patches(shown, own, own) == 2
    assert strewn_patches(shown, own, taken_by([own, masks_at(THERE)])) == 1
    assert strewn_patches(shown, np.zeros_like(own), own) is None


def test_a_name_without_a_known_colour_says_nothing() -> None:
    shown, own = film((HERE, RED)), masks_at(HERE)
    shares = shares_of(shown, own)
    assert alike_share(shown, own, own, None, "object") is None
    assert alike_share(shown, own, own, "mauve", "object") is None
    assert colour_margin(shares, "mauve") is None
    assert colour_agreement(shares, None) is None
    assert colour_margin(shares_of(shown, np.zeros_like(own)), "red") is None


def test_the_margin_is_over_the_strongest_other_colour() -> None:
    shown, own = film((HERE, RED)), masks_at(HERE)
    # Inside the rim, which is left out, 18 rows are counted: 6 of them blue.
    shown.images[:, 40 : 40 + 7, 20 : 20 + SIDE] = BLUE
    shares = shares_of(shown, own)
    assert colour_margin(shares, "red") == pytest.approx(12 / 18 - 6 / 18)
    assert colour_margin(shares, "blue") == pytest.approx(6 / 18 - 12 / 18)
    assert colour_margin(shares, "green") == pytest.approx(-12 / 18)
    assert colour_agreement(shares, "red") == pytest.approx(12 / 18)


@pytest.mark.parametrize(
    ("lit", "lit_rows", "name"),
    [
        (ORANGE, 8, "orange"),
        (ORANGE, 5, "orange"),
        (ORANGE, 2, "brown"),
        (ORANGE, 0, "brown"),
        (RED, 8, "red"),
        (RED, 5, "brown"),  # letters on wood
    ],
)
def test_brown_beside_a_lit_warm_colour_is_its_shade(
    lit: tuple[int, int, int], lit_rows: int, name: str
) -> None:
    picture = np.full((20, 20, 3), BROWN, np.uint8)
    picture[1 : 1 + lit_rows] = lit
    shares = colour_shares(picture, np.ones((20, 20), np.bool_))
    assert COLOUR_NAMES[int(shares.argmax())] == name
    assert shares.sum() == pytest.approx(1.0)
