"""The released record format, written and strictly read (arXiv 2509.03501, released data).

A file is a JSON list. One record:

    {"conversations": [{"from": "human", "value": "<image>\\n..."}, {"from": "gpt", "value": "..."}, ...],
     "start_time": "HH:MM:SS.sss", "end_time": "HH:MM:SS.sss",     only where the turns use the times
     "path": "folder/video.mp4",
     "clip_timestamps": [start, end],                               optional, never written by us
     "annotation": [{"16": {"segmentation": {"size": [h, w], "counts": "..."}}, ...}, ...]}

`annotation` has one dict per `<region>`, in order over all turns; keys are a frame's index among the 32
linspace-sampled frames, only frames with a visible mask. This module imports nothing heavy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from strefer_core import data_model as dm
from strefer_core.errors import InputError

IMAGE = "<image>\n"
_TIME = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d(?:\.\d+)?)")


def format_time(time_s: float) -> str:
    """Seconds as "HH:MM:SS.sss", rounded to milliseconds, at least two digits of hours."""
    total_ms = round(time_s * 1000)
    minutes, ms = divmod(total_ms, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d}.{ms % 1000:03d}"


def parse_time(text: str) -> float:
    """Seconds of "HH:MM:SS.sss" with any number of decimals. Raises ValueError for anything else."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not HH:MM:SS.sss")
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def run_lengths(counts: str) -> list[int]:
    """Run lengths of a compressed COCO RLE: 5 bits a character from code 48 on, differences from run 3 on.

    Raises ValueError where the string ends in mid-number, holds a foreign character or a negative run.
    pycocotools decodes such strings too, into memory that it does not own; so this comes first.
    """
    lengths: list[int] = []
    value = shift = 0
    for char in counts:
        code = ord(char) - 48
        if not 0 <= code < 64:
            raise ValueError(f"character {char!r} in RLE counts")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        if lengths[-1] < 0:
            raise ValueError("negative run in RLE counts")
        value = shift = 0
    if shift:
        raise ValueError("RLE counts end in mid-number")
    return lengths


@lru_cache(maxsize=1024)
def _extent(counts: str) -> tuple[int, int]:
    """Pixels that the runs cover, and those in the mask. A video's pairs share their masks: cached."""
    lengths = run_lengths(counts)
    return sum(lengths), sum(lengths[1::2])


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Segmentation(_Strict):
    """One mask. `size` is [height_px, width_px]; the runs cover it exactly and are not all background."""

    size: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=2)]
    counts: str

    @model_validator(mode="after")
    def _covers_its_size(self) -> Segmentation:
        covered_px, area_px = _extent(self.counts)
        if covered_px != self.size[0] * self.size[1]:
            raise ValueError(f"runs cover {covered_px} pixels of {self.size[0]} x {self.size[1]}")
        if not area_px:
            raise ValueError("the mask is empty; leave its frame out")
        return self


class FrameMask(_Strict):
    segmentation: Segmentation


def _frame_index(key: str) -> str:
    if not (key.isascii() and key.isdigit() and str(int(key)) == key and int(key) < dm.FRAME_COUNT):
        raise ValueError(f"{key!r} is no index among {dm.FRAME_COUNT} sampled frames")
    return key


def _time(text: str) -> str:
    parse_time(text)
    return text


def _relative(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} is no path inside a data folder")
    return path


FrameIndex = Annotated[str, AfterValidator(_frame_index)]
TimeText = Annotated[str, AfterValidator(_time)]
RegionMasks = Annotated[dict[FrameIndex, FrameMask], Field(min_length=1)]


class Message(_Strict):
    role: Literal["human", "gpt"] = Field(alias="from")
    value: str


