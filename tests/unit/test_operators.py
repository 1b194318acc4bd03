"""StageOperator and its trigger without servers: what is asked for, what ends the task, who is named."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent

from operators import triggers
from operators.stage import StageOperator, batch_id
from operators.triggers import BatchWatcher, DropWatchTrigger, StageTrigger, verdict
from strefer_core import data_model as dm
from strefer_core import worker
from strefer_core.batching import MAX_BATCHES, MIN_BATCH, batches
from strefer_core.config import PipelineConfig
from strefer_core.errors import StoreError
from strefer_core.pipeline import fingerprints
from strefer_core.store.catalog import BatchFailure, BatchOutcome

TI = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=0, try_number=1)
CONFIG = PipelineConfig()


@dataclass
class FakeCatalog:
    """States in memory, with the methods of the catalog that operators use."""

    runs: dict[tuple[str, str], dm.StageRun] = field(default_factory=dict)
    batches: dict[str, tuple[dict[str, str], set[str]]] = field(default_factory=dict)
    asked_before: set[str] = field(default_factory=set)
    looks: list[int] = field(default_factory=list)
    is_away: bool = False

    def settle(self, video_id: str, stage: str, status: Any = "done", **more: Any) -> None:
        fingerprint = fingerprints(video_id, CONFIG)[stage]
        self.runs[video_id, stage] = dm.StageRun(
            video_id=video_id, stage=stage, fingerprint=fingerprint, status=status, **more
        )

    def states(self, pairs: Mapping[str, str], stage: str) -> dict[str, dm.StageRun]:
        return {v: self.runs[v, stage] for v in pairs if (v, stage) in self.runs}

    def open_batch(
        self, batch: str, stage: str, pairs: Mapping[str, str], missing: Collection[str]
    ) -> set[str]:
        self.batches[batch] = (dict(pairs), set(missing))
        return set(missing) - self.asked_before

    def finished_batches(self, batch_ids: Collection[str]) -> set[str]:
        self.looks.append(len(batch_ids))
        if self.is_away:
            raise StoreError("no answer")
        return {b for b in batch_ids if not self.batches[b][1]}

    def batch_outcome(self, batch: str) -> BatchOutcome:
        runs = [self.runs[v, "videos"] for v in self.batches[batch][0]]
        failed = [r for r in runs if r.status == "failed"]
        return outcome(
            done=sum(r.status == "done" for r in runs),
            failures=[(r.video_id, str(r.error_class), str(r.reason)) for r in failed],
        )

    def cancel_batch(self, batch: str) -> None:
        self.batches[batch] = ({}, set())

    def unfinished(self, batch: str) -> list[tuple[str, str, bool]]:
        pairs, missing = self.batches[batch]
        return [(v, pairs[v], False) for v in sorted(missing)]


def outcome(
    done: int = 0, filtered: int = 0, failures: Collection[tuple[str, str, str]] = ()
) -> BatchOutcome:
    return BatchOutcome(
        done=done,
        filtered=filtered,
        failed=len(failures),
        open=0,
        failures=tuple(BatchFailure(video_id=v, error_class=c, reason=r) for v, c, r in failures),
    )


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> FakeCatalog:
    fake = FakeCatalog()
    monkeypatch.setattr(worker, "catalog", lambda: fake)
    return fake


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of videos for which a message was sent, in order."""
    messages: list[str] = []
    monkeypatch.setattr(worker, "send", lambda stage, pairs, *_: messages.extend(v for v, _ in pairs))
    monkeypatch.setattr(worker, "queue_length", lambda queue: 0)
    return messages


def operator(stage: str = "videos", video_ids: Collection[str] = ("a", "b"), **more: Any) -> StageOperator:
    return StageOperator(task_id="t", stage=stage, video_ids=list(video_ids), **more)


def deferred(op: StageOperator) -> StageTrigger:
    with pytest.raises(TaskDeferred) as caught:
        op.execute({"ti": TI})  # type: ignore[arg-type]
    trigger = caught.value.trigger
    assert isinstance(trigger, StageTrigger)
    return trigger


def events(trigger: StageTrigger) -> list[Any]:
    async def collect() -> list[Any]:
        return [event async for event in trigger.run()]

    return asyncio.run(asyncio.wait_for(collect(), 20))


