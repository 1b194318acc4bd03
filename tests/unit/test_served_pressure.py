"""A served model that is overloaded or gone: fewer questions at a time, then none, then all answered."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from strefer_core import worker
from strefer_core.config import EntitiesConfig, PipelineConfig, ServedModel, settings
from strefer_core.data_model import StageRun
from strefer_core.errors import BackendError, ServerAway
from strefer_core.pipeline import STAGES, StageRequest, run_stage
from strefer_core.served import pressure as module
from strefer_core.served.client import Ask, ask_all, hold_for
from strefer_core.served.pressure import Pressure, pressure
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from tests import sample_results
from tests.openai_server import (
    Asked,
    Handler,
    OpenAIServer,
    always,
    connect,
    cuts,
    error,
    hangs,
    in_turn,
    says,
)  # fmt: skip


class Answer(BaseModel):
    number: int


GOOD = says({"number": 1})


def ask(number: int = 1, **changes: Any) -> Ask[Answer]:
    given: dict[str, Any] = {
        "server": "llm", "model": ServedModel(model="m"), "prompt": "parse.v1", "reply": Answer,
        "fields": {"number": number},
    }  # fmt: skip
    return Ask(**(given | changes))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(module, "HOLD_S", 5.0)
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    yield
    settings.cache_clear()


# How many at a time


def test_every_round_of_answers_allows_one_more_up_to_the_setting() -> None:
    now = Pressure(4)
    now.went_away("gone")
    assert now.allowed == 1
    now.answered(1)
    assert now.allowed == 2
    for _ in range(100):
        now.answered(1)
    assert now.allowed == 2, "one question at a time says nothing about three"
    for _ in range(100):
        now.answered(4)
    assert now.allowed == 4


def test_a_refusal_halves_once_for_all_that_were_asked_before_it() -> None:
    now, before = Pressure(16), time.monotonic()
    for _ in range(5):
        now.refused(before)
    assert now.allowed == 8
    now.refused(time.monotonic())
    assert now.allowed == 4
    for _ in range(9):
        now.refused(time.monotonic())
    assert now.allowed == 1, "never none"


class Crowded:
    """Takes so many questions at a time; refuses the others, and notes how many it had at once."""

    def __init__(self, takes: int) -> None:
        self.takes, self.now, self.refusals, self.guard = takes, 0, 0, threading.Lock()

    def __call__(self, handler: Handler, asked: Asked) -> None:
        with self.guard:
            self.now += 1
            is_too_much = self.now > self.takes
            self.refusals += is_too_much
        if is_too_much:
            error(429)(handler, asked)
        else:
            handler.server.closing.wait(0.02)
            GOOD(handler, asked)
        with self.guard:
            self.now -= 1


def test_a_crowded_server_answers_all_questions_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    crowded = Crowded(3)
    with OpenAIServer(always(crowded)) as served:
        connect(monkeypatch, served.url, max_concurrency=16, max_tries=8, timeout_s=10, question_timeout_s=60)
        answers = ask_all([ask(number) for number in range(60)])
        assert len([answer for answer in answers if answer]) == 60
        assert pressure(settings().llm).allowed < 16
    assert 0 < crowded.refusals < 60


def test_a_server_that_keeps_up_is_asked_as_much_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(always(GOOD)) as served:
        connect(monkeypatch, served.url, max_concurrency=5)
        ask_all([ask(number) for number in range(20)])
        assert pressure(settings().llm).allowed == 5


# Away, and back


@pytest.mark.parametrize(
    ("act", "health", "kind"),
    [
        (error(503), 200, ServerAway),
        (error(429), 200, ServerAway),
        (error(502), 200, ServerAway),
        (error(500), 200, BackendError),
        (error(500), 503, ServerAway),
        (cuts, 200, BackendError),
        (cuts, 503, ServerAway),
        (hangs, 200, BackendError),
        (hangs, 503, ServerAway),
    ],
    ids=["503", "429", "502", "500 well", "500 ill", "cut well", "cut ill", "slow well", "slow ill"],
)
def test_a_fault_is_the_servers_or_perhaps_the_questions(
    monkeypatch: pytest.MonkeyPatch, act: Any, health: int, kind: type[Exception]
) -> None:
    """What may be the question's own fault does not hold up the others, unless the server is ill."""
    with OpenAIServer(always(act)) as served:
        served.health["/health"] = health
        connect(monkeypatch, served.url, max_tries=2, timeout_s=0.3)
        with pytest.raises(BackendError) as caught:
            ask_all([ask()])
        assert type(caught.value) is kind
        assert bool(pressure(settings().llm).why_away) == (kind is ServerAway)


