"""The released record format: ours passes the documented rules, each broken rule is refused by name."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from strefer_core import data_model as dm
from strefer_core.errors import InputError
from strefer_core.released_format import (
    format_time,
    parse_record,
    parse_time,
    read_records,
    run_lengths,
    to_record,
)
from tests.samples import TIMES_S, encode, mover

PUBLISHED = Path(__file__).parents[2] / "../shared/data/published_sample.json"


def instruction(**changes: Any) -> dm.Instruction:
    base = dm.Instruction(
        instruction_id="ins-1",
        video_id="v",
        group="G7",
        task_type="entity_at_time",
        turns=(
            dm.Turn(role="human", text="What is the <region> doing from <start_time> to <end_time>?"),
            dm.Turn(role="gpt", text="It moves to the left."),
        ),
        region_entity_ids=("ent-a-0",),
        start_s=6.24,
        end_s=14.014,
    )
    return replace(base, **changes)


def record() -> dict[str, Any]:
    return to_record(instruction(), "night/a.mp4", {"ent-a-0": mover().masklets[0]})


def test_a_record_of_ours() -> None:
    made = record()
    assert list(made) == ["conversations", "start_time", "end_time", "path", "annotation"]
    assert made["conversations"][0] == {
        "from": "human",
        "value": "<image>\nWhat is the <region> doing from <start_time> to <end_time>?",
    }
    assert made["conversations"][1] == {"from": "gpt", "value": "It moves to the left."}
    assert (made["start_time"], made["end_time"]) == ("00:00:06.240", "00:00:14.014")
    (masks,) = made["annotation"]
    assert list(masks) == [str(i) for i in range(len(TIMES_S))]
    assert masks["3"]["segmentation"]["size"] == [240, 320]
    assert json.loads(json.dumps(made)) == made


def test_only_frames_with_a_mask_and_only_keys_that_are_used() -> None:
    masklet = mover().masklets[0]
    partly = replace(masklet, masks=(None, *masklet.masks[1:5], *[None] * 27))
    plain = instruction(
        turns=(dm.Turn(role="human", text="What is the <region>?"), dm.Turn(role="gpt", text="A dog.")),
        start_s=None,
        end_s=None,
    )
    made = to_record(plain, "a.mp4", {"ent-a-0": partly})
    assert list(made) == ["conversations", "path", "annotation"]
    assert list(made["annotation"][0]) == ["1", "2", "3", "4"]
    human = dm.Turn(role="human", text="What can be seen?")
    without = replace(plain, turns=(human, plain.turns[1]), region_entity_ids=())
    made = to_record(without, "a.mp4", {})
    assert list(made) == ["conversations", "path"]


def test_the_published_record_passes() -> None:
    if not PUBLISHED.exists():
        pytest.skip("the published sample record is not beside this checkout")
    data = json.loads(PUBLISHED.read_text("utf-8"))
    read = parse_record(data)
    assert read.interval_s == (6.24, 14.014)
    assert [list(masks) for masks in read.annotation] == [["16"]]


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one place: "annotation.0.3.segmentation.size"."""

    def change(data: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place: Any = data
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[int(last) if isinstance(place, list) else last] = value

    return change


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.pop(key)


MASK = {"segmentation": {"size": [2, 2], "counts": "04"}}
EMPTY = {"segmentation": {"size": [2, 2], "counts": "4"}}
BROKEN: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (drop("path"), "path: Field required"),
    (drop("conversations"), "conversations: Field required"),
    (put("speaker", "x"), "speaker: Extra inputs"),
    (put("path", "/root/a.mp4"), "no path inside a data folder"),
    (put("path", "a/../../b.mp4"), "no path inside a data folder"),
    (put("conversations.0.from", "system"), "conversations.0.from"),
    (put("conversations.0.from", "gpt"), "alternate"),
    (put("conversations.0.value", "What <region> <start_time> <end_time>?"), "must begin with"),
    (put("conversations.1.value", " "), "every turn needs words"),
    (put("conversations.1.value", "<image>"), "<image> must stand once"),
    (put("conversations.1.value", "The <region>."), "one annotation dict per <region>"),
    (drop("annotation"), "one annotation dict per <region>"),
    (drop("start_time"), "start_time exactly where"),
    (put("end_time", "14.014"), "is not HH:MM:SS.sss"),
    (put("end_time", "00:61:00.000"), "is not HH:MM:SS.sss"),
    (put("end_time", "00:00:06.240"), "start_time must be before end_time"),
    (put("start_time", 6.24), "start_time"),
    (put("annotation.0", {}), "annotation.0"),
    (put("annotation.0.32", MASK), "no index among 32"),
    (put("annotation.0.03", MASK), "no index among 32"),
    (put("annotation.0.x", MASK), "no index among 32"),
    (put("annotation.0.3", MASK), "one size"),
    (put("annotation.0.3", EMPTY), "the mask is empty"),
    (put("annotation.0.3.segmentation.size", [240, 321]), "runs cover 76800 pixels of 240 x 321"),
    (put("annotation.0.3.segmentation.size", [240]), "size"),
    (put("annotation.0.3.segmentation.size", [0, 320]), "size"),
    (put("annotation.0.3.segmentation.counts", "\u00e9"), "character"),
    (put("annotation.0.3.segmentation.counts", "o"), "end in mid-number"),
    (put("clip_timestamps", [1.0]), "clip_timestamps"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_each_broken_rule_is_named(change: Callable[[dict[str, Any]], None], message: str) -> None:
    data = copy.deepcopy(record())
    change(data)
    with pytest.raises(InputError, match=re.escape(message)):
        parse_record(data)


def test_clip_timestamps_may_be_there() -> None:
    assert parse_record({**record(), "clip_timestamps": [0.0, 12.5]}).clip_timestamps == [0.0, 12.5]


def test_a_file_is_a_list(tmp_path: Path) -> None:
    good = tmp_path / "instructions.json"
    good.write_text(json.dumps([record(), record()]), "utf-8")
    assert len(list(read_records(good))) == 2
    good.write_text(json.dumps(record()), "utf-8")
    with pytest.raises(InputError, match="holds a dict; the format is a list"):
        list(read_records(good))
    good.write_text("[{", "utf-8")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        list(read_records(good))
    good.write_text(json.dumps([record(), {}]), "utf-8")
    with pytest.raises(InputError, match=re.escape("instructions.json[1]: conversations")):
        list(read_records(good))


def test_an_unsound_instruction_is_never_written() -> None:
    with pytest.raises(InputError, match="ins-1: no masklet for ent-a-9"):
        to_record(instruction(region_entity_ids=("ent-a-9",)), "a.mp4", {})
    with pytest.raises(InputError, match="start_time exactly where"):
        to_record(instruction(start_s=None), "a.mp4", {"ent-a-0": mover().masklets[0]})


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3661.5, "01:01:01.500"),
        (360000, "100:00:00.000"),
    ],
)
def test_times(time_s: float, text: str) -> None:
    assert format_time(time_s) == text
    assert parse_time(text) == pytest.approx(time_s, abs=0.0005)


def test_times_of_others() -> None:
    assert [parse_time(text) for text in ("00:00:06.24", "00:00:14.014", "00:01:00")] == [6.24, 14.014, 60]


@given_any(st.integers(1, 12), st.integers(1, 12), st.data())
def test_run_lengths_agree_with_pycocotools(height: int, width: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.integers(0, 1), min_size=height * width, max_size=height * width))
    grid = np.array(bits, np.uint8).reshape(height, width)
    rle = encode(grid)
    if rle is None:
        return
    flat = [value for i, run in enumerate(run_lengths(rle["counts"])) for value in [i % 2] * run]
    assert np.array_equal(np.array(flat).reshape(width, height).T, grid)
