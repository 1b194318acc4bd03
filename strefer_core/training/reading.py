"""Data sets as samples, one line read at a time: our own versions and files in the released format.

A source is prepared once into a file of JSON lines, one record each; what is known of it in memory is a few
numbers a record, so that records are read in any order without holding them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strefer_core.errors import InputError
from strefer_core.released_format import IMAGE, parse_record, parse_time
from strefer_core.store.files import sha256_of, whole_file
from strefer_core.video_llm.samples import Sample

RELEASED, RICH, LINEAGE = "instructions.json", "instructions.jsonl", "lineage.jsonl"

Videos = Callable[[str], Path]
"""From a record's `path` to the video's file."""


@dataclass(frozen=True)
class Lines:
    """Records of one source by number."""

    path: Path
    offsets: NDArray[np.int64]  # (N + 1,) where each line begins, and the end
    groups: tuple[str, ...]  # per record: what the mixture weighs
    videos: tuple[str, ...]  # per record: its `path`
    words: NDArray[np.int32]  # (N,) how long the texts are: for batches of alike lengths

    def __len__(self) -> int:
        return len(self.groups)

    def read(self, number: int) -> dict[str, Any]:
        """The line of a record."""
        with self.path.open("rb") as file:
            file.seek(int(self.offsets[number]))
            line = file.read(int(self.offsets[number + 1] - self.offsets[number]))
        found: dict[str, Any] = json.loads(line)
        return found

    def sample(self, number: int, videos: Videos) -> Sample:
        """A record as a sample. Raises InputError where the record is not sound or its video is missing."""
        return to_sample(self.read(number), videos)


@dataclass
class Skipped:
    """Records that could not be used, by reason."""

    tolerance: float  # share of all that were tried
    tried: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return sum(self.reasons.values())

    def note(self, reason: str) -> None:
        """Count one. Raises InputError where there are too many."""
        self.reasons[reason] += 1
        allowed = max(5, self.tolerance * self.tried)
        if self.count > allowed:
            told = "; ".join(f"{reason} ({count})" for reason, count in self.reasons.most_common(3))
            raise InputError(
                f"{self.count} of {self.tried} records cannot be used: {told}; mend the data set, "
                "or raise the tolerance of training"
            )


def to_sample(line: Mapping[str, Any], videos: Videos) -> Sample:
    """A prepared line as a sample. Raises InputError where it is not sound or its video is missing."""
    if line["fault"]:
        raise InputError(f"{line['id']}: {line['fault']}")
    path = videos(line["record"]["path"])
    if not path.is_file():
        raise InputError(f"{line['id']}: no video {line['record']['path']}")
    return of_record(line["record"], path, str(line["id"]), str(line["group"]), str(line["task_type"]))


def of_record(
    record: Mapping[str, Any], video: Path, sample_id: str, group: str = "", task_type: str = ""
) -> Sample:
    """A record of the released format, checked by `parse_record` before, as a sample."""
    said = _texts(record)
    start, end = record.get("start_time"), record.get("end_time")
    return Sample(
        sample_id=sample_id,
        video=video,
        turns=tuple(zip(said[::2], said[1::2], strict=True)),
        regions=tuple(
            {int(frame): mask["segmentation"] for frame, mask in masks.items()}
            for masks in record.get("annotation", ())
        ),
        start_s=parse_time(start) if start else None,
        end_s=parse_time(end) if end else None,
        group=group,
        task_type=task_type,
    )


def _fault(record: object) -> str:
    """Which rule of the format a record breaks, "" where none. Checked once: masks are many."""
    try:
        parse_record(record, "record")
    except InputError as error:
        return str(error).removeprefix("record: ")
    return ""


# --- preparing ----------------------------------------------------------------------------------------------


def prepare(source: Path, folder: Path, part: str = "") -> Lines:
    """Make a source readable by number; prepared before, it is only indexed.

    Args:
        source: a folder with an exported dataset version, or a .json file in the released format.
        folder: where the prepared file is kept.
        part: the group of records that have none of their own (a foreign file's); by default its name.

    Raises:
        InputError: the source is neither, or is damaged.
    """
    released = source / RELEASED if source.is_dir() else source
    if not released.is_file():
        raise InputError(f"{source} is no dataset: {released} is not there; `strefer export` writes one")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sha256_of(released)[:16]}-{part or 'own'}.jsonl"
    if not path.exists():
        rich = released.parent / RICH
        is_own = released.name == RELEASED and rich.is_file()
        records = _own(released, rich) if is_own else _foreign(released, part or released.stem)
        with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for given in records:
                line = {**given, "fault": _fault(given["record"])}
                file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    return index(path)


def index(path: Path) -> Lines:
    """Index a prepared file. Raises InputError where it holds no record."""
    offsets, groups, videos, words = [0], [], [], []
    with path.open("rb") as file:
        for text in file:
            line = json.loads(text)
            record = line["record"]
            offsets.append(offsets[-1] + len(text))
            groups.append(line["group"])
            videos.append(str(record.get("path", "")) if isinstance(record, dict) else "")
            words.append(_length(record))
    if not groups:
        raise InputError(f"{path} holds no record")
    return Lines(path, np.array(offsets, np.int64), tuple(groups), tuple(videos), np.array(words, np.int32))


def _length(record: object) -> int:
    try:
        return sum(len(message["value"]) for message in record["conversations"])  # type: ignore[index,misc]
    except (TypeError, KeyError):
        return 0  # not sound; said when it is read


def _own(released: Path, rich: Path) -> Iterator[dict[str, Any]]:
    """The two files of a version side by side, a line of each at a time."""
    with rich.open(encoding="utf-8") as lines:
        for number, (record, line) in enumerate(zip_longest(_records(released), lines)):
            if record is None or line is None:
                raise InputError(f"{released} and {rich.name} hold other numbers of records")
            item = json.loads(line)
            if [turn["text"] for turn in item["turns"]] != _texts(record):
                raise InputError(f"{released.name}[{number}] and line {number + 1} of {rich.name} differ")
            yield {
                "id": item["instruction_id"],
                "group": item["group"],
                "task_type": item["task_type"],
                "record": record,
            }


def _texts(record: Mapping[str, Any]) -> list[str]:
    return [message["value"].removeprefix(IMAGE) for message in record["conversations"]]


def _records(released: Path) -> Iterator[dict[str, Any]]:
    """Records of `instructions.json` as we write it, one a line: memory does not grow with the file."""
    with released.open(encoding="utf-8") as file:
        for text in file:
            if (line := text.strip().rstrip(",")) not in ("[", "]", ""):
                yield json.loads(line)


def _foreign(path: Path, part: str) -> Iterator[dict[str, Any]]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(data, list):
        raise InputError(f"{path.name} holds a {type(data).__name__}; the format is a list of records")
    for number, record in enumerate(data):
        yield {"id": f"{path.stem}[{number}]", "group": part, "task_type": "", "record": record}


def texts(sources: Iterable[Lines]) -> Iterator[str]:
    """All that is said in some sources: what a tokenizer is trained on."""
    for lines in sources:
        for number in range(len(lines)):
            record = lines.read(number)["record"]
            if _length(record):
                yield from _texts(record)
