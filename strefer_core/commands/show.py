"""`strefer show`: all that the catalog knows of one video; its masklets as pictures, prompts and regions."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Group
from rich.table import Table

from strefer_core import data_model as dm
from strefer_core.config import home, settings
from strefer_core.console import emit, table
from strefer_core.errors import InputError
from strefer_core.ingest import video_id_of
from strefer_core.pipeline import load_result

if TYPE_CHECKING:
    from strefer_core.prompt_sheet import Prompt
    from strefer_core.regions import Format
    from strefer_core.store.catalog import VideoReport


def show(
    video: str,
    out_dir: Path | None,
    *,
    animate: bool,
    regions: Format | None,
    prompt: Prompt | None,
    as_json: bool,
) -> None:
    """Print a video's names, states, entities, transcript and instructions; write its overlays."""
    from strefer_core import worker

    path = Path(video)
    video_id = video_id_of(path) if path.is_file() else video
    known = worker.catalog().describe_video(video_id)
    if not known.names and not known.runs:
        raise InputError(f"{video} is neither a file nor a video id that the catalog knows")
    results = results_of(video_id)
    folder = out_dir or home() / "overlays"
    files = {
        "overlays": _pictures(video_id, results, folder, animate=animate),
        "regions": _regions(video_id, results, folder, regions) if regions else [],
        "prompts": _prompts(video_id, results, folder, prompt) if prompt else [],
    }
    written = {kind: [str(file) for file in made] for kind, made in files.items()}
    lines = [f"{kind.removesuffix('s')}: {file}" for kind, made in written.items() for file in made]
    emit(
        {**asdict(known), "results": {k: asdict(v) for k, v in results.items()}, **written},
        as_json=as_json,
        human=Group(*_tables(known, results), *lines),
    )


def results_of(video_id: str) -> dict[str, dm.Result]:
    """The newest result of each stage that is done."""
    from strefer_core import worker

    return {
        run.stage: load_result(worker.catalog(), worker.objects(), run.video_id, run.stage, run.fingerprint)
        for run in worker.catalog().describe_video(video_id).runs
        if run.status == "done"
    }


def overlay(video_id: str, folder: Path) -> Path | None:
    """Write a video's contact sheet; None where it has no masklet."""
    return next(iter(_pictures(video_id, results_of(video_id), folder, animate=False)), None)


def _pictures(video_id: str, results: dict[str, dm.Result], folder: Path, *, animate: bool) -> list[Path]:
    entities, masklets = _found(results)
    if not masklets:
        return []
    from strefer_core.overlay import write_animation, write_contact_sheet

    path = _fetched(video_id)
    made = [write_contact_sheet(path, entities, masklets, folder / f"{video_id}.png")]
    if animate:
        made.append(write_animation(path, entities, masklets, folder / f"{video_id}.webp"))
    return made


def _regions(video_id: str, results: dict[str, dm.Result], folder: Path, form: Format) -> list[Path]:
    """Write the region of every entity on every sampled frame as JSON, in pixels."""
    _, masklets = _found(results)
    if not masklets:
        return []
    from strefer_core.regions import masklet_regions

    out = folder / f"{video_id}.{form}.json"
    folder.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([masklet_regions(masklet, form) for masklet in masklets]))
    return [out]


def _prompts(video_id: str, results: dict[str, dm.Result], folder: Path, prompt: Prompt) -> list[Path]:
    entities, masklets = _found(results)
    if not masklets:
        return []
    from strefer_core.prompt_sheet import write_prompt_sheet

    out = folder / f"{video_id}.{prompt}.png"
    return [write_prompt_sheet(_fetched(video_id), entities, masklets, prompt, out)]


def _found(results: dict[str, dm.Result]) -> tuple[tuple[dm.Entity, ...], tuple[dm.Masklet, ...]]:
    """Entities and masklets; none before the stage `masklets` is done."""
    if "masklets" not in results:
        return (), ()
    entities = cast(dm.EntitiesResult, results["entities"]).entities
    return entities, cast(dm.MaskletsResult, results["masklets"]).masklets


def _fetched(video_id: str) -> Path:
    from strefer_core import worker
    from strefer_core.store.cache import fetch_video

    now = settings()
    return fetch_video(worker.objects(), video_id, now.video_cache_dir, now.cache_max_bytes)


def _tables(known: VideoReport, results: dict[str, dm.Result]) -> list[Table]:
    title = f"Video {known.video_id}: " + (", ".join(key for _, key in known.names) or "in no drop")
    rows = [[r.stage, r.status, r.attempts, f"{r.compute_s:.2f}", r.reason or ""] for r in known.runs]
    tables: list[Table] = [table(title, ["stage", "state", "attempts", "compute s", "reason"], rows)]
    if "entities" in results:
        tables.append(_entities(results))
    if "transcript" in results:
        tables.append(_transcript(results))
    if "instructions" in results:
        tables.append(_instructions(results, known.instructions))
    return tables


def _entities(results: dict[str, dm.Result]) -> Table:
    masklets = cast(dm.MaskletsResult, results["masklets"]).masklets if "masklets" in results else ()
    of = {masklet.entity_id: masklet for masklet in masklets}
    rows = []
    for entity in cast(dm.EntitiesResult, results["entities"]).entities:
        masklet = of.get(entity.entity_id)
        visible = f"{sum(map(bool, masklet.masks))} of {len(masklet.masks)}" if masklet else "no masklet"
        agreement = masklet.forward_backward_iou if masklet else None
        rows.append([entity.expression, entity.noun, visible, f"{agreement:.2f}" if agreement else ""])
    return table("Entities", ["expression", "noun", "frames visible", "forward-backward IoU"], rows)


def _transcript(results: dict[str, dm.Result]) -> Table:
    names = {e.entity_id: e.expression for e in cast(dm.EntitiesResult, results["entities"]).entities}
    rows = [
        [f"{s.start_s:.2f}-{s.end_s:.2f}", names.get(s.entity_id, s.entity_id), s.text or "(not visible)"]
        for s in cast(dm.TranscriptResult, results["transcript"]).segments
    ]
    return table("Transcript", ["seconds", "entity", "text"], rows)


def _instructions(results: dict[str, dm.Result], counts: dict[str, int]) -> Table:
    rows = [
        [i.group, i.task_type, turn.role, turn.text]
        for i in cast(dm.InstructionsResult, results["instructions"]).instructions
        for turn in i.turns
    ]
    title = "Instructions: " + ", ".join(f"{n} {status}" for status, n in counts.items())
    return table(title, ["group", "task type", "role", "text"], rows)
