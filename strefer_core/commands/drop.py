"""`strefer drop`: what the person sees of it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress, TaskID

from strefer_core import drop as core
from strefer_core.airflow_client import AirflowClient, DagRun
from strefer_core.config import settings
from strefer_core.console import emit, err, progress, say, table
from strefer_core.errors import ConfigError, InputError
from strefer_core.pipeline import STAGES

if TYPE_CHECKING:
    from strefer_core.store.catalog import Catalog


def drop(paths: list[Path], name: str | None, failure_tolerance: float | None, *, as_json: bool) -> bool:
    """Upload, trigger, follow, report; True where every DAG run succeeded."""
    report = deliver(paths, name, failure_tolerance)
    emit(report, as_json=as_json, human=table_of(report))
    return report.is_success


def deliver(paths: list[Path], name: str | None, failure_tolerance: float | None) -> core.DropReport:
    """Bring files through the DAGs to a published dataset, showing progress on stderr."""
    from strefer_core import worker

    now = settings()
    if not now.objects_url:
        raise ConfigError("no object store is known: run `strefer up`, or set STREFER_OBJECTS_URL")
    if name is not None and not re.fullmatch(core.DROP_NAME, name):
        raise InputError(f"a drop's name is a folder's name, without '/', not {name!r}")
    videos = core.find_videos(paths)
    drop_id = name or f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    prefix = f"{now.drop_prefix}{drop_id}/"
    catalog = worker.catalog()
    latest = catalog.latest_dataset()
    with AirflowClient(now) as client:
        with progress() as bars:
            uploading = bars.add_task("upload", total=len(videos))
            core.upload(worker.objects(), prefix, videos, lambda: bars.advance(uploading))
            run = core.start(client, drop_id, failure_tolerance)
            runs = _follow(bars, client, catalog, run, drop_id)
        for run in [r for r in runs if r.state != "success"]:
            say(f"{run.dag_id} {run.state}: {', '.join(client.failures(run))}; see {client.link(run)}")
        return core.report(catalog, client, drop_id, runs, latest.version if latest else None)


def _follow(
    bars: Progress, client: AirflowClient, catalog: Catalog, first: DagRun, drop_id: str
) -> list[DagRun]:
    shown: dict[str, TaskID] = {}
    states: dict[str, str] = {}
    runs: list[DagRun] = []
    next_look, is_told = 0.0, False
    for runs in core.follow(client, first):
        for run in runs:
            if states.get(run.run_id) != run.state:
                states[run.run_id] = run.state
                err.print(f"  {run.dag_id}: {run.state}", highlight=False)
        if (began := time.monotonic()) < next_look and not all(run.is_finished for run in runs):
            continue
        total = len(catalog.drop_videos(drop_id)) or None
        for stage, counts in core.progress_of(catalog, drop_id).items():
            if stage not in shown:
                shown[stage] = bars.add_task(stage, total=total)
            bars.update(shown[stage], completed=sum(counts.values()), total=total)
        if not is_told and (is_told := _is_held(catalog, drop_id)):
            say(f"  {drop_id} is below its bars; a person is asked at {client.url}/required_actions")
        # A look at a drop of 100,000 videos takes seconds: never spend more than a tenth of the time on it.
        next_look = began + 10 * (time.monotonic() - began)
    return runs


def _is_held(catalog: Catalog, drop_id: str) -> bool:
    gate = catalog.newest_gates([drop_id]).get(drop_id)
    return gate is not None and not gate.is_open


def table_of(report: core.DropReport) -> object:
    """The report for people."""
    rows = [
        [
            stage,
            *(report.states[stage].get(status, 0) for status in ("done", "filtered", "failed")),
            report.computed.get(stage, 0),
            report.already.get(stage, 0),
        ]
        for stage in STAGES
        if stage in report.states
    ]
    title = f"Drop {report.drop_id}: {len(report.video_ids)} videos, dataset {report.dataset or 'none'}"
    made = table(title, ["stage", "done", "filtered", "failed", "computed now", "done before"], rows)
    for failure in report.failures:
        say(f"  {failure['key']} {failure['status']} in {failure['stage']}: {failure['reason']}")
    return made
