"""Hundreds of tasks that defer at once: Airflow 3.3.2 can lose or falsely fail such; ours must not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from strefer_core import local, worker
from strefer_core.airflow_client import AirflowClient, DagRun
from strefer_core.config import settings
from strefer_core.ingest import video_id_of, video_key
from tests.integration import scenes
from tests.integration.platform_drops import Stopped, part_process, rows, task_states, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2400)]

TASKS = 300


def stored_videos(folder: Path, first_seed: int) -> list[str]:
    """Tiny videos put where workers look for them."""
    ids = []
    for seed in range(first_seed, first_seed + TASKS):
        path = scenes.write_tiny(folder / "video.mp4", seed)
        ids.append(video_id_of(path))
        worker.objects().put_file(video_key(ids[-1]), path)
    return ids


def start(video_ids: list[str]) -> DagRun:
    with AirflowClient(settings()) as client:
        return client.trigger("many_deferrals", {"video_ids": video_ids})


def finish(run: DagRun) -> DagRun:
    with AirflowClient(settings()) as client:

        def finished() -> DagRun | None:
            now = client.run(run.dag_id, run.run_id)
            return now if now.is_finished else None

        result: DagRun = wait_for("the run", finished, timeout_s=900, poll_s=1.0)
        return result


def check(run: DagRun, video_ids: list[str]) -> None:
    states = task_states(run, "videos")
    assert Counter(item["state"] for item in states) == {"success": TASKS}
    assert {item["try_number"] for item in states} == {1}, "no task needed a second try"
    assert run.state == "success"
    settled = rows("select count(*) as n from stage_runs where video_id = any(:ids)", ids=video_ids)
    assert settled[0]["n"] == TASKS


def test_tasks_whose_work_ends_at_once_are_none_falsely_failed(
    stack: local.StackInfo, tmp_path: Path
) -> None:
    """Each trigger fires as soon as it is there: the race of resumed tasks."""
    ids = stored_videos(tmp_path, 10_000)
    check(finish(start(ids)), ids)


def test_tasks_ending_together_survive_the_death_of_the_triggerer(
    stack: local.StackInfo, tmp_path: Path
) -> None:
    ids = stored_videos(tmp_path, 20_000)
    with Stopped(part_process(stack, "worker-cpu")):
        run = start(ids)
        wait_for(
            "all to be deferred",
            lambda: Counter(t["state"] for t in task_states(run, "videos"))["deferred"] == TASKS,
            timeout_s=900,
            poll_s=2.0,
        )
        main = part_process(stack, "triggerer")
        for process in [main, *main.children(recursive=True)]:
            process.kill()
    check(finish(run), ids)
