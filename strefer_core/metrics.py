"""Metrics of the workers, by OpenTelemetry; off, and nothing imported, unless variables OTEL_* ask for them.

| name | kind | unit | attributes |
|---|---|---|---|
| `strefer.stage.videos` | counter | {video} | `stage`, `status`: done, filtered, failed |
| `strefer.stage.duration` | histogram | s | `stage`, `status`: from the start of the attempt to its outcome |
| `strefer.stage.queue.duration` | histogram | s | `stage`: from sending a message to its start on a worker |
| `strefer.backend.load.duration` | histogram | s | `backend`: building it, once per process |
| `strefer.model.load.duration` | histogram | s | `model`: weights from disk to the device |
| `strefer.model.uses` | counter | {use} | `model`, `outcome`: hit (it was kept), load |
| `strefer.model.evictions` | counter | {model} | `model`: let go, because memory was wanted |
| `strefer.model.kept` | up-down counter | By | `model`: bytes of it that are kept now |

`OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._METRICS_ENDPOINT`) switches them on, over HTTP unless
`OTEL_EXPORTER_OTLP_PROTOCOL=grpc`; `OTEL_METRICS_EXPORTER` names another exporter ("console", or any that is
installed); "none" there, or `OTEL_SDK_DISABLED=true`, switches them off; `OTEL_METRIC_EXPORT_INTERVAL` (ms)
says how often. Every worker process is an instance of its own (`service.instance.id`), so sums over instances
are right. For Prometheus send them to its OTLP receiver or to a collector: `strefer.stage.duration` is there
`strefer_stage_duration_seconds`.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strefer_core.data_model import StageRun

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, UpDownCounter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0, 14400.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruments:
    """What one process measures with."""

    provider: MeterProvider
    videos: Counter
    duration: Histogram
    queue: Histogram
    load: Histogram
    model_load: Histogram
    model_uses: Counter
    model_evictions: Counter
    model_kept: UpDownCounter


_of_process: dict[int, Instruments | None] = {}  # by process id: a forked child must not share its parent's


def stage_ended(run: StageRun) -> None:
    """One attempt at one video came to an outcome."""
    if found := _instruments():
        attributes = {"stage": run.stage, "status": run.status}
        found.videos.add(1, attributes)
        found.duration.record(run.compute_s, attributes)


def queue_waited(stage: str, waited_s: float) -> None:
    """A message reached a worker. Clocks of two machines may differ: less than nothing is nothing."""
    if found := _instruments():
        found.queue.record(max(0.0, waited_s), {"stage": stage})


def backend_loaded(backend: str, elapsed_s: float) -> None:
    """A backend was built in this process."""
    if found := _instruments():
        found.load.record(elapsed_s, {"backend": backend})


def model_used(model: str, *, is_hit: bool) -> None:
    """A model was asked for: it was kept, or had to be loaded."""
    if found := _instruments():
        found.model_uses.add(1, {"model": model, "outcome": "hit" if is_hit else "load"})


def model_loaded(model: str, elapsed_s: float, size_bytes: int) -> None:
    """A model was loaded in this process, which keeps it from now on."""
    if found := _instruments():
        found.model_load.record(elapsed_s, {"model": model})
        found.model_kept.add(size_bytes, {"model": model})


def model_evicted(model: str, size_bytes: int) -> None:
    """A kept model was let go."""
    if found := _instruments():
        found.model_evictions.add(1, {"model": model})
        found.model_kept.add(-size_bytes, {"model": model})


def start(reader: MetricReader) -> Instruments:
    """Measure in this process from now on, for one reader; for tests, and for `_instruments`."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource

    named: dict[str, Any] = {"service.instance.id": f"{socket.gethostname()}:{os.getpid()}"}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        named["service.name"] = "strefer-worker"
    provider = MeterProvider([reader], resource=Resource.create(named))
    meter = provider.get_meter("strefer")

    def seconds(name: str, means: str) -> Histogram:
        return meter.create_histogram(
            name, unit="s", description=means, explicit_bucket_boundaries_advisory=BUCKETS_S
        )

    found = Instruments(
        provider=provider,
        videos=meter.create_counter("strefer.stage.videos", unit="{video}", description="videos by outcome"),
        duration=seconds("strefer.stage.duration", "from the start of an attempt to its outcome"),
        queue=seconds("strefer.stage.queue.duration", "from sending a message to its start on a worker"),
        load=seconds("strefer.backend.load.duration", "building a backend, once per process"),
        model_load=seconds("strefer.model.load.duration", "loading a model's weights to its device"),
        model_uses=meter.create_counter("strefer.model.uses", unit="{use}", description="by outcome"),
        model_evictions=meter.create_counter("strefer.model.evictions", unit="{model}", description="let go"),
        model_kept=meter.create_up_down_counter("strefer.model.kept", unit="By", description="kept models"),
    )
    _of_process[os.getpid()] = found
    return found


def stop() -> None:
    """Send what is left and measure no more until the next `start`."""
    if found := _of_process.pop(os.getpid(), None):
        found.provider.shutdown()


def _instruments() -> Instruments | None:
    pid = os.getpid()
    if pid not in _of_process:
        _of_process[pid] = None
        if name := asked_for():
            _export(name)
    return _of_process[pid]


def _export(name: str) -> None:
    """Start sending. An exporter that cannot be had costs the figures, not the work."""
    from importlib.metadata import entry_points

    try:
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        (found,) = entry_points(group="opentelemetry_metrics_exporter", name=name)
        start(PeriodicExportingMetricReader(found.load()()))
    except (ImportError, ValueError) as error:
        log.error("no metrics: exporter %s cannot be had (%s); install strefer[metrics]", name, error)


def asked_for() -> str:
    """Name of the exporter that the environment asks for; "": none."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    default = "otlp" if any(os.environ.get(name) for name in ENDPOINTS) else "none"
    name = os.environ.get("OTEL_METRICS_EXPORTER") or default
    if name != "otlp":
        return "" if name == "none" else name
    protocol = next((value for each in PROTOCOLS if (value := os.environ.get(each))), "http/protobuf")
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
