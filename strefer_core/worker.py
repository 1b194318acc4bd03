"""The Celery app: the task `run_stage` on one queue per kind of machine, and `run_job` on the queue `train`.

Worker processes are warm: a backend is built on first use and kept for the next videos. Delivery is at
least once (`acks_late`, `reject_on_worker_lost`); what makes it safe is that a stage run is settled under a
lock and addressed by its fingerprint, so a second delivery finds it done. States are rows in the catalog,
so Celery keeps no results.

A process that has lost its GPU ends itself, so that a new one gets its message. A message whose served model
is away goes to the end of the queue. On SIGTERM a worker finishes what it is at, takes nothing more and gives
the rest back (Celery's warm shutdown): let it have as long as its longest stage. Start one with

    celery -A strefer_core.worker worker -Q gpu -c 1
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn

from billiard import current_process
from celery import Celery, Task
from celery.signals import worker_init, worker_process_shutdown
from kombu.exceptions import OperationalError
from pydantic import ValidationError

from strefer_core import metrics
from strefer_core.backends import registry
from strefer_core.config import PipelineConfig, settings
from strefer_core.data_model import StageRun
from strefer_core.errors import ConfigError, MismatchError, ProcessPoisoned, ServerAway, StoreError
from strefer_core.pipeline import STAGES, Busy, StageRequest, run_stage, section
from strefer_core.store.cache import fetch_video
from strefer_core.store.catalog import Catalog
from strefer_core.store.objects import ObjectStore, open_objects
from strefer_core.torchvision_guard import check_torchvision

log = logging.getLogger(__name__)

VISIBILITY_TIMEOUT_S = 6 * 3600
"""Redis hands an unacknowledged message out again after this long: above the longest stage."""

Urgency = Literal["interactive", "nightly"]
"""Of a message: somebody waits for it, or it may wait until nobody does."""

PRIORITIES: dict[str, dict[Urgency, int]] = {
    "redis": {"interactive": 0, "nightly": 9},  # the lower is taken first
    "rabbitmq": {"interactive": 9, "nightly": 0},  # the higher is
}
"""Redis keeps one list per priority: `gpu`, and `gpu`, two separators, `9`."""

app = Celery("strefer")


def broker() -> str:
    """Which kind of broker the settings name: a key of PRIORITIES."""
    url = settings().broker_url.get_secret_value()
    return "rabbitmq" if url.startswith(("amqp", "pyamqp")) else "redis"


def _configuration() -> dict[str, Any]:
    """Read when it is first needed, so that importing this module settles nothing."""
    return {
        "broker_url": settings().broker_url.get_secret_value() or None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_default_queue": "cpu",
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "priority_steps": sorted(PRIORITIES["redis"].values()),
            "queue_order_strategy": "priority",
        },
        # Celery's token bucket is one per worker and task, and a worker of ours serves one queue.
        "task_annotations": {"strefer.run_stage": {"rate_limit": settings().rate_limit or None}},
        "task_queue_max_priority": max(PRIORITIES["rabbitmq"].values()) if broker() == "rabbitmq" else None,
    }


app.add_defaults(_configuration)


@cache
def catalog() -> Catalog:
    """The process's catalog."""
    return Catalog(settings().database_url.get_secret_value())


@cache
def objects() -> ObjectStore:
    """The process's object store."""
    return open_objects(settings())


def _fetch(video_id: str) -> Path:
    options = settings()
    return fetch_video(objects(), video_id, options.video_cache_dir, options.cache_max_bytes)


@app.task(
    name="strefer.run_stage",
    bind=True,
    autoretry_for=(StoreError,),
    retry_backoff=True,
    retry_backoff_max=60,
    max_retries=None,
)
def run_stage_task(task: Task, message: dict[str, Any]) -> None:
    """Settle one video in one stage. Does nothing where no open request asks for it any more."""
    key = (message["video_id"], message["stage"], message["fingerprint"])
    if not catalog().is_requested(*key):
        log.info("stage=%s video=%s status=cancelled", message["stage"], message["video_id"])
        return
    try:
        request = read_request(message)
    except MismatchError as error:
        catalog().finish(refused(key, error), None)
        return
    metrics.queue_waited(request.stage, time.time() - message.get("sent_at_s", time.time()))
    waited_s = time.time() - message.get("away_since_s", time.time())
    try:
        run = run_stage(
            request,
            ledger=catalog(),
            blobs=objects(),
            fetch_video=_fetch,
            max_attempts=settings().max_attempts,
            waits=waited_s < max_away_s(request),
            waited_s=waited_s,
        )
    except Busy:
        log.info("stage=%s video=%s status=busy", request.stage, request.video_id)
        return  # the process that holds the lock closes every request for this computation
    except ServerAway:
        send_back(task, message)
        return
    except ProcessPoisoned as error:
        end_process(error)
    if run.status != "failed":
        _poisoned[0] = 0
    catalog().finish_requests(*key)  # also where it was settled before this message came


def max_away_s(request: StageRequest) -> float:
    """How long a request waits for the served models of its backend; 0 where it asks none."""
    servers = registry.servers_of(request.stage, section(request.config, request.stage))
    return max((getattr(settings(), server).max_away_s for server in servers), default=0.0)


