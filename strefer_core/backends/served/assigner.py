"""Which track do words mean: a served model that sees is asked, with numbered marks on the tracks of a frame.

Marks are Set-of-Mark's (arXiv 2310.11441); the contract is RexSeek's, expressions and candidates in, indexes
out. The schema of the answer holds the numbers that there are, so that none can be made up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, create_model

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Footage, Track
from strefer_core.backends.neural.pictures import Sight, sights
from strefer_core.backends.neural.rexseek import shares
from strefer_core.config import ServedModel
from strefer_core.errors import UnusableReply
from strefer_core.served.ask import Ask
from strefer_core.served.client import ask_all
from strefer_core.served.pictures import jpegs
from strefer_core.visual_prompts import mark_regions

ASSIGN = "assign.v1"


class ServedAssigner:
    """Assigner (see `backends.interfaces`) that asks a served model once per frame.

    Args:
        model: whom to ask.
        repeats: how often each question is asked; scores are means over the answers.
    """

    def __init__(self, model: ServedModel, repeats: int) -> None:
        self._models = [
            model.model_copy(update={"seed": model.seed + turn * model.samples}) for turn in range(repeats)
        ]

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """See `interfaces.Assigner`. Where words fit several things, these share the score of 1.

        Raises:
            UnusableReply: the model gave nothing usable about a frame.
            BackendError: its server does not answer.
        """
        scores = np.full((len(frame_indices), len(entities), len(tracks)), np.nan)
        frames = [sights(footage, tracks, [index]) for index in frame_indices]
        asked = [frame for frame, seen in enumerate(frames) if seen and entities]
        questions = [_question(model, frames[frame], entities) for frame in asked for model in self._models]
        answers = iter(ask_all(questions))
        for frame in asked:
            seen = frames[frame]
            votes = [_votes(next(answers), len(entities), len(seen), model) for model in self._models]
            scores[frame, :, [sight.track for sight in seen]] = np.mean(votes, axis=0).T
        return scores


def _question(model: ServedModel, seen: Sequence[Sight], entities: Sequence[dm.Entity]) -> Ask[Any]:
    picture = mark_regions(seen[0].image, [sight.mask for sight in seen])
    return Ask(
        server="vlm",
        model=model,
        prompt=ASSIGN,
        reply=reply_to(len(entities), len(seen)),
        fields={
            "expressions": {str(place): one.expression for place, one in enumerate(entities, 1)},
            "marks": len(seen),
        },
        images=jpegs([picture], model.max_side_px),
        check=_check,
    )


@cache
def reply_to(expressions: int, marks: int) -> type[BaseModel]:
    """The answer's shape: every expression's number once, with numbers of marks that there are."""
    strict = ConfigDict(extra="forbid", frozen=True)
    of_expression, of_mark = _numbers(expressions), _numbers(marks)
    one: Any = create_model(
        "Meaning",
        __config__=strict,
        expression=(of_expression, ...),
        marks=(list[of_mark], Field(max_length=marks)),  # type: ignore[valid-type]
    )
    return create_model(
        "Assignment",
        __config__=strict,
        meanings=(list[one], Field(min_length=expressions, max_length=expressions)),
    )


def _numbers(count: int) -> Any:
    """The type of whole numbers from 1 to count; in a schema an enumeration."""
    return Literal[tuple(range(1, count + 1))]


def _check(answer: Any) -> list[str]:
    """Raises ValueError where an expression is missing, which is where another one is there twice."""
    counts = Counter(one.expression for one in answer.meanings)
    if twice := sorted(place for place, count in counts.items() if count > 1):
        raise ValueError(f"expression {twice[0]} is named more than once, and another one is missing")
    return [
        f"mark given twice for expression {one.expression}"
        for one in answer.meanings
        if len(set(one.marks)) < len(one.marks)
    ]


def _votes(answer: Any, entities: int, marks: int, model: ServedModel) -> NDArray[np.float64]:
    """(entities, marks), 0..1."""
    if answer is None:
        raise UnusableReply(
            f"{model.model} gave no usable reply to {ASSIGN} in {model.samples} samples; what it wrote and "
            "why that was refused is stored with its calls"
        )
    votes = np.zeros((entities, marks))
    for one in answer.meanings:
        votes[one.expression - 1] = shares(sorted({mark - 1 for mark in one.marks}), marks)
    return votes
