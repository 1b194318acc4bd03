"""Results as rows: which table each stage writes, and what a row of it holds; calls of served models, too.

Column names are the fields' names; three differ because SQL reserves the word or has no such type:
`group_name`, `check_name`, and `fps_numerator` with `fps_denominator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from strefer_core import data_model as dm

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class DetailTable:
    """The table that holds a stage's results; every row has `video_id` and `fingerprint` as well."""

    name: str
    key: tuple[str, ...]
    rows: Callable[[Any], Iterator[Row]]


def pair_rows(pairs: Mapping[str, str]) -> list[Row]:
    """`{video_id: fingerprint}` as rows."""
    return [{"video_id": video_id, "fingerprint": fingerprint} for video_id, fingerprint in pairs.items()]


def result_rows(run: dm.StageRun, result: dm.Result) -> list[Row]:
    """The rows that `result` writes into its stage's table. Raises ValueError where one is of another video.

    A result that speaks of another video than its run is never written, whatever made it.
    """
    rows = [{"video_id": run.video_id, **row} for row in TABLES[run.stage].rows(result)]
    for row in rows:
        if row["video_id"] != run.video_id:
            raise ValueError(f"{run.stage} of {run.video_id} holds a row of video {row['video_id']}")
        row["fingerprint"] = run.fingerprint
    return rows


def call_rows(run: dm.StageRun, calls: Sequence[dm.ModelCall]) -> list[Row]:
    """Rows of `model_calls` for the calls that `run` made, in order."""
    key = {"video_id": run.video_id, "stage": run.stage, "fingerprint": run.fingerprint}
    return [key | asdict(call) for call in calls]


def _videos(result: dm.VideosResult) -> Iterator[Row]:
    row = asdict(result.video)
    row |= row.pop("figures")
    fps = row.pop("fps")
    yield row | {"fps_numerator": fps.numerator, "fps_denominator": fps.denominator}


def _clips(result: dm.ClipsResult) -> Iterator[Row]:
    yield from map(asdict, result.clips)


def _entities(result: dm.EntitiesResult) -> Iterator[Row]:
    for entity in result.entities:
        yield asdict(entity) | {"attributes": dict(entity.attributes)}


def _masklets(result: dm.MaskletsResult) -> Iterator[Row]:
    for masklet in result.masklets:
        row = asdict(masklet)
        masks = row.pop("masks")  # stay in the result document: large, and never searched
        yield row | {"visible": [mask is not None for mask in masks]}


def _transcript(result: dm.TranscriptResult) -> Iterator[Row]:
    yield from map(asdict, result.segments)


def _instructions(result: dm.InstructionsResult) -> Iterator[Row]:
    for instruction in result.instructions:
        row = asdict(instruction)
        yield row | {"group_name": row.pop("group")}


def _flags(result: dm.QualityResult) -> Iterator[Row]:
    for flag in result.flags:
        row = asdict(flag)
        yield row | {"check_name": row.pop("check")}


TABLES: dict[str, DetailTable] = {
    "videos": DetailTable(name="videos", key=("video_id",), rows=_videos),
    "clips": DetailTable(name="clips", key=("clip_id",), rows=_clips),
    "entities": DetailTable(name="entities", key=("entity_id",), rows=_entities),
    "masklets": DetailTable(name="masklets", key=("masklet_id",), rows=_masklets),
    "transcript": DetailTable(name="transcript_segments", key=("segment_id",), rows=_transcript),
    "instructions": DetailTable(name="instructions", key=("instruction_id",), rows=_instructions),
    "quality": DetailTable(
        name="flags", key=("video_id", "fingerprint", "object_id", "check_name"), rows=_flags
    ),
}
"""By stage name; a stage that is not here writes only its state."""
