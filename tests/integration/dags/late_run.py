"""Runs as long as it is told to, and alerts where one takes a second longer than those before."""

from __future__ import annotations

import time
from datetime import timedelta

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from operators.alerts import Alert

LATE = DeadlineAlert(
    reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=10, min_runs=1),
    interval=timedelta(seconds=1),
    callback=AsyncCallback(Alert, kwargs={"kind": "late"}),
)

with DAG(dag_id="late_run", schedule=None, deadline=[LATE], params={"lasts_s": Param(0.0, type="number")}):

    @task
    def dawdle() -> None:
        time.sleep(get_current_context()["params"]["lasts_s"])

    dawdle()