def send_back(task: Task, message: dict[str, Any]) -> None:
    """Put a message at the end of its queue: what it needs is away for now, others may get on.

    At once and not after a countdown: the worker has waited already (`served.pressure.HOLD_S`), and messages
    with a countdown would be fetched and held by the worker, the whole queue of them.
    """
    now = time.time()
    later = {**message, "away_since_s": message.get("away_since_s", now), "sent_at_s": now}
    sent = task.request.delivery_info or {}
    queue, priority = STAGES[message["stage"]].queue, sent.get("priority")
    with broker_errors():
        task.apply_async((later,), queue=sent.get("routing_key") or queue, priority=priority)


_poisoned = mmap.mmap(-1, 1)
"""How many processes in a row lost their GPU, with nothing done between them; the children share it."""

POISONED = 70
"""Exit status of a process that has lost its GPU: EX_SOFTWARE of sysexits.h."""


def end_process(error: ProcessPoisoned) -> NoReturn:
    """End this worker process at once: its message is delivered again, to a process with a new CUDA context.

    Not by an exception: Celery would take it for the task's failure and keep the process. Where the device
    itself is lost, every video would fail on it: then the whole worker drains and leaves the queue to others.
    """
    log.critical("this process ends: %s", error, exc_info=error)
    _poisoned[0] = min(_poisoned[0] + 1, 255)
    if _poisoned[0] > settings().max_attempts:  # more than any one video can cause
        log.critical("%d processes in a row lost their GPU: the worker ends; check the device", _poisoned[0])
        if current_process().name != "MainProcess":  # else the worker is this very process
            os.kill(os.getppid(), signal.SIGTERM)
    metrics.stop()
    logging.shutdown()
    os._exit(POISONED)


@app.task(
    name="strefer.run_job",
    autoretry_for=(StoreError,),
    retry_backoff=True,
    retry_backoff_max=60,
    max_retries=None,
)
def run_job_task(job_id: str) -> None:
    """Run one job to its end. Does nothing where it runs elsewhere, is over, or is not asked for any more."""
    from strefer_core.learning.jobs import run_job

    now = settings()
    run_job(
        job_id,
        catalog=catalog(),
        objects=objects(),
        folder=now.job_folder,
        max_attempts=now.max_attempts,
    )


@worker_init.connect
def _begin(**_: Any) -> None:
    """A worker whose models cannot be imported ends at once: each of its tasks would fail."""
    try:
        check_torchvision()
    except ConfigError as error:
        raise SystemExit(f"strefer worker: {error}") from None


@worker_process_shutdown.connect
def _end(**_: Any) -> None:
    """A worker's child ends without Python's own exit handlers; what it measured is sent before."""
    metrics.stop()


def read_request(message: dict[str, Any]) -> StageRequest:
    """The request that a message carries.

    Raises MismatchError where this worker knows neither its stage nor its settings: its sender runs another
    version.
    """
    try:
        config = PipelineConfig.model_validate(message["config"])
        STAGES[message["stage"]]
    except (ValidationError, KeyError) as error:
        raise MismatchError(
            f"this worker cannot read a request for {message['stage']}: {error}; worker and scheduler run "
            "different versions, deploy the same one"
        ) from error
    return StageRequest(
        video_id=message["video_id"],
        stage=message["stage"],
        fingerprint=message["fingerprint"],
        config=config,
    )


def refused(key: tuple[str, str, str], error: MismatchError) -> StageRun:
    """The state of a request that was never begun."""
    video_id, stage, fingerprint = key
    return StageRun(
        video_id=video_id,
        stage=stage,
        fingerprint=fingerprint,
        status="failed",
        error_class=type(error).__name__,
        reason=str(error),
        is_retryable=True,
    )


@contextmanager
def broker_errors() -> Iterator[None]:
    """Every way in which a broker fails to answer, as StoreError."""
    known: tuple[type[Exception], ...] = app.connection_for_write().connection_errors
    known += (OperationalError, OSError)
    try:
        yield
    except known as error:
        raise StoreError(f"the broker does not answer: {error}") from error


def send(
    stage: str,
    pairs: Iterable[tuple[str, str]],
    config: PipelineConfig,
    urgency: Urgency = "interactive",
) -> None:
    """Send one message per (video_id, fingerprint) to the stage's queue. Raises StoreError."""
    options = {"queue": STAGES[stage].queue, "priority": PRIORITIES[broker()][urgency]}
    dumped = config.model_dump(mode="json")
    with broker_errors(), app.producer_pool.acquire(block=True) as producer:
        for video_id, fingerprint in pairs:
            message = {
                "video_id": video_id,
                "stage": stage,
                "fingerprint": fingerprint,
                "config": dumped,
                "sent_at_s": time.time(),
            }
            run_stage_task.apply_async((message,), producer=producer, **options)


def send_job(job_id: str, queue: str) -> None:
    """Send the message of a job. Raises StoreError."""
    with broker_errors(), app.producer_pool.acquire(block=True) as producer:
        run_job_task.apply_async((job_id,), queue=queue, producer=producer)


def queue_length(queue: str) -> int:
    """Messages that wait in a queue of the broker; 0 where there is no such queue. Raises StoreError."""
    with broker_errors(), app.connection_for_read() as connection, connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except connection.channel_errors:
            return 0
