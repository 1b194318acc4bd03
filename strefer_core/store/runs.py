"""States of videos in stages and the rows of their results: the catalog as `strefer_core.pipeline.Ledger`."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any

from psycopg2 import sql as composed
from sqlalchemy import Connection

from strefer_core import data_model as dm
from strefer_core.errors import MismatchError, StoreError, StreferError
from strefer_core.store import pair_status
from strefer_core.store.database import Database, copy_in, execute, upsert
from strefer_core.store.locks import AdvisoryLocks, lock_key
from strefer_core.store.rows import TABLES, Row, call_rows, pair_rows, result_rows


class StageRuns(Database):
    """Rows of `stage_runs` and of the tables that hold results."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._locks = AdvisoryLocks(url)

    def close(self) -> None:
        """Close all connections; locks held through this object are freed."""
        self._locks.close()
        super().close()

    def find(self, video_id: str, stage: str, fingerprint: str) -> dm.StageRun | None:
        """The state of this very computation, or None."""
        rows = self.all("find_run", video_id=video_id, stage=stage, fingerprint=fingerprint)
        return dm.StageRun(**rows[0]) if rows else None

    def states(self, pairs: Mapping[str, str], stage: str) -> dict[str, dm.StageRun]:
        """States by video id for many `{video_id: fingerprint}` at once; videos without one are left out."""
        with self.transaction() as connection:
            copy_in(connection, pair_rows(pairs))
            found = execute(connection, "find_runs", stage=stage)
        return {row["video_id"]: dm.StageRun(**row) for row in found}

    def lock(self, video_id: str, stage: str, fingerprint: str) -> AbstractContextManager[bool]:
        """Yields True to one holder at a time, False to the others; freed when the holder's process dies."""
        return self._locks.hold(lock_key(video_id, stage, fingerprint))

    def start(self, video_id: str, stage: str, fingerprint: str) -> int:
        """Note that an attempt begins and return its number.

        The rule of attempts: a row found at `running` belongs to a process that died, so this start counts
        one more; one that says why it waits (`postpone`) keeps its number. Any other row had ended, so this
        start is attempt 1 of a new budget; that is how a run that failed for a while (`is_retryable`) gets
        its full number of attempts when it is asked for again.
        """
        key = {"video_id": video_id, "stage": stage, "fingerprint": fingerprint}
        worker = f"{socket.gethostname()}:{os.getpid()}"
        attempts: int = self.all("start_run", **key, worker=worker)[0]["attempts"]
        return attempts

    def postpone(self, run: dm.StageRun, calls: Sequence[dm.ModelCall] = ()) -> None:
        """Note why a run that began waits, and its calls of served models; its requests stay open."""
        with self.transaction() as connection:
            execute(connection, "postpone_run", **_key(run), reason=run.reason)
            if calls:
                copy_in(connection, call_rows(run, calls))
                execute(connection, "add_model_calls")

    def finish(self, run: dm.StageRun, result: dm.Result | None, calls: Sequence[dm.ModelCall] = ()) -> None:
        """Write the state, the result's rows and the calls of served models that the run made, and close all
        open requests for it, in one transaction.

        Writing the same again changes nothing. A result that is None leaves no rows of this fingerprint;
        calls of earlier runs stay, for they were paid.

        Raises:
            MismatchError: the result speaks of another video.
            StreferError: a constraint refuses the rows.
            StoreError: the database did not answer; nothing was written.

        In the first two cases the run is noted as failed with that reason before the error is raised, for
        nothing else would ever settle it.
        """
        try:
            self._write(run, [] if result is None else _rows(run, result), calls)
        except StoreError:
            raise
        except StreferError as error:
            self._write(_refused(run, error), [], calls)
            raise

    def calls(self, video_id: str, stage: str, fingerprint: str) -> list[dm.ModelCall]:
        """All calls of served models that the runs of this computation made, in the order of their end."""
        rows = self.all("model_calls", video_id=video_id, stage=stage, fingerprint=fingerprint)
        return [dm.ModelCall(**row) for row in rows]

    def _write(self, run: dm.StageRun, rows: list[Row], calls: Sequence[dm.ModelCall]) -> None:
        with self.transaction() as connection:
            execute(connection, "finish_run", **asdict(run))
            if run.stage in TABLES:
                _replace_rows(connection, run, rows)
            if calls:
                copy_in(connection, call_rows(run, calls))
                execute(connection, "add_model_calls")
            if run.stage in pair_status.STAGES:
                pair_status.note_pair_status(connection, run.video_id)
            execute(connection, "close_requests", **_key(run))

    def set_filtered(self, video_id: str, stage: str, fingerprint: str, reason: str) -> None:
        """Take a video out after its stage had ended, as for near-duplicates; its rows stay."""
        key = {"video_id": video_id, "stage": stage, "fingerprint": fingerprint}
        with self.transaction() as connection:
            execute(connection, "filter_run", **key, reason=reason)
            execute(connection, "close_requests", **key)


def _key(run: dm.StageRun) -> dict[str, str]:
    return {"video_id": run.video_id, "stage": run.stage, "fingerprint": run.fingerprint}


def _refused(run: dm.StageRun, error: StreferError) -> dm.StageRun:
    return replace(
        run,
        status="failed",
        result_key=None,
        reason=str(error),
        error_class=type(error).__name__,
        is_retryable=error.is_retryable,
    )


def _rows(run: dm.StageRun, result: dm.Result) -> list[Row]:
    try:
        return result_rows(run, result)
    except ValueError as error:
        raise MismatchError(str(error)) from error


def _replace_rows(connection: Connection, run: dm.StageRun, rows: list[Row]) -> None:
    """Leave exactly `rows` of this run. Rows that stay are updated in place: others may refer to them."""
    table = TABLES[run.stage]
    copy_in(connection, rows)
    _delete_others(connection, table.name, table.key, run)
    if rows:
        upsert(connection, table.name, list(rows[0]), table.key)


def _delete_others(connection: Connection, table: str, key: tuple[str, ...], run: dm.StageRun) -> None:
    same: Any = composed.SQL(" and ").join(
        composed.SQL("doc->>{name} = t.{column}").format(
            name=composed.Literal(column), column=composed.Identifier(column)
        )
        for column in key
    )
    statement = composed.SQL(
        "delete from {table} t where video_id = %s and fingerprint = %s "
        "and not exists (select from pg_temp.incoming where {same})"
    ).format(table=composed.Identifier(table), same=same)
    connection.connection.cursor().execute(statement, (run.video_id, run.fingerprint))
