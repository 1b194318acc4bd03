"""What is installed where: the Airflow image stays light, pins are complete, nothing points to one host."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    return {package: pin.lstrip("=") for package, pin in (line.split("==", 1) for line in lines)}


PINS, GPU_PINS = pins("constraints.txt"), pins("constraints-gpu.txt")
EXTRAS_BESIDE = [r for name, extra in EXTRAS.items() if name != "gpu" for r in extra]
EVERYWHERE = [*PROJECT["dependencies"], *EXTRAS_BESIDE]
IN_THE_GPU_IMAGE = [*PROJECT["dependencies"], *EXTRAS["video"], *EXTRAS["metrics"], *EXTRAS["gpu"]]

WITHOUT_VIDEO = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        absent = {"av", "cv2", "imagehash", "PIL", "pycocotools", "scenedetect", "scipy", "torch"}
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in the Airflow image", name=name)

sys.meta_path.insert(0, Absent())
import operators.flow, operators.stage, operators.triggers
import strefer_core.cli, strefer_core.ingest, strefer_core.near_duplicates, strefer_core.publish
import strefer_core.worker
"""


def name_of(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ;]", requirement)[0]).lower()


def test_what_airflow_runs_imports_without_the_video_and_model_packages() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_VIDEO], check=True, capture_output=True, cwd=ROOT)


@pytest.mark.parametrize("extra", ["airflow", "local", "video"])
def test_only_the_models_extra_asks_for_torch(extra: str) -> None:
    asked = {name_of(r) for r in [*PROJECT["dependencies"], *EXTRAS[extra]]}
    assert not asked & {"torch", "torchvision", "transformers"}


def test_only_the_gpu_extra_asks_for_torchvision() -> None:
    assert "torchvision" not in {name_of(r) for r in EVERYWHERE} | set(PINS)
    assert "torchvision" in {name_of(r) for r in EXTRAS["gpu"]} & set(GPU_PINS)


def test_every_requirement_is_pinned() -> None:
    assert {name_of(r) for r in EVERYWHERE} <= set(PINS)
    assert {name_of(r) for r in IN_THE_GPU_IMAGE} <= set(GPU_PINS)


def test_both_environments_have_the_same_release_of_what_they_share() -> None:
    # With transformers 5 groundingdino-py does not build its text encoder.
    own = {"transformers", "tokenizers", "huggingface-hub"}
    assert {n for n in set(PINS) & set(GPU_PINS) if PINS[n] != GPU_PINS[n]} == own


def test_every_pin_fits_the_range_that_is_asked_for() -> None:
    for pinned, asked in ((PINS, EVERYWHERE), (GPU_PINS, IN_THE_GPU_IMAGE)):
        for requirement in map(Requirement, asked):
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_every_installed_package_is_at_its_pin() -> None:
    installed = {name_of(d.metadata["Name"]): d.version.split("+")[0] for d in distributions()}
    assert {n: v for n, v in installed.items() if n in PINS and PINS[n] != v} == {}


@pytest.mark.parametrize("pinned", [PINS, GPU_PINS])
def test_constraints_hold_names_and_versions_only(pinned: dict[str, str]) -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+", n) and re.fullmatch(r"[\w.]+", v) for n, v in pinned.items())
