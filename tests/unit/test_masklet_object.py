"""Masklets as one Parquet file: what was written is read, whole and in parts, and at what price in bytes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from strefer_core import data_model as dm
from strefer_core.errors import MismatchError, StoreError
from strefer_core.store.masklet_format import dump
from strefer_core.store.masklet_object import MaskletObject, load
from strefer_core.store.objects import FolderObjects
from tests import samples

REQUEST = {"fingerprint": "f" * 32, "stage": "masklets", "video_id": "0123456789abcdef"}


class CountingFile(io.BytesIO):
    """Counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.ranges: list[tuple[int, int]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        data = super().read(size)
        self.ranges.append((start, start + len(data)))
        return data

    @property
    def bytes_read(self) -> int:
        return sum(stop - start for start, stop in self.ranges)


def blob(rng: np.random.Generator, height: int = 360, width: int = 640) -> np.ndarray:
    """A disc with ragged sides: its code is as long as that of a real thing."""
    ys, xs = np.ogrid[:height, :width]
    y, x = rng.uniform(80, height - 80), rng.uniform(80, width - 80)
    radius = 50 + rng.normal(0, 2, (1, width)).cumsum(axis=1).clip(-15, 15)
    return (ys - y) ** 2 + (xs - x) ** 2 < radius**2


def masklet(index: int, masks: list[dm.Rle | None], **figures: float | None) -> dm.Masklet:
    return dm.Masklet(
        masklet_id=f"msk-ffffffffffff-{index:04d}",
        video_id=REQUEST["video_id"],
        entity_id=f"ent-ffffffffffff-{index:04d}",
        frames_pts_s=tuple(frame * 1001 / 30000 for frame in range(len(masks))),
        masks=tuple(masks),
        boxes_px=tuple(mask and (1.0, 2.0, 1 / 3, 4.0) for mask in masks),
        areas_px=tuple(frame if mask else 0 for frame, mask in enumerate(masks, 1)),
        detector_score=0.1 + 0.2,
        assignment_margin=None,
        start_frame_index=0,
        forward_backward_iou=2 / 3,
        **figures,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def many() -> dm.MaskletsResult:
    """Twelve entities over 32 frames, every seventh mask missing."""
    rng = np.random.default_rng(5)
    drawn = [[samples.encode(blob(rng).astype(np.uint8)) for _ in range(32)] for _ in range(12)]
    return dm.MaskletsResult(
        masklets=tuple(
            masklet(i, [None if (i + frame) % 7 == 0 else rle for frame, rle in enumerate(masks)])
            for i, masks in enumerate(drawn)
        )
    )


@pytest.fixture(scope="module")
def data(many: dm.MaskletsResult) -> bytes:
    return dump(REQUEST, many)


# --- whole --------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(many: dm.MaskletsResult, data: bytes) -> None:
    assert load(data) == (REQUEST, many)


def test_the_same_result_is_the_same_bytes(many: dm.MaskletsResult, data: bytes) -> None:
    assert dump(dict(reversed(REQUEST.items())), replace(many)) == data
    assert dump({**REQUEST, "video_id": "f" * 16}, many) != data


def test_figures_come_back_exactly() -> None:
    figures = {"assignment_score": 1 / 3, "redetection_share": 0.1, "area_jump": 1.0, "position_jump": 1e-300}
    one = masklet(0, [dm.Rle(size=[3, 3], counts="09")], **figures, loss_sharpness=None)
    assert load(dump(REQUEST, dm.MaskletsResult(masklets=(one,))))[1].masklets == (one,)


RLES = st.builds(
    lambda size, counts: dm.Rle(size=list(size), counts=counts),
    st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1)),
    st.text(st.characters(min_codepoint=48, max_codepoint=111), min_size=1, max_size=300),
)
MASKLETS = st.lists(st.lists(st.none() | RLES, max_size=40), max_size=6)


