"""Overhead of Airflow, Celery, Postgres and S3 per video: a stage of milliseconds over 200 tiny videos.

The same computations are run in this process, one after the other, right before: their ratio is the figure
to quote, because it holds when the machine is slow.
"""

from __future__ import annotations

import time
from pathlib import Path

from strefer_core import worker
from strefer_core.airflow_client import AirflowClient
from strefer_core.config import PipelineConfig, settings
from strefer_core.ingest import video_id_of, video_key
from strefer_core.pipeline import StageRequest, fingerprints, run_stage
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from tests.integration.scenes import write_tiny

VIDEOS = 200


def measure(folder: Path) -> None:
    """Print seconds per video both ways, and how much of it is not computing."""
    files = {video_id_of(path): path for path in _videos(folder / "tiny")}
    alone_s = _in_process(files, folder)
    for video_id, path in files.items():
        worker.objects().put_file(video_key(video_id), path)
    run_s = _through_airflow(list(files))
    chains = {video_id: fingerprints(video_id, settings().pipeline)["videos"] for video_id in files}
    computing_s = sum(run.compute_s for run in worker.catalog().states(chains, "videos").values())
    print(f"orchestration, {VIDEOS} videos of a {1000 * alone_s / VIDEOS:.0f} ms stage")
    _row("in this process", alone_s, "")
    _row("through Airflow", run_s, f", {run_s / alone_s:.2f} times as long")
    _row("of it not computing", run_s - computing_s, "")


def _row(name: str, total_s: float, remark: str) -> None:
    print(f"  {name:22} {1000 * total_s / VIDEOS:7.1f} ms per video{remark}")


def _videos(folder: Path) -> list[Path]:
    folder.mkdir()
    return [write_tiny(folder / f"{seed}.mp4", seed) for seed in range(VIDEOS)]


def _in_process(files: dict[str, Path], folder: Path) -> float:
    ledger, blobs = FolderLedger(folder / "runs"), FolderObjects(folder / "objects")
    started = time.perf_counter()
    for video_id, path in files.items():
        request = StageRequest.make(video_id, "videos", PipelineConfig())
        run_stage(request, ledger=ledger, blobs=blobs, fetch_video=lambda _, path=path: path)
    return time.perf_counter() - started


def _through_airflow(video_ids: list[str]) -> float:
    with AirflowClient(settings()) as client:
        started = time.perf_counter()
        run = client.trigger("one_batch", {"video_ids": video_ids})
        while not run.is_finished:
            time.sleep(0.2)
            run = client.run(run.dag_id, run.run_id)
    assert run.state == "success", client.link(run)
    return time.perf_counter() - started
