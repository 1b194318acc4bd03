"""Masks and their run-length codes, against codes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from strefer_core.data_model import Rle
from strefer_core.masks import area_px, decode, encode, iou, resize, rle_iou, tight_box

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)


def counted(mask: np.ndarray) -> list[int]:
    """Uncompressed COCO runs: lengths of 0, 1, 0, ... down the columns, starting with zeros."""
    flat = mask.T.reshape(-1).astype(int)
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *changes, flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.bool_, SHAPES))
def test_a_code_says_the_mask_and_is_pycocotools_own(mask: np.ndarray) -> None:
    code = encode(mask)
    if not mask.any():
        assert code is None
        return
    height, width = mask.shape
    by_hand = coco.frPyObjects({"size": [height, width], "counts": counted(mask)}, height, width)
    assert code == {"size": [height, width], "counts": by_hand["counts"].decode()}
    assert np.array_equal(decode(code), mask)
    assert area_px(code) == mask.sum()


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
