"""Which processes are the stack's, how much memory they hold, and ending them for sure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strefer_core.local import postgres
from strefer_core.local.parts import MARK
from strefer_core.local.state import State

if TYPE_CHECKING:
    import psutil

TERM_WAIT_S = 10.0
KILL_WAIT_S = 5.0


def supervisor(state: State) -> psutil.Process | None:
    """The supervisord that the state names, where it still runs: not another process with its number."""
    import psutil

    if state.supervisor_pid is None:
        return None
    try:
        process = psutil.Process(state.supervisor_pid)
        return process if process.environ().get(MARK) == state.stack_id else None
    except psutil.Error:  # also a zombie's environment
        return None


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all its descendants."""
    import psutil

    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def find_ours(state: State) -> list[psutil.Process]:
    """Every process of this stack, whoever is its parent now.

    Programs that set their title (Redis, Celery, Airflow's workers) write it over their environment, so the
    mark alone is not enough: they stay in supervisord's session, which keeps its number while it has members,
    and work in the stack's folder.
    """
    import psutil

    daemon = supervisor(state)
    ours = {process.pid: process for process in (family(daemon) if daemon else [])}
    for process in psutil.process_iter():
        if process.pid != os.getpid() and process.pid not in ours and _is_ours(process, state):
            ours.update((member.pid, member) for member in family(process))
    ours.pop(os.getpid(), None)
    return list(ours.values())


def _is_ours(process: psutil.Process, state: State) -> bool:
    import psutil

    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(MARK) == state.stack_id:
            return True
        folder = Path(process.cwd())
        if process.name() == "postgres":
            return folder == postgres.data_dir(state).resolve()
        return os.getsid(process.pid) == state.supervisor_pid and folder.is_relative_to(state.home.resolve())
    except (psutil.Error, OSError):  # ended meanwhile, or another user's
        return False


def end(processes: Sequence[psutil.Process], *, wait_s: float = TERM_WAIT_S) -> list[psutil.Process]:
    """Ask processes to end, kill those that have not after a while, return those that are still there."""
    import psutil

    _signal(processes, kill=False)
    _, alive = psutil.wait_procs(processes, timeout=wait_s)
    _signal(alive, kill=True)
    _, alive = psutil.wait_procs(alive, timeout=KILL_WAIT_S)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _signal(processes: Iterable[psutil.Process], *, kill: bool) -> None:
    import signal

    import psutil

    for process in processes:
        try:
            if kill:
                process.kill()
            elif process.name() == "postgres":
                process.send_signal(signal.SIGINT)  # TERM would wait for its clients to leave
            else:
                process.terminate()
        except psutil.NoSuchProcess:
            continue


def memory(processes: Iterable[psutil.Process]) -> tuple[int, int | None]:
    """Sum of the resident and of the proportional set sizes, bytes; the latter None where not known."""
    import psutil

    rss, pss = 0, 0
    pss_known = True
    for process in processes:
        try:
            full = process.memory_full_info()
            rss += full.rss
            pss_known = pss_known and hasattr(full, "pss")
            pss += getattr(full, "pss", 0)
        except psutil.AccessDenied:
            pss_known = False
            rss += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return rss, pss if pss_known else None
