"""What is installed where: the Airflow image stays light, pins are complete, nothing points to one host."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)

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


def test_nothing_asks_for_torchvision() -> None:
    everything = [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]
    assert "torchvision" not in {name_of(r) for r in everything} | set(PINS)


def test_every_requirement_is_pinned() -> None:
    everything = [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]
    assert {name_of(r) for r in everything} <= set(PINS)


def test_every_installed_package_is_at_its_pin() -> None:
    installed = {name_of(d.metadata["Name"]): d.version.split("+")[0] for d in distributions()}
    assert {n: v for n, v in installed.items() if n in PINS and PINS[n] != v} == {}


def test_constraints_hold_names_and_versions_only() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+", n) and re.fullmatch(r"[\w.]+", v) for n, v in PINS.items())
