"""One probe from its options to its report."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from strefer_core.backends.world import Noise
from strefer_core.cascades import CASCADES
from strefer_core.config import MaskletsConfig
from strefer_core.errors import ConfigError
from strefer_core.probe.pool import Advance, run_all, videos_folder
from strefer_core.probe.report import ProbeReport, make_report
from strefer_core.probe.running import PERCEPTIONS, Job, PerceptionName, run_job
from strefer_core.probe.videos import PLAN, OwnVideo, Source, world_videos


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """What to probe. Raises ConfigError where something cannot be."""

    seed: int = 7
    videos: int = 200  # of the world; not looked at where `paths` are given
    paths: tuple[Path, ...] = ()  # own videos, their truth files beside them
    perception: PerceptionName = "world-noisy"
    cascades: tuple[str, ...] = CASCADES
    knobs: str = PLAN  # see `videos.knobs_of`
    noise: str = ""  # rates that differ from the defaults: "miss=0.2,switch=0.05"
    sweep: tuple[float, ...] = ()  # factors for all rates; one more comparison each
    videos_dir: Path | None = None  # rendered videos are kept here; None: in a folder that is removed
    jobs: int | None = None  # processes; None: one per core
    out_dir: Path | None = None  # for pictures of the worst cases; None: no pictures
    worst: int = 4  # pictures per cascade
    config: MaskletsConfig = field(default_factory=MaskletsConfig)

    def __post_init__(self) -> None:
        if self.seed < 0 or (self.videos < 1 and not self.paths):
            raise ConfigError(
                f"a probe needs a seed >= 0 and at least one video, not {self.seed} and {self.videos}"
            )
        if self.perception not in PERCEPTIONS:
            raise ConfigError(f"there is no perception {self.perception!r}; known: {', '.join(PERCEPTIONS)}")
        if unknown := [name for name in self.cascades if name not in CASCADES]:
            raise ConfigError(f"there is no cascade {unknown[0]!r}; known: {', '.join(CASCADES)}")
        if not self.cascades or len(set(self.cascades)) < len(self.cascades):
            raise ConfigError("name at least one cascade, and each only once")
        if (self.noise or self.sweep) and self.perception != "world-noisy":
            raise ConfigError(
                f"--noise and --sweep are for world-noisy; {self.perception} has no error model"
            )
        if any(not math.isfinite(factor) or factor < 0 for factor in self.sweep):
            raise ConfigError(f"a sweep needs factors from 0 up, not {', '.join(map(str, self.sweep))}")

    @property
    def rates(self) -> Noise:
        """The error rates. Raises ConfigError where `noise` names none or is malformed."""
        return Noise.none() if self.perception == "world-exact" else Noise.parse(self.noise)


def probe(options: ProbeOptions, advance: Advance = lambda *_: None) -> ProbeReport:
    """Run a probe. The same options give the same report, seconds apart, whatever the number of processes.

    Raises:
        ConfigError: unknown names in the options, or a folder that cannot be made.
        WorkerLost: a process died.
    """
    with videos_folder(options.videos_dir) as folder:
        jobs = _jobs(options, Path(folder))
        results = run_all(run_job, jobs, options.jobs or os.cpu_count() or 1, advance)
        report = make_report(
            results,
            seed=None if options.paths else options.seed,
            perception=options.perception,
            noise=options.rates,
            factors=options.sweep,
            bootstrap_seed=options.seed,
        )
        if options.out_dir is None:
            return report
        from strefer_core.probe.pictures import draw_worst

        pictures = draw_worst(results, options.cascades, options.worst, options.out_dir)
    return replace(report, pictures=[str(path) for path in pictures])


def _jobs(options: ProbeOptions, folder: Path) -> list[Job]:
    videos: Sequence[Source] = (
        [OwnVideo(path=path) for path in options.paths]
        if options.paths
        else world_videos(options.seed, options.videos, options.knobs, folder)
    )
    rates = options.rates
    return [
        Job(
            video=video,
            perception=options.perception,
            cascades=options.cascades,
            noises=(rates, *(rates.scaled(factor) for factor in options.sweep)),
            seed=options.seed,
            config=options.config,
            keeps_masks=options.out_dir is not None,
        )
        for video in videos
    ]
