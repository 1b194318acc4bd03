"""Airflow reads its environment at import, so it is set here, before any test module is loaded."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_home = tempfile.mkdtemp(prefix="strefer-airflow-")
os.environ.update(
    AIRFLOW_HOME=_home,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_home}/airflow.db",
    STREFER_HOME=str(Path(_home) / "strefer"),
)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In parallel runs a file stays in one process, as do all tests of the stack: they share work."""
    for item in items:
        path = item.path.relative_to(ROOT / "tests")
        is_of_stack = path.parts[0] == "integration"
        item.add_marker(pytest.mark.xdist_group("stack" if is_of_stack else str(path)))
