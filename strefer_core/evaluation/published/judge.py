"""Judges behind an OpenAI-compatible server: grades of descriptions, and answers that no rule matches.

What comes back is checked: whole numbers 0 to 5, known letters. A reply that is none of that is asked for
again, as often as `ServedModel.samples` says; what still fails is counted, and tried again by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from strefer_core.config import ServedModel
from strefer_core.evaluation.figures import Figure, mean
from strefer_core.evaluation.published.questions import Bench, Question, result_of
from strefer_core.evaluation.results import ANSWER, Result, ResultsFile
from strefer_core.served.ask import Ask, accept
from strefer_core.served.client import ask_all

BATCH = 32
DIMENSIONS = ("subject", "appearance", "temporal", "hallucination")
UNUSABLE = "the judge gave no usable verdict"

M = TypeVar("M", bound=BaseModel)

_Grade = int


def verdict_of(model: str) -> str:
    """The condition of a judge's verdicts: those of another judge are others."""
    return f"judged by {model}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Grades(_Strict):
    """Of one description; each 0..5, whole."""

    subject: _Grade = Field(ge=0, le=5)
    appearance: _Grade = Field(ge=0, le=5)
    temporal: _Grade = Field(ge=0, le=5)
    hallucination: _Grade = Field(ge=0, le=5)
    why: str

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(float(getattr(self, name)) for name in DIMENSIONS)


class Verdict(_Strict):
    """Of one answer."""

    is_right: bool


class Reading(_Strict):
    """What a caption says about a question."""

    letter: Literal["A", "B", "C", "D"] | None


def grade_descriptions(bench: Bench, file: ResultsFile, model: ServedModel) -> None:
    """Grade every answer of VideoRefer-Bench D that has no grades yet. Raises as `ask_all` does."""

    def fields(question: Question, answer: str) -> dict[str, JsonValue]:
        return {"reference": question.truth, "given": answer}

    def verdict(_: Question, found: Grades) -> dict[str, Any]:
        return {"scores": found.values, "note": found.why}

    asked = partial(_asked, model, "judge_description.v1", Grades, fields)
    _judge(bench, file, verdict_of(model.model), asked, verdict)


def judge_answers(bench: Bench, file: ResultsFile, model: ServedModel) -> None:
    """Judge answers that no rule matched, and what captions say about their question. Raises likewise."""

    def reading(question: Question, answer: str) -> dict[str, JsonValue]:
        asked, *options = question.options or ("",)
        return {"description": answer, "question": asked, "options": list(options)}

    def fields(question: Question, answer: str) -> dict[str, JsonValue]:
        return {
            "question": question.sample.turns[-1][0],
            "right_answer": question.truth,
            "given": answer,
        }

    captions = replace(bench, questions=tuple(q for q in bench.questions if _is_caption(q)))
    others = replace(bench, questions=tuple(q for q in bench.questions if not _is_caption(q)))
    _judge(
        captions,
        file,
        verdict_of(model.model),
        partial(_asked, model, "judge_caption.v1", Reading, reading),
        lambda question, found: {
            "right": found.letter == question.truth.strip()[:1],
            "answer": found.letter or "",
        },
    )
    _judge(
        others,
        file,
        verdict_of(model.model),
        partial(_asked, model, "judge_answer.v1", Verdict, fields),
        lambda _, found: {"right": found.is_right},
    )


def _is_caption(question: Question) -> bool:
    return question.labels.get("kind") == "captioning"


def _asked(
    model: ServedModel,
    prompt: str,
    reply: type[M],
    fields: Callable[[Question, str], Mapping[str, JsonValue]],
    question: Question,
    answer: str,
) -> Ask[M]:
    return Ask(
        server="llm", model=model, prompt=prompt, reply=reply, fields=fields(question, answer), check=accept
    )


def _judge(
    bench: Bench,
    file: ResultsFile,
    condition: str,
    asked: Callable[[Question, str], Ask[M]],
    verdict: Callable[[Question, M], dict[str, Any]],
) -> None:
    """Ask about every answer without a mark that has no usable verdict."""
    open_ones = [
        (one, found.answer)
        for one in bench.questions
        if (found := _unjudged(one, file, condition)) is not None
    ]
    for start in range(0, len(open_ones), BATCH):
        batch = open_ones[start : start + BATCH]
        replies = ask_all([asked(question, answer) for question, answer in batch])
        file.add(
            [
                replace(result_of(question, condition, answer), **_told(question, reply, verdict))
                for (question, answer), reply in zip(batch, replies, strict=True)
            ]
        )


def _unjudged(question: Question, file: ResultsFile, condition: str) -> Result | None:
    answer, verdict = file.get(question.item_id, ANSWER), file.get(question.item_id, condition)
    if answer is None or answer.right is not None or answer.note.startswith("not asked"):
        return None
    return answer if verdict is None or verdict.note == UNUSABLE else None


def _told(
    question: Question, reply: M | None, verdict: Callable[[Question, M], dict[str, Any]]
) -> dict[str, Any]:
    return {"note": UNUSABLE} if reply is None else verdict(question, reply)


def grades(bench: Bench, results: Sequence[Result], model: str, seed: int = 0) -> dict[str, Any]:
    """Mean per dimension and over them, 0..5, with intervals over videos; and how many have no grades."""
    asked = {one.item_id for one in bench.questions}
    found = [one for one in results if one.condition == verdict_of(model) and one.item_id in asked]
    graded = [one for one in found if len(one.scores) == len(DIMENSIONS)]
    videos = [one.video for one in graded]
    figures: dict[str, Figure] = {
        name: mean([one.scores[place] for one in graded], videos, seed)
        for place, name in enumerate(DIMENSIONS)
    }
    figures["mean"] = mean([sum(one.scores) / len(DIMENSIONS) for one in graded], videos, seed)
    return {"grades": figures, "graded": len(graded), "judge_failures": len(found) - len(graded)}


def with_verdicts(results: Sequence[Result], model: str) -> list[Result]:
    """Answers with a judge's mark where no rule gave one; verdicts themselves left out."""
    verdicts = {one.item_id: one for one in results if one.condition == verdict_of(model)}
    return [
        replace(one, right=verdicts[one.item_id].right)
        if one.right is None and one.item_id in verdicts
        else one
        for one in results
        if one.condition == ANSWER
    ]
