"""Keeps the tables that the pages read, `pair_status` and `check_counts`, at what the views say."""

from __future__ import annotations

from sqlalchemy import Connection

from strefer_core.store.database import execute

STAGES = ("instructions", "quality")
"""A run of these, however it ends, changes what holds for its video's pairs."""


def note_pair_status(connection: Connection, video_id: str) -> None:
    """Write one video's rows anew, within the transaction that changed what they follow from."""
    execute(connection, "lock_pair_status", video_id=video_id)
    execute(connection, "forget_pair_status", video_id=video_id)
    execute(connection, "note_pair_status", video_id=video_id)
    execute(connection, "forget_check_counts", video_id=video_id)
    execute(connection, "note_check_counts", video_id=video_id)


def note_all(connection: Connection) -> None:
    """Fill both tables, which must be empty, from all that is there."""
    execute(connection, "note_pair_status", video_id=None)
    execute(connection, "note_check_counts", video_id=None)
