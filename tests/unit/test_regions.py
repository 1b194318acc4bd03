"""Regions of masks: inside where that is promised, and back to the very same mask where that is possible."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from strefer_core.errors import ConfigError
from strefer_core.regions import (
    FORMATS,
    Point,
    Polygon,
    box_of,
    mask_from_box,
    mask_from_polygons,
    mask_from_value,
    masklet_regions,
    point_of,
    polygons_of,
    region_value,
    scribble_of,
)
from tests import samples
from tests.blobs import masks

CHEQUERS = np.indices((9, 7)).sum(axis=0) % 2 == 0
RING = np.hypot(*np.mgrid[-30:31, -30:31]) // 10 == 2  # 20 to 30 pixels from the centre
HORSESHOE = RING & ~((np.mgrid[-30:31, -30:31][0] > 0) & (abs(np.mgrid[-30:31, -30:31][1]) < 8))


def drawn(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def at(mask: np.ndarray, point: Point) -> bool:
    return bool(mask[int(point[1]), int(point[0])])


def stays_inside(mask: np.ndarray, line: tuple[Point, ...]) -> bool:
    """Every one of many places on the line is in a pixel of the mask, or on the border of one."""
    padded = np.pad(mask, 2)
    for start, end in pairwise(line):
        places = np.linspace(start, end, 500)
        touched = [
            padded[tuple(np.floor(places[:, ::-1] + (dy, dx)).astype(int).T + 2)]
            for dy in (-1e-6, 1e-6)
            for dx in (-1e-6, 1e-6)
        ]
        if not np.any(touched, axis=0).all():
            return False
    return all(at(mask, point) for point in line)


def distances(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Distance of each point (N, 2) from a closed ring (M, 2)."""
    begin, along = ring, np.roll(ring, -1, axis=0) - ring
    share = ((points[:, None] - begin) * along).sum(-1) / (along**2).sum(-1)
    nearest = begin + np.clip(share, 0, 1)[..., None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=-1).min(axis=1)


# --- points -------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(masks())
@example(RING)
def test_the_point_is_inside_and_as_deep_as_can_be(mask: np.ndarray) -> None:
    point = point_of(mask)
    if not mask.any():
        assert point is None
        return
    assert point is not None
    assert at(mask, point)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    assert depth[int(point[1]), int(point[0])] == pytest.approx(depth.max(), abs=1e-3)


def test_the_point_of_a_bar_is_its_middle() -> None:
    mask = np.zeros((20, 50), bool)
    mask[5:10, 3:42] = True
    assert point_of(mask) == (22.5, 7.5)


# --- boxes --------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(masks())
def test_a_box_comes_back_from_its_pixels(mask: np.ndarray) -> None:
    box = box_of(mask)
    if box is None:
        return
    filled = mask_from_box(box, *mask.shape)
    assert box_of(filled) == box
    assert filled[mask].all()
    assert filled.sum() == (box[2] - box[0]) * (box[3] - box[1])


def test_a_box_passes_the_border_and_splits_pixels_by_their_centres() -> None:
    inside = mask_from_box((-5, 1.5, 2.4, 99), 4, 4)
    assert np.array_equal(inside, drawn("....", "##..", "##..", "##.."))
    assert not mask_from_box((2, 2, 2, 4), 4, 4).any()


# --- scribbles ----------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(masks(), st.integers(1, 20))
@example(RING, 3)
@example(HORSESHOE, 16)
@example(CHEQUERS, 16)
def test_a_scribble_stays_inside_and_is_short(mask: np.ndarray, max_points: int) -> None:
    line = scribble_of(mask, max_points)
    if not mask.any():
        assert line is None
        return
    assert line is not None
    assert 1 <= len(line) <= max_points
    assert stays_inside(mask, line)


def test_the_scribble_of_a_bar_is_its_middle_line() -> None:
    mask = np.zeros((60, 120), bool)
    mask[20:31, 10:110] = True
    line = scribble_of(mask)
    assert line is not None
    assert {y for _, y in line} == {25.5}
    xs = [x for x, _ in line]
    assert min(xs) == pytest.approx(10, abs=12)
    assert max(xs) == pytest.approx(110, abs=12)


@pytest.mark.parametrize("scale", [1, 6])
def test_the_scribble_of_a_horseshoe_goes_around_it(scale: int) -> None:
    mask = np.kron(HORSESHOE, np.ones((scale, scale))).astype(bool)
    line = scribble_of(mask)
    assert line is not None
    assert stays_inside(mask, line)
    angles = [np.arctan2(x / scale - 30.5, 30.5 - y / scale) for x, y in line]  # 0 is up
    assert min(angles) < -np.pi / 2
    assert max(angles) > np.pi / 2
    radii = [np.hypot(x / scale - 30.5, y / scale - 30.5) for x, y in line]
    assert all(21.5 < radius < 28.5 for radius in radii), "the middle of 20 to 30"


def test_a_disc_has_a_dot() -> None:
    disc = np.hypot(*np.mgrid[-20:21, -20:21]) < 18
    assert scribble_of(disc) == ((20.5, 20.5),)


