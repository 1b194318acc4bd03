"""What the pipeline knows of a world video before anything is written: from the truth, or from the pictures.

| perception | clips, camera | entities | masklets |
|---|---|---|---|
| `world` | the truth's cuts and camera | the truth's, with all attributes | the truth's masks |
| `world-noisy` | stage `clips` | the truth's, names of nobody and of several | the cascade, erring |
| `classical` | stage `clips` | stage `entities` | stage `masklets` |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends import registry
from strefer_core.backends.world import Noise, WorldPerception
from strefer_core.cascades import run_cascade
from strefer_core.config import PipelineConfig
from strefer_core.footage import load_footage
from strefer_core.masks import area_px, decode, tight_box
from strefer_core.pipeline import STAGES, StageTask, fingerprints, section
from strefer_core.probe.questions import ask
from strefer_core.stages.clips import intervals
from strefer_core.stages.masklets import make_masklet
from strefer_core.video_io import sample_positions
from strefer_core.world.truth import WorldTruth, true_camera

PerceptionName = Literal["world", "world-noisy", "classical"]
PERCEPTIONS: tuple[PerceptionName, ...] = get_args(PerceptionName)

R = TypeVar("R", bound=dm.Result)


@dataclass(frozen=True)
class Running:
    """The stages on one video, each on the results of those before."""

    path: Path
    truth: WorldTruth
    config: PipelineConfig
    noise: Noise
    seed: int  # of the noise
    results: dict[str, dm.Result]

    @classmethod
    def of(cls, path: Path, truth: WorldTruth, config: PipelineConfig, noise: Noise, seed: int) -> Running:
        """A run in which nothing is known yet."""
        return cls(path, truth, config, noise, seed, {})

    @property
    def video_id(self) -> str:
        return self.truth.video_sha256[:16]

    def task(self, stage: str, backend: object = None) -> StageTask:
        """What the stage is given."""
        return StageTask(
            video_id=self.video_id,
            fingerprint=fingerprints(self.video_id, self.config)[stage],
            video_path=self.path,
            config=section(self.config, stage),
            backend=backend,
            inputs={name: self.results[name] for name in STAGES[stage].needs if name in self.results},
        )

    def run(self, stage: str, kind: type[R]) -> R:
        """Run a stage and keep its result. Raises what the stage raises."""
        task = self.task(stage, registry.load(stage, section(self.config, stage)))
        self.results[stage] = STAGES[stage].run(task)
        return self.result(stage, kind)

    def keep(self, stage: str, result: R) -> R:
        self.results[stage] = result
        return result

    def result(self, stage: str, kind: type[R]) -> R:
        """What a stage came to before."""
        found = self.results[stage]
        assert isinstance(found, kind)
        return found

    @property
    def positions(self) -> list[int]:
        """The sampled frames."""
        return [int(position) for position in sample_positions(len(self.truth.frames_pts_s))]


def perceive(running: Running, perception: PerceptionName) -> None:
    """Fill in all that `transcript` and `instructions` need. Raises what the stages raise."""
    running.run("videos", dm.VideosResult)
    _PERCEIVE[perception](running)


def _from_pictures(running: Running) -> None:
    running.run("clips", dm.ClipsResult)
    running.run("entities", dm.EntitiesResult)
    running.run("masklets", dm.MaskletsResult)


def _from_truth(running: Running) -> None:
    running.keep("clips", true_clips(running))
    entities = running.keep("entities", true_entities(running)).entities
    running.keep("masklets", true_masklets(running, entities))


def _with_errors(running: Running) -> None:
    running.run("clips", dm.ClipsResult)
    asked = [one.entity for one in ask(running.truth, running.positions, running.seed)]
    entities = running.keep("entities", dm.EntitiesResult(entities=tuple(asked))).entities
    footage = load_footage(running.path, fps=0)  # the truth needs no frames between the sampled ones
    config = running.config.masklets
    perception = WorldPerception(running.truth, running.noise, seed=running.seed)
    outcome = run_cascade(config.cascade, perception, footage, entities, config)
    task = running.task("masklets")
    masklets = [
        make_masklet(task.new_id("msk", one.entity), entities[one.entity], one, outcome, footage)
        for one in outcome.found
    ]
    running.keep("masklets", dm.MaskletsResult(masklets=tuple(one for one in masklets if any(one.areas_px))))


_PERCEIVE: dict[PerceptionName, Callable[[Running], None]] = {
    "world": _from_truth,
    "world-noisy": _with_errors,
    "classical": _from_pictures,
}


def true_clips(running: Running) -> dm.ClipsResult:
    """Clips between the truth's cuts, and how its camera truly moves."""
    truth, task = running.truth, running.task("clips")
    pieces = intervals(
        truth.cuts_s, truth.duration_s, min_s=running.config.clips.min_s, max_s=running.config.clips.max_s
    )
    clips = tuple(
        dm.Clip(
            clip_id=task.new_id("clip", index),
            video_id=task.video_id,
            index=index,
            start_s=start_s,
            end_s=end_s,
        )
        for index, (start_s, end_s) in enumerate(pieces)
    )
    return dm.ClipsResult(clips=clips, camera=true_camera(truth, running.positions))


def true_entities(running: Running) -> dm.EntitiesResult:
    """Everybody who plays, by its own expression."""
    task = running.task("entities")
    return dm.EntitiesResult(
        entities=tuple(
            dm.Entity(
                entity_id=task.new_id("ent", index),
                video_id=task.video_id,
                index=index,
                expression=one.expression,
                noun=one.noun,
                generalized_noun=one.generalized_noun,
                attributes=tuple(sorted(one.attributes)),
            )
            for index, one in enumerate(running.truth.entities)
        )
    )


def true_masklets(running: Running, entities: Sequence[dm.Entity]) -> dm.MaskletsResult:
    """What is seen of everybody on the sampled frames; nothing of whom none of them shows."""
    task, positions = running.task("masklets"), running.positions
    times_s = tuple(running.truth.frames_pts_s[position] for position in positions)
    found = []
    for entity, one in zip(entities, running.truth.entities, strict=True):
        shown = [one.masks[position] for position in positions]
        areas = [area_px(mask) for mask in shown]
        if any(areas):
            found.append(
                dm.Masklet(
                    masklet_id=task.new_id("msk", entity.index),
                    video_id=task.video_id,
                    entity_id=entity.entity_id,
                    frames_pts_s=times_s,
                    masks=tuple(shown),
                    boxes_px=tuple(tight_box(decode(mask)) if mask else None for mask in shown),
                    areas_px=tuple(areas),
                    detector_score=1.0,
                    assignment_margin=None,
                    start_frame_index=int(np.argmax(areas)),
                    forward_backward_iou=None,
                )
            )
    return dm.MaskletsResult(masklets=tuple(found))
