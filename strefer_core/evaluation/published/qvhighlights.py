"""Yes/no about intervals: from QVHighlights (Lei et al. 2021, arXiv 2107.09609), or in a simple form.

QVHighlights: JSON lines of {"qid", "query", "duration", "vid", "relevant_windows": [[start_s, end_s], ...]}.
Of each row one positive question is made (one of its windows) and one negative (as long, of the same video,
touching none of its windows). That is a reconstruction of ours: figures do not compare with published ones.

The simple form: a JSON list of {"id", "video": "name.mp4", "question", "start_s", "end_s", "answer"}, where
the question holds <start_time> and <end_time> and the answer is "yes" or "no".
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from strefer_core.errors import InputError
from strefer_core.evaluation.published import matching
from strefer_core.evaluation.published.questions import (
    Bench,
    Mark,
    Question,
    accuracy,
    present,
    read_json,
    rows,
)
from strefer_core.evaluation.results import ANSWER, Result
from strefer_core.video_llm.samples import Sample

NOT_COMPARABLE = (
    "own reconstruction from the published windows, one positive and one negative interval per row: "
    "not comparable with published figures"
)
_STEP_S = 1.0  # of where a negative interval may begin


class _Highlight(BaseModel):
    qid: int | str
    query: str
    duration: float = Field(gt=0)
    vid: str
    relevant_windows: list[tuple[float, float]] = Field(min_length=1)


class _YesNo(BaseModel):
    id: str | int
    video: str
    question: str
    start_s: float = Field(ge=0)
    end_s: float
    answer: Literal["yes", "no", "Yes", "No"]


def load(data: Path, videos: Path, seed: int = 0) -> Bench:
    """Either form, told by the first row.

    Args:
        data: .jsonl as published, or .json in the simple form.
        videos: folder of the video files; of QVHighlights they are called "{vid}.mp4".
        seed: of the choice of windows.

    Raises:
        InputError: the file is of neither form.
    """
    found = read_json(data)
    if isinstance(found, list) and found and isinstance(found[0], dict) and "relevant_windows" in found[0]:
        return _reconstructed(rows(found, _Highlight, data.name), videos, seed)
    return _simple(rows(found, _YesNo, data.name), videos, data.name)


def _simple(found: Sequence[_YesNo], videos: Path, file: str) -> Bench:
    questions = []
    for place, row in enumerate(found):
        if row.end_s <= row.start_s or "<start_time>" not in row.question:
            raise InputError(f"{file}[{place}]: it needs start_s < end_s, and <start_time> in the question")
        questions.append(
            _question(
                str(row.id), videos / row.video, row.question, (row.start_s, row.end_s), row.answer.lower()
            )
        )
    return _bench(questions, "yes/no questions as given", {})


def _reconstructed(found: Sequence[_Highlight], videos: Path, seed: int) -> Bench:
    questions, skipped = [], {}
    for row in found:
        rng = random.Random(f"{seed}/{row.qid}")  # noqa: S311  (no secret)
        positive = rng.choice(row.relevant_windows)
        negative = negative_window(positive, row.relevant_windows, row.duration, rng)
        if negative is None:
            skipped[str(row.qid)] = "no interval as long lies beside its windows"
            continue
        text = (
            "Does this happen in the video between <start_time> and <end_time>? "
            f"{row.query.strip().rstrip('.')}. Answer yes or no."
        )
        for answer, window in (("yes", positive), ("no", negative)):
            questions.append(
                _question(f"{row.qid}/{answer}", videos / f"{row.vid}.mp4", text, window, answer)
            )
    return _bench(questions, NOT_COMPARABLE, skipped)


def negative_window(
    positive: tuple[float, float],
    windows: Sequence[tuple[float, float]],
    duration_s: float,
    rng: random.Random,
) -> tuple[float, float] | None:
    """An interval as long as the positive one that touches no window; None where there is none."""
    length_s = positive[1] - positive[0]
    starts = [_STEP_S * step for step in range(int((duration_s - length_s) / _STEP_S) + 1)]
    free = [
        start_s
        for start_s in starts
        if start_s + length_s <= duration_s
        and all(start_s + length_s <= a or start_s >= b for a, b in windows)
    ]
    if not free:
        return None
    start_s = rng.choice(free)
    return start_s, start_s + length_s


def _question(item_id: str, video: Path, text: str, window: tuple[float, float], answer: str) -> Question:
    sample = Sample(
        sample_id=item_id,
        video=video,
        turns=((text, ""),),
        start_s=window[0],
        end_s=window[1],
        group=answer,
    )
    return Question(item_id=item_id, sample=sample, truth=answer, labels={"answer": answer})


def _bench(questions: Sequence[Question], note: str, skipped: dict[str, str]) -> Bench:
    there, missing = present(questions)
    return Bench(
        name="qvhighlights",
        questions=there,
        mark=_mark,
        max_new_tokens=8,
        note=note,
        missing=missing,
        skipped=skipped,
    )


def _mark(question: Question, answer: str) -> Mark:
    found = matching.yes_no(answer)
    return Mark(right=None if found is None else found == (question.truth == "yes"))


def more(results: Sequence[Result], seed: int = 0) -> dict[str, Any]:
    """Share of yes among readable answers, and the mean of the accuracies on yes and on no."""
    own = [one for one in results if one.condition == ANSWER]
    said = [found for one in own if (found := matching.yes_no(one.answer)) is not None]
    parts = [
        accuracy([one for one in own if one.labels["answer"] == name], seed).value for name in ("yes", "no")
    ]
    known = [value for value in parts if value is not None]
    return {
        "yes_share": sum(said) / len(said) if said else None,
        "balanced_accuracy": sum(known) / 2 if len(known) == 2 else None,
    }