class Record(_Strict):
    """One record, checked as a whole. `RLE`s are not decoded."""

    conversations: Annotated[list[Message], Field(min_length=2)]
    start_time: TimeText | None = None
    end_time: TimeText | None = None
    path: Annotated[str, AfterValidator(_relative)]
    clip_timestamps: Annotated[list[float | TimeText], Field(min_length=2, max_length=2)] | None = None
    annotation: list[RegionMasks] = []

    @model_validator(mode="after")
    def _hangs_together(self) -> Record:
        for fault, is_there in _faults(self).items():
            if is_there:
                raise ValueError(fault)
        return self

    @property
    def interval_s(self) -> tuple[float, float] | None:
        """Values of `<start_time>` and `<end_time>`, None where the record has no times."""
        if self.start_time is None or self.end_time is None:
            return None
        return parse_time(self.start_time), parse_time(self.end_time)


def _faults(record: Record) -> dict[str, bool]:
    """Rules that need more than one field, and whether the record breaks them."""
    values = [message.value for message in record.conversations]
    text = "\n".join(values)
    roles = [message.role for message in record.conversations]
    interval = record.interval_s
    sizes = {tuple(m.segmentation.size) for masks in record.annotation for m in masks.values()}
    return {
        "turns must alternate human, gpt": roles != ["human", "gpt"] * (len(roles) // 2),
        f"the first turn must begin with {IMAGE!r}": not values[0].startswith(IMAGE),
        "<image> must stand once": text.count("<image>") != 1,
        "every turn needs words": not all(value.removeprefix(IMAGE).strip() for value in values),
        "one annotation dict per <region>": text.count("<region>") != len(record.annotation),
        "start_time exactly where <start_time> stands": ("<start_time>" in text) != bool(record.start_time),
        "end_time exactly where <end_time> stands": ("<end_time>" in text) != bool(record.end_time),
        "start_time must be before end_time": interval is not None and interval[0] >= interval[1],
        "all masks of a record have one size": len(sizes) > 1,
    }


def parse_record(data: object, where: str = "record") -> Record:
    """Check one record. Raises InputError naming `where`, the field and the rule that it breaks."""
    try:
        return Record.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "as a whole"
        raise InputError(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}") from error


def read_records(path: Path) -> Iterator[Record]:
    """Records of a file in the released format, in order.

    Raises InputError where the file is no JSON list, or at the first record that breaks a rule.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(data, list):
        raise InputError(f"{path.name} holds a {type(data).__name__}; the format is a list of records")
    for index, item in enumerate(data):
        yield parse_record(item, f"{path.name}[{index}]")


def to_record(
    instruction: dm.Instruction, video_path: str, masklets: Mapping[str, dm.Masklet]
) -> dict[str, Any]:
    """An instruction as a record of the released format.

    Args:
        instruction: what to write.
        video_path: the record's `path`, relative to the data folder.
        masklets: by entity id; each region's entity needs one with a visible mask.

    Raises:
        InputError: the instruction does not make a sound record.
    """
    turns = [{"from": turn.role, "value": turn.text} for turn in instruction.turns]
    if turns:
        turns[0]["value"] = IMAGE + turns[0]["value"]
    record: dict[str, Any] = {"conversations": turns}
    if instruction.start_s is not None:
        record["start_time"] = format_time(instruction.start_s)
    if instruction.end_s is not None:
        record["end_time"] = format_time(instruction.end_s)
    record["path"] = video_path
    missing = [entity_id for entity_id in instruction.region_entity_ids if entity_id not in masklets]
    if missing:
        raise InputError(f"{instruction.instruction_id}: no masklet for {', '.join(missing)}")
    if instruction.region_entity_ids:
        record["annotation"] = [
            region_masks(masklets[entity_id]) for entity_id in instruction.region_entity_ids
        ]
    parse_record(record, instruction.instruction_id or instruction.template_id)
    return record


def region_masks(masklet: dm.Masklet) -> dict[str, Any]:
    """A masklet as one dict of `annotation`: frames with a visible mask only."""
    return {
        str(index): {"segmentation": {"size": list(mask["size"]), "counts": mask["counts"]}}
        for index, mask in enumerate(masklet.masks)
        if mask is not None
    }
