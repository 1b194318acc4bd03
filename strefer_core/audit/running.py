"""Audits one video: perceive, transcribe, write, and check every pair that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from strefer_core import data_model as dm
from strefer_core.audit.checking import Checker, Verdict
from strefer_core.audit.judging import Judge
from strefer_core.audit.perceiving import PerceptionName, Running, perceive
from strefer_core.backends.world import Noise
from strefer_core.config import PipelineConfig
from strefer_core.pipeline import Filtered
from strefer_core.probe.pool import one_thread, reason
from strefer_core.probe.videos import Source, load_checked
from strefer_core.quality.features import features
from strefer_core.quality.measured import Measured
from strefer_core.stages.quality import measure


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is done with one video."""

    video: Source
    perception: PerceptionName
    noise: Noise
    seed: int  # of the noise
    config: PipelineConfig
    checks: bool = False  # also run the stage `quality`, and keep what the filter sees of each pair


@dataclass(frozen=True, kw_only=True)
class Audited:
    """The pairs of one video, judged; of one that failed, the reason instead."""

    name: str
    knobs: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    accepted_ids: frozenset[str] | None = None  # None: the stage `quality` was not run
    features: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by instruction id, likewise
    filtered: str | None = None  # why a stage went no further
    failure: str | None = None


def run_job(job: Job) -> Audited:
    """Audit one video. Never raises: what goes wrong is in the result."""
    try:
        with one_thread():
            return _audit(job)
    except Exception as error:  # noqa: BLE001  # a bug that one video brings out must not end a run over 200
        return Audited(name=job.video.name, failure=reason(error))


def _audit(job: Job) -> Audited:
    path = job.video.fetch()
    truth = load_checked(path)
    running = Running.of(path, truth, job.config, job.noise, job.seed)
    try:
        perceive(running, job.perception)
        running.run("transcript", dm.TranscriptResult)
        pairs = running.run("instructions", dm.InstructionsResult).instructions
    except Filtered as outcome:
        return Audited(name=job.video.name, knobs=truth.knobs, filtered=outcome.reason)
    entities = running.result("entities", dm.EntitiesResult).entities
    masklets = running.result("masklets", dm.MaskletsResult).masklets
    checker = Checker(Judge(truth), entities, masklets)
    verdicts = tuple(checker.check(pair) for pair in pairs)
    found = Audited(name=job.video.name, knobs=truth.knobs, verdicts=verdicts)
    return replace(found, **_checked(running)) if job.checks else found


def _checked(running: Running) -> dict[str, Any]:
    accepted = running.run("quality", dm.QualityResult).accepted_ids
    video = running.result("videos", dm.VideosResult).video
    given = Measured.of(video, running.results)
    values = measure(given)
    seen = {item.instruction_id: features(item, given, values) for item in given.instructions}
    return {"accepted_ids": frozenset(accepted), "features": seen}
