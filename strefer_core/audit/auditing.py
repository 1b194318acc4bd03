"""One audit from its options to its report."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from strefer_core.audit.perceiving import PERCEPTIONS, PerceptionName
from strefer_core.audit.report import AuditReport, make_report, write_wrong
from strefer_core.audit.running import Audited, Job, run_job
from strefer_core.backends.world import Noise
from strefer_core.config import PipelineConfig
from strefer_core.errors import ConfigError
from strefer_core.probe.pool import Advance, run_all, videos_folder
from strefer_core.probe.videos import PLAN, world_videos
from strefer_core.quality.filters import load_filter

NOISE = "x1.5"
"""Half again as many errors as the published figures of the models suggest: enough for a filter to do."""


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """What to audit. Raises ConfigError where something cannot be."""

    seed: int = 11
    videos: int = 200
    perception: PerceptionName = "world"
    knobs: str = PLAN  # see `probe.videos.knobs_of`
    noise: str = ""  # of world-noisy, as `Noise.parse` reads it; "": `NOISE`
    videos_dir: Path | None = None  # rendered videos are kept here; None: in a folder that is removed
    jobs: int | None = None  # processes; None: one per core
    out_dir: Path | None = None  # for the wrong pairs; None: they are only counted
    config: PipelineConfig = field(default_factory=PipelineConfig)
    # Name or file of a filter whose acceptance is judged too; "": what single checks accept; None: neither.
    filter: str | None = None

    def __post_init__(self) -> None:
        if self.seed < 0 or self.videos < 1:
            raise ConfigError(
                f"an audit needs a seed >= 0 and at least one video, not {self.seed} and {self.videos}"
            )
        if self.perception not in PERCEPTIONS:
            raise ConfigError(f"there is no perception {self.perception!r}; known: {', '.join(PERCEPTIONS)}")
        if self.noise and self.perception != "world-noisy":
            raise ConfigError(f"--noise is for world-noisy; {self.perception} has no error model")

    @property
    def checked_config(self) -> PipelineConfig:
        """The pipeline's settings with this audit's filter."""
        if self.filter is None:
            return self.config
        quality = self.config.quality.model_copy(update={"filter": self.filter})
        return self.config.model_copy(update={"quality": quality})

    @property
    def rates(self) -> Noise:
        """The error rates. Raises ConfigError where `noise` names none or is malformed."""
        return Noise.parse(self.noise or NOISE)

    def plain(self) -> dict[str, Any]:
        """As the report has them: what the figures hang on."""
        return {
            "seed": self.seed,
            "videos": self.videos,
            "perception": self.perception,
            "knobs": self.knobs,
            "noise": asdict(self.rates) if self.perception == "world-noisy" else None,
            "transcript": self.config.transcript.backend,
            "instructions": self.config.instructions.backend,
            "filter": self.filter,
            "target_error": None if self.filter is None else self.config.quality.target_error,
        }


def audit(options: AuditOptions, advance: Advance = lambda *_: None) -> AuditReport:
    """Run an audit. The same options give the same report, seconds apart, whatever the number of processes.

    Raises:
        ConfigError: unknown names in the options, or a folder that cannot be written to.
        WorkerLost: a process died.
    """
    began = time.perf_counter()
    results = results_of(options, advance)
    if options.out_dir is not None:
        write_wrong(results, options.out_dir)
    report = make_report(results, options.plain(), options.seed)
    return replace(report, seconds=round(time.perf_counter() - began, 1))


def results_of(options: AuditOptions, advance: Advance = lambda *_: None) -> Sequence[Audited]:
    """Every video judged, in order. Raises as `audit` does."""
    rates, config = options.rates, options.checked_config
    if options.filter:
        load_filter(options.filter).threshold(config.quality.target_error)  # now, not in every process
    with videos_folder(options.videos_dir) as folder:
        jobs = [
            Job(
                video=video,
                perception=options.perception,
                noise=rates,
                seed=options.seed,
                config=config,
                checks=options.filter is not None,
            )
            for video in world_videos(options.seed, options.videos, options.knobs, Path(folder))
        ]
        return run_all(run_job, jobs, options.jobs or os.cpu_count() or 1, advance)
