"""Masks and their run-length codes, against codes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from strefer_core.data_model import Rle
from strefer_core.masks import area_px, decode, encode, iou, resize, rle_iou, tight_box
from tests.blobs import masks

# COCO's compressed run-length code, from its description: runs of 0, 1, 0, ... down the columns, zeros
# first; from the fourth run on, each is stored as its difference to the run two before it; numbers are cut
# into groups of five bits, lowest first, each with a sixth bit that says "more follows", and written as the
# character 48 + group; the highest written bit of a number is its sign.


def runs_of(mask: np.ndarray) -> list[int]:
    flat = np.concatenate([[False], mask.T.reshape(-1), [not mask[-1, -1]]])
    runs = np.diff(np.flatnonzero(np.diff(flat)), prepend=0)
    return [int(run) for run in runs]


def written(number: int) -> str:
    text = ""
    while True:
        group, number = number & 31, number >> 5
        ends = number == (-1 if group & 16 else 0)
        text += chr(48 + group + (0 if ends else 32))
        if ends:
            return text


def compressed(mask: np.ndarray) -> str:
    runs = runs_of(mask)
    return "".join(written(run - runs[i - 2] if i > 2 else run) for i, run in enumerate(runs))


def uncompressed(counts: str, height: int, width: int) -> np.ndarray:
    numbers: list[int] = []
    number = shift = 0
    for group in (ord(character) - 48 for character in counts):
        number |= (group & 31) << shift
        shift += 5
        if not group & 32:
            signed = number - (1 << shift) if group & 16 else number
            numbers.append(signed + (numbers[-2] if len(numbers) > 2 else 0))
            number = shift = 0
    return np.repeat(np.arange(len(numbers)) % 2 == 1, numbers).reshape(width, height).T


@settings(max_examples=300, deadline=None)
@given(masks())
def test_codes_are_those_of_the_format(mask: np.ndarray) -> None:
    height, width = mask.shape
    code = encode(mask)
    if not mask.any():
        assert code is None
    else:
        assert code == {"size": [height, width], "counts": compressed(mask)}
        assert area_px(code) == mask.sum()
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert theirs["counts"].decode() == compressed(mask), "pycocotools itself"


@settings(max_examples=300, deadline=None)
@given(masks())
def test_codes_of_the_format_say_the_mask(mask: np.ndarray) -> None:
    height, width = mask.shape
    counts = compressed(mask)
    assert np.array_equal(uncompressed(counts, height, width), mask), "the test's own two ways"
    assert np.array_equal(decode(Rle(size=[height, width], counts=counts)), mask)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 2**32 - 1))
def test_long_runs_are_coded_alike(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
    mask = np.zeros((height, width), bool)
    mask[slice(*rows), slice(*columns)] = True
    code = encode(mask)
    assert (code and code["counts"]) == (compressed(mask) if mask.any() else None)
    counts = compressed(mask)
    assert np.array_equal(decode(Rle(size=[height, width], counts=counts)), mask)


def test_a_code_counted_by_hand() -> None:
    """Rows 1 and 2 of the second of three columns, of four rows: runs 5, 2, 5."""
    mask = np.zeros((4, 3), bool)
    mask[1:3, 1] = True
    assert encode(mask) == {"size": [4, 3], "counts": "525"}
    mask[:, 2] = True  # runs 5, 2, 1, 4: the fourth is written as 4 - 2
    assert encode(mask) == {"size": [4, 3], "counts": "5212"}


def test_an_empty_code_has_no_area() -> None:
    assert area_px(None) == 0


@pytest.mark.parametrize(
    ("rows", "columns", "box"),
    [
        (slice(2, 5), slice(1, 4), (1.0, 2.0, 4.0, 5.0)),
        (slice(0, 1), slice(0, 1), (0.0, 0.0, 1.0, 1.0)),
        (slice(0, 6), slice(0, 8), (0.0, 0.0, 8.0, 6.0)),
        (slice(0, 0), slice(0, 0), None),
    ],
)
def test_boxes_are_tight_and_half_open(rows: slice, columns: slice, box: tuple[float, ...] | None) -> None:
    mask = np.zeros((6, 8), bool)
    mask[rows, columns] = True
    assert tight_box(mask) == box


def test_resizing_by_two_keeps_blocks() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:12, 6:18] = True
    large = resize(mask, 40, 60)
    assert large.shape == (40, 60)
    assert tight_box(large) == (12.0, 8.0, 36.0, 24.0)
    assert np.array_equal(resize(large, 20, 30), mask)
    assert resize(mask, 20, 30) is mask


def test_overlap() -> None:
    a, b, none = np.zeros((4, 4), bool), np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:, :2], b[:, 1:3] = True, True
    assert iou(a, b) == pytest.approx(4 / 12)
    assert rle_iou(encode(a), encode(b)) == pytest.approx(4 / 12)
    assert iou(a, none) == iou(none, none) == rle_iou(encode(a), None) == 0.0


def test_what_is_no_code_is_refused() -> None:
    with pytest.raises(ValueError, match="RLE"):
        decode(Rle(size=[3, 3], counts="0100000000001000"))
