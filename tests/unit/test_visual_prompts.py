"""What visual prompts draw, and where; and that they draw nowhere else."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strefer_core.visual_prompts import Mark, mark_regions, number_frames, place_marks

HEIGHT, WIDTH = 180, 320


def ground(shade: int | None) -> np.ndarray:
    """A plain picture, or noise where `shade` is None."""
    if shade is None:
        return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return np.full((HEIGHT, WIDTH, 3), shade, np.uint8)


def rectangle(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def disc(y: int, x: int, radius: int) -> np.ndarray:
    return np.hypot(np.arange(HEIGHT)[:, None] - y, np.arange(WIDTH) - x) < radius


def covered(marks: list[Mark | None]) -> np.ndarray:
    """The pixels (H, W) under marks."""
    under = np.zeros((HEIGHT, WIDTH), bool)
    for mark in filter(None, marks):
        x0, y0, x1, y1 = (int(side) for side in mark.box)
        under[y0:y1, x0:x1] = True
    return under


def overlap(a: Mark, b: Mark) -> bool:
    return a.box[0] < b.box[2] and b.box[0] < a.box[2] and a.box[1] < b.box[3] and b.box[1] < a.box[3]


THREE = [disc(60, 80, 40), disc(70, 110, 25), rectangle(100, 200, 170, 310)]


# --- Set-of-Mark --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("styles", [(), ("mask",), ("contour",), ("mask", "contour")])
@pytest.mark.parametrize("shade", [None, 0, 255])
def test_nothing_changes_but_regions_and_marks(shade: int | None, styles: tuple[str, ...]) -> None:
    image = ground(shade)
    before = image.copy()
    drawn = mark_regions(image, THREE, styles=styles)  # type: ignore[arg-type]
    assert (image == before).all(), "the given picture is left alone"
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    changed = (drawn != image).any(axis=2)
    under = covered(place_marks(THREE))
    allowed = under | (np.any(THREE, axis=0) if styles else False)
    assert not changed[~allowed].any()
    assert changed[under].any()
    if "mask" in styles:
        assert changed[np.any(THREE, axis=0) & ~under].mean() > 0.9


def test_contours_are_drawn_on_the_regions_own_border() -> None:
    regions = [THREE[0], THREE[2]]
    changed = (mark_regions(ground(128), regions, styles=("contour",)) != ground(128)).any(axis=2)
    under = covered(place_marks(regions))
    assert not changed[disc(60, 80, 37) & ~under].any()
    assert not changed[rectangle(102, 202, 168, 308) & ~under].any()
    assert changed[100, 200:310].all()
    assert changed[100:170, 309].all()
    assert changed[60, 41]


def test_boxes_are_drawn_on_their_outermost_pixels() -> None:
    image = ground(128)
    drawn = mark_regions(image, [THREE[0]], styles=("box",))
    changed = (drawn != image).any(axis=2)
    ys, xs = np.nonzero(THREE[0])
    for row in (ys.min(), ys.max()):
        assert changed[row, xs.min() : xs.max() + 1].all()
    for column in (xs.min(), xs.max()):
        assert changed[ys.min() : ys.max() + 1, column].all()
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = False
    assert not changed[outside].any()


def test_marks_are_on_their_own_regions_and_apart() -> None:
    marks = [mark for mark in place_marks(THREE) if mark]
    assert [mark.label for mark in marks] == ["1", "2", "3"]
    for mark, mask in zip(marks, THREE, strict=True):
        x, y = mark.anchor
        assert mask[int(y), int(x)]
        assert x == pytest.approx((mark.box[0] + mark.box[2]) / 2, abs=1)
        assert y == pytest.approx((mark.box[1] + mark.box[3]) / 2, abs=1)
    x, y = marks[0].anchor
    assert not THREE[1][int(y), int(x)], "the smaller region in front has that place"
    assert not any(overlap(a, b) for a, b in combinations(marks, 2))


def test_a_region_in_front_keeps_the_marks_of_those_behind_off() -> None:
    front = disc(90, 160, 30)
    behind, in_front = place_marks([disc(90, 160, 70), front])
    assert behind
    assert in_front
    x, y = behind.anchor
    assert not front[int(y), int(x)]
    x, y = in_front.anchor
    assert front[int(y), int(x)]


def test_a_region_behind_a_region_of_its_very_shape_still_has_its_mark() -> None:
    one, other = place_marks([disc(90, 160, 40), disc(90, 160, 40)])
    assert one
    assert other
    assert not overlap(one, other)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(1, 60)), max_size=8)
)
def test_every_mark_is_in_the_picture_and_anchored_in_its_region(discs: list[tuple[int, int, int]]) -> None:
    masks = [disc(*one) for one in discs]
    marks = place_marks(masks)
    assert [mark.label for mark in marks if mark] == [str(i + 1) for i in range(len(discs))]
    for mark, mask in zip(marks, masks, strict=True):
        assert mark
        (x, y), (x0, y0, x1, y1) = mark.anchor, mark.box
        assert mask[int(y), int(x)]
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        assert x0 <= x <= x1
        assert y0 <= y <= y1


@pytest.mark.parametrize("shade", [0, 64, 128, 192, 255])
def test_marks_are_readable_on_any_ground(shade: int) -> None:
    """White on black whatever is below, and a box that differs from the ground."""
    (mark,) = place_marks([THREE[2]])
    assert mark
    drawn = mark_regions(ground(shade), [THREE[2]], styles=())
    x0, y0, x1, y1 = (int(side) for side in mark.box)
    inside = drawn[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].astype(int).sum(axis=2) / 3
    assert inside.min() < 30
    assert inside.max() > 225
    assert 0.05 < (inside > 128).mean() < 0.5, "digits cover a part of the mark"
    edge = drawn[y0, x0:x1].astype(int)
    assert (abs(edge - shade).max(axis=1) > 60).all()


def test_labels_differ_and_may_be_chosen() -> None:
    image, masks = ground(128), [THREE[2]]
    pictures = [mark_regions(image, masks, labels=[label]) for label in ("1", "2", "7", "ab")]
    assert all((a != b).any() for a, b in combinations(pictures, 2))
    with pytest.raises(ValueError, match="zip"):
        mark_regions(image, masks, labels=["1", "2"])


def test_empty_regions_have_no_mark_and_keep_their_number() -> None:
    empty = np.zeros((HEIGHT, WIDTH), bool)
    marks = place_marks([THREE[0], empty, THREE[2]])
    assert [mark and mark.label for mark in marks] == ["1", None, "3"]
    assert (mark_regions(ground(9), [empty]) == ground(9)).all()
    assert (mark_regions(ground(9), []) == ground(9)).all()


def test_masks_of_another_size_are_scaled() -> None:
    large = np.kron(THREE[2], np.ones((2, 2))).astype(bool)
    assert (mark_regions(ground(50), [large]) == mark_regions(ground(50), [THREE[2]])).all()


def test_small_regions_have_small_marks() -> None:
    small, large = place_marks([disc(50, 50, 6), disc(90, 200, 60)])
    assert small
    assert large
    assert small.size_px < large.size_px


# --- NumberIt -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shade", [None, 0, 255])
def test_numbers_are_at_the_bottom_right_and_differ(shade: int | None) -> None:
    image = ground(shade)
    frames = number_frames([image] * 40)
    changed = [(frame != image).any(axis=2) for frame in frames]
    for mask in changed:
        ys, xs = np.nonzero(mask)
        assert ys.min() > HEIGHT * 0.8
        assert xs.min() > WIDTH * 0.75
        assert ys.max() >= HEIGHT - 4
        assert xs.max() >= WIDTH - 8
    assert all((a != b).any() for a, b in combinations(frames, 2))


@pytest.mark.parametrize("side", [120, 336, 672])
def test_numbers_have_the_papers_size_and_colour(side: int) -> None:
    (frame,) = number_frames([np.zeros((side, side, 3), np.uint8)], [8])
    red = (frame[..., 0] > 200) & (frame[..., 1] < 60) & (frame[..., 2] < 60)
    ys, _ = np.nonzero(red)
    # Digits are about 0.7 of the font's size, which is 40 on 336 pixels.
    assert np.ptp(ys) + 1 == pytest.approx(0.7 * 40 / 336 * side, rel=0.15)


@pytest.mark.parametrize("colour", [(255, 0, 0), (120, 10, 10), (0, 0, 0), (255, 255, 255)])
def test_numbers_are_readable_on_any_ground(colour: tuple[int, int, int]) -> None:
    image = np.full((HEIGHT, WIDTH, 3), colour, np.uint8)
    (frame,) = number_frames([image], [25])
    changed = (frame.astype(int) - image).any(axis=2)
    contrast = abs(frame.astype(int) - image).max(axis=2)
    assert changed.sum() > 100
    assert contrast.max() > 130


def test_numbers_may_be_chosen_and_must_match() -> None:
    image = ground(30)
    first, second = number_frames([image, image], [7, 7])
    assert (first == second).all()
    assert (first == number_frames([image] * 8)[7]).all()
    with pytest.raises(ValueError, match="zip"):
        number_frames([image], [1, 2])
    assert number_frames([]) == []


def test_numbers_fit_pictures_of_any_size() -> None:
    for shape in ((1, 1, 3), (8, 200, 3), (200, 8, 3)):
        image = np.zeros(shape, np.uint8)
        (frame,) = number_frames([image], [12345])
        assert frame.shape == shape
