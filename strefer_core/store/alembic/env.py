"""Run by Alembic inside `migrations.migrate`: the revisions are the numbered files of `sql/migrations`.

Alembic looks for revisions as Python files in a folder. Ours are plain SQL, so the map of revisions is
replaced before it is first read, and the connection is the caller's, with its transaction and its lock.
"""

from __future__ import annotations

from alembic import context
from alembic.script.revision import RevisionMap

from strefer_core.store.migrations import revisions

context.script.revision_map = RevisionMap(revisions)
context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
