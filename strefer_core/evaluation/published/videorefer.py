"""VideoRefer-Bench (Yuan et al. 2024, arXiv 2501.00599): D, descriptions of a region, and Q, choices.

D: a JSON list of {"id", "video", "caption", "frame_idx", "annotation": [{"36": {"segmentation": RLE}}]}; null
for a segmentation is an empty mask. Q: likewise with "Question", "type", "options" and "Answer" for the
caption, and one annotation per <region>; the video may be a folder of frames. Keys of annotations are raw
frame numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, Field

from strefer_core.errors import InputError, StreferError
from strefer_core.evaluation.published import matching
from strefer_core.evaluation.published.questions import Bench, Mark, Question, read_json, rows
from strefer_core.evaluation.published.regions import FrameAnnotation, film_of, frame_number, region_of
from strefer_core.video_io import index_video
from strefer_core.video_llm.samples import Region, Sample

Mode = Literal["single", "multi"]

DESCRIBE = "Describe the <region> in detail: what it is, what it looks like, and what it does in the video."
CHOOSE = "Answer with the letter of the right option only."
_OBJECT = re.compile(r"<object\d+>\s*(?=<region>)")


class _Row(BaseModel):
    id: str | int
    video: str
    frame_idx: str | int | None = None
    annotation: list[dict[str, FrameAnnotation]] = Field(min_length=1)


class _Described(_Row):
    caption: str


class _Asked(_Row):
    question: str = Field(alias="Question")
    type: str
    options: list[str] = Field(min_length=2)
    answer: str = Field(alias="Answer")


Row = TypeVar("Row", bound=_Row)


def load_d(data: Path, videos: Path, mode: Mode = "single") -> Bench:
    """Bench D: open descriptions, which only a judge can mark.

    Args:
        data: the published JSON.
        videos: folder of the video files.
        mode: "single": only the mask of the row's own frame; "multi": all masks.

    Raises:
        InputError: the file is not as published.
    """

    def question(row: _Described, path: Path, regions: tuple[Region, ...], where: str) -> Question:
        if len(regions) != 1:
            raise InputError(f"{where}: a description is of one object, not of {len(regions)}")
        sample = Sample(sample_id=str(row.id), video=path, turns=((DESCRIBE, ""),), regions=regions)
        return Question(item_id=str(row.id), sample=sample, truth=row.caption)

    found = rows(read_json(data), _Described, data.name)
    bench = _bench("videorefer-d", found, videos, data.name, question, mode)
    return replace(bench, mark=lambda *_: Mark(right=None), max_new_tokens=256)


def load_q(data: Path, videos: Path) -> Bench:
    """Bench Q: lettered options about one or more regions, of which all masks are shown.

    Raises:
        InputError: the file is not as published.
    """

    def question(row: _Asked, path: Path, regions: tuple[Region, ...], where: str) -> Question:
        asked = _OBJECT.sub("", row.question)
        if asked.count("<region>") != len(regions):
            raise InputError(
                f"{where}: {asked.count('<region>')} regions asked about, {len(regions)} annotated"
            )
        if _letter(row.answer) is None:
            raise InputError(f"{where}: the answer {row.answer!r} has no letter")
        text = "\n".join((asked, *row.options, CHOOSE))
        sample = Sample(
            sample_id=str(row.id), video=path, turns=((text, ""),), regions=regions, group=row.type
        )
        return Question(
            item_id=str(row.id),
            sample=sample,
            truth=row.answer,
            labels={"type": row.type},
            options=tuple(row.options),
        )

    return _bench(
        "videorefer-q", rows(read_json(data), _Asked, data.name), videos, data.name, question, "multi"
    )


def _letter(answer: str) -> str | None:
    found = re.search(r"\(([A-Z])\)", answer)
    return found[1] if found else None


def mark_letter(question: Question, answer: str) -> Mark:
    """The letter in brackets, or the first one."""
    letter = matching.bracketed_letter(answer)
    return Mark(right=None if letter is None else letter == _letter(question.truth))


def _bench(
    name: str,
    found: Sequence[Row],
    videos: Path,
    file: str,
    question: Callable[[Row, Path, tuple[Region, ...], str], Question],
    mode: Mode,
) -> Bench:
    questions, missing, skipped = [], set(), {}
    counts: dict[Path, int] = {}
    for place, row in enumerate(found):
        where = f"{file}[{place}]"
        path = videos / row.video
        if not path.exists():
            missing.add(row.video)
            continue
        only = frame_number(row.frame_idx or "", where) if mode == "single" else None
        try:
            path = film_of(path, videos / "films") if path.is_dir() else path
            if path not in counts:
                counts[path] = index_video(path).frame_count
            regions = tuple(region_of(frames, counts[path], only) for frames in row.annotation)
        except (StreferError, ValueError) as error:
            skipped[str(row.id)] = str(error)
            continue
        questions.append(question(row, path, regions, where))
    return Bench(
        name=name,
        questions=tuple(questions),
        mark=mark_letter,
        max_new_tokens=16,
        note=f"{mode} frame mode; questions in words of ours",
        missing=tuple(sorted(missing)),
        skipped=skipped,
    )
