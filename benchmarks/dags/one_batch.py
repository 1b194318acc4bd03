"""One StageOperator over one batch: what the orchestration itself costs."""

from __future__ import annotations

from airflow.sdk import DAG, Param, get_current_context, task

from operators.stage import StageOperator

with DAG(
    dag_id="one_batch",
    schedule=None,
    catchup=False,
    params={"video_ids": Param([], type="array", items={"type": "string"})},
):

    @task
    def batch() -> list[str]:
        """The videos of the form."""
        return list(get_current_context()["params"]["video_ids"])

    StageOperator(task_id="videos", stage="videos", failure_tolerance=1.0, video_ids=batch())
