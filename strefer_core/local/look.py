"""Look at a running stack."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strefer_core.local import health, processes, supervise
from strefer_core.local.options import ALL_PARTS, PartStatus, StackStatus
from strefer_core.local.state import State, require_access
from strefer_core.local.supervise import ALIVE

if TYPE_CHECKING:
    import psutil


def status(home: Path) -> StackStatus:
    """Look at every part: its state, its health, its memory. Changes nothing."""
    home = home.absolute()
    if home.is_dir():
        require_access(home)
    state = State.load(home)
    client = supervise.connect(state) if state else None
    if state is None or client is None:
        return StackStatus(home=home, is_running=False, parts=())
    found = client.processes()
    names = [part for part in ALL_PARTS if part in found]
    with ThreadPoolExecutor(max_workers=len(names) or 1) as pool:
        looked = pool.map(lambda name: _look(state, name, found[name]), names)
        return StackStatus(home=home, is_running=True, parts=tuple(looked))


def _look(state: State, name: str, info: dict[str, Any]) -> PartStatus:
    members = _members(info["pid"])
    rss, pss = processes.memory(members)
    word = info["statename"]
    reason = "" if word in ALIVE else f"{word.lower()} {info['spawnerr']}".strip()
    if not reason:
        try:
            health.check(state, name, info["start"])
        except health.Unhealthy as error:
            reason = str(error)
    return PartStatus(
        name=name,
        state=word.lower(),
        pid=info["pid"] or None,
        is_healthy=not reason,
        reason=reason,
        log=state.log(name),
        processes=len(members),
        rss_bytes=rss,
        pss_bytes=pss,
    )


def _members(pid: int) -> list[psutil.Process]:
    import psutil

    try:
        return processes.family(psutil.Process(pid)) if pid else []
    except psutil.NoSuchProcess:
        return []
