"""The client and the served backends against a real OpenAI-compatible server: `transformers serve`.

The model is tiny and random, so its replies are noise. What is proven is the protocol: text and pictures get
through, tokens are counted, noise is refused and kept, and the video ends in one state.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from strefer_core.config import EntitiesConfig, PipelineConfig, ServedModel, settings
from strefer_core.ingest import video_id_of
from strefer_core.pipeline import StageRequest, run_stage
from strefer_core.served.accounting import recording
from strefer_core.served.client import Ask, ask_all
from strefer_core.served.pictures import jpegs
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from tests.media import write_video

for name in ("torch", "transformers", "accelerate", "openai"):
    pytest.importorskip(
        name, reason=f"{name} is not installed: pip install -c constraints.txt '.[models,serving]'"
    )

pytestmark = pytest.mark.timeout(300)

STARTUP_S = 180  # torch and transformers are slow to import on a busy machine
MAX_TOKENS = 24


class Anything(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and model name of a running server."""
    from tests.tiny_vlm import write_tiny_vlm

    folder = tmp_path_factory.mktemp("tiny")
    model = str(write_tiny_vlm(folder / "model"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", model, "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    log = folder / "log"
    with log.open("w") as out:
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_until_up(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTUP_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"no server after {STARTUP_S} s: {log.read_text()[-2000:]}")


@pytest.fixture(autouse=True)
def _connected(served: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for server in ("VLM", "LLM"):
        monkeypatch.setenv(f"STREFER_{server}__BASE_URL", served[0])
        monkeypatch.setenv(f"STREFER_{server}__PROMPT_PRICE", "1")
        monkeypatch.setenv(f"STREFER_{server}__COMPLETION_PRICE", "2")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def model(served: tuple[str, str]) -> ServedModel:
    return ServedModel(model=served[1], samples=2, max_tokens=MAX_TOKENS, frames=3, max_side_px=64)


def test_text_and_pictures_get_through_and_are_counted(model: ServedModel) -> None:
    """A picture takes four tokens of this model; all else of the questions is the same."""
    from tests.tiny_vlm import IMAGE_TOKENS

    pictures = jpegs(np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), dtype=np.uint8), 64)
    asks = [
        Ask(server="vlm", model=model, prompt="recognize.v1", reply=Anything, fields={}, images=shown)
        for shown in ((), pictures[:1], pictures)
    ]
    tokens = []
    for ask in asks:
        with recording() as calls:
            assert ask_all([ask]) == [None]
        assert [call.outcome for call in calls] == ["rejected"] * model.samples
        assert all(call.raw_text and call.reason for call in calls)
        tokens.append(calls[0].prompt_tokens or 0)
        for call in calls:
            assert 0 < (call.completion_tokens or 0) <= MAX_TOKENS
            cost = ((call.prompt_tokens or 0) + 2 * (call.completion_tokens or 0)) / 1e6
            assert call.cost == pytest.approx(cost)
    assert tokens[0] > 500  # bytes of the prompt and the schema
    assert [count - tokens[0] for count in tokens] == [0, IMAGE_TOKENS, 3 * IMAGE_TOKENS]


def test_many_questions_at_once_are_all_settled(model: ServedModel) -> None:
    asks = [
        Ask(server="llm", model=model, prompt="parse.v1", reply=Anything, fields={"number": number})
        for number in range(6)
    ]
    with recording() as calls:
        assert ask_all(asks) == [None] * 6
    assert len(calls) == 6 * model.samples
    assert {call.question for call in calls} == {ask.question for ask in asks}


def test_a_model_that_the_server_does_not_hold_is_named(model: ServedModel) -> None:
    from strefer_core.errors import ConfigError

    other = model.model_copy(update={"model": "another-model"})
    with pytest.raises(ConfigError, match="another-model"):
        ask_all([Ask(server="llm", model=other, prompt="parse.v1", reply=Anything, fields={})])


def test_a_video_whose_replies_are_noise_fails_with_all_its_calls(model: ServedModel, tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 45)
    entities = EntitiesConfig(backend="vlm", recognizer=model, parser=model)
    ledger, video_id = FolderLedger(tmp_path / "runs"), video_id_of(video)
    for stage in ("videos", "entities"):
        run = run_stage(
            StageRequest.make(video_id, stage, PipelineConfig(entities=entities)),
            ledger=ledger,
            blobs=FolderObjects(tmp_path / "objects"),
            fetch_video=lambda _: video,
        )
    assert (run.status, run.error_class, run.is_retryable) == ("failed", "UnusableReply", True)
    assert model.model in str(run.reason)
    calls = ledger.calls(video_id, "entities", run.fingerprint)
    assert [(call.outcome, call.prompt) for call in calls] == [("rejected", "recognize.v1")] * model.samples
    assert all(call.raw_text and call.prompt_tokens and call.completion_tokens for call in calls)
