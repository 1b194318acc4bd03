"""What waits in the triggerer: for batches of stage runs, and for new objects under the drop prefix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import (
    BaseEventTrigger,
    BaseTrigger,
    TaskFailedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

from strefer_core.config import PipelineConfig, settings
from strefer_core.errors import StoreError

if TYPE_CHECKING:
    from strefer_core.store.catalog import BatchOutcome, Catalog
    from strefer_core.worker import Urgency

POLL_S = 1.0
LOST_CHECK_S = 15.0
SHOWN_FAILURES = 20


def counts(outcome: BatchOutcome) -> dict[str, int]:
    """How many videos of a batch ended how."""
    return {"done": outcome.done, "filtered": outcome.filtered, "failed": outcome.failed}


def verdict(stage: str, outcome: BatchOutcome, tolerance: float) -> str:
    """Why a batch counts as failed, naming videos and reasons; "" where it is within the tolerance."""
    total = outcome.done + outcome.filtered + outcome.failed
    if not outcome.failed or outcome.failed <= tolerance * total:
        return ""
    lines = [
        f"{failure.video_id} {failure.error_class}: {failure.reason}"
        for failure in outcome.failures[:SHOWN_FAILURES]
    ]
    if outcome.failed > len(lines):
        lines.append(f"and {outcome.failed - len(lines)} more: see the failures view")
    share = f"{outcome.failed} of {total} videos failed in {stage}, more than {tolerance:.0%}"
    return "\n".join([share, *lines])


class BatchWatcher:
    """One poll per second for all batches that this triggerer waits for, however many they are."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._finished: dict[str, asyncio.Event] = {}
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, batch_id: str) -> None:
        """Return when every request of the batch is settled."""
        event = self._finished.setdefault(batch_id, asyncio.Event())
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            await event.wait()
        finally:
            self._finished.pop(batch_id, None)

    async def _poll(self) -> None:
        while self._finished:
            try:
                finished = await asyncio.to_thread(self._catalog.finished_batches, list(self._finished))
            except StoreError:
                finished = set()  # Postgres is away; the tasks' own time limits bound the wait
            for batch_id in finished:
                if event := self._finished.get(batch_id):
                    event.set()
            await asyncio.sleep(POLL_S)


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, BatchWatcher] = WeakKeyDictionary()


def batch_watcher() -> BatchWatcher:
    """The running loop's watcher: a triggerer has one loop, so one watcher and one database connection."""
    from strefer_core import worker

    loop = asyncio.get_running_loop()
    if loop not in _watchers:
        _watchers[loop] = BatchWatcher(worker.catalog())
    return _watchers[loop]


class StageTrigger(BaseTrigger):
    """Waits for a batch and ends its task; sends again what a dead worker took with it.

    A request counts as lost when it is neither locked by a running process nor in its queue, twice in a
    row: its worker was killed whole. (Of a killed child process its own parent sends the message again.)
    """

    def __init__(
        self,
        *,
        batch_id: str,
        stage: str,
        config: Mapping[str, Any],
        failure_tolerance: float,
        urgency: Urgency = "interactive",  # of triggers that an earlier version has stored
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch_id = batch_id
        self.stage = stage
        self.config = dict(config)
        self.failure_tolerance = failure_tolerance
        self.urgency = urgency

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("batch_id", "stage", "config", "failure_tolerance", "urgency")
        return "operators.triggers.StageTrigger", {name: getattr(self, name) for name in names}

    # What is logged is written in threads. Airflow's triggerer reads the pipe of the logs between its
    # messages to us: a full one that stopped our event loop would stop both for good, as it did with
    # hundreds of triggers.

    async def run(self) -> AsyncIterator[TriggerEvent]:
        resender = asyncio.create_task(self._send_lost_again())
        try:
            await batch_watcher().wait(self.batch_id)
        finally:
            resender.cancel()
        outcome = await asyncio.to_thread(self._outcome)
        if message := verdict(self.stage, outcome, self.failure_tolerance):
            await asyncio.to_thread(self.log.error, "%s", message)
            yield TaskFailedEvent(xcoms={"failure": message})
        else:
            await asyncio.to_thread(
                self.log.info, "stage=%s batch=%s %s", self.stage, self.batch_id, counts(outcome)
            )
            yield TaskSuccessEvent(xcoms={"return_value": counts(outcome)})

    async def on_kill(self) -> None:
        """The user cancelled or cleared the waiting task: what is still queued is not computed."""
        await asyncio.to_thread(self._cancel)

    async def _send_lost_again(self) -> None:
        suspects: set[tuple[str, str]] = set()
        while True:
            await asyncio.sleep(LOST_CHECK_S)
            try:
                idle = await asyncio.to_thread(self._idle)
                lost = suspects & idle
                if lost:
                    await asyncio.to_thread(
                        self.log.warning, "stage=%s sending %d lost messages again", self.stage, len(lost)
                    )
                    await asyncio.to_thread(self._send, lost)
                suspects = idle - lost
            except StoreError as error:  # Postgres or the broker is away: look again later
                await asyncio.to_thread(self.log.warning, "cannot look for lost messages: %s", error)

    def _idle(self) -> set[tuple[str, str]]:
        """Unfinished requests that no process works on, while the queue is empty."""
        from strefer_core import worker
        from strefer_core.pipeline import STAGES

        unfinished = worker.catalog().unfinished(self.batch_id)
        if worker.queue_length(STAGES[self.stage].queue):
            return set()
        return {(video_id, fingerprint) for video_id, fingerprint, is_running in unfinished if not is_running}

    def _send(self, pairs: set[tuple[str, str]]) -> None:
        from strefer_core import worker

        worker.send(self.stage, sorted(pairs), PipelineConfig.model_validate(self.config), self.urgency)

    def _outcome(self) -> BatchOutcome:
        from strefer_core import worker

        return worker.catalog().batch_outcome(self.batch_id)

    def _cancel(self) -> None:
        from strefer_core import worker

        worker.catalog().cancel_batch(self.batch_id)


class DropWatchTrigger(BaseEventTrigger):
    """Fires once per quiet set of new objects under a prefix.

    "New" means that no drop holds this key with this etag, so nothing is missed or repeated over a
    restart. An upload in progress is waited for: the set must be the same on two looks in a row.
    """

    def __init__(self, *, prefix: str, poll_s: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.prefix = prefix
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "operators.triggers.DropWatchTrigger", {"prefix": self.prefix, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        seen: frozenset[tuple[str, str]] = frozenset()
        announced: frozenset[tuple[str, str]] = frozenset()
        while True:
            new = await asyncio.to_thread(self._new)
            if new is not None:
                if new and new == seen and not new <= announced:
                    announced = new
                    yield TriggerEvent({"prefix": self.prefix, "objects": len(new)})
                seen = new
            await asyncio.sleep(self.poll_s)

    def _new(self) -> frozenset[tuple[str, str]] | None:
        """(key, etag) of objects in no drop yet; None where a server did not answer."""
        from strefer_core import worker
        from strefer_core.ingest import new_objects

        if not settings().objects_url:
            return frozenset()
        try:
            found = new_objects(worker.objects(), worker.catalog(), self.prefix)
        except StoreError as error:
            self.log.warning("cannot look under %s: %s", self.prefix, error)
            return None
        return frozenset((item.key, item.etag) for item in found)
