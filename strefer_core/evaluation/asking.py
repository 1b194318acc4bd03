"""Asks an answerer the items of the world's bench, and marks what it says.

Closed: the option of the highest likelihood is its answer. Free: it answers in its own words, which are read
and held against the truth; what cannot be read is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from strefer_core import data_model as dm
from strefer_core.evaluation.items import RIGHT, Condition, Item, WorldBench
from strefer_core.evaluation.results import Result, ResultsFile
from strefer_core.evaluation.world_judging import VideoJudge
from strefer_core.evaluation.world_options import PREMISE
from strefer_core.released_format import parse_time
from strefer_core.video_llm.samples import Answerer, Sample

Advance = Callable[[int, int], None]  # questions answered, questions in all
BATCH = 32
FREE = "free"

_REPEATED_S = 0.3  # how far off a time may be that repeats the question's: tokens of time are that coarse

T = TypeVar("T")

_CLOCK = re.compile(r"\b(\d{2,}:[0-5]\d:[0-5]\d(?:\.\d+)?)")
_SECONDS = re.compile(r"\b(\d+(?:\.\d+)?) ?s(?:ec(?:onds?)?)?\b")


@runtime_checkable
class Chooser(Protocol):
    """An answerer that gives no likelihoods, and chooses among options instead."""

    def choose(self, questions: Sequence[tuple[Sample, Sequence[str]]]) -> list[int | None]:
        """Per question the place of the chosen option; None where it chooses none."""
        ...


@runtime_checkable
class Batched(Protocol):
    """An answerer that scores the options of many questions at once."""

    def log_likelihoods_of(self, asked: Sequence[tuple[Sample, Sequence[str]]]) -> list[list[float]]:
        """`Answerer.log_likelihoods` of each question."""
        ...


@runtime_checkable
class TellsTimes(Protocol):
    """An answerer that writes times in tokens of its own."""

    def in_seconds(self, sample: Sample, answer: str) -> str:
        """Its answer with each time as "12.3 s" or "00:00:12.3"."""
        ...


def ask_closed(
    bench: WorldBench, answerer: Answerer, file: ResultsFile, advance: Advance = lambda *_: None
) -> None:
    """Ask every item in every condition that says something; those in the file are not asked again."""
    # By video and item: a model that keeps a video's features has them once.
    wanted = [(item, one) for item in bench.items for one in item.conditions()]
    new = [(item, one) for item, one in wanted if (item.item_id, one.name) not in file]
    done = len(wanted) - len(new)
    for batch in _batches(new):
        if isinstance(answerer, Chooser):
            file.add(_chosen(bench, answerer, batch))
        else:
            file.add(_scored(bench, answerer, batch))
        done += len(batch)
        advance(done, len(wanted))


def _scored(bench: WorldBench, answerer: Answerer, batch: Sequence[tuple[Item, Condition]]) -> list[Result]:
    """The options that an answerer holds for likeliest. Raises ValueError where it scores too few of them."""
    choices = [bench.choices(item, condition) for item, condition in batch]
    asked = [(one.sample, one.options) for own in choices for one in own]
    found = iter(_likelihoods(answerer, asked))
    results = []
    for (item, condition), own in zip(batch, choices, strict=True):
        scores = [score for _ in own for score in next(found)]
        if len(scores) != len(item.options):
            raise ValueError(f"{item.item_id}: {len(scores)} scores for {len(item.options)} options")
        results.append(_marked(_result(item, condition), item, scores))
    return results


def _likelihoods(
    answerer: Answerer, asked: Sequence[tuple[Sample, Sequence[str]]]
) -> Sequence[Sequence[float]]:
    if isinstance(answerer, Batched):
        return answerer.log_likelihoods_of(asked)
    return [answerer.log_likelihoods(sample, options) for sample, options in asked]


def _chosen(bench: WorldBench, chooser: Chooser, batch: Sequence[tuple[Item, Condition]]) -> list[Result]:
    questions = [(bench.sample(item, condition), _told_options(item)) for item, condition in batch]
    found = chooser.choose(questions)
    return [
        _marked(_result(item, condition), item, [float(p == place) for p in range(len(item.options))])
        if place is not None
        else replace(_result(item, condition), note="no option was chosen")
        for (item, condition), place in zip(batch, found, strict=True)
    ]


def _told_options(item: Item) -> tuple[str, ...]:
    """The options in words; intervals in seconds, since they all are one text otherwise."""
    if not item.option_intervals_s:
        return item.options
    return tuple(
        text.replace("<start_time>", f"{start_s:.1f} s").replace("<end_time>", f"{end_s:.1f} s")
        for text, (start_s, end_s) in zip(item.options, item.option_intervals_s, strict=True)
    )


def _marked(result: Result, item: Item, scores: Sequence[float]) -> Result:
    if not np.isfinite(scores).all():
        return replace(result, note="a likelihood is no finite number")
    chosen = int(np.argmax(scores))
    # Of equal ones the first was chosen; to call that right would reward saying nothing.
    is_tie = sum(score == scores[chosen] for score in scores) > 1
    return replace(
        result,
        answer=item.options[chosen],
        chosen=chosen,
        scores=tuple(round(score, 4) for score in scores),
        right=chosen == item.right and not is_tie,
        note="several options are as likely" if is_tie else "",
    )


def _result(item: Item, condition: Condition) -> Result:
    return Result(
        item_id=item.item_id,
        video=item.video,
        group=item.group,
        task_type=item.task_type,
        condition=condition.name,
        answer="",
        right=None,
        labels={"form": item.form},
    )


def ask_free(
    bench: WorldBench,
    answerer: Answerer,
    file: ResultsFile,
    *,
    max_new_tokens: int = 64,
    advance: Advance = lambda *_: None,
) -> None:
    """Let it answer every item in its own words, with the right regions and times, and judge that."""
    # A true premise was made an item beside the false ones; as a question of its own it is another item.
    wanted = [one for one in bench.items if one.form != "premise" or one.template.startswith(PREMISE)]
    done = 0
    for video, items in groupby(wanted, key=lambda item: item.video):
        own = list(items)
        new = [item for item in own if (item.item_id, FREE) not in file]
        judge = VideoJudge.of(bench.folder / video) if new else None
        for batch in _batches(new):
            samples = [bench.sample(item) for item in batch]
            answers = answerer.answer(samples, max_new_tokens=max_new_tokens)
            if isinstance(answerer, TellsTimes):
                told = zip(samples, answers, strict=True)
                answers = [answerer.in_seconds(sample, answer) for sample, answer in told]
            assert judge is not None  # of a video with something to ask
            file.add([free(judge, item, text) for item, text in zip(batch, answers, strict=True)])
        done += len(own)
        advance(done, len(wanted))


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(islice(left, BATCH)):
        yield batch


def free(judge: VideoJudge, item: Item, answer: str) -> Result:
    """An answer in an answerer's own words, read and judged."""
    result = replace(_result(item, RIGHT), condition=FREE, answer=answer)
    pair = _pair(item, answer)
    said = judge.said(pair, pair.turns[1].text)
    if said is None:
        return replace(result, note="unreadable as an answer to this question")
    faults = judge.faults(said)
    return replace(result, right=not faults, note="; ".join(f"{one.kind}: {one.why}" for one in faults))


