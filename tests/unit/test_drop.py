"""Following a drop: from its first run to its dataset, and no further."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from strefer_core.airflow_client import DagRun
from strefer_core.drop import follow

CHAIN = ("ingest_videos", "annotate_videos", "curate_dataset", "finetune_video_llm")


class FakeAirflow:
    """Each DAG starts the next one, and every run is over when it is looked at."""

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun(dag_id=dag_id, run_id=run_id, state="success")

    def _next(self, run: DagRun) -> list[str]:
        return [*CHAIN[CHAIN.index(run.dag_id) + 1 :][:1]]

    def consumers_of(self, run: DagRun) -> set[str]:
        return set(self._next(run))

    def started_by(self, run: DagRun) -> list[DagRun]:
        return [replace(run, dag_id=name, run_id=f"of {name}", state="queued") for name in self._next(run)]


def test_a_drop_ends_with_its_dataset_and_waits_for_no_training() -> None:
    client: Any = FakeAirflow()
    first = DagRun(dag_id="ingest_videos", run_id="first", state="queued")
    runs = list(follow(client, first, poll_s=0))[-1]
    assert [run.dag_id for run in runs] == [*CHAIN[:3]]
    assert all(run.is_finished for run in runs)
