"""`strefer up`, `down`, `status`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from strefer_core import local
from strefer_core.config import home, settings
from strefer_core.console import emit, say, table
from strefer_core.local.options import StackInfo, StackOptions, StackStatus


def start(concurrency: Mapping[str, int]) -> StackInfo:
    """Bring the stack up, one line of progress per event, and read its settings."""
    started = time.monotonic()

    def report(part: str, message: str) -> None:
        say(f"  {time.monotonic() - started:5.1f}s  {part}: {message}")

    info = local.up(home(), options=StackOptions(concurrency=concurrency), report=report)
    settings.cache_clear()  # the stack's addresses are known only now
    return info


def up(concurrency: Mapping[str, int], *, as_json: bool) -> None:
    """Start and say where things are."""
    info = start(concurrency)
    emit(shown(info), as_json=as_json, human=where(info))


def shown(info: StackInfo) -> dict[str, object]:
    """A stack for machines; the password stays in its file."""
    plain = asdict(info)
    del plain["airflow_password"]
    return plain | {"airflow_password_in": str(info.env_file)}


def where(info: StackInfo) -> str:
    """A stack for people."""
    state = "was up already" if info.was_running else "is up"
    return (
        f"The stack {state}: {len(info.parts)} parts, state in {info.home}\n"
        f"  Airflow   {info.airflow_url}  user {info.airflow_user}, "
        f"password: `strefer password`\n"
        f"  S3        {info.s3_endpoint_url}\n"
        f"  logs      {info.log_dir}\n"
        f"Next: strefer drop VIDEO... ; strefer down"
    )


def down() -> None:
    """Stop it."""
    local.down(home(), lambda part, message: say(f"  {part}: {message}"))
    say(f"the stack in {home()} is down")


def status(*, as_json: bool) -> bool:
    """Show every part; True where all are healthy."""
    now = local.status(home())
    emit(now, as_json=as_json, human=_table(now))
    return now.is_healthy


def _table(now: StackStatus) -> object:
    if not now.is_running:
        return f"no stack runs in {now.home}; start it with `strefer up`"
    rows = [
        [
            part.name,
            part.state,
            Text("yes", "green") if part.is_healthy else Text(f"no: {part.reason}", "red"),
            part.pid,
            f"{(part.pss_bytes or part.rss_bytes) / 2**20:.0f}",
            _short(part.log),
        ]
        for part in now.parts
    ]
    columns = ["part", "state", "healthy", "pid", "memory MiB", "log"]
    return table(f"Stack in {now.home}", columns, rows)


def _short(path: Path) -> str:
    """A path as one would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
