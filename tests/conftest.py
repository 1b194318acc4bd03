"""Airflow reads its environment at import, so it is set here, before any test module is loaded."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]
STACK = "tests/integration/"

_home = tempfile.mkdtemp(prefix="strefer-airflow-")
os.environ.update(
    AIRFLOW_HOME=_home,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_home}/airflow.db",
    STREFER_HOME=str(Path(_home) / "strefer"),
)
# As many test processes as cores: more threads wait for each other (4 times as long, seen on 2 cores).
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Folder of the tiny models: see `tests.tiny_models`."""
    from tests.tiny_models import build

    return build()


class ByFile(LoadFileScheduling):
    """In parallel runs a file stays in one process, as do all tests of the stack: they share work."""

    def _split_scope(self, nodeid: str) -> str:
        return STACK if nodeid.startswith(STACK) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)
