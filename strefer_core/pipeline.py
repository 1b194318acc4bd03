"""The stages, their order and their fingerprints; and how one stage runs on one video.

A stage is a pure function from earlier results to a new one, in `strefer_core/stages/`. Its result is
addressed by its fingerprint: a hash over the stage's name and version, its configuration, its backend's
id and the fingerprints of what it reads, down to the video's bytes. So the whole chain of fingerprints
follows from the video's id and the configuration, with nothing looked up, and "done before" is one look.

    videos -> clips -------------------------> transcript -> instructions -> quality
       \\--> entities -> masklets ----------------^-------------^
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from strefer_core import data_model as dm
from strefer_core import metrics
from strefer_core.backends import registry
from strefer_core.config import PipelineConfig
from strefer_core.errors import (
    InputError,
    MismatchError,
    MissingInput,
    ProcessPoisoned,
    ServerAway,
    StreferError,
    WorkerLost,
)
from strefer_core.quality.filter_files import filter_id
from strefer_core.served.accounting import recording
from strefer_core.store import documents
from strefer_core.warm.poison import is_poisoned

log = logging.getLogger(__name__)


class Filtered(Exception):
    """Raised by a stage whose input is sound but not worth going on with; `result` is still stored."""

    def __init__(self, reason: str, result: dm.Result | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.result = result


@dataclass(frozen=True, kw_only=True)
class StageTask:
    """What a stage function is given: the video, earlier results by stage name, its configuration."""

    video_id: str
    fingerprint: str
    video_path: Path
    config: Any  # the stage's section of PipelineConfig
    backend: Any  # warm; None for stages that have only one way
    inputs: Mapping[str, dm.Result] = field(default_factory=dict)

    def new_id(self, kind: str, index: int) -> str:
        """An id that is the same on every run of this very computation: `ent-1f3a9c2b7d10-0003`."""
        return f"{kind}-{self.fingerprint[:12]}-{index:04d}"

    @property
    def video(self) -> dm.Video:
        result = self.inputs["videos"]
        assert isinstance(result, dm.VideosResult)
        return result.video


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One per-video stage. `version` is raised when its code changes its results."""

    name: str
    version: int
    queue: str
    needs: tuple[str, ...]
    result_type: type[Any]

    @cached_property
    def run(self) -> Callable[[StageTask], dm.Result]:
        """The stage's function, imported on first use: a scheduler never imports OpenCV."""
        function: Callable[[StageTask], dm.Result] = import_module(f"strefer_core.stages.{self.name}").run
        return function


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(name="videos", version=1, queue="cpu", needs=(), result_type=dm.VideosResult),
        Stage(name="clips", version=2, queue="cpu", needs=("videos",), result_type=dm.ClipsResult),
        Stage(name="entities", version=2, queue="llm", needs=("videos",), result_type=dm.EntitiesResult),
        Stage(
            name="masklets",
            version=5,
            queue="gpu",
            needs=("videos", "entities"),
            result_type=dm.MaskletsResult,
        ),
        Stage(
            name="transcript",
            version=2,
            queue="llm",
            needs=("videos", "clips", "entities", "masklets"),
            result_type=dm.TranscriptResult,
        ),
        Stage(
            name="instructions",
            version=4,
            queue="llm",
            needs=("videos", "clips", "entities", "masklets", "transcript"),
            result_type=dm.InstructionsResult,
        ),
        Stage(
            name="quality",
            version=5,
            queue="cpu",
            needs=("videos", "clips", "entities", "masklets", "transcript", "instructions"),
            result_type=dm.QualityResult,
        ),
    )
}
"""Per-video stages in an order in which every stage follows what it needs. The eighth, `dataset`, reads
many videos: `strefer_core.stages.dataset`."""


def section(config: PipelineConfig, stage: str) -> BaseModel:
    value: BaseModel = getattr(config, stage)
    return value


