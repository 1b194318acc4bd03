"""The Celery task at its edges: cancelled requests, messages of another version."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from strefer_core import worker
from strefer_core.config import PipelineConfig
from strefer_core.data_model import StageRun
from strefer_core.pipeline import StageRequest


class FakeCatalog:
    """Says whether something is asked for, and keeps what is written."""

    def __init__(self, *, is_requested: bool) -> None:
        self._is_requested = is_requested
        self.finished: list[StageRun] = []

    def is_requested(self, *_: str) -> bool:
        return self._is_requested

    def finish(self, run: StageRun, result: object) -> None:
        assert result is None
        self.finished.append(run)


def message(**changes: Any) -> dict[str, Any]:
    request = StageRequest.make("a" * 16, "videos", PipelineConfig())
    whole = {
        "video_id": request.video_id,
        "stage": request.stage,
        "fingerprint": request.fingerprint,
        "config": request.config.model_dump(mode="json"),
    }
    return whole | changes


def handle(monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], *, is_requested: bool) -> list[StageRun]:
    fake = FakeCatalog(is_requested=is_requested)
    monkeypatch.setattr(worker, "catalog", lambda: fake)
    worker.run_stage_task(body)
    return fake.finished


def test_a_message_says_what_its_request_said() -> None:
    assert worker.read_request(message()) == StageRequest.make("a" * 16, "videos", PipelineConfig())


def test_what_nobody_asks_for_any_more_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "run_stage", lambda *_, **__: pytest.fail("cancelled"))
    assert handle(monkeypatch, message(), is_requested=False) == []


@pytest.mark.parametrize(
    "changes", [{"config": {"clips": {"a_setting_of_tomorrow": 1}}}, {"stage": "a_stage_of_tomorrow"}]
)
def test_a_message_of_another_version_becomes_a_failed_row(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    (run,) = handle(monkeypatch, message(**changes), is_requested=True)
    assert (run.status, run.error_class, run.is_retryable) == ("failed", "MismatchError", True)
    assert "deploy the same" in str(run.reason)


@pytest.mark.parametrize(
    "work", ["worker.queue_length('cpu')", "worker.send('videos', [('a', 'b')], PipelineConfig())"]
)
def test_a_broker_that_is_away_is_a_store_error(work: str) -> None:
    code = (
        "from strefer_core import worker\nfrom strefer_core.config import PipelineConfig\n"
        f"from strefer_core.errors import StoreError\ntry: {work}\nexcept StoreError as e: print(e)"
    )
    env = os.environ | {"STREFER_BROKER_URL": "redis://127.0.0.1:9/0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert "the broker does not answer" in done.stdout


@pytest.mark.parametrize("limit", ["30/m", ""])
def test_a_worker_begins_as_many_as_its_settings_allow(limit: str) -> None:
    code = "from strefer_core import worker; worker.app.finalize(); print(worker.run_stage_task.rate_limit)"
    env = os.environ | {"STREFER_BROKER_URL": "memory://", "STREFER_RATE_LIMIT": limit}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == (limit or "None")


def test_messages_are_json_and_survive_a_lost_worker() -> None:
    conf = worker.app.conf
    assert (conf.task_serializer, conf.accept_content, conf.task_ignore_result) == ("json", ["json"], True)
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