@pytest.mark.parametrize(
    ("health", "is_well"),
    [
        ({"/health": 200}, True),
        ({"/health": 503}, False),
        ({"/v1/models": 200}, True),
        ({"/v1/models": 401}, True),  # it answers; the key is another matter, and an error of its own
        ({"/v1/models": 503}, False),
        ({"/v1/models": 429}, False),
        ({}, True),  # an old proxy that knows neither
    ],
)
def test_what_a_look_says(monkeypatch: pytest.MonkeyPatch, health: dict[str, int], is_well: bool) -> None:
    with OpenAIServer(in_turn(error(503), GOOD)) as served:
        served.health.clear()
        served.health.update(health)
        connect(monkeypatch, served.url, max_tries=1)
        monkeypatch.setattr(module, "HOLD_S", 0.0)
        with pytest.raises(ServerAway):
            ask_all([ask()])
        if is_well:
            assert ask_all([ask()]) == [Answer(number=1)]
        else:
            with pytest.raises(ServerAway):
                ask_all([ask()])
            assert len(served.asked) == 1, "only looked at"


def test_a_server_that_comes_back_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gone, then loading its model, then well: the question waits for it."""
    with OpenAIServer(always(GOOD)) as first:
        port = int(first.url.split(":")[2].split("/")[0])
    connect(monkeypatch, first.url, max_tries=1)
    with pytest.raises(ServerAway, match="ConnectError"):
        ask_all([ask()])
    with OpenAIServer(always(GOOD), port) as second:
        second.health["/health"] = 503

        def load() -> None:
            while len(second.looked) < 3:
                time.sleep(0.01)
            second.health["/health"] = 200

        loading = threading.Thread(target=load)
        loading.start()
        assert ask_all([ask()]) == [Answer(number=1)]
        loading.join()
        assert len(second.asked) == 1
    assert not pressure(settings().llm).why_away


def test_a_server_that_stays_away_is_an_error_after_the_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(always(error(503))) as served:
        served.health["/health"] = 503
        connect(monkeypatch, served.url, max_tries=1)
        monkeypatch.setattr(module, "HOLD_S", 0.05)
        for _ in range(2):
            with pytest.raises(ServerAway, match="HTTP 503; tried 1 times"):
                ask_all([ask()])
        assert len(served.asked) == 1
        with pytest.raises(ServerAway):
            hold_for(["llm"])


def test_nobody_waits_for_a_server_that_nothing_is_known_of(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(always(GOOD)) as served:
        connect(monkeypatch, served.url)
        hold_for(["vlm", "llm"])
        assert served.looked == []
    monkeypatch.delenv("STREFER_VLM__BASE_URL")
    settings.cache_clear()
    hold_for(["vlm"])


def test_a_well_server_that_takes_nothing_is_left_alone_for_longer_and_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 2.0)
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    now, pauses = Pressure(4), []

    async def well() -> bool:
        return True

    async def pause() -> float:
        began = clock[0]
        while not await now.hold(well, 0.0):
            clock[0] += 0.5
        return clock[0] - began

    for _ in range(6):
        now.went_away("HTTP 429")
        pauses.append(asyncio.run(pause()))
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    now.answered(1)
    now.went_away("HTTP 429", retry_after_s=11.0)
    assert asyncio.run(pause()) == 11.0, "as long as it asks for"


# The stage, and its message


VIDEO_ID = sample_results.VIDEO_ID
CONFIG = PipelineConfig(
    entities=EntitiesConfig(backend="vlm", recognizer=ServedModel(model="m"), parser=ServedModel(model="m"))
)


class Bench:
    """The stage `entities` on one video, its function replaced by one question."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.ledger, self.blobs = FolderLedger(folder / "runs"), FolderObjects(folder / "objects")
        self.request = StageRequest.make(VIDEO_ID, "entities", CONFIG)
        self.fetched = 0
        patch.setitem(vars(STAGES["entities"]), "run", self.function)
        patch.setattr("strefer_core.pipeline.load_result", lambda *_: sample_results.RESULTS["videos"])

    def function(self, _: object) -> Any:
        ask_all([ask()])
        return sample_results.RESULTS["entities"]

    def fetch(self, video_id: str) -> Path:
        self.fetched += 1
        return Path("/nowhere") / video_id

    def run(self, **options: Any) -> StageRun:
        return run_stage(
            self.request, ledger=self.ledger, blobs=self.blobs, fetch_video=self.fetch, **options
        )

    def state(self) -> StageRun:
        found = self.ledger.find(VIDEO_ID, "entities", self.request.fingerprint)
        assert found is not None
        return found


