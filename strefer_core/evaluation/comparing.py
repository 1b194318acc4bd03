"""Is a challenger better than the champion? A paired bootstrap over videos, and what follows from it.

Both answered the same items. The difference of their accuracies is resampled by videos, since the items of
one video are not independent, and paired, since both saw the same ones (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, for the percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from strefer_core.errors import ConfigError, InputError
from strefer_core.evaluation.figures import by_video, resampled
from strefer_core.evaluation.items import RIGHT
from strefer_core.evaluation.results import ANSWER, RESULTS_FILE, Result, read_results
from strefer_core.probe.figures import RESAMPLES

Decision = Literal["promote", "keep"]

COMPARED = frozenset((RIGHT.name, ANSWER))
"""Conditions in which an answer is to be right: with other masks and other times it is not."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a challenger is promoted: if it is better by more than `margin`, with this `confidence`."""

    margin: float = 0.0  # share of items
    confidence: float = 0.95  # least share of resamples in which it is

    def __post_init__(self) -> None:
        if not (-1 <= self.margin <= 1 and 0.5 <= self.confidence < 1):
            raise ConfigError(
                f"a margin lies in -1..1 and a confidence in 0.5..1, not {self.margin} and {self.confidence}"
            )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The challenger against the champion. Shares are 0..1."""

    decision: Decision
    reason: str  # of the decision, in words
    items: int
    videos: int
    champion_accuracy: float
    challenger_accuracy: float
    difference: float  # challenger minus champion
    low: float  # two-sided percentile interval of the difference, at twice the rule's one-sided error
    high: float
    probability: float  # that the difference is above the margin: share of resamples, ties for a half
    margin: float
    confidence: float


def compare(
    champion: Sequence[Result],
    challenger: Sequence[Result],
    rule: Rule | None = None,
    *,
    wanted: Callable[[Result], bool] = lambda one: one.condition in COMPARED,
    seed: int = 0,
) -> Comparison:
    """Compare two models on what both were asked.

    Args:
        champion: its results.
        challenger: its results; of the same items and conditions, in any order.
        rule: when to promote.
        wanted: which of the results count, by default those with the right masks and times.
        seed: of the bootstrap.

    Raises:
        InputError: they were not asked the same, or about fewer than two videos.
    """
    rule = rule or Rule()
    pairs = _paired(list(filter(wanted, champion)), list(filter(wanted, challenger)))
    videos = [one.video for one, _ in pairs]
    values = [_share(new) - _share(old) for old, new in pairs]
    table = by_video(values, videos)
    if len(table) < 2:
        raise InputError(f"a comparison needs items of two videos or more, and has {len(table)}")
    found = resampled(table, seed)
    probability = float(np.mean((found > rule.margin) + 0.5 * (found == rule.margin)))
    tail = 1 - rule.confidence
    low, high = (float(value) for value in np.quantile(found, [tail, 1 - tail]))
    difference = float(np.mean(values))
    decision: Decision = "promote" if probability >= rule.confidence and difference > rule.margin else "keep"
    return Comparison(
        decision=decision,
        reason=_reason(decision, difference, probability, rule),
        items=len(pairs),
        videos=len(table),
        champion_accuracy=float(np.mean([_share(old) for old, _ in pairs])),
        challenger_accuracy=float(np.mean([_share(new) for _, new in pairs])),
        difference=difference,
        low=low,
        high=high,
        probability=probability,
        margin=rule.margin,
        confidence=rule.confidence,
    )


def compare_runs(champion: Path, challenger: Path, rule: Rule | None = None, *, seed: int = 0) -> Comparison:
    """`compare` two folders of runs on one bench.

    Raises:
        InputError: likewise, or a folder holds no results.
    """
    return compare(_kept(champion), _kept(challenger), rule, seed=seed)


def _kept(folder: Path) -> list[Result]:
    found = list(read_results(folder / RESULTS_FILE))
    if not found:
        raise InputError(f"{folder} holds no results; `strefer eval` writes them")
    return found


def _share(result: Result) -> float:
    """An answer that cannot be scored is no right one."""
    return float(result.right is True)


def _paired(champion: Sequence[Result], challenger: Sequence[Result]) -> list[tuple[Result, Result]]:
    old = {one.key: one for one in champion}
    new = {one.key: one for one in challenger}
    if old.keys() != new.keys():
        only = sorted(old.keys() ^ new.keys())
        raise InputError(
            f"only one of the two models was asked {len(only)} of {len(old.keys() | new.keys())} questions, "
            f"first {only[0]}: evaluate both on one bench, to the end"
        )
    if moved := [key for key, one in old.items() if one.video != new[key].video]:
        raise InputError(f"the two results of {moved[0]} are of different videos: evaluate both on one bench")
    return [(old[key], new[key]) for key in sorted(old)]


def _reason(decision: Decision, difference: float, probability: float, rule: Rule) -> str:
    told = (
        f"{100 * difference:+.1f} points, better by more than {100 * rule.margin:g} in {probability:.1%} of"
    )
    return f"{told} {RESAMPLES} resamples; {rule.confidence:.0%} are asked for: {decision}"
