"""JobOperator and its trigger without servers: a job is asked for once, waited for, and ends its task."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent

from operators import jobs
from operators.jobs import JobOperator, JobTrigger, job_id, result_of
from strefer_core import worker
from strefer_core.errors import StoreError
from strefer_core.store.catalog import Job

TI = SimpleNamespace(dag_id="d", run_id="r", task_id="train", map_index=-1, try_number=1)
SPEC = {"preset": "tiny", "dataset_version": "v1"}


class FakeCatalog:
    """One job in memory."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.asked: list[str] = []
        self.away = 0  # looks at which nothing answers
        self.is_running = False

    def open_job(self, job_id: str, kind: Any, spec: dict[str, Any]) -> Job:
        self.asked.append(job_id)
        self.job = self.job or Job(
            job_id=job_id, kind=kind, spec=dict(spec), status="open", attempts=0, result=None,
            error_class=None, reason=None,
        )  # fmt: skip
        return self.job

    def find_job(self, job_id: str) -> Job | None:
        if self.away:
            self.away -= 1
            raise StoreError("the catalog is away")
        return self.job

    def is_job_running(self, job_id: str) -> bool:
        return self.is_running

    def end(self, **changes: Any) -> None:
        assert self.job is not None
        self.job = replace(self.job, **changes)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> FakeCatalog:
    fake = FakeCatalog()
    monkeypatch.setattr(worker, "catalog", lambda: fake)
    monkeypatch.setattr(worker, "queue_length", lambda queue: 0)
    monkeypatch.setattr(jobs, "POLL_S", 0.01)
    monkeypatch.setattr(jobs, "LOST_CHECK_S", 0.02)
    return fake


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(worker, "send_job", lambda job_id, queue: found.append(job_id))
    return found


def execute(ti: Any = TI) -> Any:
    return JobOperator(task_id="train", kind="train", spec=SPEC).execute({"ti": ti})  # type: ignore[typeddict-item]


def deferred(ti: Any = TI) -> JobTrigger:
    with pytest.raises(TaskDeferred) as caught:
        execute(ti)
    assert isinstance(caught.value.trigger, JobTrigger)
    return caught.value.trigger


def events(trigger: JobTrigger) -> list[Any]:
    async def collect() -> list[Any]:
        return [event async for event in trigger.run()]

    return asyncio.run(asyncio.wait_for(collect(), 20))


def test_a_retry_attaches_to_the_job_of_the_try_before(catalog: FakeCatalog, sent: list[str]) -> None:
    first = deferred()
    again = deferred(SimpleNamespace(**{**vars(TI), "try_number": 2}))
    assert first.job_id == again.job_id == catalog.asked[0]
    assert job_id(TI, "train", {**SPEC, "seed": 1}) != first.job_id
    assert job_id(SimpleNamespace(**{**vars(TI), "run_id": "s"}), "train", SPEC) != first.job_id


def test_a_job_that_is_over_ends_the_task_at_once(catalog: FakeCatalog, sent: list[str]) -> None:
    deferred()
    catalog.end(status="done", result={"model_version": "m"})
    assert execute() == {"model_version": "m"}
    catalog.end(status="failed", result=None, error_class="InputError", reason="no such dataset")
    with pytest.raises(AirflowFailException, match="InputError no such dataset"):
        execute()
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"status": "done", "result": {"a": 1}}, TaskSuccessEvent), ({"status": "cancelled"}, TaskFailedEvent)],
)
def test_the_trigger_ends_the_task_also_after_an_outage(
    catalog: FakeCatalog, sent: list[str], changes: dict[str, Any], kind: type
) -> None:
    trigger = deferred()
    catalog.away = 2
    catalog.end(**changes)
    (event,) = events(trigger)
    assert isinstance(event, kind)


def test_a_lost_message_is_sent_again_and_a_running_job_is_left_alone(
    catalog: FakeCatalog, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = deferred()

    def send(job_id: str, queue: str) -> None:
        sent.append(job_id)
        catalog.end(status="done", result={})

    monkeypatch.setattr(worker, "send_job", send)
    events(trigger)
    assert sent == [trigger.job_id] * 2, "once by the operator, once by the trigger"

    catalog.end(status="running", result=None)
    catalog.is_running = True
    monkeypatch.setattr(worker, "send_job", lambda *_: pytest.fail("sent while it runs"))

    async def wait() -> None:
        waiting = asyncio.create_task(trigger._send_lost_again())
        await asyncio.sleep(0.2)
        waiting.cancel()

    asyncio.run(wait())


def test_a_result_is_read_as_airflow_hands_it_on() -> None:
    assert result_of('{"a": [1]}') == result_of({"a": [1]}) == {"a": [1]}


def test_the_trigger_survives_its_own_serialization() -> None:
    path, given = JobTrigger(job_id="j", queue="train").serialize()
    assert path == "operators.jobs.JobTrigger"
    assert JobTrigger(**given).serialize() == (path, given)
