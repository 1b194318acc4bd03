"""The environment of workers of the queue `gpu`: skipped where it is not the one that runs."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).parents[3] / "constraints-gpu.txt"


def is_gpu_environment() -> bool:
    try:
        version("sam2")
    except PackageNotFoundError:
        return False
    return True


pytestmark = pytest.mark.skipif(not is_gpu_environment(), reason="made by `make test-gpu`")


def test_every_installed_package_is_at_its_pin() -> None:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    pins = {name: pin.lstrip("=") for name, pin in (line.split("==", 1) for line in lines)}
    installed = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}
    assert {n: v for n, v in installed.items() if n in pins and pins[n] != v} == {}
    assert set(pins) <= set(installed)


@pytest.mark.parametrize(
    "module",
    [
        "torchvision",
        "sam2.build_sam",
        "sam2.sam2_video_predictor",
        "groundingdino.models",
        "transformers.models.sam2_video.modeling_sam2_video",
        "transformers.models.grounding_dino.modeling_grounding_dino",
    ],
)
def test_what_the_worker_imports_is_there(module: str) -> None:
    import_module(module)


def test_torch_is_a_build_that_knows_gpus() -> None:
    import torch

    assert torch.backends.cuda.is_built()


def test_opencv_is_there_once() -> None:
    with pytest.raises(PackageNotFoundError):
        version("opencv-python")
    assert import_module("cv2").__version__.startswith("4.")
