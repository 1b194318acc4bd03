"""From a pair back to what made it: its sources, their masklets and clips, the runs and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from strefer_core.config import PipelineConfig
from strefer_core.pipeline import STAGES, backend_id, fingerprints, section
from strefer_core.store.pages import EndedRun, ModelUse, Pair, ShownEntity, ShownFlag, ShownSegment, VideoPage


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One stage's run behind a pair."""

    run: EndedRun
    backend: str  # "": the stage has only one way, or the settings have changed since
    config: Mapping[str, Any] | None  # None: made with other settings than today's
    models: tuple[ModelUse, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """All that a pair rests on."""

    entities: tuple[ShownEntity, ...]
    segments: tuple[ShownSegment, ...]
    clips: tuple[Mapping[str, Any], ...]
    flags: tuple[ShownFlag, ...]  # of the pair and of what it was made from, findings first
    steps: tuple[Step, ...]


def lineage(pair: Pair, page: VideoPage, config: PipelineConfig) -> Lineage:
    """What is current behind a pair of this video."""
    ids = {pair.instruction_id, *pair.source_ids, *pair.region_entity_ids}
    segments = tuple(segment for segment in page.segments if segment.segment_id in ids)
    ids |= {segment.entity_id for segment in segments} | {segment.clip_id for segment in segments}
    entities = tuple(entity for entity in page.entities if entity.entity_id in ids)
    ids |= {entity.masklet_id for entity in entities if entity.masklet_id}
    found = [flag for flag in page.flags if flag.object_id in ids]
    return Lineage(
        entities=entities,
        segments=segments,
        clips=tuple(clip for clip in page.clips if clip["clip_id"] in ids),
        flags=tuple(sorted(found, key=lambda flag: ("fail", "warn", "info").index(flag.severity))),
        steps=steps(page, config),
    )


def steps(page: VideoPage, config: PipelineConfig) -> tuple[Step, ...]:
    """The newest ended run of each stage, in the order of the stages."""
    chain = fingerprints(page.video_id, config)
    found = []
    for stage in STAGES:
        run = page.run(stage)
        if run is not None:
            is_todays = run.fingerprint == chain[stage]
            found.append(
                Step(
                    run=run,
                    backend=backend_id(config, stage) if is_todays else "",
                    config=section(config, stage).model_dump(mode="json") if is_todays else None,
                    models=tuple(use for use in page.models if use.stage == stage),
                )
            )
    return tuple(found)
