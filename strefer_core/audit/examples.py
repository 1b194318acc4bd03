"""Questions without their videos: what text alone has to go on."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from strefer_core import claims as cl
from strefer_core import data_model as dm
from strefer_core.audit.checking import Verdict

Form = Literal["yes_no", "choice", "open"]

_OPTION = re.compile(r"^\(([A-H])\) (.*)$", re.MULTILINE)
_CHOSEN = re.compile(r"\(([A-H])\)")
_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One question without its video."""

    video: str
    task_type: str
    template: str
    form: Form
    question: str  # without its options
    options: tuple[str, ...]  # of a multiple choice
    label: Hashable  # "yes"/"no", place of the right option, or what an open answer says
    is_negative: bool
    skeleton: str  # the question with names left out


def examples_of(video: str, verdict: Verdict) -> list[Example]:
    """One example per question of a pair; none where it could not be read."""
    pair = verdict.pair
    turns = zip(pair.turns[::2], pair.turns[1::2], strict=True)
    return [
        _example(video, pair, question.text, answer.text, reading)
        for (question, answer), reading in zip(turns, verdict.readings, strict=False)
    ]


def _example(video: str, pair: dm.Instruction, question: str, answer: str, reading: cl.Reading) -> Example:
    options = tuple(text for _, text in _OPTION.findall(question))
    form, label = _label(answer, options, reading)
    if "<start_time>" in answer and "<start_time>" not in question:
        label = f"{pair.start_s:.0f} to {pair.end_s:.0f} s"
    stem = _OPTION.sub("", question).strip()
    return Example(
        video=video,
        task_type=pair.task_type,
        template=question_template(pair.template_id),
        form=form,
        question=stem,
        options=options,
        label=label,
        is_negative=pair.is_negative,
        skeleton=_skeleton(stem, reading),
    )


def question_template(template_id: str) -> str:
    """The part of a template's id that stands for the question: "verify.action_time.3.yes.0" asks as
    "verify.action_time.3" does."""
    return template_id.rsplit(".", 2)[0]


def _label(answer: str, options: Sequence[str], reading: cl.Reading) -> tuple[Form, Hashable]:
    chosen = _CHOSEN.search(answer)
    if options and chosen:
        return "choice", "ABCDEFGH".index(chosen[1])
    if found := _YES_NO.match(answer):
        return "yes_no", found[1].lower()
    return "open", " & ".join(sorted(_said(claim, reading.about) for claim in reading.claims))


def _said(value: Any, about: Sequence[cl.Who]) -> str:
    """A claim in one string, in which whom the question asks about is "it"."""
    if isinstance(value, cl.Who):
        return "it" if value in about else value.words or "<region>"
    if isinstance(value, tuple):
        return f"({' '.join(_said(item, about) for item in value)})"
    if is_dataclass(value):
        parts = (_said(getattr(value, field.name), about) for field in fields(value))
        return f"{type(value).__name__}({' '.join(part for part in parts if part != 'None')})"
    return str(value)


def _skeleton(question: str, reading: cl.Reading) -> str:
    for who in reading.about:
        if who.words:
            question = re.sub(rf"\b{re.escape(who.words)}\b", "X", question, flags=re.IGNORECASE)
    return question
