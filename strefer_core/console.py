"""How the command line speaks: results on stdout, progress on stderr, `--json` for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 160  # where output is no terminal, its width is unknown

out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def emit(value: Any, *, as_json: bool, human: Any) -> None:
    """Print a result: `value` as JSON, or `human` (anything that rich can print)."""
    if as_json:
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        click.echo(json.dumps(plain, indent=2, default=str, ensure_ascii=False))
    else:
        out.print(human)


def table(title: str, columns: list[str], rows: list[list[Any]]) -> Table:
    """A plain table for people; cells are text, never markup."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(
            *(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row)
        )
    return made


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display on stderr; where stderr is no terminal, only the last state is printed."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=False) as bars:
        yield bars


def say(message: str) -> None:
    """One line of progress on stderr."""
    err.print(message, highlight=False, markup=False)