def test_it_asks_for_what_is_missing_and_defers(catalog: FakeCatalog, sent: list[str]) -> None:
    catalog.settle("a", "videos")
    trigger = deferred(operator())
    assert sent == ["b"]
    assert catalog.batches[trigger.batch_id][1] == {"b"}


def test_it_passes_over_videos_whose_earlier_stages_are_not_done(
    catalog: FakeCatalog, sent: list[str]
) -> None:
    catalog.settle("a", "videos")
    catalog.settle("b", "videos", "failed", reason="zero bytes", error_class="UnreadableVideo")
    catalog.settle("c", "videos", "filtered", reason="black")
    deferred(operator("clips", ["a", "b", "c", "d"]))
    assert sent == ["a"]


def test_it_sends_no_second_message_for_what_is_on_its_way(catalog: FakeCatalog, sent: list[str]) -> None:
    catalog.asked_before = {"a"}
    deferred(operator())
    assert sent == ["b"]


def test_all_done_before_ends_at_once(catalog: FakeCatalog, sent: list[str]) -> None:
    for video_id in ("a", "b"):
        catalog.settle(video_id, "videos")
    assert operator().execute({"ti": TI}) == {"done": 2, "filtered": 0, "failed": 0}  # type: ignore[arg-type]
    assert sent == []


def test_failures_for_good_are_named_and_not_sent_again(catalog: FakeCatalog, sent: list[str]) -> None:
    for video_id in ("a", "b"):
        catalog.settle(video_id, "videos", "failed", reason="zero bytes", error_class="UnreadableVideo")
    with pytest.raises(AirflowFailException, match="a UnreadableVideo: zero bytes"):
        operator().execute({"ti": TI})  # type: ignore[arg-type]
    assert sent == []


def test_a_failure_that_may_be_mended_is_asked_for_again(catalog: FakeCatalog, sent: list[str]) -> None:
    catalog.settle("a", "videos", "failed", reason="503", error_class="BackendError", is_retryable=True)
    deferred(operator(video_ids=["a"]))
    assert sent == ["a"]


def test_an_empty_batch_is_done(catalog: FakeCatalog, sent: list[str]) -> None:
    assert operator(video_ids=[]).execute({"ti": TI})["done"] == 0  # type: ignore[arg-type]


def test_an_unknown_stage_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="known: videos, clips"):
        operator("masks")


def test_each_try_has_its_own_batch() -> None:
    again = SimpleNamespace(**{**vars(TI), "try_number": 2})
    assert batch_id(TI) == batch_id(SimpleNamespace(**vars(TI)))
    assert batch_id(TI) != batch_id(again)


def test_a_killed_task_drops_what_it_asked_for(catalog: FakeCatalog, sent: list[str]) -> None:
    op = operator()
    trigger = deferred(op)
    op.on_kill()
    assert catalog.batches[trigger.batch_id] == ({}, set())


@pytest.mark.parametrize(
    ("failed", "tolerance", "is_failed"),
    [(0, 0.0, False), (1, 0.0, True), (2, 0.2, False), (3, 0.2, True), (10, 1.0, False)],
)
def test_the_tolerance_is_a_share_of_the_batch(failed: int, tolerance: float, is_failed: bool) -> None:
    failures = [(f"v{i}", "UnreadableVideo", "zero bytes") for i in range(failed)]
    message = verdict("videos", outcome(done=10 - failed, failures=failures), tolerance)
    assert bool(message) == is_failed
    if is_failed:
        assert f"{failed} of 10" in message
        assert all(f"{v} {c}: {r}" in message for v, c, r in failures)


def test_a_long_list_of_failures_is_cut_and_says_so() -> None:
    message = verdict("videos", outcome(failures=[(f"v{i}", "E", "r") for i in range(50)]), 0.1)
    assert "and 30 more" in message


def test_a_trigger_is_rebuilt_from_what_it_serializes(catalog: FakeCatalog) -> None:
    first = StageTrigger(batch_id="b", stage="videos", config={"clips": {}}, failure_tolerance=0.5)
    for trigger in (first, DropWatchTrigger(prefix="drops/", poll_s=3.0)):
        path, arguments = trigger.serialize()
        module, name = path.rsplit(".", 1)
        assert getattr(importlib.import_module(module), name)(**arguments).serialize() == (path, arguments)


