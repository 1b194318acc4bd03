"""Calibration from its options to a filter: audits of the world, decisions of people, a fit.

What a filter is fitted to is named in its document (`Filter.data.sources`), so that nobody judges it by what
it was fitted to: the seeds of an audit must be others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from strefer_core.audit.auditing import AuditOptions, results_of
from strefer_core.audit.perceiving import PerceptionName
from strefer_core.audit.running import Audited
from strefer_core.config import PipelineConfig
from strefer_core.probe.pool import Advance
from strefer_core.quality.features import signal_of
from strefer_core.quality.filters import Filter
from strefer_core.quality.fitting import Example, fit_filter


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """What to calibrate on: every seed with every noise. Raises ConfigError as `AuditOptions` does."""

    seeds: tuple[int, ...] = (7,)
    videos: int = 120  # per seed and noise
    perception: PerceptionName = "world-noisy"
    noises: tuple[str, ...] = ("",)  # as `AuditOptions.noise`
    knobs: str = "plan"
    without_knob: str = ""  # videos with this difficulty are left out
    drop_videos: int | None = None  # see `fitting.fit_filter`
    videos_dir: Path | None = None
    jobs: int | None = None
    config: PipelineConfig = field(default_factory=PipelineConfig)

    def audits(self) -> list[AuditOptions]:
        """One audit per source. The filter that it runs decides nothing here: only the signals count."""
        return [
            AuditOptions(
                seed=seed,
                videos=self.videos,
                perception=self.perception,
                noise=noise,
                knobs=self.knobs,
                videos_dir=self.videos_dir,
                jobs=self.jobs,
                config=self.config,
                filter="",
            )
            for seed, noise in product(self.seeds, self.noises)
        ]


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a filter is fitted to."""

    examples: tuple[Example, ...]
    sources: tuple[dict[str, Any], ...]

    def without(self, signal: str) -> Material:
        """The same, as if the signal had never been measured."""
        kept = [
            replace(one, features={k: v for k, v in one.features.items() if signal_of(k) != signal})
            for one in self.examples
        ]
        return replace(self, examples=tuple(kept))

    def signals(self) -> list[str]:
        """Signals that any pair has a value of."""
        found = {signal_of(name) for one in self.examples for name in one.features}
        return sorted(name for name in found if name is not None)


def gather(options: CalibrateOptions, advance: Advance = lambda *_: None) -> Material:
    """Audit the world and keep what a filter sees of every pair. Raises as `audit.audit` does."""
    examples: list[Example] = []
    sources: list[dict[str, Any]] = []
    audits = options.audits()
    for place, audit in enumerate(audits):
        results = results_of(audit, partial(_advance, advance, place, len(audits)))
        kept = [one for one in results if options.without_knob not in one.knobs]
        examples += [one for video in kept for one in _examples(video, audit.noise)]
        sources.append(_source(audit, options, len(kept)))
    return Material(examples=tuple(examples), sources=tuple(sources))


def _advance(advance: Advance, place: int, audits: int, done: int, videos: int) -> None:
    advance(place * videos + done, audits * videos)


def _source(audit: AuditOptions, options: CalibrateOptions, videos: int) -> dict[str, Any]:
    return {
        "perception": audit.perception,
        "seed": audit.seed,
        "noise": audit.noise,
        "knobs": audit.knobs,
        "without_knob": options.without_knob,
        "videos": videos,
    }


def _examples(video: Audited, noise: str) -> Iterator[Example]:
    """A video under another noise is the same video, which must not be fitted to and judged at once; its
    pairs have other twins there."""
    for verdict in video.verdicts:
        seen = video.features[verdict.pair.instruction_id]
        keys = "+".join(f"{noise} {key}" for key in verdict.pair.set_key.split("+") if key)
        yield Example(video=video.name, features=seen, is_wrong=not verdict.is_right, set_key=keys)


def fit(material: Material, drop_videos: int | None = None) -> Filter:
    """Fit a filter. Raises InputError where there is too little to learn from."""
    return fit_filter(material.examples, material.sources, drop_videos=drop_videos)


@dataclass(frozen=True, kw_only=True)
class WithoutSignal:
    """What a filter is worth that never saw one signal."""

    signal: str
    error: float
    yield_of_right_pairs: float  # at the same target error
    lost: float  # of the yield that the whole filter has


def leave_one_out(
    material: Material, whole: Filter, target_error: float, signals: Sequence[str]
) -> Iterator[WithoutSignal]:
    """Fit again without each of the signals."""
    best = _bar(whole, target_error)
    for signal in signals:
        bar = _bar(fit(material.without(signal), whole.drop_videos), target_error)
        yield WithoutSignal(
            signal=signal,
            error=bar.error,
            yield_of_right_pairs=bar.yield_of_right_pairs,
            lost=best.yield_of_right_pairs - bar.yield_of_right_pairs,
        )


def _bar(fitted: Filter, target_error: float) -> Any:
    return [bar for bar in fitted.bars if bar.target_error <= target_error + 1e-9][-1]
