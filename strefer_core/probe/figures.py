"""Figures of a cascade over many videos, with bootstrap confidence intervals over the videos.

| figure | over what |
|---|---|
| j, f, j_and_f, entities_tracked, presence_accuracy | mean over all entities asked for that are present |
| identity_switches_per_video | sum over the masklets of these, mean over videos |
| fragments_per_entity | mean over the entities that are covered at least once, so 1 is ideal |
| absent_false_tracks | masklets given to absent names, over the number of absent names |
| ambiguous_tracks | the same of names that fit several entities; in no other figure |
| assignment_accuracy | of the masklets given to present entities, the share that lies on that entity |
| detector_calls, assigner_calls, tracked_frames, seconds: `_median` | median over videos |

None where there is nothing to count over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strefer_core.probe.scoring import EntityFigures, Score

Figures = dict[str, float | None]
Interval = tuple[float, float]
Intervals = dict[str, Interval | None]

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Ratio:
    """A sum over a sum, each over videos."""

    of: Callable[[Score], float]
    over: Callable[[Score], float]


def _sum(value: Callable[[EntityFigures], float]) -> Callable[[Score], float]:
    return lambda score: float(sum(value(one) for one in score.entities))


def _entities(score: Score) -> float:
    return float(len(score.entities))


RATIOS: dict[str, Ratio] = {
    "j": Ratio(_sum(lambda one: one.j), _entities),
    "f": Ratio(_sum(lambda one: one.f), _entities),
    "j_and_f": Ratio(_sum(lambda one: one.j_and_f), _entities),
    "entities_tracked": Ratio(_sum(lambda one: one.is_tracked), _entities),
    "presence_accuracy": Ratio(_sum(lambda one: one.presence_accuracy), _entities),
    "identity_switches_per_video": Ratio(_sum(lambda one: one.identity_switches), lambda _: 1.0),
    "fragments_per_entity": Ratio(_sum(lambda one: one.fragments), _sum(lambda one: one.fragments > 0)),
    "absent_false_tracks": Ratio(lambda s: s.masklets["absent"], lambda s: s.asked["absent"]),
    "assignment_accuracy": Ratio(_sum(lambda one: one.is_right), lambda s: s.masklets["present"]),
    "ambiguous_tracks": Ratio(lambda s: s.masklets["ambiguous"], lambda s: s.asked["ambiguous"]),
}
MEDIANS: dict[str, Callable[[Score], float]] = {
    "detector_calls_median": lambda s: s.detector_calls,
    "tracked_frames_median": lambda s: s.tracked_frames,
    "assigner_calls_median": lambda s: s.assigner_calls,
    "seconds_median": lambda s: s.seconds,
}
METRICS = (*RATIOS, *MEDIANS)


def figures(scores: Sequence[Score]) -> Figures:
    """Every figure of one cascade."""
    values = Sample.of(scores).figures(np.arange(len(scores))[None])
    return {metric: _known(float(value[0])) for metric, value in values.items()}


def intervals(scores: Sequence[Score], seed: int) -> Intervals:
    """95 % percentile intervals of `figures`, over resampled videos; None for fewer than two videos."""
    if len(scores) < 2:
        return dict.fromkeys(METRICS)
    values = Sample.of(scores).figures(resamples(len(scores), seed))
    return {metric: _interval(value) for metric, value in values.items()}


def differences(
    ours: Sequence[Score], theirs: Sequence[Score], seed: int
) -> dict[str, dict[str, float | None]]:
    """Ours minus theirs on the same videos, `{metric: {difference, low, high}}`.

    The videos are resampled in pairs: what makes a video hard for both does not widen the interval.
    """
    drawn = np.arange(len(ours))[None]
    mean = _minus(Sample.of(ours).figures(drawn), Sample.of(theirs).figures(drawn))
    found: dict[str, Interval | None] = dict.fromkeys(METRICS)
    if len(ours) >= 2:
        drawn = resamples(len(ours), seed)
        both = _minus(Sample.of(ours).figures(drawn), Sample.of(theirs).figures(drawn))
        found = {metric: _interval(value) for metric, value in both.items()}
    named = {}
    for metric in METRICS:
        low, high = found[metric] or (None, None)
        named[metric] = {"difference": _known(float(mean[metric][0])), "low": low, "high": high}
    return named


def resamples(count: int, seed: int) -> NDArray[np.int64]:
    """(RESAMPLES, count) places of videos, drawn with replacement; the same for the same arguments."""
    return np.random.default_rng([seed, count]).integers(0, count, (RESAMPLES, count))


@dataclass(frozen=True)
class Sample:
    """What the figures are made of, video by video."""

    parts: dict[str, NDArray[np.float64]]  # of ratios, (videos, 2): numerator and denominator
    values: dict[str, NDArray[np.float64]]  # of medians, (videos,)

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Sample:
        return cls(
            {
                metric: np.array([(r.of(s), r.over(s)) for s in scores], dtype=np.float64).reshape(-1, 2)
                for metric, r in RATIOS.items()
            },
            {
                metric: np.array([value(s) for s in scores], dtype=np.float64)
                for metric, value in MEDIANS.items()
            },
        )

    def figures(self, drawn: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Each figure of each draw of videos, (draws,); NaN where there is nothing to count over."""
        if not drawn.shape[1]:
            return {metric: np.full(len(drawn), np.nan) for metric in METRICS}
        found = {}
        for metric, parts in self.parts.items():
            total, over = parts[:, 0][drawn].sum(axis=1), parts[:, 1][drawn].sum(axis=1)
            found[metric] = np.divide(total, over, out=np.full(len(drawn), np.nan), where=over > 0)
        return found | {metric: np.median(values[drawn], axis=1) for metric, values in self.values.items()}


def _minus(
    ours: dict[str, NDArray[np.float64]], theirs: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    return {metric: ours[metric] - theirs[metric] for metric in METRICS}


def _interval(values: NDArray[np.float64]) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
