"""One PostgreSQL database: connections, queries by name, bulk writes, and driver errors as ours.

Bulk writes go by COPY into a temporary table of JSON documents, `pg_temp.incoming`, and from there by
`insert ... on conflict`. Postgres itself turns a document into typed columns (arrays, numbers, jsonb),
so there is one encoding for every table.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2 import sql as composed
from sqlalchemy import Connection, Engine, RowMapping, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from strefer_core.errors import ConfigError, StoreError, StreferError
from strefer_core.store import sql

_OLD_SCHEMA = {
    errorcodes.UNDEFINED_TABLE,
    errorcodes.UNDEFINED_COLUMN,
    errorcodes.UNDEFINED_OBJECT,
    errorcodes.INVALID_COLUMN_REFERENCE,  # an `on conflict` without its key
}
_REFUSED_CLASSES = {"22", "23"}  # data exceptions, integrity constraint violations: the rows are at fault
_CONNECT_ARGS = {
    "connect_timeout": 10,
    "application_name": "strefer",
    # Both ends notice within a minute that the other machine is gone; locks of the dead are freed then.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "options": "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
}


def new_engine(url: str, **options: Any) -> Engine:
    """An engine on psycopg2, whatever driver `url` names. Raises ConfigError where it is malformed."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise ConfigError(
            "STREFER_DATABASE_URL is not a database address; write postgresql+psycopg2://user:password@host/name"
        ) from error
    if address.get_backend_name() != "postgresql":
        raise ConfigError(f"the catalog needs PostgreSQL, not {address.get_backend_name()}")
    # hide_parameters: a driver's error must not carry whole rows into logs.
    return create_engine(
        address.set(drivername="postgresql+psycopg2"),
        connect_args=_CONNECT_ARGS,
        hide_parameters=True,
        **options,
    )


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn SQLAlchemy's and psycopg2's errors into ours, cause kept. The only place that does so."""
    try:
        yield
    except (SQLAlchemyError, psycopg2.Error) as error:
        raise _translated(error) from error


def _translated(error: SQLAlchemyError | psycopg2.Error) -> StreferError:
    original = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(original, "pgcode", None) or ""
    said = " ".join(str(original).split()) or type(original).__name__
    if code in _OLD_SCHEMA:
        return ConfigError(
            f"the catalog's schema is missing or older than this code ({said}); run `strefer init`"
        )
    if code[:2] in _REFUSED_CLASSES:
        # No StoreError: the same rows would be refused again.
        return StreferError(f"the catalog refuses these rows: {said}")
    return StoreError(f"catalog: {said}")


class Database:
    """A small pool of connections to one database. Safe to share between threads and to carry over a fork."""

    def __init__(self, url: str) -> None:
        """Connects on first use. Raises ConfigError where `url` is malformed."""
        # pool_pre_ping: connections of before a restart of the server are replaced unseen.
        self._engine = new_engine(url, pool_size=2, max_overflow=4, pool_pre_ping=True)
        self._pid = os.getpid()

    def close(self) -> None:
        """Close all idle connections; the next call opens new ones."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any error."""
        self._forget_parent()
        with driver_errors(), self._engine.begin() as connection:
            yield connection

    def _forget_parent(self) -> None:
        """A forked child must not speak on its parent's sockets; unclosed, they stay intact."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)
            self._pid = os.getpid()

    def all(self, query: str, /, **values: Any) -> Sequence[RowMapping]:
        """The rows of one named query, in a transaction of its own."""
        with self.transaction() as connection:
            return execute(connection, query, **values)


def execute(connection: Connection, query: str, /, **values: Any) -> Sequence[RowMapping]:
    """Run one named query; its rows, or none where it returns none."""
    result = connection.execute(text(sql.queries()[query]), values)
    return result.mappings().all() if result.returns_rows else ()


def copy_in(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Fill `pg_temp.incoming` with `rows`, one JSON document each, in place of what it held."""
    cursor = connection.connection.cursor()
    # Rows go at commit, the table stays: a table per transaction would bloat Postgres' own catalogs.
    cursor.execute(
        "create temporary table if not exists incoming (doc jsonb not null) on commit delete rows;"
        "delete from pg_temp.incoming"
    )
    lines = io.StringIO("".join(f"{_copy_line(row)}\n" for row in rows))
    cursor.copy_expert("copy pg_temp.incoming (doc) from stdin", lines)


def upsert(connection: Connection, table: str, columns: Sequence[str], key: Sequence[str]) -> None:
    """Insert the documents in `pg_temp.incoming` into `table`, over the rows with the same `key`."""
    others = [column for column in columns if column not in key]
    statement = composed.SQL(
        "insert into {table} ({columns}) select {columns} "
        "from pg_temp.incoming, jsonb_populate_record(null::{table}, doc) "
        "on conflict ({key}) do update set {changes}"
    ).format(
        table=composed.Identifier(table),
        columns=_names(columns),
        key=_names(key),
        changes=composed.SQL(", ").join(
            composed.SQL("{0} = excluded.{0}").format(composed.Identifier(column)) for column in others
        ),
    )
    connection.connection.cursor().execute(statement)


def _names(columns: Sequence[str]) -> composed.Composed:
    return composed.SQL(", ").join(map(composed.Identifier, columns))


def _copy_line(row: Mapping[str, Any]) -> str:
    # JSON escapes tabs and newlines itself; what is left of COPY's text format is the backslash.
    return json.dumps(_storable(dict(row)), ensure_ascii=False).replace("\\", "\\\\")


def _storable(value: Any) -> Any:
    """`value` without what PostgreSQL's JSON cannot hold: NUL, lone surrogates, bare NaN and infinity."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # as text it becomes the column's own NaN
    if isinstance(value, Mapping):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
