"""What the workers measure: names, units, attributes; nothing where nobody asks; one real receiver."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from strefer_core import metrics, worker
from strefer_core.backends import registry
from strefer_core.config import PipelineConfig, TranscriptConfig
from strefer_core.data_model import StageRun
from strefer_core.errors import UnreadableVideo
from strefer_core.pipeline import STAGES, Filtered, StageRequest, run_stage
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from tests import sample_results
from tests.webhook import listening

VIDEO_ID = sample_results.VIDEO_ID
ROOT = Path(__file__).parents[2]


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    metrics.start(reader)
    yield reader
    metrics.stop()


def points(reader: InMemoryMetricReader) -> dict[str, tuple[str, list[Any]]]:
    """Unit and data points by name."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: (metric.unit, list(metric.data.data_points))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any) -> StageRun:
    """One run of the stage `videos` whose function returns or raises what is given."""

    def function(_: object) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setitem(vars(STAGES["videos"]), "run", function)
    return run_stage(
        StageRequest.make(VIDEO_ID, "videos", PipelineConfig()),
        ledger=FolderLedger(folder / "states"),
        blobs=FolderObjects(folder / "objects"),
        fetch_video=lambda video_id: folder / video_id,
    )


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (sample_results.RESULTS["videos"], "done"),
        (Filtered("black"), "filtered"),
        (UnreadableVideo("no bytes"), "failed"),
    ],
    ids=["done", "filtered", "failed"],
)
def test_each_outcome_is_counted_and_timed_once(
    reader: InMemoryMetricReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, status: str
) -> None:
    ended = run(tmp_path, monkeypatch, outcome)
    again = run(tmp_path, monkeypatch, pytest.fail)
    assert again.status == ended.status == status
    found = points(reader)
    unit, (counted,) = found["strefer.stage.videos"]
    assert (unit, counted.value) == ("{video}", 1), "settled before is not computed"
    assert dict(counted.attributes) == {"stage": "videos", "status": status}
    unit, (timed,) = found["strefer.stage.duration"]
    assert (unit, timed.count, timed.sum) == ("s", 1, ended.compute_s)
    assert timed.explicit_bounds == metrics.BUCKETS_S


def test_the_wait_in_the_queue_is_measured_at_the_worker(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked:
        def is_requested(self, *_: str) -> bool:
            return True

        def finish_requests(self, *_: str) -> None:
            pass

    monkeypatch.setattr(worker, "catalog", Asked)
    monkeypatch.setattr(worker, "objects", lambda: None)
    monkeypatch.setattr(worker, "run_stage", lambda *_, **__: sample_results.done("videos"))
    monkeypatch.setattr(worker.time, "time", lambda: 1000.0)
    request = StageRequest.make(VIDEO_ID, "videos", PipelineConfig())
    message = {
        "video_id": VIDEO_ID, "stage": "videos", "fingerprint": request.fingerprint,
        "config": request.config.model_dump(mode="json"),
    }  # fmt: skip
    for sent_at_s in (997.5, 1001.0):  # the second by a clock that is ahead
        worker.run_stage_task({**message, "sent_at_s": sent_at_s})
    worker.run_stage_task(message)  # of a sender that does not say
    unit, (waited,) = points(reader)["strefer.stage.queue.duration"]
    assert (unit, waited.count, waited.sum) == ("s", 3, 2.5)
    assert dict(waited.attributes) == {"stage": "videos"}


def test_loading_a_backend_is_measured_once_per_process(reader: InMemoryMetricReader) -> None:
    registry._build.cache_clear()
    for _ in range(2):
        registry.load("transcript", TranscriptConfig())
    unit, (loaded,) = points(reader)["strefer.backend.load.duration"]
    assert (unit, loaded.count) == ("s", 1)
    assert dict(loaded.attributes) == {"backend": "RulesTranscriber"}


@pytest.mark.parametrize(
    ("variables", "exporter"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "otlp_proto_http"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, "otlp_proto_http"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp_proto_grpc"),
        ({"OTEL_METRICS_EXPORTER": "console"}, "console"),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ""),
    ],
)
def test_the_standard_variables_switch_it_on_and_off(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], exporter: str
) -> None:
    for name in (*metrics.ENDPOINTS, *metrics.PROTOCOLS, "OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert metrics.asked_for() == exporter


def test_an_exporter_that_is_not_there_costs_the_figures_not_the_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "never_heard_of")
    metrics.stop()
    metrics.queue_waited("videos", 1.0)
    assert "no metrics: exporter never_heard_of" in caplog.text
    metrics.stop()


def test_off_nothing_is_imported() -> None:
    code = (
        "import sys\nfrom strefer_core import metrics\nmetrics.queue_waited('videos', 1.0)\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""}, cwd=ROOT)


SENDS = """
from strefer_core import metrics
from strefer_core.data_model import StageRun
metrics.stage_ended(
    StageRun(video_id="v", stage="clips", fingerprint="f", status="done", result_key="k", compute_s=0.5)
)
metrics.stop()
"""


def test_over_the_wire_it_is_otlp() -> None:
    """One real process and one real receiver; the request is read with the protocol's own classes."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    with listening() as posted:
        env = {
            "PATH": "",
            "OTEL_EXPORTER_OTLP_ENDPOINT": posted.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        subprocess.run([sys.executable, "-c", SENDS], check=True, env=env, cwd=ROOT)
    assert posted.paths == ["/v1/metrics"]
    request = ExportMetricsServiceRequest.FromString(posted.bodies[0])
    (resource,) = request.resource_metrics
    about = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert about["service.name"] == "strefer-worker"
    assert about["deployment.environment.name"] == "test"
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    (counted,) = found["strefer.stage.videos"].sum.data_points
    assert counted.as_int == 1
    (timed,) = found["strefer.stage.duration"].histogram.data_points
    assert timed.sum == 0.5


def test_the_table_in_the_module_names_every_instrument(reader: InMemoryMetricReader) -> None:
    metrics.stage_ended(sample_results.done("videos"))
    metrics.queue_waited("videos", 1.0)
    metrics.backend_loaded("Backend", 1.0)
    metrics.model_used("model", is_hit=True)
    metrics.model_loaded("model", 1.0, 100)
    metrics.model_evicted("model", 100)
    found = points(reader)
    assert len(found) == 8
    for name, (unit, _) in found.items():
        assert any(
            f"`{name}`" in line and f"| {unit} |" in line for line in str(metrics.__doc__).splitlines()
        )
