"""supervisord, the process manager: its file, starting it, and speaking with it over its socket."""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strefer_core.errors import StackError
from strefer_core.local import launch
from strefer_core.local.airflow import outside_env, tail
from strefer_core.local.options import ALL_PARTS
from strefer_core.local.parts import MARK, Part, spec_path
from strefer_core.local.state import State, write_private

USER = "strefer"
START_TIMEOUT_S = 15.0
RPC_TIMEOUT_S = 10.0
LOG_BYTES, LOG_BACKUPS = 10 * 2**20, 3


ALIVE = ("STARTING", "RUNNING")
"""supervisord's words for a part whose process is there: it calls the first second starting."""


class Faults:
    """supervisord's codes for "there is nothing to do"."""

    ALREADY_STARTED = 60
    NOT_RUNNING = 70


UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.Error)
"""What a call raises where supervisord is not there or refuses."""


def config_text(state: State, parts: Iterable[Part]) -> str:
    """supervisord's file. Parts are started by `up`, in its order, not by supervisord's own start.

    Paths are relative to the state folder, where supervisord works: it misreads a `%` in some of them.
    """
    lines = [
        "[supervisord]",
        "logfile = logs/supervisord.log",
        "pidfile = supervisord.pid",
        "childlogdir = logs",
        f"logfile_maxbytes = {LOG_BYTES}",
        f"logfile_backups = {LOG_BACKUPS}",
        f"identifier = strefer-{state.stack_id}",
        "umask = 077",
        "minfds = 1024",
        *_keep_user(),
        "[unix_http_server]",
        f"file = {_escape(state.supervisor_socket)}",
        "chmod = 0700",
        f"username = {USER}",
        f"password = {state.secrets['supervisor']}",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    return "\n".join([*lines, *(line for part in parts for line in _program(state, part))]) + "\n"


def _program(state: State, part: Part) -> list[str]:
    command = [
        sys.executable,
        "-I",
        "-S",
        launch.__file__,
        str(spec_path(state, part.name).relative_to(state.home)),
    ]
    return [
        f"[program:{part.name}]",
        f"command = {_escape(shlex.join(command))}",
        f"priority = {ALL_PARTS.index(part.name)}",
        "autostart = false",
        "autorestart = true",
        "startsecs = 1",
        "startretries = 3",
        f"stopsignal = {part.stop_signal}",
        f"stopwaitsecs = {part.stop_wait_s}",
        # Only the part itself is signalled: a signal to all of Airflow's processes can hang its scheduler.
        "stopasgroup = false",
        "killasgroup = false",
        "redirect_stderr = true",
        f"stdout_logfile = {state.log(part.name).relative_to(state.home)}",
        f"stdout_logfile_maxbytes = {LOG_BYTES}",
        f"stdout_logfile_backups = {LOG_BACKUPS}",
    ]


def _keep_user() -> list[str]:
    """Under root supervisord wants to be told that it stays root; Postgres leaves root by itself."""
    return ["user = root"] if os.geteuid() == 0 else []


def _escape(value: Path | str) -> str:
    return str(value).replace("%", "%%")


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        _, self._extra_headers, _ = self.get_host_info(host)  # the password
        connection = http.client.HTTPConnection("localhost", timeout=RPC_TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(RPC_TIMEOUT_S)
        try:
            connection.sock.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        self._connection = host, connection  # what `close` closes
        return connection


@dataclass(frozen=True)
class Supervisor:
    """A running supervisord. Each call is a connection of its own, so threads may share it."""

    socket_path: Path
    password: str

    def call(self, method: str, *arguments: Any) -> Any:
        """Call `supervisor.METHOD`."""
        transport = _UnixTransport(self.socket_path)
        url = f"http://{USER}:{self.password}@localhost/RPC2"
        with xmlrpc.client.ServerProxy(url, transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def processes(self) -> dict[str, dict[str, Any]]:
        """supervisord's view of each part."""
        return {info["name"]: info for info in self.call("getAllProcessInfo")}

    def load(self) -> None:
        """Take up the parts that the file has and supervisord does not know; others stay as they are."""
        [[added, _changed, _removed]] = self.call("reloadConfig")
        for name in added:
            self.call("addProcessGroup", name)

    def start(self, name: str) -> None:
        """Start a part, without waiting."""
        self._call_unless("startProcess", name, already=Faults.ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Ask a part to stop, without waiting."""
        self._call_unless("stopProcess", name, already=Faults.NOT_RUNNING)

    def _call_unless(self, method: str, name: str, *, already: int) -> None:
        try:
            self.call(method, name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != already:
                raise


def connect(state: State) -> Supervisor | None:
    """The folder's supervisord where it answers, else None."""
    if not state.run_dir:
        return None
    client = Supervisor(state.supervisor_socket, state.secrets["supervisor"])
    try:
        state.supervisor_pid = client.call("getPID")
    except UNREACHABLE:
        return None
    return client


def start(state: State, parts: Iterable[Part]) -> Supervisor:
    """Start supervisord with these parts, none of them running, and note it in the state."""
    path = write_config(state, parts)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", path.name],
        cwd=state.home,
        env={**outside_env(), MARK: state.stack_id},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        umask=0o077,  # it opens its log before it reads its own setting
    )
    deadline = time.monotonic() + START_TIMEOUT_S
    while (client := connect(state)) is None:
        if done.returncode or time.monotonic() > deadline:
            log = state.home / "logs" / "supervisord.log"
            raise StackError(
                f"supervisord did not start (log: {log}): {(done.stdout + done.stderr).strip()}\n{tail(log)}"
            )
        time.sleep(0.05)
    state.save()
    return client


def write_config(state: State, parts: Iterable[Part]) -> Path:
    """Write supervisord's file."""
    path = state.home / "supervisord.conf"
    write_private(path, config_text(state, parts))
    return path