@pytest.mark.parametrize(("status", "event_type"), [("done", TaskSuccessEvent), ("failed", TaskFailedEvent)])
def test_the_trigger_ends_the_task(
    catalog: FakeCatalog, sent: list[str], status: str, event_type: type
) -> None:
    trigger = deferred(operator(video_ids=["a"]))
    catalog.settle("a", "videos", status, reason="x", error_class="E")
    catalog.batches[trigger.batch_id][1].clear()
    (event,) = events(trigger)
    assert isinstance(event, event_type)


@pytest.mark.parametrize("status", ["done", "failed"])
def test_a_log_that_nobody_reads_does_not_stop_the_event_loop(
    catalog: FakeCatalog, sent: list[str], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's triggerer and its runner would wait for each other for ever."""
    trigger = deferred(operator(video_ids=["a"]))
    catalog.settle("a", "videos", status, reason="x", error_class="E")
    catalog.batches[trigger.batch_id][1].clear()
    is_read = threading.Event()

    class FullPipe:
        def info(self, *_: object) -> None:
            assert is_read.wait(20)

        error = info

    monkeypatch.setattr(StageTrigger, "log", FullPipe())

    async def others_go_on() -> None:
        ending = asyncio.ensure_future(anext(aiter(trigger.run())))
        await asyncio.sleep(0.3)
        assert not ending.done()
        is_read.set()
        await asyncio.wait_for(ending, 10)

    asyncio.run(asyncio.wait_for(others_go_on(), 15))


def test_one_poll_serves_all_batches_and_outlives_an_absent_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(triggers, "POLL_S", 0.02)
    fake = FakeCatalog(is_away=True)
    for i in range(300):
        fake.batches[str(i)] = ({"a": "f"}, {"a"})

    async def wait_for_all() -> None:
        watcher = BatchWatcher(fake)  # type: ignore[arg-type]
        waiting = [asyncio.create_task(watcher.wait(str(i))) for i in range(300)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in waiting)
        fake.is_away = False
        for _, missing in fake.batches.values():
            missing.clear()
        await asyncio.wait_for(asyncio.gather(*waiting), 10)

    asyncio.run(wait_for_all())
    assert max(fake.looks) == 300, "one query asks for every batch"
    assert len(fake.looks) < 60, "and not one query for each"


def test_what_a_dead_worker_took_with_it_is_sent_again(
    catalog: FakeCatalog, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "LOST_CHECK_S", 0.02)
    monkeypatch.setattr(triggers, "POLL_S", 0.02)
    trigger = deferred(operator(video_ids=["a", "b"]))
    sent.clear()
    looks = iter([StoreError("the broker is away")])  # the first look fails, the others do not

    def queue_length(queue: str) -> int:
        for error in looks:
            raise error
        return 0

    monkeypatch.setattr(worker, "queue_length", queue_length)

    async def lose_and_find() -> None:
        running = asyncio.create_task(anext(trigger.run()))
        while sent[:2] != ["a", "b"]:
            await asyncio.sleep(0.01)
        for video_id in ("a", "b"):
            catalog.settle(video_id, "videos")
        catalog.batches[trigger.batch_id][1].clear()
        assert isinstance(await running, TaskSuccessEvent)

    asyncio.run(asyncio.wait_for(lose_and_find(), 20))


def test_nothing_is_sent_again_while_the_queue_holds_messages(
    catalog: FakeCatalog, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "queue_length", lambda queue: 1)
    trigger = deferred(operator(video_ids=["a"]))
    assert trigger._idle() == set()


@pytest.mark.parametrize("count", [0, 1, MIN_BATCH, MIN_BATCH + 1, 6_400, 6_401, 100_000])
def test_a_drop_is_cut_into_at_most_two_hundred_batches(count: int) -> None:
    cut = batches(list(range(count)))
    assert [item for batch in cut for item in batch] == list(range(count))
    assert len(cut) <= MAX_BATCHES
    assert all(len(batch) >= min(MIN_BATCH, count) for batch in cut[:-1])
