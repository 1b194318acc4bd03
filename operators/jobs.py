"""`JobOperator`: one long job on the train queue, while no Airflow slot is held; and the trigger that waits.

The id of a job does not depend on the try: a retry attaches to the job of the try before, and one that died
goes on from its last checkpoint.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from strefer_core.errors import StoreError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from strefer_core.store.catalog import Job
    from strefer_core.store.jobs import JobKind

QUEUE = "train"
POLL_S = 2.0
LOST_CHECK_S = 15.0


def job_id(ti: Any, kind: str, spec: Mapping[str, Any]) -> str:
    """The same for every try of one task of one run with one specification."""
    name = json.dumps([ti.dag_id, ti.run_id, ti.task_id, ti.map_index, kind, spec], sort_keys=True)
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def result_of(found: Any) -> dict[str, Any]:
    """A job's result, as a later task gets it.

    Airflow 3.3.2 hands on as JSON text what a trigger pushed, and as it is what a task returned.
    """
    read: dict[str, Any] = json.loads(found) if isinstance(found, str) else dict(found)
    return read


def failure(job: Job) -> str:
    """Why a job did not end well; "" where it did."""
    if job.status == "done":
        return ""
    return f"{job.kind} {job.job_id} {job.status}: {job.error_class or ''} {job.reason or ''}".rstrip(": ")


class JobOperator(BaseOperator):
    """Run a training or an evaluation on a worker of the queue `train`; returns its result.

    Args:
        kind: "train" or "evaluate".
        spec: what to do, as the job's runner documents; may be the output of another task.
        wait_limit: after it the task fails; the job goes on, and a retry waits on.
    """

    template_fields: Sequence[str] = ("spec",)
    ui_color = "#e8e0f4"

    def __init__(
        self,
        *,
        kind: JobKind,
        spec: Mapping[str, Any],
        wait_limit: timedelta = timedelta(days=7),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind: JobKind = kind
        self.spec = spec
        self.wait_limit = wait_limit
        self._job_id = ""

    def execute(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Ask for the job and defer; where it is over already, end as it did."""
        from strefer_core import worker

        self._job_id = job_id(context["ti"], self.kind, self.spec)
        job = worker.catalog().open_job(self._job_id, self.kind, self.spec)
        self.log.info("job=%s kind=%s status=%s", job.job_id, job.kind, job.status)
        if job.is_over:
            if message := failure(job):
                raise AirflowFailException(message)
            return job.result or {}
        worker.send_job(job.job_id, QUEUE)
        self.defer(
            trigger=JobTrigger(job_id=job.job_id, queue=QUEUE), method_name="execute", timeout=self.wait_limit
        )
        raise AssertionError("defer() raises")

    def on_kill(self) -> None:
        """Killed before it deferred: afterwards the trigger's `on_kill` does so."""
        from strefer_core import worker

        if self._job_id:
            worker.catalog().cancel_job(self._job_id)


class JobTrigger(BaseTrigger):
    """Waits for a job and ends its task; sends again what a dead worker took with it.

    A job counts as lost when no process holds its lock and its queue is empty, twice in a row.
    """

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id = job_id
        self.queue = queue

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "operators.jobs.JobTrigger", {"job_id": self.job_id, "queue": self.queue}

    # Logged in threads, as in `triggers.StageTrigger`.

    async def run(self) -> AsyncIterator[TriggerEvent]:
        resender = asyncio.create_task(self._send_lost_again())
        try:
            job = await self._ended()
        finally:
            resender.cancel()
        if message := failure(job):
            await asyncio.to_thread(self.log.error, "%s", message)
            yield TaskFailedEvent(xcoms={"failure": message})
        else:
            yield TaskSuccessEvent(xcoms={"return_value": job.result or {}})

    async def on_kill(self) -> None:
        """The user cancelled or cleared the waiting task."""
        await asyncio.to_thread(self._cancel)

    async def _ended(self) -> Job:
        while True:
            try:
                job = await asyncio.to_thread(self._find)
            except StoreError:
                job = None  # Postgres is away; the task's own time limit bounds the wait
            if job is not None and job.is_over:
                return job
            await asyncio.sleep(POLL_S)

    async def _send_lost_again(self) -> None:
        was_idle = False
        while True:
            await asyncio.sleep(LOST_CHECK_S)
            try:
                is_idle = await asyncio.to_thread(self._is_idle)
                if is_idle and was_idle:
                    await asyncio.to_thread(
                        self.log.warning, "job=%s sending its lost message again", self.job_id
                    )
                    await asyncio.to_thread(self._send)
                    is_idle = False
                was_idle = is_idle
            except StoreError as error:  # Postgres or the broker is away: look again later
                await asyncio.to_thread(self.log.warning, "cannot look for a lost message: %s", error)

    def _find(self) -> Job | None:
        from strefer_core import worker

        return worker.catalog().find_job(self.job_id)

    def _is_idle(self) -> bool:
        from strefer_core import worker

        return not worker.queue_length(self.queue) and not worker.catalog().is_job_running(self.job_id)

    def _send(self) -> None:
        from strefer_core import worker

        worker.send_job(self.job_id, self.queue)

    def _cancel(self) -> None:
        from strefer_core import worker

        worker.catalog().cancel_job(self.job_id)
