"""TempCompass (Liu et al. 2024, arXiv 2403.00476): four kinds of tasks about what only time tells.

A folder with `meta_info.json` and `questions/{multi-choice,yes_no,caption_matching,captioning}.json`, each
{video_id: {dimension: [{"question", "answer"}]}}. A caption is judged by the first multiple choice of its
video and dimension, or by its row's own "mc_question" and "mc_answer". The other kinds are matched by rules;
what no rule matches, and all captions, a judge decides where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from strefer_core.errors import InputError
from strefer_core.evaluation.published import matching
from strefer_core.evaluation.published.questions import Bench, Mark, Question, present, read_json
from strefer_core.evaluation.results import ANSWER, Result
from strefer_core.video_llm.samples import Sample

KINDS = ("multi-choice", "yes_no", "caption_matching", "captioning")
_ORDERS = {
    "multi-choice": "\nAnswer with the best option.",
    "caption_matching": "\nAnswer with the best option.",
    "yes_no": "\nAnswer yes or no.",
    "captioning": "",
}


class _Row(BaseModel):
    question: str
    answer: str = ""
    mc_question: str = ""
    mc_answer: str = ""


_FILE: TypeAdapter[dict[str, dict[str, list[_Row]]]] = TypeAdapter(dict[str, dict[str, list[_Row]]])


def load(folder: Path, videos: Path, kinds: Sequence[str] = KINDS) -> Bench:
    """The kinds whose files are there.

    Args:
        folder: as published.
        videos: folder of the video files, "{video_id}.mp4".
        kinds: which of `KINDS`.

    Raises:
        InputError: none of the files is there, or one is not as published.
    """
    fine = _fine_types(folder / "meta_info.json")
    questions = [
        question
        for kind in kinds
        if (path := folder / "questions" / f"{kind}.json").exists()
        for question in _questions(path, kind, videos, fine)
    ]
    if not questions:
        raise InputError(f"{folder}/questions holds none of {', '.join(f'{kind}.json' for kind in kinds)}")
    there, missing = present(questions)
    return Bench(
        name="tempcompass",
        questions=there,
        mark=mark,
        max_new_tokens=128,
        note="answers matched by rules; unmatched ones and captions are a judge's where there is one",
        missing=missing,
    )


def _first_choices(path: Path) -> dict[tuple[str, str], _Row]:
    """The first multiple choice of each video and dimension."""
    if not path.exists():
        return {}
    return {(v, d): found[0] for v, dims in _checked(path).items() for d, found in dims.items() if found}


def _with_choice(row: _Row, choice: _Row | None) -> _Row:
    if row.mc_question or choice is None:
        return row
    return row.model_copy(update={"mc_question": choice.question, "mc_answer": choice.answer})


def _checked(path: Path) -> dict[str, dict[str, list[_Row]]]:
    try:
        return _FILE.validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _questions(path: Path, kind: str, videos: Path, fine: dict[tuple[str, str], str]) -> list[Question]:
    data = _checked(path)
    choices = _first_choices(path.parent / "multi-choice.json") if kind == "captioning" else {}
    return [
        _question(
            kind, video, dimension, number, _with_choice(row, choices.get((video, dimension))), videos, fine
        )
        for video, dimensions in data.items()
        for dimension, found in dimensions.items()
        for number, row in enumerate(found)
    ]


def _question(
    kind: str,
    video: str,
    dimension: str,
    number: int,
    row: _Row,
    videos: Path,
    fine: dict[tuple[str, str], str],
) -> Question:
    item_id = f"{kind}/{video}/{dimension}/{number}"
    labels = {"kind": kind, "dimension": dimension, "kind and dimension": f"{kind} {dimension}"}
    if fine_type := fine.get((video, dimension)):
        labels["type"] = fine_type
    return Question(
        item_id=item_id,
        sample=Sample(
            sample_id=item_id,
            video=videos / f"{video}.mp4",
            turns=((row.question + _ORDERS[kind], ""),),
            group=dimension,
            task_type=kind,
        ),
        truth=row.mc_answer if kind == "captioning" else row.answer,
        labels=labels,
        options=_options(row, kind),
    )


def _options(row: _Row, kind: str) -> tuple[str, ...]:
    """The lines after the question's first; of a caption the whole question that it is judged by."""
    lines = [line.strip() for line in (row.mc_question or row.question).splitlines() if line.strip()]
    return tuple(lines if kind == "captioning" else lines[1:])


def _fine_types(path: Path) -> dict[tuple[str, str], str]:
    """Fine type by video and dimension; empty where there is no such file or it says none."""
    if not path.exists():
        return {}
    found: dict[tuple[str, str], str] = {}
    data: Any = read_json(path)
    for video, meta in data.items() if isinstance(data, dict) else ():
        dimensions = meta.get("eval_dim") if isinstance(meta, dict) else None
        for dimension, told in (dimensions or {}).items():
            if isinstance(told, dict) and isinstance(told.get("type"), str):
                found[video, dimension] = told["type"]
    return found


def mark(question: Question, answer: str) -> Mark:
    """By rules; None where none matches, always of captions."""
    return _RULES[question.labels["kind"]](question, answer)


def _multi_choice(question: Question, answer: str) -> Mark:
    if answer.strip() == question.truth.strip():
        return Mark(right=True)
    letter = matching.leading_letter(answer)
    return Mark(right=None if letter is None else letter == question.truth.strip()[:1])


def _yes_no(question: Question, answer: str) -> Mark:
    found = matching.yes_no(answer)
    return Mark(right=None if found is None else found == matching.yes_no(question.truth))


def _caption_matching(question: Question, answer: str) -> Mark:
    found = matching.option_of(answer, question.options)
    truth = matching.option_of(question.truth, question.options)
    return Mark(right=None if found is None else found == truth)


_RULES = {
    "multi-choice": _multi_choice,
    "yes_no": _yes_no,
    "caption_matching": _caption_matching,
    "captioning": lambda *_: Mark(right=None),
}


def more(results: Sequence[Result]) -> dict[str, Any]:
    """Share of answers that a rule matched, by kind."""
    rates = {}
    for kind in KINDS:
        own = [one for one in results if one.condition == ANSWER and one.labels.get("kind") == kind]
        if own and kind != "captioning":
            rates[kind] = sum(one.right is not None for one in own) / len(own)
    return {"match_rate": rates}
