"""The state folder: secrets made once, ports kept, a short private folder for sockets, one lock.

.strefer/
  stack.env           settings of the running stack; there only while it is up
  lock state.json secrets.json supervisord.conf airflow-users.json redis.conf   all mode 600
  parts/              what to execute for each part, mode 600
  logs/ postgres/ redis/ objects/ airflow/
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from strefer_core.errors import StackError

PORTS = ("redis", "s3", "airflow")
MAX_SOCKET_DIR = 80  # a socket's whole path has at most 107 bytes (103 on macOS)
LOCK_TIMEOUT_S = 300.0


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 600 from birth
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass
class State:
    """What outlives one command. Saved as `state.json`."""

    home: Path
    stack_id: str = field(default_factory=lambda: secrets.token_hex(8))
    run_dir: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)  # those that the last `up` had
    supervisor_pid: int | None = None

    @classmethod
    def load(cls, home: Path) -> State | None:
        """The folder's state; None where no stack was ever started in it."""
        try:
            known = json.loads((home / "state.json").read_text())
            return cls(home=home, **{f.name: known[f.name] for f in fields(cls) if f.name in known})
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise StackError(
                f"{home / 'state.json'} is damaged ({error}): end what runs from {home}, then remove the file"
            ) from error

    @classmethod
    def create(cls, home: Path) -> State:
        """The folder's state, the folder made where it is missing."""
        for folder in (home, home / "logs", home / "parts", home / "airflow"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls.load(home) or cls(home=home)

    def save(self) -> None:
        """Write `state.json`."""
        kept = {key: value for key, value in asdict(self).items() if key != "home"}
        write_private(self.home / "state.json", json.dumps(kept, indent=1))

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Passwords and keys, generated on first use and kept for good."""
        path = self.home / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        made = {**_new_secrets(), **known}
        if made != known:
            write_private(path, json.dumps(made, indent=1))
        return made

    @property
    def env_file(self) -> Path:
        """Where the settings of the running stack are."""
        return self.home / "stack.env"

    @property
    def supervisor_socket(self) -> Path:
        """Where supervisord is spoken to."""
        return Path(self.run_dir) / "supervisor.sock"

    @property
    def postgres_socket_dir(self) -> Path:
        """Where Postgres is spoken to."""
        return Path(self.run_dir) / "pg"

    def log(self, part: str) -> Path:
        """A part's log."""
        return self.home / "logs" / f"{part}.log"

    def choose_run_dir(self) -> None:
        """Fix the folder of the sockets: in the state folder, or a private temporary one where that fails."""
        if self.run_dir and _is_ours(Path(self.run_dir)):
            return
        inside = self.home / "run"
        inside.mkdir(exist_ok=True, mode=0o700)
        self.run_dir = str(inside) if _takes_sockets(inside) else tempfile.mkdtemp(prefix="strefer-")

    def forget_run_dir(self) -> None:
        """Remove the folder of the sockets."""
        if self.run_dir and _is_ours(Path(self.run_dir)):
            shutil.rmtree(self.run_dir)
        self.run_dir = ""

    def choose_ports(self, in_use: Collection[str] = ()) -> None:
        """Keep the ports of last time, those in use by us anyhow; replace what others took meanwhile."""
        kept = {name: port for name, port in self.ports.items() if name in in_use or is_free(port)}
        missing = [name for name in PORTS if name not in kept]
        self.ports = {**kept, **dict(zip(missing, _free_ports(len(missing)), strict=True))}


def require_access(home: Path) -> None:
    """Check that the state folder is the present user's to use."""
    try:
        for path in home.iterdir():
            if path.name in ("state.json", "secrets.json", "lock"):
                path.open("r+").close()
    except PermissionError as error:
        raise StackError(
            f"the stack's folder {home} belongs to another user ({error}): "
            "use that user, or another folder through STREFER_HOME"
        ) from error


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not matter
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:  # all held at once, so that they differ
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _new_secrets() -> Mapping[str, str]:
    return {
        "supervisor": secrets.token_hex(24),
        "postgres": secrets.token_hex(24),
        "redis": secrets.token_hex(24),
        "s3_access_key": secrets.token_hex(10).upper(),
        "s3_secret_key": secrets.token_hex(20),
        "airflow_admin": secrets.token_urlsafe(12),
        "airflow_jwt": secrets.token_hex(32),
        "airflow_api": secrets.token_hex(32),
        "airflow_fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }


def _is_ours(folder: Path) -> bool:
    """A folder that nobody else can have made: others may write to the temporary folder."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and not folder.is_symlink() and found.st_uid == os.geteuid()


def _takes_sockets(folder: Path) -> bool:
    """Short enough, plain enough to stand in a URL, and on a file system that has sockets."""
    name = str(folder)
    if len(os.fsencode(name)) > MAX_SOCKET_DIR or not re.fullmatch(r"[A-Za-z0-9/._-]+", name):
        return False
    probe_path = folder / "probe.sock"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(probe_path))
        except OSError:
            return False
        finally:
            probe_path.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def locked(home: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Let one `up` or `down` at a time work on a folder; a second one waits for the first."""
    path = home / "lock"
    with path.open("a+") as file:
        path.chmod(0o600)
        _wait_for_lock(file, path, timeout_s)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield  # closing the file lets go


def _wait_for_lock(file: Any, path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = path.read_text() or "?"
                raise StackError(
                    f"process {holder} has been starting or stopping the stack in {path.parent} for "
                    f"{timeout_s:.0f} s; wait for it or end it, then try again"
                ) from None
            time.sleep(0.1)
