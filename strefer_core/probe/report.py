"""The report of a probe: one plain object, the same on the command line, as JSON and in the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from strefer_core.backends.world import Noise
from strefer_core.probe.figures import Figures, Interval, Intervals, differences, figures, intervals
from strefer_core.probe.running import PerceptionName, Probed
from strefer_core.probe.scoring import Score
from strefer_core.probe.videos import NONE

OURS, PAPER = "strefer", "paper"

Difference = dict[str, float | None]  # difference, low, high


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Cascades side by side on the same videos; everything by name of the cascade."""

    cascades: dict[str, Figures]
    confidence: dict[str, dict[str, Interval | None]]
    against_paper: dict[str, Difference]  # by figure; {} unless both `strefer` and `paper` ran
    # By knob; videos without any are under "none", one with several counts under each of them.
    by_knob: dict[str, dict[str, Figures]]
    confidence_by_knob: dict[str, dict[str, Intervals]]
    against_paper_by_knob: dict[str, dict[str, Difference]]


@dataclass(frozen=True, kw_only=True)
class SweepStep(Comparison):
    """The comparison with all rates of the noise times a factor."""

    factor: float
    noise: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class ProbeReport(Comparison):
    """What `strefer probe --json` prints."""

    seed: int | None  # of the world; None where own videos were given
    perception: PerceptionName
    noise: dict[str, float] | None  # None for a perception that looks at the pictures
    videos: int  # with figures
    videos_by_knob: dict[str, int]
    entities: int  # present and asked for, in these videos
    failed: list[dict[str, str]]  # {video, reason}
    sweep: list[SweepStep] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # files, worst cases first per cascade

    @property
    def is_success(self) -> bool:
        return not self.failed and self.videos > 0

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def make_report(
    results: Sequence[Probed],
    *,
    seed: int | None,
    perception: PerceptionName,
    noise: Noise,
    factors: Sequence[float],
    bootstrap_seed: int,
) -> ProbeReport:
    """Put the results together.

    Args:
        results: in order of videos; scores with `noise` first, then one per factor.
        seed: of the world.
        perception: of all.
        noise: that of the first scores.
        factors: of the sweep.
        bootstrap_seed: decides the resampled videos.
    """
    scored = [one for one in results if one.failure is None]
    knobs = by_knob(scored)
    is_noisy = perception != "classical"
    first = compare(scored, 0, bootstrap_seed) if scored else _empty()
    return ProbeReport(
        **vars(first),
        seed=seed,
        perception=perception,
        noise=asdict(noise) if is_noisy else None,
        videos=len(scored),
        videos_by_knob={knob: len(videos) for knob, videos in knobs.items()},
        entities=sum(len(next(iter(one.scores[0].values())).entities) for one in scored),
        failed=[{"video": one.name, "reason": one.failure} for one in results if one.failure is not None],
        sweep=[
            SweepStep(
                **vars(compare(scored, place, bootstrap_seed)),
                factor=factor,
                noise=asdict(noise.scaled(factor)),
            )
            for place, factor in enumerate(factors, start=1)
            if scored
        ],
    )


def by_knob(results: Sequence[Probed]) -> dict[str, list[Probed]]:
    """Videos under each of their knobs, in alphabetical order; those without any first, as "none"."""
    names = sorted({knob for one in results for knob in one.knobs})
    plain = [one for one in results if not one.knobs]
    return ({NONE: plain} if plain else {}) | {
        knob: [one for one in results if knob in one.knobs] for knob in names
    }


def compare(results: Sequence[Probed], place: int, seed: int) -> Comparison:
    """The cascades on all videos and on those of each knob, with the scores at `place`."""
    knobs = {knob: _by_cascade(videos, place) for knob, videos in by_knob(results).items()}
    total = _by_cascade(results, place)
    return Comparison(
        cascades=_figures(total),
        confidence=_intervals(total, seed),
        against_paper=_against_paper(total, seed),
        by_knob={knob: _figures(scores) for knob, scores in knobs.items()},
        confidence_by_knob={knob: _intervals(scores, seed) for knob, scores in knobs.items()},
        against_paper_by_knob={
            knob: found for knob, scores in knobs.items() if (found := _against_paper(scores, seed))
        },
    )


def _by_cascade(results: Sequence[Probed], place: int) -> dict[str, list[Score]]:
    return {name: [one.scores[place][name] for one in results] for name in results[0].scores[place]}


def _figures(scores: dict[str, list[Score]]) -> dict[str, Figures]:
    return {name: figures(one) for name, one in scores.items()}


def _intervals(scores: dict[str, list[Score]], seed: int) -> dict[str, Intervals]:
    return {name: intervals(one, seed) for name, one in scores.items()}


def _against_paper(scores: dict[str, list[Score]], seed: int) -> dict[str, Difference]:
    if not {OURS, PAPER} <= set(scores):
        return {}
    return differences(scores[OURS], scores[PAPER], seed)


def _empty() -> Comparison:
    return Comparison(
        cascades={},
        confidence={},
        against_paper={},
        by_knob={},
        confidence_by_knob={},
        against_paper_by_knob={},
    )
