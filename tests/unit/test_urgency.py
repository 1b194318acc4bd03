"""What a person waits for goes before the night's work: in the broker, and from run to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from operators import flow
from operators.stage import StageOperator
from operators.triggers import StageTrigger
from operators.urgency import urgency_of
from strefer_core import worker
from strefer_core.config import PipelineConfig, settings
from strefer_core.local import wheels

SEND_AND_TAKE = """
import json
from strefer_core import worker
from strefer_core.config import PipelineConfig
config = PipelineConfig()
worker.send("masklets", [("night-1", "f"), ("night-2", "f")], config, "nightly")
worker.send("masklets", [("day-1", "f"), ("day-2", "f")], config)
length, taken = worker.queue_length("gpu"), []
with worker.app.connection_for_read() as connection:
    lists = sorted(k.decode() for k in connection.default_channel.client.keys("gpu*"))
    queue = connection.SimpleQueue("gpu")
    while len(taken) < length:
        message = queue.get(timeout=10)
        taken.append(message.payload[0][0]["video_id"])
        message.ack()
print(json.dumps({"length": length, "lists": lists, "taken": taken}))
"""


@pytest.fixture
def broker_url(tmp_path: Path) -> Iterator[str]:
    socket = tmp_path / "redis.sock"
    command = [str(wheels.redis_server()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        until = time.monotonic() + 30
        while not socket.exists() and time.monotonic() < until:
            time.sleep(0.01)
        yield f"redis+socket://{socket}"
        server.terminate()


def test_redis_hands_out_what_somebody_waits_for_first(broker_url: str) -> None:
    environment = os.environ | {"STREFER_BROKER_URL": broker_url}
    done = subprocess.run(
        [sys.executable, "-c", SEND_AND_TAKE], env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["length"] == 4, "of both priorities"
    assert found["taken"] == ["day-1", "day-2", "night-1", "night-2"]
    assert found["lists"] == ["gpu", "gpu\x06\x169"], "the names that infra/helm lets KEDA watch"


def test_rabbitmq_counts_the_other_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_BROKER_URL", "amqp://user:secret@rabbit/strefer")
    settings.cache_clear()
    assert worker.broker() == "rabbitmq"
    configuration = worker._configuration()
    assert configuration["task_queue_max_priority"] == worker.PRIORITIES["rabbitmq"]["interactive"]
    assert worker.PRIORITIES["rabbitmq"]["interactive"] > worker.PRIORITIES["rabbitmq"]["nightly"]
    settings.cache_clear()


def context(run_type: str, *told: dict[str, Any]) -> Any:
    return {
        "dag_run": SimpleNamespace(run_type=run_type),
        "triggering_asset_events": {"asset": [SimpleNamespace(extra=extra) for extra in told]},
        "params": {},
    }


@pytest.mark.parametrize(
    ("asked", "urgency"),
    [
        (context("manual"), "interactive"),
        (context("scheduled"), "nightly"),
        (context("backfill"), "nightly"),
        (context("asset_triggered"), "nightly"),
        (context("asset_triggered", {"urgency": "nightly"}), "nightly"),
        (context("asset_triggered", {"urgency": "nightly"}, {"urgency": "interactive"}), "interactive"),
        (context("asset_triggered", {"drop_ids": ["told by an earlier version"]}), "nightly"),
    ],
)
def test_a_person_starts_what_is_interactive(asked: Any, urgency: str) -> None:
    assert urgency_of(asked) == urgency


@pytest.mark.parametrize(("run_type", "urgency"), [("manual", "interactive"), ("scheduled", "nightly")])
def test_what_a_run_announces_says_how_urgent_it_is(
    monkeypatch: pytest.MonkeyPatch, run_type: str, urgency: str
) -> None:
    monkeypatch.setattr(flow, "get_current_context", lambda: context(run_type))
    (announced,) = flow._announce(flow.VIDEOS, ["a drop"])
    assert announced.extra == {"drop_ids": ["a drop"], "urgency": urgency}


@pytest.mark.parametrize(("run_type", "urgency"), [("manual", "interactive"), ("scheduled", "nightly")])
def test_a_stage_sends_as_its_run_is_urgent_and_so_does_its_trigger(
    monkeypatch: pytest.MonkeyPatch, run_type: str, urgency: str
) -> None:
    sent: list[str] = []
    catalog = SimpleNamespace(
        states=lambda *_: {}, open_batch=lambda batch, stage, pairs, missing: set(missing)
    )
    monkeypatch.setattr(worker, "catalog", lambda: catalog)
    monkeypatch.setattr(worker, "send", lambda stage, pairs, config, urgency: sent.append(urgency))
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=0, try_number=1)
    with pytest.raises(TaskDeferred) as caught:
        StageOperator(task_id="t", stage="videos", video_ids=["a"]).execute(context(run_type) | {"ti": ti})
    trigger = caught.value.trigger
    assert isinstance(trigger, StageTrigger)
    again = StageTrigger(**trigger.serialize()[1])
    again._send({("a", "f")})
    assert sent == [urgency, urgency]


def test_a_trigger_that_an_earlier_version_stored_still_loads() -> None:
    stored = {"batch_id": "b", "stage": "videos", "config": PipelineConfig().model_dump(mode="json")}
    assert StageTrigger(**stored, failure_tolerance=0.5).urgency == "interactive"
