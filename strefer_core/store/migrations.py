"""Brings a catalog database to the schema that this code reads: `sql/migrations`, then `sql/views`.

Alembic keeps the version and the order; the migrations are plain SQL, numbered and forward-only. All of
it is one transaction under one advisory lock: a second caller waits and then finds nothing to do, and a
caller that dies leaves the old schema whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from strefer_core.errors import ConfigError
from strefer_core.store import sql
from strefer_core.store.database import driver_errors, new_engine
from strefer_core.store.pair_status import note_all

_LOCK_KEY = 0x5374726566657200  # "Strefer\0": any constant, the same in every process
_PAIR_STATUS = "0007"  # brought the tables `pair_status` and `check_counts`
_PLAIN = {"no_parameters": True}  # a `%` or `:` in the file is itself


def head() -> str:
    """Number of the newest migration."""
    return sql.numbered("migrations")[-1].number


def revisions() -> Iterator[Script]:
    """The numbered files as Alembic revisions, each the child of the one before it."""
    previous: str | None = None
    for file in sql.numbered("migrations"):
        yield _revision(file, previous)
        previous = file.number


def _revision(file: sql.SqlFile, previous: str | None) -> Script:
    module = ModuleType(f"strefer_migration_{file.number}", file.name)
    vars(module).update(
        revision=file.number,
        down_revision=previous,
        upgrade=lambda: op.get_bind().exec_driver_sql(file.text, execution_options=_PLAIN),
    )
    return Script(module, file.number, f"{file.number}_{file.name}.sql")


def migrate(url: str, *, to: str = "head") -> None:
    """Bring the catalog at `url` to the newest schema; safe to call again and from many processes at once.

    Args:
        url: `postgresql+psycopg2://...`; the database exists.
        to: a migration's number, for tests of older schemas.

    Raises:
        StoreError: the server does not answer or refuses a statement; nothing was changed.
        ConfigError: the address is malformed, or newer code has migrated the catalog.
    """
    engine = new_engine(url)
    try:
        with driver_errors(), engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            _upgrade(connection, to)
    finally:
        engine.dispose()


def current_version(connection: Connection) -> str | None:
    """Number of the newest migration that ran, or None in an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def check_version(connection: Connection) -> None:
    """Raise ConfigError where the database has another schema than the one that this code reads."""
    version = current_version(connection)
    _refuse_newer(version)
    if version != head():
        at = f"is at {version}" if version else "has no tables"
        raise ConfigError(f"the catalog {at}, this code needs {head()}; run `strefer init`")


def _refuse_newer(version: str | None) -> None:
    if version is not None and version not in {file.number for file in sql.numbered("migrations")}:
        raise ConfigError(
            f"the catalog is at {version}, newer than this code ({head()}); install the newer strefer"
        )


def _upgrade(connection: Connection, to: str) -> None:
    target = head() if to == "head" else to
    version = current_version(connection)
    _refuse_newer(version)
    if version != target:
        _drop_views(connection)  # a view in use would keep a migration from changing its columns
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(__file__).parent / "alembic"))
        config.set_main_option("path_separator", "os")
        command.upgrade(config, target)
    if target == head():
        _apply_views(connection)
        if version is not None and version < _PAIR_STATUS:
            note_all(connection)  # new tables of what was there before them


def _apply_views(connection: Connection) -> None:
    """Views follow their files. Replacing keeps what was granted on them; it cannot drop a column."""
    try:
        with connection.begin_nested():
            _create_views(connection)
    except ProgrammingError:
        _drop_views(connection)
        _create_views(connection)


def _create_views(connection: Connection) -> None:
    for view in sql.numbered("views"):
        connection.exec_driver_sql(view.text, execution_options=_PLAIN)


def _drop_views(connection: Connection) -> None:
    quote = connection.dialect.identifier_preparer.quote
    for view in reversed(sql.numbered("views")):
        connection.exec_driver_sql(f"drop view if exists {quote(view.name)} cascade")