@settings(max_examples=60, deadline=None)
@given(MASKLETS, st.text())
def test_any_result_comes_back_whole_and_in_parts(all_masks: list[list[dm.Rle | None]], odd: str) -> None:
    masklets = tuple(masklet(index, masks) for index, masks in enumerate(all_masks))
    result = dm.MaskletsResult(masklets=masklets)
    request = REQUEST | {"stage": "".join(c for c in odd if not "\ud800" <= c <= "\udfff")}
    data = dump(request, result)
    assert load(data) == (request, result)
    file = MaskletObject(io.BytesIO(data))
    assert file.entity_ids == tuple(one.entity_id for one in masklets)
    for one in masklets:
        assert file.masklet(one.entity_id) == one
        assert file.frame_count(one.entity_id) == len(one.masks)
        for index in range(0, len(one.masks), 5):
            assert file.mask(one.entity_id, index) == one.masks[index]
    for index in range(0, max(map(len, all_masks), default=0), 7):
        assert file.masks_at(index) == {
            one.entity_id: one.masks[index] for one in masklets if index < len(one.masks)
        }


def test_two_masklets_of_one_entity_are_refused(many: dm.MaskletsResult) -> None:
    twice = dm.MaskletsResult(masklets=many.masklets[:1] * 2)
    with pytest.raises(ValueError, match="two masklets of one entity"):
        dump(REQUEST, twice)


def test_uneven_masklets_are_refused(many: dm.MaskletsResult) -> None:
    uneven = replace(many.masklets[0], areas_px=(1, 2))
    with pytest.raises(ValueError, match="shorter"):
        dump(REQUEST, dm.MaskletsResult(masklets=(uneven,)))


def test_any_reader_of_parquet_understands_the_rows(many: dm.MaskletsResult, data: bytes) -> None:
    table = parquet.read_table(pa.BufferReader(data))
    assert table.num_rows == 12 * 32
    rows = {(row["entity_id"], row["frame_index"]): row for row in table.to_pylist()}
    one = many.masklets[3]
    assert rows[one.entity_id, 4] == {
        "entity_id": one.entity_id, "frame_index": 4, "size": None, "counts": None,
        "pts_s": one.frames_pts_s[4], "box_px": None, "area_px": 0,
    }  # fmt: skip
    mask = one.masks[5]
    assert mask is not None
    row = rows[one.entity_id, 5]
    assert (row["size"], row["counts"].decode()) == (mask["size"], mask["counts"])
    assert tuple(row["box_px"]) == one.boxes_px[5]


# --- in parts -----------------------------------------------------------------------------------------------


def test_one_entity_of_many_costs_a_small_part(many: dm.MaskletsResult, data: bytes) -> None:
    counting = CountingFile(data)
    file = MaskletObject(counting)
    before = counting.bytes_read
    assert before < len(data) / 4
    one = many.masklets[7]
    assert file.masklet(one.entity_id) == one
    assert counting.bytes_read - before < 1.2 * len(data) / 12
    assert counting.bytes_read < len(data) / 3


def test_one_frame_costs_less_than_the_whole(many: dm.MaskletsResult, data: bytes) -> None:
    counting = CountingFile(data)
    file = MaskletObject(counting)
    assert file.masks_at(20) == {one.entity_id: one.masks[20] for one in many.masklets}
    assert counting.bytes_read < 0.7 * len(data)


def test_no_byte_is_fetched_twice(many: dm.MaskletsResult) -> None:
    """In a small file, most of what is asked for came with the footer."""
    few = dm.MaskletsResult(masklets=many.masklets[:2])
    data = dump(REQUEST, few)
    for read in (MaskletObject.result, lambda file: file.masks_at(31), lambda file: file.masks_at(0)):
        counting = CountingFile(data)
        read(MaskletObject(counting))
        fetched = [place for start, stop in counting.ranges for place in range(start, stop)]
        assert len(set(fetched)) == len(fetched)


