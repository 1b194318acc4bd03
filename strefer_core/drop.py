"""`strefer drop`: upload videos as one drop, start the DAGs, follow them to a published dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strefer_core.airflow_client import AirflowClient, DagRun
from strefer_core.errors import InputError
from strefer_core.pipeline import STAGES

if TYPE_CHECKING:
    from strefer_core.store.catalog import Catalog
    from strefer_core.store.objects import ObjectStore

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg"})
LAST_DAG = "curate_dataset"
FOLLOWER_WAIT_S = 60.0
DROP_NAME = r"[^/\x00-\x1f]{1,100}"


@dataclass(frozen=True, kw_only=True)
class DropReport:
    """How a drop ended. `computed` and `already` count stage runs of its videos, by stage."""

    drop_id: str
    video_ids: list[str]
    states: dict[str, dict[str, int]]  # stage -> status -> videos
    computed: dict[str, int]
    already: dict[str, int]
    failures: list[dict[str, Any]]  # failed and filtered videos: key, stage, status, reason, ...
    runs: list[dict[str, str]]  # dag_id, run_id, state, url
    dataset: str | None  # latest published version
    dataset_is_new: bool
    is_success: bool


def find_videos(paths: Iterable[Path]) -> list[Path]:
    """Files as given; folders searched for video files by suffix. Raises InputError where there is none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist")
    if not found:
        raise InputError(f"no video files found; looked for {', '.join(sorted(VIDEO_SUFFIXES))}")
    return found


def names_in_drop(paths: Iterable[Path]) -> dict[str, Path]:
    """A distinct object name for each file: its own, with a counter where two files share it."""
    named: dict[str, Path] = {}
    for path in paths:
        name, copy = path.name, 1
        while name in named:
            copy += 1
            name = f"{path.stem}-{copy}{path.suffix}"
        named[name] = path
    return named


def upload(objects: ObjectStore, prefix: str, paths: Iterable[Path], advance: Callable[[], None]) -> None:
    """Put files under a prefix."""
    for name, path in names_in_drop(paths).items():
        objects.put_file(prefix + name, path)
        advance()


def follow(client: AirflowClient, first: DagRun, poll_s: float = 1.0) -> Iterator[list[DagRun]]:
    """Yield the states of a run and of all that its assets started, until every one is finished.

    A drop ends with its dataset: a training that the dataset starts takes hours, and is not waited for.
    """
    runs, closed = [first], set[str]()
    while True:
        runs = [run if run.is_finished else client.run(run.dag_id, run.run_id) for run in runs]
        yield runs
        for run in [r for r in runs if r.is_finished and r.run_id not in closed]:
            known = {one.run_id for one in runs}
            if run.dag_id != LAST_DAG:
                runs += [one for one in _followers(client, run, poll_s) if one.run_id not in known]
            closed.add(run.run_id)
        if all(run.run_id in closed for run in runs):
            return
        time.sleep(poll_s)


def _followers(client: AirflowClient, run: DagRun, poll_s: float) -> list[DagRun]:
    """What a run's assets started; where Airflow gave their events to a run that had begun, that one."""
    consumers = client.consumers_of(run)
    deadline = time.monotonic() + FOLLOWER_WAIT_S
    while consumers and time.monotonic() < deadline:
        if started := client.started_by(run):
            return started
        time.sleep(poll_s)
    return [other for dag_id in sorted(consumers) for other in client.unfinished(dag_id)]


def report(
    catalog: Catalog, client: AirflowClient, drop_id: str, runs: list[DagRun], dataset_before: str | None
) -> DropReport:
    """Sum up a followed drop from the catalog."""
    video_ids = catalog.drop_videos(drop_id)
    latest = catalog.latest_dataset()
    version = latest.version if latest else None
    states = progress_of(catalog, drop_id)
    computed = catalog.computed_since_drop(drop_id)
    return DropReport(
        drop_id=drop_id,
        video_ids=video_ids,
        states=states,
        computed=computed,
        already={stage: sum(states[stage].values()) - computed.get(stage, 0) for stage in states},
        failures=[asdict(failure) for failure in catalog.dropped(drop_id)],
        runs=[{**asdict(run), "url": client.link(run)} for run in runs],
        dataset=version,
        dataset_is_new=version != dataset_before,
        is_success=all(run.state == "success" for run in runs),
    )


def progress_of(catalog: Catalog, drop_id: str) -> dict[str, dict[str, int]]:
    """Videos of a drop by stage and state, stages in the order of the pipeline."""
    found = {p.stage: p for p in catalog.drop_progress(drop_id)}
    return {
        stage: {state: getattr(found[stage], state) for state in ("done", "filtered", "failed")}
        for stage in STAGES
        if stage in found
    }


def start(client: AirflowClient, drop_id: str, failure_tolerance: float | None) -> DagRun:
    """Trigger `ingest_videos` for one drop."""
    conf: dict[str, Any] = {"drop_id": drop_id}
    if failure_tolerance is not None:
        conf["failure_tolerance"] = failure_tolerance
    return client.trigger("ingest_videos", conf)
