"""The table of task types as data (`task_types.json`), read once."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

Need = Literal["yes", "no", "any"]


class TaskRow(BaseModel):
    """One kind of question: its group, and whether it points with a mask and with a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    task_type: str
    mask: Need
    time: Need
    asks: str


@cache
def task_rows() -> tuple[TaskRow, ...]:
    table = json.loads((files("strefer_core.stages") / "task_types.json").read_text("utf-8"))
    return tuple(TaskRow.model_validate(row) for row in table["rows"])


@cache
def task_row(group: str, task_type: str) -> TaskRow | None:
    """The row of a group and task type, None where there is none."""
    rows = (row for row in task_rows() if (row.group, row.task_type) == (group, task_type))
    return next(rows, None)


@cache
def row_of_type(task_type: str) -> TaskRow:
    """The first row of a task type.

    Raises:
        KeyError: the table has no such type.
    """
    for row in task_rows():
        if row.task_type == task_type:
            return row
    raise KeyError(f"task_types.json has no task type {task_type!r}")