def test_a_scribble_of_no_point_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        scribble_of(RING, 0)


# --- polygons -----------------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(masks())
@example(CHEQUERS)
@example(~CHEQUERS)
@example(RING)
def test_polygons_say_the_very_mask(mask: np.ndarray) -> None:
    polygons = polygons_of(mask)
    assert np.array_equal(mask_from_polygons(polygons, *mask.shape), mask)
    assert len(polygons) == ndimage.label(mask)[1]
    holes = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))[1] - 1
    assert sum(len(polygon.holes) for polygon in polygons) == holes


def test_outlines_run_along_the_edges_of_pixels() -> None:
    mask = drawn(
        "......",
        ".####.",
        ".#..#.",
        ".####.",
    )
    assert polygons_of(mask) == (
        Polygon(
            ((1, 1), (5, 1), (5, 4), (1, 4)),
            (((2, 2), (2, 3), (4, 3), (4, 2)),),
        ),
    )


def test_pixels_that_meet_in_a_corner_are_two_polygons() -> None:
    one, other = polygons_of(drawn("#.", ".#"))
    assert one == Polygon(((0, 0), (1, 0), (1, 1), (0, 1)))
    assert other == Polygon(((1, 1), (2, 1), (2, 2), (1, 2)))


@settings(max_examples=150, deadline=None)
@given(masks(), st.floats(0.1, 6))
def test_fewer_corners_stay_within_the_error(mask: np.ndarray, error_px: float) -> None:
    exact, fewer = polygons_of(mask), polygons_of(mask, error_px)
    assert len(exact) == len(fewer)
    for whole, thin in zip(exact, fewer, strict=True):
        pairs = zip((whole.exterior, *whole.holes), (thin.exterior, *thin.holes), strict=True)
        for ring, kept in pairs:
            assert set(kept) <= set(ring)
            assert distances(np.array(ring), np.array(kept)).max() <= error_px + 1e-9


def test_fewer_corners_are_far_fewer_on_a_curve() -> None:
    (exact,), (fewer,) = polygons_of(RING), polygons_of(RING, 1.5)
    assert len(fewer.exterior) < len(exact.exterior) / 4
    changed = mask_from_polygons([fewer], *RING.shape) ^ RING
    places = np.argwhere(changed)[:, ::-1] + 0.5
    rings = (exact.exterior, *exact.holes)
    assert np.min([distances(places, np.array(ring)) for ring in rings], axis=0).max() <= 1.5


def test_slanted_edges_take_the_pixels_whose_centres_are_inside() -> None:
    triangle = Polygon(((0, 0), (4, 0), (0, 4)))
    # The centres (c + 0.5, r + 0.5) on the slanted edge itself, r + c = 3, are not inside.
    assert np.array_equal(mask_from_polygons([triangle], 4, 5), drawn("###..", "##...", "#....", "....."))
    beyond = Polygon(((-3, -3), (9, -3), (9, 9), (-3, 9)))
    assert mask_from_polygons([beyond], 4, 5).all()
    outside = Polygon(((10, 10), (12, 10), (12, 12)))
    assert not mask_from_polygons([outside], 4, 5).any()


# --- as JSON ------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(masks(), st.booleans())
def test_polygons_and_boxes_come_back_from_json(mask: np.ndarray, normalised: bool) -> None:
    for form in ("polygon", "box"):
        value = json.loads(json.dumps(region_value(mask, form, normalised=normalised)))
        back = mask_from_value(value, form, *mask.shape, normalised=normalised)
        box = box_of(mask)
        expected = mask_from_box(box, *mask.shape) if form == "box" and box else mask
        assert np.array_equal(back, expected)


@settings(max_examples=50, deadline=None)
@given(masks(), st.sampled_from(FORMATS))
def test_normalised_is_divided_by_width_and_height(mask: np.ndarray, form: str) -> None:
    height, width = mask.shape
    in_pixels = np.array(list(numbers(region_value(mask, form))))
    shares = np.array(list(numbers(region_value(mask, form, normalised=True))))
    assert len(in_pixels) == len(shares)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert np.allclose(shares * np.resize([width, height], len(shares)), in_pixels)


def numbers(value: object) -> list[float]:
    """All numbers of a nested list, in order."""
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def test_a_masklets_regions_name_frames_and_times() -> None:
    given_masklet = samples.rich().masklet("circle")  # comes in over the right edge at about 3 s
    regions = masklet_regions(given_masklet, "box")
    assert json.loads(json.dumps(regions)) == regions
    assert (regions["entity_id"], regions["format"]) == (given_masklet.entity_id, "box")
    assert [frame["pts_s"] for frame in regions["frames"]] == list(samples.TIMES_S)
    boxes = [box and list(box) for box in given_masklet.boxes_px]
    assert [frame["region"] for frame in regions["frames"]] == boxes
    assert boxes[0] is None
    assert boxes[-1] is not None


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ConfigError, match="point, box, scribble, polygon"):
        region_value(RING, "outline")  # type: ignore[arg-type]
    for form in ("point", "scribble"):
        with pytest.raises(ConfigError, match="use box or polygon"):
            mask_from_value([1, 2], form, 4, 4)