def _pair(item: Item, answer: str) -> dm.Instruction:
    """The item with another answer; times that it says in figures become the pair's placeholders.

    Where the question has times, only those may be said again.
    """
    text, interval = _with_placeholders(answer.strip())
    if "<start_time>" in item.question and interval is not None and item.interval_s is not None:
        off_s = max(abs(a - b) for a, b in zip(interval, item.interval_s, strict=True))
        text = text if off_s <= _REPEATED_S else answer.strip()
    if "<start_time>" in item.question:
        interval = item.interval_s
    return dm.Instruction(
        instruction_id=item.item_id,
        video_id="",
        group=item.group,
        task_type=item.task_type,
        turns=(dm.Turn(role="human", text=item.question), dm.Turn(role="gpt", text=text)),
        region_entity_ids=item.region_ids,
        start_s=interval[0] if interval else None,
        end_s=interval[1] if interval else None,
        template_id=item.template,
    )


def _with_placeholders(text: str) -> tuple[str, tuple[float, float] | None]:
    """ "From 00:00:01.5 to 00:00:03" or "From 1.5 s to 3 s" as text with placeholders, and the interval."""
    for pattern in (_CLOCK, _SECONDS):
        found = list(pattern.finditer(text))
        if len(found) == 2:
            start_s, end_s = (_time_s(one[1]) for one in found)
            if start_s >= end_s:
                return text, None
            between = text[found[0].end() : found[1].start()]
            before, after = text[: found[0].start()], text[found[1].end() :]
            return f"{before}<start_time>{between}<end_time>{after}", (start_s, end_s)
    return text, None


def _time_s(told: str) -> float:
    return parse_time(told) if ":" in told else float(told)