def test_a_run_waits_for_its_server_and_no_attempt_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "HOLD_S", 0.0)
    with OpenAIServer(always(error(503))) as served:
        served.health["/health"] = 503
        connect(monkeypatch, served.url, max_tries=1)
        for _ in range(5):  # more often than there are attempts
            with pytest.raises(ServerAway):
                bench.run(max_attempts=2, waits=True)
            assert (bench.state().status, bench.state().attempts) == ("running", 1)
            assert "HTTP 503" in str(bench.state().reason)
        assert len(served.asked) == 1
        assert bench.fetched == 1, "no video is fetched for a server that is known to be away"
    with OpenAIServer(always(GOOD), int(served.url.split(":")[2].split("/")[0])):
        run = bench.run(max_attempts=2, waits=True)
    assert (run.status, run.attempts, run.reason) == ("done", 1, None)
    calls = bench.ledger.calls(VIDEO_ID, "entities", bench.request.fingerprint)
    assert [call.outcome for call in calls] == ["failed", "used"], "what was asked in vain is kept"


def test_who_does_not_wait_gets_a_failure_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "HOLD_S", 0.0)
    monkeypatch.setattr("strefer_core.pipeline.RETRY_WAITS", lambda _: 0.0)
    with OpenAIServer(always(error(503))) as served:
        served.health["/health"] = 503
        connect(monkeypatch, served.url, max_tries=1)
        run = bench.run(max_attempts=2, waits=False, waited_s=3601.0)
    assert (run.status, run.error_class, run.is_retryable) == ("failed", "ServerAway", True)
    assert str(run.reason).endswith("answers HTTP 503; tried 1 times; waited 3601 s for it")


class Worker:
    """`run_stage_task` with everything around it replaced by values of a test."""

    def __init__(self, patch: pytest.MonkeyPatch, outcome: Exception | None) -> None:
        self.given: dict[str, Any] = {}
        self.sent: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.closed = 0
        self.outcome = outcome
        patch.setattr(worker, "catalog", lambda: self)
        patch.setattr(worker, "objects", lambda: None)
        patch.setattr(worker, "run_stage", self.run_stage)
        patch.setattr(worker.time, "time", lambda: 10_000.0)
        patch.setattr(worker.run_stage_task, "apply_async", self.apply_async)

    def is_requested(self, *_: str) -> bool:
        return True

    def finish_requests(self, *_: str) -> None:
        self.closed += 1

    def run_stage(self, _: StageRequest, **given: Any) -> StageRun:
        self.given = given
        if self.outcome:
            raise self.outcome
        return sample_results.done("entities")

    def apply_async(self, args: tuple[dict[str, Any]], **options: Any) -> None:
        self.sent.append((args[0], options))


def message(config: PipelineConfig = CONFIG, **more: Any) -> dict[str, Any]:
    request = StageRequest.make(VIDEO_ID, "entities", config)
    return {
        "video_id": VIDEO_ID, "stage": "entities", "fingerprint": request.fingerprint,
        "config": config.model_dump(mode="json"), "sent_at_s": 9_000.0, **more,
    }  # fmt: skip


def test_a_message_whose_server_is_away_goes_to_the_end_of_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Worker(monkeypatch, ServerAway("gone"))
    worker.run_stage_task(message())
    ((later, options),) = now.sent
    assert later == {**message(), "away_since_s": 10_000.0, "sent_at_s": 10_000.0}
    assert options["queue"] == "llm"
    assert "countdown" not in options
    assert "eta" not in options
    assert now.closed == 0, "its request stays open"
    worker.run_stage_task(message(away_since_s=9_500.0))
    assert now.sent[1][0]["away_since_s"] == 9_500.0, "since the first time"


@pytest.mark.parametrize(("away_since_s", "waits"), [(None, True), (9_901.0, True), (9_899.0, False)])
def test_a_message_waits_only_so_long(
    monkeypatch: pytest.MonkeyPatch, away_since_s: float | None, waits: bool
) -> None:
    monkeypatch.setenv("STREFER_VLM__MAX_AWAY_S", "100")
    monkeypatch.setenv("STREFER_LLM__MAX_AWAY_S", "50")
    settings.cache_clear()
    now = Worker(monkeypatch, None)
    worker.run_stage_task(message(**({"away_since_s": away_since_s} if away_since_s else {})))
    assert now.given["waits"] is waits
    assert now.given["waited_s"] == (10_000.0 - away_since_s if away_since_s else 0.0)
    assert (now.closed, now.sent) == (1, [])


def test_a_stage_that_asks_no_server_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Worker(monkeypatch, None)
    worker.run_stage_task(message(PipelineConfig()))
    assert now.given["waits"] is False
