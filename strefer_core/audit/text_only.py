"""How far one gets without looking: answers predicted from the question's text alone.

Two predictors, both fitted and scored with cross-validation whose folds never share a video: the answer that
is most frequent for the question's template, and a bag of words (words and pairs of neighbours, logistic
regression). The better one counts. What is predicted, and what chance is:

| form of the question | predicted | chance |
|---|---|---|
| yes/no | yes or no | 0.5 |
| multiple choice | which of the pair's own options, each scored on its own | mean of 1 / number of options |
| open | what the answer says in any words, times to the second | share of the commonest |
| false premise | whether it is one, among as many true ones of the same shape | 0.5 |

An open question whose answers hardly repeat has no chance (None).
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strefer_core.audit.examples import Example, Form
from strefer_core.audit.predictors import WORD, by_majority, by_words, chances, rates


@dataclass(frozen=True, kw_only=True)
class Guessing:
    """How often text alone is right."""

    questions: int
    chance: float | None
    accuracy: float | None  # None: too few videos to fit on some and score on others

    @property
    def edge(self) -> float | None:
        """How far above chance."""
        return None if self.chance is None or self.accuracy is None else self.accuracy - self.chance


def guess(examples: Sequence[Example]) -> Guessing:
    """Text alone on questions of any forms together."""
    parts = [[one for one in examples if one.form == form] for form in ("yes_no", "choice", "open")]
    found = [_GUESS[part[0].form](part) for part in parts if part]
    counts = [one.questions for one in found]
    return Guessing(
        questions=sum(counts),
        chance=_mean([one.chance for one in found], counts),
        accuracy=_mean([one.accuracy for one in found], counts),
    )


def _mean(values: Sequence[float | None], counts: Sequence[int]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.average(known, weights=counts)) if known and len(known) == len(values) else None


def _yes_no(examples: Sequence[Example]) -> Guessing:
    return _labels(examples, chance=0.5)


def _open(examples: Sequence[Example]) -> Guessing:
    counts = Counter(one.label for one in examples)
    repeats = sum(count for count in counts.values() if count > 1)
    is_closed = repeats > len(examples) / 2
    return _labels(examples, chance=max(counts.values()) / len(examples) if is_closed else None)


def _labels(examples: Sequence[Example], chance: float | None) -> Guessing:
    texts = [one.question for one in examples]
    labels = [one.label for one in examples]
    videos = [one.video for one in examples]
    right = [
        by_majority([one.template for one in examples], labels, videos),
        by_words(texts, labels, videos),
    ]
    return Guessing(questions=len(examples), chance=chance, accuracy=_better(right))


def _better(right: Sequence[NDArray[np.bool_] | None]) -> float | None:
    return max((float(one.mean()) for one in right if one is not None), default=None)


def _choice(examples: Sequence[Example]) -> Guessing:
    """Each option is a question of its own: is it the right one? The surest option is chosen."""
    owners = np.repeat(np.arange(len(examples)), [len(one.options) for one in examples])
    options = [(one, place) for one in examples for place in range(len(one.options))]
    is_right = [place == one.label for one, place in options]
    videos = [one.video for one, _ in options]
    keys = [f"{one.template} | {one.options[place]}" for one, place in options]
    texts = [_option_text(one, place) for one, place in options]
    scores = [rates(keys, is_right, videos), chances(texts, is_right, videos)]
    right = [_chosen_right(score, owners, is_right) for score in scores if score is not None]
    chance = float(np.mean([1 / len(one.options) for one in examples]))
    return Guessing(questions=len(examples), chance=chance, accuracy=_better(right))


def _option_text(one: Example, place: int) -> str:
    """The question, the option in words of its own, its place, and how much of it other options share."""
    words = re.findall(WORD, one.options[place].lower())
    others = [word for i, option in enumerate(one.options) if i != place for word in option.lower().split()]
    shared = sum(word in others for word in words)
    own = " ".join(f"opt_{word}" for word in words)
    return f"{one.question} {own} place_{place}_of_{len(one.options)} shared_{min(shared, 5)}"


def _chosen_right(
    scores: NDArray[np.float64], owners: NDArray[np.int64], is_right: Sequence[bool]
) -> NDArray[np.bool_]:
    """Per question, whether the option with the highest score is the right one; ties count in shares."""
    flags = np.asarray(is_right)
    found = []
    for owner in np.unique(owners):
        mine = owners == owner
        best = np.flatnonzero(mine)[scores[mine] >= scores[mine].max() - 1e-12]
        found.append(flags[best].mean())
    return np.asarray(found)


def guess_premise(negatives: Sequence[Example], positives: Sequence[Example], seed: int) -> Guessing:
    """Whether text alone tells false premises from true ones.

    Args:
        negatives: questions on a false premise.
        positives: open questions of other types, whose premises hold.
        seed: of the choice of as many positives as negatives, with regions and times as often.
    """
    rng = random.Random(seed)  # noqa: S311  (no secret)
    pools: dict[tuple[bool, bool], list[Example]] = defaultdict(list)
    for one in positives:
        if one.form == "open" and not one.is_negative:
            pools[_shape(one)].append(one)
    wanted = Counter(_shape(one) for one in negatives)
    kept: list[Example] = []
    for shape, count in wanted.items():
        false = [one for one in negatives if _shape(one) == shape]
        size = min(count, len(pools[shape]))
        kept += rng.sample(false, size) + rng.sample(pools[shape], size)
    if not kept:
        return Guessing(questions=0, chance=0.5, accuracy=None)
    labels = [one.is_negative for one in kept]
    videos = [one.video for one in kept]
    right = [
        by_majority([one.skeleton for one in kept], labels, videos),
        by_words([one.question for one in kept], labels, videos),
    ]
    return Guessing(questions=len(kept), chance=0.5, accuracy=_better(right))


def _shape(one: Example) -> tuple[bool, bool]:
    return "<region>" in one.question, "<start_time>" in one.question


_GUESS: dict[Form, Callable[[Sequence[Example]], Guessing]] = {
    "yes_no": _yes_no,
    "choice": _choice,
    "open": _open,
}
