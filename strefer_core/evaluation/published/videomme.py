"""Video-MME (Fu et al. 2024, arXiv 2405.21075): choices among four options about short and long videos.

Rows in Parquet, JSON or JSON lines: video_id, videoID (the file's name), duration (short, medium, long),
domain, sub_category, question_id, task_type, question, options ["A. ...", ...], answer "C".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from strefer_core.errors import InputError
from strefer_core.evaluation.published import matching
from strefer_core.evaluation.published.questions import Bench, Mark, Question, present, read_json, rows
from strefer_core.video_llm.samples import Sample

CHOOSE = "Answer with the letter of the right option (A, B, C or D) and nothing else."


class _Row(BaseModel):
    video_id: str
    video_name: str = Field(alias="videoID")
    duration: str
    domain: str
    sub_category: str
    question_id: str
    task_type: str
    question: str
    options: list[str] = Field(min_length=2)
    answer: str = Field(pattern=r"^[A-D]$")


def load(data: Path, videos: Path) -> Bench:
    """All questions, without subtitles.

    Args:
        data: .parquet, .json or .jsonl.
        videos: folder of the video files, "{videoID}.mp4".

    Raises:
        InputError: the file is not as published.
    """
    questions = [_question(row, videos) for row in rows(_read(data), _Row, data.name)]
    there, missing = present(questions)
    return Bench(
        name="videomme",
        questions=there,
        mark=_mark,
        max_new_tokens=16,
        note="without subtitles; accuracy_of_readable is what the published script reports",
        missing=missing,
    )


def _read(data: Path) -> Any:
    if data.suffix != ".parquet":
        return read_json(data)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(data).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{data} cannot be read as Parquet: {error}") from error


def _question(row: _Row, videos: Path) -> Question:
    return Question(
        item_id=row.question_id,
        sample=Sample(
            sample_id=row.question_id,
            video=videos / f"{row.video_name}.mp4",
            turns=(("\n".join((row.question, *row.options, CHOOSE)), ""),),
            group=row.duration,
            task_type=row.task_type,
        ),
        truth=row.answer,
        labels={
            "duration": row.duration,
            "domain": row.domain,
            "sub_category": row.sub_category,
            "task_type": row.task_type,
        },
        options=tuple(row.options),
    )


def _mark(question: Question, answer: str) -> Mark:
    letter = matching.first_letter(answer)
    return Mark(right=None if letter is None else letter == question.truth)
