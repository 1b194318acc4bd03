"""A DAG for the tests: one deferred task per video, as many at a time as there are videos."""

from __future__ import annotations

from airflow.sdk import DAG, Param, get_current_context, task

from operators.stage import StageOperator

with DAG(
    dag_id="many_deferrals",
    schedule=None,
    catchup=False,
    max_active_tasks=1000,
    params={"video_ids": Param([], type="array", items={"type": "string"})},
):

    @task
    def singles() -> list[list[str]]:
        """Batches of one."""
        return [[video_id] for video_id in get_current_context()["params"]["video_ids"]]

    StageOperator.partial(task_id="videos", stage="videos", failure_tolerance=1.0).expand(video_ids=singles())