def test_one_mask_is_one_small_range(many: dm.MaskletsResult, data: bytes) -> None:
    counting = CountingFile(data)
    file = MaskletObject(counting)
    ranges, before = len(counting.ranges), counting.bytes_read
    one = many.masklets[3]
    assert file.mask(one.entity_id, 10) == one.masks[10]
    assert len(counting.ranges) == ranges + 1
    assert counting.bytes_read - before < 0.6 * len(data) / 12


def test_parts_come_through_the_object_store(tmp_path: Path, many: dm.MaskletsResult, data: bytes) -> None:
    objects = FolderObjects(tmp_path)
    key = objects.put_content(data, "results", ".masklets.parquet")
    file = MaskletObject(objects.open(key))
    assert file.masks_at(0)[many.masklets[5].entity_id] == many.masklets[5].masks[0]
    (tmp_path / key).unlink()
    with pytest.raises(StoreError, match=f"cannot read {key}"):
        file.masks_at(0)


def test_what_is_not_in_it(data: bytes, many: dm.MaskletsResult) -> None:
    file = MaskletObject(io.BytesIO(data))
    with pytest.raises(KeyError, match="ent-x"):
        file.masklet("ent-x")
    with pytest.raises(KeyError, match="ent-x"):
        file.mask("ent-x", 0)
    for index in (-1, 32):
        with pytest.raises(IndexError, match=str(index)):
            file.mask(many.masklets[0].entity_id, index)
        with pytest.raises(IndexError, match=str(index)):
            file.masks_at(index)


# --- what is no such file -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("foreign", "says"),
    [
        (b"", "0 bytes"),
        (b"PAR", "no Parquet"),
        (b"\x80\x04\x95some pickle.", "no Parquet"),
        (b"<html>" * 4000, "no Parquet"),
        (
            json.dumps({"request": REQUEST, "result": {"masklets": []}}).encode(),
            "is JSON, as older versions wrote",
        ),
    ],
)
def test_a_foreign_file_is_told(foreign: bytes, says: str) -> None:
    with pytest.raises(MismatchError, match=says):
        load(foreign)


def test_another_parquet_file_is_told() -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"a": [1]}), out)
    with pytest.raises(MismatchError, match="another Parquet file"):
        load(out.getvalue())


def test_a_later_format_is_told(monkeypatch: pytest.MonkeyPatch, many: dm.MaskletsResult) -> None:
    monkeypatch.setattr("strefer_core.store.masklet_format.FORMAT", 2)
    data = dump(REQUEST, many)
    with pytest.raises(MismatchError, match="format 2, this code reads 1"):
        load(data)


def test_a_cut_file_is_told(data: bytes) -> None:
    for size in (4, 11, 12, 5000, len(data) // 2, len(data) - 1):
        with pytest.raises(StoreError, match="cut off"):
            load(data[:size])


def test_a_wrong_footer_length_is_told(data: bytes) -> None:
    for length in (0, 100, len(data), 2**32 - 1):
        with pytest.raises((MismatchError, StoreError)):
            load(data[:-8] + length.to_bytes(4, "little") + b"PAR1")


@cache
def two() -> tuple[dm.MaskletsResult, bytes]:
    rng = np.random.default_rng(0)
    masks = [samples.encode(blob(rng).astype(np.uint8)) for _ in range(3)]
    result = dm.MaskletsResult(masklets=(masklet(0, masks), masklet(1, masks)))
    return result, dump(REQUEST, result)


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_another_result(place: float, bit: int) -> None:
    """Parts are read without the checksum of the whole; and nothing damaged may reach pyarrow's C++."""
    result, data = two()
    damaged = bytearray(data)
    damaged[int(place * len(damaged))] ^= 1 << bit
    try:
        found = load(bytes(damaged))
    except (MismatchError, StoreError):
        return
    assert found == (REQUEST, result), "the bit meant nothing"
