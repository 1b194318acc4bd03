"""What was validated, expectation by expectation, and the rows that a validation looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text

from strefer_core.store import sql
from strefer_core.store.database import Database

SubjectKind = Literal["drop", "dataset"]
Rows = tuple[list[str], list[dict[str, Any]]]
"""Names of columns, and some rows."""
_CHUNK_ROWS = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is validated: a drop by its id, or a dataset by its version."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """One suite held against one subject. `results` has one object per expectation:

    name, view, column, expects (the sentence), severity ("critical", "warning", "info"), is_success, rows and
    unexpected (counts), ids (of rows that break it, [{"id", "value"}]), error (why it could not be evaluated;
    None).
    """

    validation_id: str
    suite: str
    subject_kind: str
    subject_id: str
    dag_run_id: str
    is_success: bool  # no critical expectation is broken
    results: list[dict[str, Any]]
    docs_key: str | None  # object key of the page; the same with .json holds `results`
    validated_at: datetime | None = None  # None: not stored yet


class Validations(Database):
    """Rows of `validations`, and of the views `validated_*`."""

    def record_validation(self, validation: Validation) -> None:
        """Write a validation; again under the same id it takes the place of what was there."""
        row = asdict(validation)
        del row["validated_at"]
        self.all("add_validation", **{**row, "results": json.dumps(row["results"])})

    def validations(self, subject: Subject) -> list[Validation]:
        """All validations of a drop or dataset, oldest first."""
        rows = self.all("validations", subject_kind=subject.kind, subject_id=subject.id)
        return [Validation(**row) for row in rows]

    def validations_of_run(self, dag_run_id: str, kind: SubjectKind) -> list[str]:
        """Ids of what one Airflow run validated, oldest first."""
        rows = self.all("validations_of_run", dag_run_id=dag_run_id, subject_kind=kind)
        return [row["validation_id"] for row in rows]

    def validated_rows(self, view: str, subject: Subject) -> Iterator[Rows]:
        """The rows of one view `validated_*` about a subject, in chunks.

        One chunk at least, so that the columns of an empty view are known. All chunks are of one moment.
        """
        statement = text(sql.queries()[view]).execution_options(stream_results=True, yield_per=_CHUNK_ROWS)
        values = {"subject_kind": subject.kind, "subject_id": subject.id}
        with self.transaction() as connection:
            result = connection.execute(statement, values)
            columns = list(result.keys())
            is_empty = True
            for part in result.mappings().partitions():
                is_empty = False
                yield columns, [dict(row) for row in part]
            if is_empty:
                yield columns, []
