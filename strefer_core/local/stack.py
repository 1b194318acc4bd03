"""Start and stop the embedded stack."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strefer_core.errors import StackError
from strefer_core.local import airflow, parts, processes, supervise
from strefer_core.local.options import (
    ALL_PARTS,
    SERVERS,
    WORKERS,
    Report,
    StackInfo,
    StackOptions,
    with_needs,
)
from strefer_core.local.start import Starter
from strefer_core.local.state import State, locked, require_access, write_private
from strefer_core.local.supervise import ALIVE, UNREACHABLE, Supervisor

if TYPE_CHECKING:
    import psutil

PORT_OF = {"redis": "redis", "s3": "s3", "api-server": "airflow"}
DOWN = ("STOPPED", "STOPPING", "FATAL", "UNKNOWN")  # the others come back by themselves
WARM_STOP_S = 10.0  # for a worker to finish the video it is at; then it hands it back to the queue
IDLE_STOP_S = 3.0  # for the scheduler's idle executor processes
STOP_TIMEOUT_S = 60.0
LEFTOVER_WAIT_S = 2.0  # for what outlived its own part's end; nothing good comes of it any more
# Tasks at work report to the API, so it outlives the scheduler, which waits for them. Airflow and the workers
# meet only in the queue, which Redis keeps, so they may stop at the same time.
STOP_ORDER = (("scheduler", "dag-processor", "triggerer", *WORKERS), ("api-server",), SERVERS)


def _silent(_part: str, _message: str) -> None:
    """Report to nobody."""


def up(home: Path, *, options: StackOptions | None = None, report: Report = _silent) -> StackInfo:
    """Start the stack in a folder and wait until every part does its work.

    A second call finds the first and returns at once; parts that are missing or dead are started, those
    that run are left as they are.

    Args:
        home: the state folder; made where it is missing.
        options: which parts and how; by default all.
        report: told of progress, (part, message).

    Raises:
        StackError: a part did not start: names it, the reason, its log and the log's last lines. What this
            call started is stopped again.
    """
    home = home.absolute()
    chosen = options or StackOptions()
    wanted = with_needs(chosen.parts)
    _make_home(home)
    with locked(home):
        state = State.create(home)
        client = supervise.connect(state)
        words = _words(client)
        running = tuple(part for part in ALL_PARTS if words.get(part, "STOPPED") not in DOWN)
        missing = tuple(part for part in wanted if part not in running)
        for part in parts.with_other_options(state, chosen, [part for part in wanted if part in running]):
            report(part, "runs with other options; the new ones hold after `strefer down`")
        if state.env_file.exists() and all(words.get(part) in ALIVE for part in wanted):
            return _info(state, was_running=True)
        if client is None:
            _sweep(state, report)
        started_anew = client is None
        try:
            _start(state, client, chosen, running, missing, report)
        except UNREACHABLE as error:  # also any OSError: a full disk, a forbidden folder
            _undo(state, started_anew, missing, report)
            raise StackError(f"the stack in {home} cannot be started: {error}") from error
        except BaseException:
            _undo(state, started_anew, missing, report)
            raise
        return _info(state, was_running=False)


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StackError(f"the stack's folder {home} cannot be made: {error.strerror}") from error
    require_access(home)


def _words(client: Supervisor | None) -> dict[str, str]:
    """supervisord's word for each part's state."""
    return {name: info["statename"] for name, info in client.processes().items()} if client else {}


def _start(
    state: State,
    client: Supervisor | None,
    options: StackOptions,
    running: tuple[str, ...],
    missing: tuple[str, ...],
    report: Report,
) -> None:
    state.choose_run_dir()
    state.choose_ports(in_use=[PORT_OF[part] for part in running if part in PORT_OF])
    everything = with_needs({*running, *missing})
    state.parts = list(everything)
    state.save()
    made = parts.make_parts(state, options, everything)
    fresh = {name: part for name, part in made.items() if name in missing}
    parts.write_files(state, fresh)
    if client is None:
        client = supervise.start(state, made.values())
    else:
        supervise.write_config(state, made.values())
        client.load()
    Starter(state=state, client=client, options=options, report=report).start(missing, running)
    lines = [f"{name}='{value}'" for name, value in parts.settings_env(state, everything).items()]
    write_private(state.env_file, "\n".join(lines) + "\n")


def _undo(state: State, started_anew: bool, missing: Iterable[str], report: Report) -> None:
    """Leave nothing half started: all of it where this call began it, else only what it added."""
    client = supervise.connect(state)
    if started_anew or client is None:
        _stop_all(state, report)
    else:
        _stop_parts(client, [part for part in missing if part in client.processes()])


def _sweep(state: State, report: Report) -> None:
    """End what a crashed stack left, so that two servers never share a folder."""
    left = processes.find_ours(state)
    if left:
        report("stack", f"ending {len(left)} processes that an earlier stack left")
        _require_ended(state, processes.end(left))
    state.env_file.unlink(missing_ok=True)


def down(home: Path, report: Report = _silent) -> None:
    """Stop the stack; fine where none runs.

    Order: what works through the queues, the API, the servers; each part by a signal to itself alone. No
    process is left: what ignored its signal is killed.

    Raises:
        StackError: a process could not be ended.
    """
    home = home.absolute()
    if not home.is_dir():
        return
    require_access(home)
    if State.load(home) is None:
        return
    with locked(home):
        state = State.load(home)
        if state is not None:
            _stop_all(state, report)


def _stop_all(state: State, report: Report) -> None:
    state.env_file.unlink(missing_ok=True)
    client = supervise.connect(state)
    seen = processes.find_ours(state)
    if client is not None:
        try:
            _stop_in_order(client, report)
            client.call("shutdown")
        except UNREACHABLE as error:
            report("supervisord", f"stopped answering ({error}); ending its processes")
    _wait_for_end(seen)
    left = {process.pid: process for process in [*seen, *processes.find_ours(state)] if process.is_running()}
    _require_ended(state, processes.end(list(left.values()), wait_s=LEFTOVER_WAIT_S if client else 10.0))
    state.forget_run_dir()
    state.supervisor_pid = None
    state.save()


def _wait_for_end(seen: Sequence[psutil.Process]) -> None:
    """Give what was told to stop a moment to be gone."""
    import psutil

    psutil.wait_procs(seen, timeout=3)


def _require_ended(state: State, left: Sequence[psutil.Process]) -> None:
    if left:
        names = ", ".join(f"{process.pid}" for process in left)
        raise StackError(f"processes {names} of the stack in {state.home} do not end, not even when killed")


def _stop_in_order(client: Supervisor, report: Report) -> None:
    known = client.processes()
    for names in STOP_ORDER:
        present = [name for name in names if name in known]
        if present:
            report("stack", f"stopping {', '.join(present)}")
            _stop_parts(client, present)


def _stop_parts(client: Supervisor, names: Sequence[str]) -> None:
    """Ask parts to stop and wait until they have."""
    begun = time.monotonic()
    cooled: set[str] = set()
    while stopping := [info for name, info in client.processes().items() if name in names and _is_up(info)]:
        waited_s = time.monotonic() - begun
        if waited_s > STOP_TIMEOUT_S:
            return  # the caller kills what is left
        for info in stopping:
            if info["statename"] != "STOPPING":
                client.stop(info["name"])
            elif info["name"] == "scheduler" and waited_s > IDLE_STOP_S:
                airflow.release_scheduler(info["pid"])
            elif info["name"] in WORKERS and waited_s > WARM_STOP_S and info["name"] not in cooled:
                cooled.add(info["name"])
                _cool(info["pid"])
        time.sleep(0.1)


def _cool(pid: int) -> None:
    """Ask a Celery worker to hand back the video that it is at."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)


def _is_up(info: dict[str, Any]) -> bool:
    return info["statename"] not in DOWN or info["statename"] == "STOPPING"


def _info(state: State, *, was_running: bool) -> StackInfo:
    has_airflow = "api-server" in state.parts
    return StackInfo(
        home=state.home,
        parts=tuple(state.parts),
        was_running=was_running,
        airflow_url=airflow.base_url(state) if has_airflow else None,
        airflow_user=airflow.USER,
        airflow_password=state.secrets["airflow_admin"],
        s3_endpoint_url=parts.s3_url(state),
        env_file=state.env_file,
        log_dir=state.home / "logs",
    )
