"""J and F against cases worked out by hand and against an independent way to compute them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from strefer_core.probe.metrics import boundary, boundary_measure, region_similarity, tolerance_px

Mask = NDArray[np.bool_]

HEIGHT_PX, WIDTH_PX = 75, 100  # diagonal 125: boundaries may be one pixel apart


def box(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (HEIGHT_PX, WIDTH_PX)) -> Mask:
    mask = np.zeros(size, dtype=np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def disc(x: float, y: float, radius: float, size: tuple[int, int] = (360, 640)) -> Mask:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def by_distance(truth: Mask, predicted: Mask) -> float:
    """F from exact distances to the other boundary, over whole pictures."""

    def edges(mask: Mask) -> Mask:
        outer = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
        here = outer[:-1, :-1]
        return np.asarray((here != outer[:-1, 1:]) | (here != outer[1:, :-1]) | (here != outer[1:, 1:]))

    a, b = edges(truth), edges(predicted)
    if not a.any() or not b.any():
        return float((truth == predicted).all())
    reach = math.ceil(0.008 * float(np.linalg.norm(truth.shape)))
    recall = (distance_transform_edt(~b)[a] <= reach).mean()
    precision = (distance_transform_edt(~a)[b] <= reach).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def test_region_similarity_by_hand() -> None:
    whole = box(10, 10, 20, 20)
    assert region_similarity(whole, whole) == 1
    assert region_similarity(whole, box(15, 10, 25, 20)) == pytest.approx(50 / 150)
    assert region_similarity(whole, box(10, 10, 15, 15)) == pytest.approx(25 / 100)
    assert region_similarity(whole, box(40, 40, 50, 50)) == 0


def test_pairs_with_an_empty_mask_are_as_in_davis() -> None:
    empty, some, full = box(0, 0, 0, 0), box(5, 5, 9, 9), box(0, 0, WIDTH_PX, HEIGHT_PX)
    assert region_similarity(empty, empty) == boundary_measure(empty, empty) == 1
    assert region_similarity(some, empty) == boundary_measure(some, empty) == 0
    assert region_similarity(empty, some) == boundary_measure(empty, some) == 0
    assert boundary_measure(full, full) == 1
    assert boundary_measure(full, empty) == boundary_measure(full, some) == 0


def test_the_boundary_of_one_pixel_lies_towards_the_origin() -> None:
    found = {(int(y), int(x)) for y, x in np.argwhere(boundary(box(5, 3, 6, 4)))}
    assert found == {(3, 5), (3, 4), (2, 5), (2, 4)}


def test_the_border_of_the_picture_is_no_boundary() -> None:
    left_half = box(0, 0, 50, HEIGHT_PX)
    assert (np.argwhere(boundary(left_half))[:, 1] == 49).all()
    assert boundary(left_half).sum() == HEIGHT_PX
    assert not boundary(box(0, 0, WIDTH_PX, HEIGHT_PX)).any()


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(75, 100, 1), (76, 100, 2), (360, 640, 6), (480, 854, 8)]
)
def test_the_tolerance_is_a_share_of_the_diagonal_rounded_up(height: int, width: int, expected: int) -> None:
    assert tolerance_px(height, width) == expected


@pytest.mark.parametrize(("shift", "expected"), [(0, 1), (5, 1), (6, 1), (7, 0), (60, 0)])
def test_halves_of_a_picture_match_up_to_the_tolerance(shift: int, expected: float) -> None:
    size = (360, 640)
    assert boundary_measure(box(0, 0, 300, 360, size), box(0, 0, 300 + shift, 360, size)) == expected


def test_precision_and_recall_by_hand() -> None:
    """Truth is the left 20 columns; predicted the left 20 and, far below, a bar of its own."""
    truth = box(0, 0, 20, HEIGHT_PX)
    predicted = truth | box(60, 40, 80, 41)
    # The bar's boundary: rows 39 and 40, columns 59 to 79, all of it.
    bar = 2 * 21
    precision = HEIGHT_PX / (HEIGHT_PX + bar)
    assert boundary_measure(truth, predicted) == pytest.approx(2 * precision / (1 + precision))
    assert boundary_measure(predicted, truth) == pytest.approx(2 * precision / (1 + precision))


@pytest.mark.parametrize("shift", [0, 1, 3, 6, 7, 9, 20, 70])
@pytest.mark.parametrize("radius", [3, 12, 50, 150])
def test_shifted_discs_agree_with_exact_distances(radius: int, shift: int) -> None:
    truth, predicted = disc(300, 180, radius), disc(300 + shift, 180 - shift // 2, radius)
    assert boundary_measure(truth, predicted) == pytest.approx(by_distance(truth, predicted), abs=1e-12)


@pytest.mark.parametrize("corner", [(0, 0), (610, 0), (0, 330), (610, 330), (-20, 100), (300, 345)])
def test_squares_cut_off_by_the_border_agree_with_exact_distances(corner: tuple[int, int]) -> None:
    x, y = corner
    size = (360, 640)
    truth = box(max(x, 0), max(y, 0), x + 40, y + 40, size)
    for moved in ((4, 0), (0, 9), (-8, -8)):
        predicted = box(max(x + moved[0], 0), max(y + moved[1], 0), x + 40, y + 40 + moved[1], size)
        assert boundary_measure(truth, predicted) == pytest.approx(by_distance(truth, predicted), abs=1e-12)


blobs = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 60), st.integers(1, 60), st.integers(1, 40)), max_size=4
)


def _painted(shapes: list[tuple[int, int, int, int]]) -> Mask:
    mask = box(0, 0, 0, 0)
    for x, y, width, height in shapes:
        mask |= box(x, y, x + width, y + height)
    return mask


@settings(deadline=None, derandomize=True)
@given(blobs, blobs)
def test_any_masks_agree_with_exact_distances(
    ours: list[tuple[int, ...]], theirs: list[tuple[int, ...]]
) -> None:
    truth, predicted = _painted(ours), _painted(theirs)  # type: ignore[arg-type]
    found = boundary_measure(truth, predicted)
    assert found == pytest.approx(by_distance(truth, predicted), abs=1e-12)
    assert found == pytest.approx(boundary_measure(predicted, truth), abs=1e-12)
    assert boundary_measure(truth, truth) == 1
