"""What benchmarks in published formats have in common: questions, answers, what is missing, shares."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from strefer_core.errors import InputError
from strefer_core.evaluation.figures import Figure, mean
from strefer_core.evaluation.results import ANSWER, Result, ResultsFile
from strefer_core.video_llm.samples import Answerer, Sample

BATCH = 8
Advance = Callable[[int, int], None]
R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question of a benchmark."""

    item_id: str
    sample: Sample
    truth: str  # as the benchmark has it
    labels: dict[str, str] = field(default_factory=dict)  # by what its results are grouped
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An answer held against the truth."""

    right: bool | None  # None: it names no answer
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Questions and how their answers are marked."""

    name: str
    questions: tuple[Question, ...]
    mark: Callable[[Question, str], Mark]
    max_new_tokens: int
    note: str = ""  # what a reader of its figures has to know
    missing: tuple[str, ...] = ()  # videos that are not there
    skipped: dict[str, str] = field(default_factory=dict)  # questions that cannot be asked, and why


@dataclass(frozen=True, kw_only=True)
class PublishedReport:
    """Shares are 0..1."""

    bench: str
    note: str
    questions: int  # whose videos are there
    answered: int
    unreadable: int  # of the answered: the answer names none
    accuracy: Figure  # over all that were answered; unreadable ones are wrong
    accuracy_of_readable: Figure
    by: dict[str, dict[str, Figure]]  # accuracy by label and its value
    missing: list[str]
    skipped: dict[str, str]
    more: dict[str, Any] = field(default_factory=dict)  # what only this benchmark has

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def ask(bench: Bench, answerer: Answerer, file: ResultsFile, advance: Advance = lambda *_: None) -> None:
    """Ask every question that the file has no answer to. A video that cannot be read is a result as well."""
    new = [one for one in bench.questions if (one.item_id, ANSWER) not in file]
    done = len(bench.questions) - len(new)
    for batch in _batches(new):
        answers = _answers(bench, answerer, batch)
        file.add([_marked(bench, one, answer) for one, answer in zip(batch, answers, strict=True)])
        done += len(batch)
        advance(done, len(bench.questions))


def _batches(questions: Sequence[Question]) -> Iterator[list[Question]]:
    left = iter(questions)
    while batch := list(islice(left, BATCH)):
        yield batch


def _answers(bench: Bench, answerer: Answerer, batch: Sequence[Question]) -> list[str | InputError]:
    """One answer per question; where a video of the batch is at fault, each is asked alone."""
    try:
        found = answerer.answer([one.sample for one in batch], max_new_tokens=bench.max_new_tokens)
        return list(found)
    except InputError as error:
        if len(batch) == 1:
            return [error]
        return [answer for one in batch for answer in _answers(bench, answerer, [one])]


def _marked(bench: Bench, question: Question, answer: str | InputError) -> Result:
    if isinstance(answer, InputError):
        return replace(result_of(question, ANSWER, ""), note=f"not asked: {answer}")
    mark = bench.mark(question, answer)
    return replace(result_of(question, ANSWER, answer), right=mark.right, note=mark.note)


def result_of(question: Question, condition: str, answer: str) -> Result:
    """A result that is not marked yet."""
    return Result(
        item_id=question.item_id,
        video=question.sample.video.name,
        group=question.sample.group,
        condition=condition,
        answer=answer,
        right=None,
        labels=question.labels,
    )


def report(
    bench: Bench, results: Sequence[Result], seed: int = 0, more: Mapping[str, Any] | None = None
) -> PublishedReport:
    """Put the marks of a benchmark's answers together.

    Args:
        bench: whose questions were asked.
        results: of any conditions; only answers count.
        seed: of the bootstrap over videos.
        more: what only this benchmark has.
    """
    asked = {one.item_id for one in bench.questions}
    found = [one for one in results if one.condition == ANSWER and one.item_id in asked]
    failed = {one.item_id: one.note for one in found if one.note.startswith("not asked")}
    own = [one for one in found if one.item_id not in failed]
    readable = [one for one in own if one.right is not None]
    names = sorted({name for one in own for name in one.labels})
    return PublishedReport(
        bench=bench.name,
        note=bench.note,
        questions=len(bench.questions),
        answered=len(own),
        unreadable=len(own) - len(readable),
        accuracy=accuracy(own, seed),
        accuracy_of_readable=accuracy(readable, seed),
        by={name: _by(own, name, seed) for name in names},
        missing=list(bench.missing),
        skipped=bench.skipped | failed,
        more=dict(more or {}),
    )


def accuracy(results: Sequence[Result], seed: int) -> Figure:
    """Share of right answers, with an interval over videos."""
    return mean([float(one.right is True) for one in results], [one.video for one in results], seed)


def _by(results: Sequence[Result], label: str, seed: int) -> dict[str, Figure]:
    values = sorted({one.labels[label] for one in results if label in one.labels})
    return {v: accuracy([one for one in results if one.labels.get(label) == v], seed) for v in values}


# --- files --------------------------------------------------------------------------------------------------


def read_json(path: Path) -> Any:
    """A JSON file, or JSON lines where its name ends so. Raises InputError naming what is wrong with it."""
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error


def rows(data: Any, kind: type[R], where: str) -> list[R]:
    """A list of rows, checked. Raises InputError naming the first that is not as published."""
    try:
        return TypeAdapter(list[kind]).validate_python(data)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: {place or 'the document'}: {first['msg']}") from error


def present(questions: Sequence[Question]) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """Questions whose videos are there, and the names of those videos that are not."""
    there = {one.sample.video: one.sample.video.exists() for one in questions}
    missing = sorted({path.name for path, is_there in there.items() if not is_there})
    return tuple(one for one in questions if there[one.sample.video]), tuple(missing)