def backend_id(config: PipelineConfig, stage: str) -> str:
    """Id of the backend that `config` names for a stage, of `quality` that of its filter; "": it has none."""
    if stage == "quality":
        return filter_id(config.quality.filter)
    name = getattr(section(config, stage), "backend", None)
    return registry.entry(stage, name).id if name else ""


def fingerprints(video_id: str, config: PipelineConfig) -> dict[str, str]:
    """Fingerprint of every stage for one video, 32 hex digits each; reads nothing but its arguments."""
    chain: dict[str, str] = {}
    for stage in STAGES.values():
        parts = {
            "stage": stage.name,
            "version": stage.version,
            "config": _identity(section(config, stage.name)),
            "backend": backend_id(config, stage.name),
            "inputs": [chain[need] for need in stage.needs] or [video_id],
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        chain[stage.name] = hashlib.sha256(text.encode()).hexdigest()[:32]
    return chain


def _identity(config: BaseModel) -> dict[str, Any]:
    """What results depend on. Where weights come from does not matter once their checksum is known."""
    values = config.model_dump(mode="json")
    for value in values.values():
        if isinstance(value, dict) and value.get("weights") and value.get("sha256"):
            del value["weights"]
    return values


@dataclass(frozen=True, kw_only=True)
class StageRequest:
    """One request to run one stage on one video. Travels whole with the message to the worker."""

    video_id: str
    stage: str
    fingerprint: str
    config: PipelineConfig

    @classmethod
    def make(cls, video_id: str, stage: str, config: PipelineConfig) -> StageRequest:
        return cls(
            video_id=video_id,
            stage=stage,
            fingerprint=fingerprints(video_id, config)[stage],
            config=config,
        )

    def check(self) -> dict[str, str]:
        """The chain of fingerprints, if this process computes the same one as the asker.

        Raises MismatchError where worker and asker run different versions of a stage or backend.
        """
        chain = fingerprints(self.video_id, self.config)
        if chain[self.stage] != self.fingerprint:
            raise MismatchError(
                f"{self.stage} of {self.video_id}: asked for {self.fingerprint}, this worker computes "
                f"{chain[self.stage]}; worker and scheduler run different versions, deploy the same one"
            )
        return chain


class Ledger(Protocol):
    """Where states are kept: `store.catalog.Catalog`, or `store.ledger.FolderLedger` without a server."""

    def find(self, video_id: str, stage: str, fingerprint: str) -> dm.StageRun | None:
        """The state of this very computation, or None."""

    def lock(self, video_id: str, stage: str, fingerprint: str) -> AbstractContextManager[bool]:
        """Yields True to one holder at a time; released when the holder's process dies."""

    def start(self, video_id: str, stage: str, fingerprint: str) -> int:
        """Note that an attempt begins (status `running`); returns its number, from 1."""

    def postpone(self, run: dm.StageRun, calls: Sequence[dm.ModelCall] = ()) -> None:
        """Note why a run that began (status `running`) waits, and its calls of served models.

        Its requests stay open, and its next start has the number of this one: nothing died.
        """

    def finish(self, run: dm.StageRun, result: dm.Result | None, calls: Sequence[dm.ModelCall] = ()) -> None:
        """Write the state, the result's rows and the calls of served models that the run made in one
        transaction; writing again changes nothing."""


class Blobs(Protocol):
    """The part of `store.objects.ObjectStore` that a stage run needs."""

    def put_content(self, data: bytes, prefix: str, suffix: str) -> str:
        """Store under a key made of prefix, SHA-256 and suffix unless it is there; returns the key."""

    def get_bytes(self, key: str) -> bytes: ...


def check_answers(request: StageRequest, result: dm.Result) -> None:
    """Raise MismatchError where any part of a result speaks of another video than the one asked for."""
    parts = [getattr(result, f.name) for f in fields(result)]
    items = [item for part in parts for item in (part if isinstance(part, tuple) else (part,))]
    for item in items:
        if getattr(item, "video_id", request.video_id) != request.video_id:
            raise MismatchError(
                f"{request.stage} of {request.video_id} came back with {type(item).__name__} of "
                f"{item.video_id}; nothing of it was written"
            )


def dump_document(request: StageRequest, result: dm.Result) -> bytes:
    """A result with the request that it answers; the same bytes on every run."""
    return documents.dump(_head(request.video_id, request.stage, request.fingerprint), result)


def load_document(data: bytes, *, video_id: str, stage: str, fingerprint: str) -> dm.Result:
    """Parse a result document.

    Raises:
        MismatchError: it answers another request, or is of another kind than the stage writes.
        StoreError: it is damaged.
    """
    answered, result = documents.load(data, STAGES[stage].result_type)
    asked = _head(video_id, stage, fingerprint)
    if answered != asked:
        raise MismatchError(f"result document answers {answered}, not {asked}")
    found: dm.Result = result
    return found


def _head(video_id: str, stage: str, fingerprint: str) -> dict[str, str]:
    return {"fingerprint": fingerprint, "stage": stage, "video_id": video_id}


def load_result(ledger: Ledger, blobs: Blobs, video_id: str, stage: str, fingerprint: str) -> dm.Result:
    """An earlier stage's result. Raises MissingInput where it is not done."""
    run = ledger.find(video_id, stage, fingerprint)
    if run is None or run.status != "done" or run.result_key is None:
        state = run.status if run else "absent"
        raise MissingInput(f"{stage} of {video_id} is {state}; run it before what follows it")
    return load_document(
        blobs.get_bytes(run.result_key), video_id=video_id, stage=stage, fingerprint=fingerprint
    )


def is_settled(run: dm.StageRun | None) -> bool:
    """Whether running again would change nothing: done, filtered, or failed for good."""
    return run is not None and (
        run.status in ("done", "filtered") or (run.status == "failed" and not run.is_retryable)
    )


class Busy(Exception):
    """Another process is at this very computation now; it will settle it."""


def run_stage(
    request: StageRequest,
    *,
    ledger: Ledger,
    blobs: Blobs,
    fetch_video: Callable[[str], Path],
    max_attempts: int = 3,
    waits: bool = False,
    waited_s: float = 0.0,
) -> dm.StageRun:
    """Bring one video to a settled state in one stage and return that state.

    Args:
        request: what to compute.
        ledger: where states are kept.
        blobs: where result documents are kept; written before the row that names them.
        fetch_video: video id -> local file.
        max_attempts: starts after which a computation that never ends counts as failed.
        waits: the caller asks again later where a served model is away, rather than that it is a failure.
        waited_s: how long it has been asked again so; told where it is a failure in the end.

    Returns:
        The settled state; also where it was settled before. Every failure of the computation is a state.

    Raises:
        Busy: another process computes it now.
        ServerAway: a served model is away and `waits`; the attempt does not count.
        ProcessPoisoned: the process has lost its GPU. The run stays `running`, as after a death of the
            process, which must follow: so the attempt counts, and a video that does this to every process
            has failed after `max_attempts`.
        StoreError: the ledger did not answer, so nothing could be settled.
    """
    key = (request.video_id, request.stage, request.fingerprint)
    before = ledger.find(*key)
    if is_settled(before):
        assert before is not None
        return before
    with ledger.lock(*key) as is_ours:
        if not is_ours:
            raise Busy(f"{request.stage} of {request.video_id}")
        before = ledger.find(*key)  # settled while we waited for the lock
        if before is not None and is_settled(before):
            return before
        attempt = ledger.start(*key)
        with recording() as calls:  # of served models; they cost something however the run ends
            tried = _Attempt(request, attempt, ledger, blobs, fetch_video, waits, waited_s)
            try:
                run, result = tried.settle(max_attempts)
            except ServerAway as error:
                ledger.postpone(tried.state(status="running", reason=str(error)), calls)
                raise
        ledger.finish(run, result, calls)
        metrics.stage_ended(run)
        return run


RETRY_WAITS = wait_exponential_jitter(multiplier=0.5, max=20)
"""Waits between tries of one attempt after an error that a retry can help."""


@dataclass(frozen=True)
class _Attempt:
    """One start of one computation: whatever happens in it becomes a state."""

    request: StageRequest
    number: int
    ledger: Ledger
    blobs: Blobs
    fetch_video: Callable[[str], Path]
    waits: bool = False
    waited_s: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def settle(self, max_attempts: int) -> tuple[dm.StageRun, dm.Result | None]:
        try:
            if self.number > max_attempts:
                raise WorkerLost(
                    f"{self.request.stage} did not end in {max_attempts} attempts: its process died each "
                    "time (out of memory, a broken GPU?); see the worker's log, then clear the task to try "
                    "again"
                )
            tries = Retrying(
                retry=retry_if_exception(self.helps_at_once),
                wait=RETRY_WAITS,
                stop=stop_after_attempt(max_attempts),
                reraise=True,
            )
            result = tries(self.compute_or_tell)
            check_answers(self.request, result)
            document = dump_document(self.request, result)
            suffix = documents.suffix(STAGES[self.request.stage].result_type)
            key = self.blobs.put_content(document, "results", suffix)
            return self.state(status="done", result_key=key), result
        except Filtered as outcome:
            return self.state(status="filtered", reason=outcome.reason), outcome.result
        except ProcessPoisoned:
            raise
        except StreferError as error:
            if self.waits and isinstance(error, ServerAway):
                raise
            return self.failed(error), None
        except Exception as error:  # a bug on one video becomes that video's row; the batch goes on
            log.exception("stage=%s video=%s failed", self.request.stage, self.request.video_id)
            return self.failed(error), None

    def helps_at_once(self, error: BaseException) -> bool:
        """Whether to try again within this attempt."""
        is_retryable = isinstance(error, StreferError) and error.is_retryable
        return is_retryable and not (self.waits and isinstance(error, ServerAway))

    def compute_or_tell(self) -> dm.Result:
        """`compute`, but an error that leaves the process without its GPU says so."""
        try:
            return self.compute()
        except Exception as error:
            if is_poisoned(error):
                raise ProcessPoisoned(f"this process has lost its GPU: {error}") from error
            raise

    def compute(self) -> dm.Result:
        chain = self.request.check()
        stage, video_id = STAGES[self.request.stage], self.request.video_id
        inputs = {n: load_result(self.ledger, self.blobs, video_id, n, chain[n]) for n in stage.needs}
        config = section(self.request.config, stage.name)
        if servers := registry.servers_of(stage.name, config):
            from strefer_core.served.client import hold_for

            hold_for(servers)  # before a video is decoded for nothing
        task = StageTask(
            video_id=video_id,
            fingerprint=self.request.fingerprint,
            video_path=self.fetch_video(video_id),
            config=config,
            backend=registry.load(stage.name, config),
            inputs=inputs,
        )
        return stage.run(task)

    def failed(self, error: Exception) -> dm.StageRun:
        """A bad input stays bad; anything else may be mended by the time somebody asks again."""
        is_over = isinstance(error, ServerAway) and self.waited_s > 0
        waited = f"; waited {self.waited_s:.0f} s for it" if is_over else ""
        return self.state(
            status="failed",
            reason=(str(error) or repr(error)) + waited,
            error_class=type(error).__name__,
            is_retryable=not isinstance(error, InputError),
        )

    def state(self, **known: Any) -> dm.StageRun:
        run = dm.StageRun(
            video_id=self.request.video_id,
            stage=self.request.stage,
            fingerprint=self.request.fingerprint,
            attempts=self.number,
            compute_s=round(time.perf_counter() - self.started, 3),
            **known,
        )
        log.info(
            "stage=%s video=%s status=%s attempts=%d compute_s=%.3f reason=%s",
            run.stage, run.video_id, run.status, run.attempts, run.compute_s, run.reason,
        )  # fmt: skip
        return run
