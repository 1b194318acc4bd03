"""Runs cascades on one video with truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from strefer_core import data_model as dm
from strefer_core.backends import registry
from strefer_core.backends.interfaces import Footage
from strefer_core.backends.world import Noise, WorldPerception
from strefer_core.cascades import Outcome, Perception, run_cascade
from strefer_core.config import MaskletsConfig
from strefer_core.errors import InputError
from strefer_core.footage import load_footage
from strefer_core.masks import encode, resize
from strefer_core.probe.pool import one_thread, reason
from strefer_core.probe.questions import Question, ask
from strefer_core.probe.scoring import Masks, Score, score_entity
from strefer_core.probe.videos import Source, load_checked
from strefer_core.video_io import VideoIndex, index_video, sample_positions
from strefer_core.world.truth import WorldTruth

PerceptionName = Literal["world-noisy", "world-exact", "classical"]
PERCEPTIONS: tuple[PerceptionName, ...] = ("world-noisy", "world-exact", "classical")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is done with one video."""

    video: Source
    perception: PerceptionName
    cascades: tuple[str, ...]
    noises: tuple[Noise, ...]  # the cascades are run once with each
    seed: int  # of the questions' order and of the noise
    config: MaskletsConfig
    keeps_masks: bool = False  # for pictures


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one cascade gave for one video, for pictures."""

    questions: tuple[Question, ...]
    truths: dict[str, Masks]  # by id of the true entity
    masks: dict[int, Masks]  # by place of the question


@dataclass(frozen=True, kw_only=True)
class Probed:
    """Scores of one video; of one that failed, the reason instead."""

    name: str
    path: Path | None = None
    knobs: tuple[str, ...] = ()
    scores: tuple[dict[str, Score], ...] = ()  # per noise, by cascade
    answers: dict[str, Answer] = field(default_factory=dict)  # of the first noise, by cascade
    failure: str | None = None


def run_job(job: Job) -> Probed:
    """Probe one video. Never raises: what goes wrong is in the result."""
    try:
        with one_thread():
            return _probe(job)
    except Exception as error:  # noqa: BLE001  # a bug that one video brings out must not end a run over 200
        return Probed(name=job.video.name, failure=reason(error))


def _probe(job: Job) -> Probed:
    path = job.video.fetch()
    truth = load_checked(path)
    index = index_video(path)
    if index.frame_count != len(truth.frames_pts_s):
        raise InputError(f"{path} has {index.frame_count} frames, its truth {len(truth.frames_pts_s)}")
    positions = [int(position) for position in sample_positions(index.frame_count)]
    questions = ask(truth, positions, job.seed)
    things: dict[str, Masks] = {
        one.entity_id: [one.masks[position] for position in positions] for one in truth.entities
    }
    footage = _footage(job, path, index)
    scores: list[dict[str, Score]] = []
    answers: dict[str, Answer] = {}
    for noise in job.noises:
        scores.append({})
        perception = _perception(job, truth, noise)
        # What it works out once per video is no cascade's time, least of all that of the first one alone.
        perception.detect(footage, [0], sorted({one.entity.noun for one in questions}))
        for name in job.cascades:
            scores[-1][name], masks = _run(name, perception, footage, questions, things, job.config)
            if job.keeps_masks and len(scores) == 1:
                answers[name] = Answer(questions=tuple(questions), truths=things, masks=masks)
    return Probed(name=job.video.name, path=path, knobs=truth.knobs, scores=tuple(scores), answers=answers)


def _footage(job: Job, path: Path, index: VideoIndex) -> Footage:
    if job.perception == "classical":
        return load_footage(path, index=index)
    return load_footage(path, index=index, fps=0)  # the truth needs no frames between the sampled ones


def _perception(job: Job, truth: WorldTruth, noise: Noise) -> Perception:
    if job.perception == "classical":
        return cast(Perception, registry.load("masklets", MaskletsConfig()))
    return WorldPerception(truth, noise, seed=job.seed)  # its errors hang on no order of calls


def _run(
    name: str,
    perception: Perception,
    footage: Footage,
    questions: Sequence[Question],
    things: dict[str, Masks],
    config: MaskletsConfig,
) -> tuple[Score, dict[int, Masks]]:
    began = time.perf_counter()
    outcome = run_cascade(name, perception, footage, [one.entity for one in questions], config)
    seconds = time.perf_counter() - began
    masks = masks_of(outcome, footage)
    kinds = [one.kind for one in questions]
    return Score(
        entities=tuple(
            score_entity(one, things, masks.get(place))
            for place, one in enumerate(questions)
            if one.kind == "present"
        ),
        asked={kind: kinds.count(kind) for kind in ("present", "absent", "ambiguous")},
        masklets={
            kind: sum(kinds[place] == kind for place in masks) for kind in ("present", "absent", "ambiguous")
        },
        detector_calls=outcome.detector_calls,
        tracked_frames=outcome.tracked_frames,
        assigner_calls=outcome.assigner_calls,
        seconds=seconds,
    ), masks


def masks_of(outcome: Outcome, footage: Footage) -> dict[int, Masks]:
    """Masklets at display size by place of the entity, as the stage stores them; empty ones left out."""
    found: dict[int, list[dm.Rle | None]] = {
        one.entity: [
            encode(resize(one.track.masks[t], footage.height_px, footage.width_px)) for t in footage.sampled
        ]
        for one in outcome.found
    }
    return {entity: masks for entity, masks in found.items() if any(masks)}
