"""One embedded stack for the whole session, in a temporary folder, with as many parts as the tests need.

`servers` has Postgres, Redis and S3 (2 s); `stack` adds Airflow and the workers to the same stack (15 s).
Both make `strefer_core.config.settings()` lead to it. At the end it is stopped, and nothing may be left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from strefer_core import local
from strefer_core.config import settings


def processes_in(home: Path) -> list[psutil.Process]:
    """Every process that works in the folder or names it, found without asking the stack."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [process.cwd(), *process.cmdline(), *process.environ().values()]
        except (psutil.Error, OSError):
            continue
        if any(str(home) in word for word in words):
            found.append(process)
    return found


@pytest.fixture(scope="session")
def find_processes() -> Callable[[Path], list[psutil.Process]]:
    """`processes_in`, for tests of the stack itself."""
    return processes_in


@pytest.fixture(scope="session")
def stack_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The session's state folder; whatever runs in it is stopped at the end."""
    home = tmp_path_factory.mktemp("stack")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("STREFER_"):  # they would hide the stack's own settings
                patch.delenv(name)
        patch.setenv("STREFER_HOME", str(home))
        patch.setenv("STREFER_DROP_POLL_S", "3")
        settings.cache_clear()
        yield home
        local.down(home)
        left = processes_in(home)
        assert not left, f"the stack left processes: {left}"
    settings.cache_clear()


@pytest.fixture(scope="session")
def servers(stack_home: Path) -> local.StackInfo:
    """Postgres (with our tables), Redis and S3."""
    info = local.up(stack_home, options=local.StackOptions(parts=local.SERVERS))
    settings.cache_clear()
    return info


@pytest.fixture(scope="session")
def stack(stack_home: Path, tmp_path_factory: pytest.TempPathFactory) -> local.StackInfo:
    """The whole stack, with the project's DAGs and those of the tests."""
    dags = tmp_path_factory.mktemp("dags")
    here = Path(__file__).parent
    for path in [*(here.parents[1] / "dags").glob("*.py"), *(here / "dags").glob("*.py")]:
        shutil.copy(path, dags)
    info = local.up(stack_home, options=local.StackOptions(dags_folder=dags))
    settings.cache_clear()
    return info
