"""What the platform tests share: a drop and its follow-up, and the state that it leaves, by content."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from strefer_core import drop, local, worker
from strefer_core.airflow_client import AirflowClient, DagRun
from strefer_core.config import settings

RESULT_TABLES = (
    "stage_runs", "videos", "clips", "entities", "masklets", "transcript_segments", "instructions", "flags",
    "datasets", "dataset_videos",
)  # fmt: skip
ACCOUNTING = {"attempts", "compute_s", "started_at", "finished_at", "created_at", "worker"}
"""Columns that say how a result came about, not what it is."""


def deliver(drop_id: str, folder: Path, failure_tolerance: float | None = None) -> drop.DropReport:
    """Drop a folder and follow it to the end."""
    latest = worker.catalog().latest_dataset()
    runs = follow(begin(drop_id, folder, failure_tolerance))
    with AirflowClient(settings()) as client:
        return drop.report(worker.catalog(), client, drop_id, runs, latest.version if latest else None)


def begin(drop_id: str, folder: Path, failure_tolerance: float | None = None) -> DagRun:
    """Upload and trigger."""
    prefix = f"{settings().drop_prefix}{drop_id}/"
    drop.upload(worker.objects(), prefix, sorted(folder.iterdir()), lambda: None)
    with AirflowClient(settings()) as client:
        return drop.start(client, drop_id, failure_tolerance)


def follow(run: DagRun) -> list[DagRun]:
    """Wait for a run and all that it starts."""
    with AirflowClient(settings()) as client:
        return list(drop.follow(client, run, poll_s=0.5))[-1]


def engine() -> sa.Engine:
    return sa.create_engine(settings().database_url.get_secret_value(), poolclass=sa.NullPool)


def rows(statement: str, **values: Any) -> list[dict[str, Any]]:
    with engine().connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


def content() -> dict[str, Any]:
    """Every result row without its accounting, and the hash of every result and dataset blob."""
    tables = {
        table: sorted(
            json.dumps({k: v for k, v in row.items() if k not in ACCOUNTING}, default=str, sort_keys=True)
            for row in rows(f"select * from {table}")
        )
        for table in RESULT_TABLES
    }
    store = worker.objects()
    blobs = {
        item.key: hashlib.sha256(store.get_bytes(item.key)).hexdigest()
        for prefix in ("results/", "datasets/", "videos/")
        for item in store.list(prefix)
    }
    return {"tables": tables, "blobs": blobs}


def differences(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """What is only in one of two contents, one line each; shown whole when a test fails."""
    found = []
    for table in RESULT_TABLES:
        old, new = set(before["tables"][table]), set(now["tables"][table])
        found += [f"lost {table} {row}" for row in sorted(old - new)]
        found += [f"new {table} {row}" for row in sorted(new - old)]
    old_blobs, new_blobs = set(before["blobs"].items()), set(now["blobs"].items())
    found += [f"lost blob {key}" for key, _ in sorted(old_blobs - new_blobs)]
    return found + [f"new blob {key}" for key, _ in sorted(new_blobs - old_blobs)]


def forget_everything() -> None:
    """Empty catalog and object store, as on the first day."""
    with engine().begin() as connection:
        names = ", ".join((*RESULT_TABLES, "drop_objects", "drops", "jobs", "requests", "reviews"))
        connection.execute(sa.text(f"truncate {names} cascade"))
    store = worker.objects()
    for item in list(store.list("")):
        store.delete(item.key)


def wait_for(what: str, condition: Callable[[], Any], timeout_s: float = 120.0, poll_s: float = 0.1) -> Any:
    """The condition's first true value; fails naming what was waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(poll_s)
    raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}")


class Stopped:
    """Keeps a part's processes from running for a while, without ending them."""

    def __init__(self, main: psutil.Process) -> None:
        self._processes = [main, *main.children(recursive=True)]

    def __enter__(self) -> None:
        for process in self._processes:
            process.suspend()

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.resume()


def part_process(info: local.StackInfo, name: str) -> psutil.Process:
    """The main process of a part."""
    part = next(part for part in local.status(info.home).parts if part.name == name)
    assert part.pid is not None
    return psutil.Process(part.pid)


def call(method: str, path: str, **options: Any) -> Any:
    """Airflow's REST API as the logged-in user."""
    with AirflowClient(settings()) as client:
        return client.call(method, path, **options)


def task_states(run: DagRun, task_id: str) -> list[dict[str, Any]]:
    """All mapped instances of a task."""
    found: list[dict[str, Any]] = []
    while True:
        page = call(
            "GET",
            f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances",
            params={"limit": 100, "offset": len(found), "order_by": "map_index"},
        )
        found += page["task_instances"]
        if len(found) >= page["total_entries"]:
            return [item for item in found if item["task_id"] == task_id]
