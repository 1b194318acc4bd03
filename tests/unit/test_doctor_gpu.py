"""`strefer doctor --gpu`: what the configuration asks for decides what is broken. Servers, folders and the
hub's cache are real; GPUs, which no test machine has, are torch's answers about them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from strefer_core.cli import main
from strefer_core.commands import doctor_gpu
from strefer_core.commands.doctor_gpu import GIB, Loaded
from strefer_core.config import settings

KEY = "hunter2"


class ModelList(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_known = self.headers.get("Authorization") == f"Bearer {KEY}"
        body = json.dumps({"object": "list", "data": [{"id": "seer", "object": "model"}]}).encode()
        if self.path == "/other/models":
            body = b"<html>a page</html>"
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), ModelList)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STREFER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings.cache_clear()
    yield
    settings.cache_clear()


def doctor(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[int, dict[str, dict[str, str]], Any]:
    """Exit code, findings by their check, and all of the JSON."""
    for name, value in variables.items():
        monkeypatch.setenv(f"STREFER_{name}", value)
    settings.cache_clear()
    result = CliRunner().invoke(main, ["doctor", "--gpu", "--json"], catch_exceptions=False)
    told = json.loads(result.stdout)
    return result.exit_code, {finding["check"]: finding for finding in told["findings"]}, told


VLM = {"PIPELINE__TRANSCRIPT__BACKEND": "vlm", "PIPELINE__TRANSCRIPT__VLM__MODEL": "seer"}


class Torch:
    """What doctor asks of torch, on a machine with GPUs."""

    def __init__(self, *memory_bytes: int) -> None:
        self.version = SimpleNamespace(cuda="13.0")
        self.__version__ = "2.13.0+cu130"
        self.cuda = SimpleNamespace(
            is_available=lambda: bool(memory_bytes),
            device_count=lambda: len(memory_bytes),
            get_device_properties=lambda i: SimpleNamespace(name=f"GPU {i}", major=9, minor=0),
            mem_get_info=lambda i: (memory_bytes[i] // 2, memory_bytes[i]),
        )


def seen(monkeypatch: pytest.MonkeyPatch, torch: Torch, driver: str = "580.1") -> None:
    monkeypatch.setattr(doctor_gpu, "_torch", lambda: torch)
    monkeypatch.setattr(doctor_gpu, "driver_of_machine", lambda: driver)


def weights(folder: Path, size_bytes: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(size_bytes)  # takes no room on disk
    return folder


def test_without_a_gpu_the_local_backends_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, Torch(), driver="")
    code, findings, told = doctor(monkeypatch)
    assert (code, told["can_run"], told["gpus"]) == (0, True, [])
    assert findings["gpu"]["state"] == "absent"
    assert "run on the CPU" in findings["gpu"]["detail"]
    assert findings["stage masklets"]["detail"] == "classical, on the CPU, by workers of the queue gpu"
    assert {f"stage {name}" for name in ("clips", "entities", "transcript", "quality")} <= set(findings)


def test_this_machine_is_described_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    _, findings, told = doctor(monkeypatch)
    assert findings["torch"]["detail"].startswith(torch.__version__)
    assert len(told["gpus"]) == torch.cuda.device_count()


def test_gpus_are_told_with_memory_driver_and_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, Torch(80 * GIB, 40 * GIB))
    code, findings, told = doctor(monkeypatch, DEVICE="cuda:1")
    assert code == 0
    assert findings["cuda:1"]["detail"] == (
        "GPU 1, 20.0 of 40.0 GiB free, compute capability 9.0, driver 580.1"
    )
    assert told["gpus"][0]["memory_bytes"] == 80 * GIB


@pytest.mark.parametrize(
    ("gpus", "device", "check", "said"),
    [
        ((), "cuda", "gpu", "CUDA_VISIBLE_DEVICES"),
        ((GIB,), "cuda:1", "STREFER_DEVICE", "sees 1 GPUs"),
    ],
)
def test_a_gpu_that_is_asked_for_and_not_there_is_broken(
    monkeypatch: pytest.MonkeyPatch, gpus: tuple[int, ...], device: str, check: str, said: str
) -> None:
    seen(monkeypatch, Torch(*gpus))
    code, findings, _ = doctor(monkeypatch, DEVICE=device)
    assert (code, findings[check]["state"]) == (1, "broken")
    assert said in findings[check]["detail"]


def test_a_build_of_torch_without_cuda_beside_a_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = Torch()
    torch.version.cuda = None
    seen(monkeypatch, torch)
    _, findings, _ = doctor(monkeypatch)
    assert "580.1" in findings["gpu"]["detail"]
    assert "constraints-gpu.txt" in findings["gpu"]["detail"]


def test_a_server_that_has_the_model_is_ok(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    code, findings, _ = doctor(monkeypatch, **VLM, VLM__BASE_URL=f"{server}/v1", VLM__API_KEY=KEY)
    assert (code, findings["server vlm"]["state"]) == (0, "ok")
    assert findings["server vlm"]["detail"].endswith("/v1 lists seer")
    assert "asks seer of the vlm server" in findings["stage transcript"]["detail"]


@pytest.mark.parametrize(
    ("path", "key", "model", "said"),
    [
        ("/v1", KEY, "other", "not other, which stages ask for"),
        ("/v1", "wrong", "seer", "check STREFER_VLM__API_KEY"),
        ("/other", KEY, "seer", "gives no list of models"),
    ],
)
def test_a_server_that_cannot_answer_the_stages_is_broken(
    monkeypatch: pytest.MonkeyPatch, server: str, path: str, key: str, model: str, said: str
) -> None:
    asked = {**VLM, "PIPELINE__TRANSCRIPT__VLM__MODEL": model}
    code, findings, told = doctor(monkeypatch, **asked, VLM__BASE_URL=server + path, VLM__API_KEY=key)
    assert (code, findings["server vlm"]["state"]) == (1, "broken")
    assert said in findings["server vlm"]["detail"]
    assert KEY not in json.dumps(told)


def test_a_server_that_is_away_is_broken_only_where_a_stage_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    away = {"VLM__BASE_URL": "http://127.0.0.1:9/v1"}
    code, findings, _ = doctor(monkeypatch, **away)
    assert (code, findings["server vlm"]["state"]) == (0, "absent")
    code, findings, _ = doctor(monkeypatch, **away, **VLM)
    assert (code, findings["server vlm"]["state"]) == (1, "broken")
    assert "does not answer: ConnectError" in findings["server vlm"]["detail"]


def test_a_checkpoint_that_is_not_there_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {"PIPELINE__CLIPS__EMBEDDER": "siglip", "PIPELINE__CLIPS__SIGLIP_PATH": str(tmp_path / "none")}
    code, findings, _ = doctor(monkeypatch, **asked)
    assert (code, findings["weights clips.siglip"]["state"]) == (1, "broken")
    assert str(tmp_path / "none") in findings["weights clips.siglip"]["detail"]


def test_a_checkpoint_that_is_here_counts_into_the_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen(monkeypatch, Torch(80 * GIB))
    folder = weights(tmp_path / "siglip", 3 * GIB)
    asked = {"PIPELINE__CLIPS__EMBEDDER": "siglip", "PIPELINE__CLIPS__SIGLIP_PATH": str(folder)}
    code, findings, _ = doctor(monkeypatch, **asked)
    assert (code, findings["weights clips.siglip"]["state"]) == (0, "ok")
    assert findings["weights clips.siglip"]["detail"] == f"3.00 GiB, in {folder}"
    assert "about 3.5 GiB with 1 models" in findings["memory per process"]["detail"]
    assert "may keep 48.0 of 80.0 GiB" in findings["memory per process"]["detail"]


@pytest.mark.parametrize(
    ("sizes", "state", "said"),
    [
        ((2, 3), "ok", "about 5.5 GiB"),
        ((4, 3), "absent", "models take turns"),
        ((10, 1), "broken", "the largest does not fit"),
    ],
)
def test_models_are_held_against_the_memory_of_the_gpu(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], state: str, said: str
) -> None:
    seen(monkeypatch, Torch(10 * GIB))
    finding = doctor_gpu.memory_finding([size * GIB for size in sizes], settings())
    assert (finding.state, said in finding.detail) == (state, True)


def masklets(folder: Path, **changes: str) -> dict[str, str]:
    """Variables for neural masklets with weights of one GiB each."""
    names = {"DETECTOR": "dino", "TRACKER": "sam2", "ASSIGNER": "clip"}
    of_parts = {
        f"PIPELINE__MASKLETS__{part}__WEIGHTS": str(weights(folder / name, GIB))
        for part, name in names.items()
    }
    named = {f"PIPELINE__MASKLETS__{name}": value for name, value in changes.items()}
    return {"PIPELINE__MASKLETS__BACKEND": "gpu", **of_parts, **named}


def test_neural_masklets_run_on_the_gpu_with_three_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen(monkeypatch, Torch(80 * GIB))
    code, findings, _ = doctor(monkeypatch, **masklets(tmp_path))
    assert code == 0
    assert findings["stage masklets"]["detail"] == "gpu, on cuda:0, GPU 0, by workers of the queue gpu"
    for part in ("detector", "tracker", "assigner"):
        assert findings[f"weights masklets.{part}"]["detail"].startswith("1.00 GiB, in ")
    assert "about 3.5 GiB with 3 models" in findings["memory per process"]["detail"]


def test_neural_masklets_run_on_the_cpu_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen(monkeypatch, Torch(), driver="")
    code, findings, _ = doctor(monkeypatch, **masklets(tmp_path))
    assert (code, findings["stage masklets"]["detail"]) == (0, "gpu, on the CPU, by workers of the queue gpu")


def test_a_served_assigner_is_asked_and_not_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: str
) -> None:
    asked = masklets(tmp_path, ASSIGNER__KIND="served", ASSIGNER__SERVED__MODEL="seer")
    code, findings, _ = doctor(monkeypatch, **asked, VLM__BASE_URL=f"{server}/v1", VLM__API_KEY=KEY)
    assert code == 0
    assert "asks seer of the vlm server" in findings["stage masklets"]["detail"]
    assert "weights masklets.assigner" not in findings
    code, findings, _ = doctor(monkeypatch, VLM__API_KEY="wrong")
    assert (code, findings["server vlm"]["state"]) == (1, "broken")


@pytest.mark.parametrize(
    ("part", "distribution", "module"),
    [("DETECTOR", "groundingdino-py", "groundingdino"), ("TRACKER", "sam2", "sam2")],
)
def test_a_package_that_is_asked_for_and_not_installed_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str, distribution: str, module: str
) -> None:
    def version(name: str) -> str:
        if name == distribution:
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(doctor_gpu, "version", version)
    asked = masklets(tmp_path)
    assert doctor(monkeypatch, **asked)[0] == 0, "through transformers it is not needed"
    code, findings, _ = doctor(monkeypatch, **{f"PIPELINE__MASKLETS__{part}__IMPLEMENTATION": "package"})
    assert (code, findings["stage masklets"]["state"]) == (1, "broken")
    assert distribution in findings["stage masklets"]["detail"]
    assert "constraints-gpu.txt" in findings[module]["detail"]


def test_weights_of_the_hub_are_looked_for_and_not_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    model = Loaded(role="masklets.detector", source="someone/detector")
    size_bytes, where = doctor_gpu.find_weights(model, settings())
    assert (size_bytes, "fetched from the hub as someone/detector" in where) == (0, True)

    monkeypatch.setenv("STREFER_MODELS__OFFLINE", "1")
    settings.cache_clear()
    finding, _ = doctor_gpu.weights_finding(model, settings())
    assert (finding.state, "the hub is switched off" in finding.detail) == ("broken", True)

    snapshot = cache / "models--someone--detector" / "snapshots" / "abc"
    weights(snapshot, GIB)
    (cache / "models--someone--detector" / "refs").mkdir()
    (cache / "models--someone--detector" / "refs" / "main").write_text("abc")
    assert doctor_gpu.find_weights(model, settings())[0] == GIB


def test_a_name_that_is_neither_folder_nor_hub_is_broken() -> None:
    finding, _ = doctor_gpu.weights_finding(Loaded(role="x.y", source="no/such/folder"), settings())
    assert (finding.state, "s3://bucket/prefix" in finding.detail) == ("broken", True)
