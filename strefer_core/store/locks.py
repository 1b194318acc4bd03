"""Advisory locks of PostgreSQL, held by one connection per process and freed when the process dies."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from strefer_core.store.database import driver_errors, new_engine


def lock_key(*parts: str) -> int:
    """64 bits, signed as PostgreSQL wants them, from any number of words."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


class AdvisoryLocks:
    """Many locks on one connection, apart from the pool: a thread more costs no connection more.

    PostgreSQL gives a lock again to the session that holds it, so what this process holds is also kept
    here. If the connection breaks, the server frees its locks at once: another process may then begin
    the same computation, which costs time and changes nothing, because results are written by upsert.
    """

    def __init__(self, url: str) -> None:
        self._engine: Engine = new_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None
        self._inherited: Connection | None = None
        self._held: set[int] = set()
        self._guard = threading.Lock()
        self._pid = os.getpid()

    @contextmanager
    def hold(self, key: int) -> Iterator[bool]:
        """Yields True if the lock is ours now, False if another holds it; never waits for it."""
        is_ours = self._take(key)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._give_back(key)

    def close(self) -> None:
        """Close the connection; the server frees every lock on it."""
        with self._guard:
            self._drop_connection()
            self._held.clear()

    def _take(self, key: int) -> bool:
        self._forget_parent()
        with self._guard, driver_errors():
            if key in self._held:
                return False
            if not self._ask(key):
                return False
            self._held.add(key)
            return True

    def _ask(self, key: int) -> bool:
        statement = text("select pg_try_advisory_lock(:key)")
        if self._connection is not None:
            try:
                return bool(self._connection.scalar(statement, {"key": key}))
            except SQLAlchemyError:  # the server went away since the last lock: once more on a new connection
                self._drop_connection()
        self._connection = self._engine.connect()
        return bool(self._connection.scalar(statement, {"key": key}))

    def _give_back(self, key: int) -> None:
        self._forget_parent()
        with self._guard:
            self._held.discard(key)
            if self._connection is None:
                return
            try:
                self._connection.scalar(text("select pg_advisory_unlock(:key)"), {"key": key})
            except SQLAlchemyError:  # the connection is gone, and the lock with it
                self._drop_connection()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()

    def _forget_parent(self) -> None:
        """A forked child starts without its parent's connection, which keeps the parent's locks."""
        if self._pid == os.getpid():
            return
        self._inherited = self._connection  # kept: closing it here would end the parent's session
        self._guard, self._connection, self._held = threading.Lock(), None, set()
        self._pid = os.getpid()
