from __future__ import annotations

import pytest
import torch

from strefer_core.backends.neural.devices import device, dtype, mixed
from strefer_core.config import Settings, settings
from strefer_core.errors import ConfigError


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sees two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("asked", "found"), [("auto", "cuda"), ("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1")]
)
def test_device_with_gpus(asked: str, found: str) -> None:
    assert device(Settings(device=asked)) == found


@pytest.mark.usefixtures("no_gpu")
def test_device_without_gpu() -> None:
    assert device(Settings(device="auto")) == "cpu"
    with pytest.raises(ConfigError, match="STREFER_DEVICE is cuda, but this process sees 0 GPUs"):
        device(Settings(device="cuda"))


@pytest.mark.usefixtures("gpus")
def test_device_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="STREFER_DEVICE is cuda:2, but this process sees 2 GPUs"):
        device(Settings(device="cuda:2"))


@pytest.mark.parametrize("value", ["gpu", "cuda:", "cuda:x", "CPU"])
def test_malformed_device_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("STREFER_DEVICE", value)
    settings.cache_clear()
    with pytest.raises(ConfigError, match="settings are malformed: device"):
        settings()
    settings.cache_clear()


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_automatic_precision(monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bfloat16)
    assert dtype("auto", "cpu") == torch.float32
    assert dtype("auto", "cuda:1") == (torch.bfloat16 if has_bfloat16 else torch.float16)
    assert dtype("float32", "cuda") == torch.float32


@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16])
def test_mixed_precision(wanted: torch.dtype) -> None:
    layer = torch.nn.Linear(2, 2)
    with torch.inference_mode(), mixed("cpu", wanted):
        assert layer(torch.ones(1, 2)).dtype == wanted
