"""`strefer demo`: the whole system once, on this machine, from video files to a published dataset."""

from __future__ import annotations

import os
import time
from pathlib import Path

from strefer_core.config import home, settings
from strefer_core.console import out, say
from strefer_core.drop import DropReport
from strefer_core.errors import ConfigError
from strefer_core.perception import chosen

WORLD_SEED, WORLD_VIDEOS = 7, 6


def demo(
    videos: Path | None, *, keep: bool, perception: str | None = None, models: Path | None = None
) -> bool:
    """Run it; True where every DAG run succeeded and a dataset is there. The stack is stopped after it.

    Raises ConfigError where a perception is asked for and the stack runs already, with its own.
    """
    from strefer_core.commands import drop, stack

    _choose(perception, models)
    started = time.monotonic()
    folder = videos or _world()
    say("starting the stack")
    was_running = stack.start({}).was_running
    if was_running and (perception or models):
        raise ConfigError("a stack runs already, and sees as it was started: `strefer down` first")
    try:
        say(f"dropping {folder}")
        report = drop.deliver([folder], None, None)
        out.print(drop.table_of(report))
        pictures = _overlays(report)
        _say_where(report, pictures, keep=keep or was_running)
    finally:
        if not keep and not was_running:
            say("stopping the stack (KEEP=1 leaves it up)")
            stack.down()
    say(f"done in {time.monotonic() - started:.0f} s")
    return report.is_success and report.dataset is not None


def _choose(perception: str | None, models: Path | None) -> None:
    """Into the environment, which every process of the stack inherits."""
    now = settings().pipeline
    asked = chosen(now, perception, models)
    if asked != now:
        os.environ["STREFER_PIPELINE__MASKLETS"] = asked.masklets.model_dump_json()
        settings.cache_clear()


def _world() -> Path:
    from strefer_core.commands import world

    folder = home() / "demo-videos"
    say(f"rendering {WORLD_VIDEOS} videos of the world into {folder}")
    world.render(WORLD_SEED, WORLD_VIDEOS, folder, as_json=False)
    return folder


def _overlays(report: DropReport) -> list[Path]:
    """One picture for every video with masklets."""
    from strefer_core.commands import show

    made = [show.overlay(video_id, home() / "overlays") for video_id in report.video_ids]
    return [picture for picture in made if picture]


def _say_where(report: DropReport, pictures: list[Path], *, keep: bool) -> None:
    from strefer_core.commands.export import export_version

    now = settings()
    already, computed = sum(report.already.values()), sum(report.computed.values())
    out.print(f"\nStage runs: {computed} computed now, {already} done before")
    if report.dataset:
        folder = home() / "datasets" / report.dataset
        export_version(report.dataset, folder)
        new = "new" if report.dataset_is_new else "the same content as before, so nothing new was published"
        out.print(f"Dataset    {report.dataset} ({new})\n           {folder}")
    for number, picture in enumerate(pictures):
        out.print(f"{'Overlays' if number == 0 else '':10} {picture}")
    out.print(f"Airflow    {now.airflow_url}  {'is up' if keep else 'up again with `strefer up`'}")
    out.print(f"  login    {now.airflow_user}, password: `strefer password`")
    for run in report.runs:
        out.print(f"  {run['dag_id']:16} {run['state']}  {run['url']}")
