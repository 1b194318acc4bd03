"""`strefer run`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from strefer_core.config import settings
from strefer_core.console import emit, progress, say, table
from strefer_core.drop import find_videos
from strefer_core.local_run import LocalRun, RunReport
from strefer_core.perception import chosen
from strefer_core.pipeline import STAGES


def run(
    paths: list[Path],
    out_dir: Path,
    *,
    perception: str | None = None,
    models: Path | None = None,
    as_json: bool,
) -> bool:
    """Run all stages; True where a dataset was made and no video failed."""
    config = chosen(settings().pipeline, perception, models)
    videos = find_videos(paths)
    with progress() as bars:
        tasks = {stage: bars.add_task(stage, total=len(videos)) for stage in STAGES}
        report = LocalRun(out_dir, config).run(videos, lambda stage, _: bars.advance(tasks[stage]))
    emit(asdict(report), as_json=as_json, human=_table(report))
    already, computed = sum(report.already.values()), sum(report.computed.values())
    say(f"{already} stage runs were done before, {computed} computed now")
    if report.dataset:
        say(f"dataset {report.dataset}: {out_dir / 'instructions.json'}, overlays in {out_dir / 'overlays'}")
    else:
        say("no dataset: no instruction was accepted")
    return report.dataset is not None and not report.failed


def _table(report: RunReport) -> object:
    colour = {"done": "green", "filtered": "yellow", "failed": "red"}
    rows = [
        [
            video.name,
            video.video_id,
            Text(video.status, colour.get(video.status, "")),
            video.masklets,
            f"{video.accepted} of {video.instructions}",
            f"{video.stage}: {video.reason}" if video.reason else "",
        ]
        for video in report.videos
    ]
    columns = ["video", "id", "state", "masklets", "accepted", "reason"]
    return table(f"{len(rows)} videos", columns, rows)
