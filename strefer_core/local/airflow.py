"""How Airflow is set up on one machine: every choice is an environment variable, with its reason.

Measured reasons behind the choices: a heartbeat of 1 s instead of 5 s frees a finished task's slot at
once (7.7 instead of 2.4 tasks a second) and closes the race in which a deferred task that finishes
quickly is marked failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from threading import Event

import strefer_core
from strefer_core.errors import StackError
from strefer_core.local import postgres
from strefer_core.local.options import StackOptions
from strefer_core.local.state import State, write_private

USER = "admin"
MIGRATION_TIMEOUT_S = 300.0
NOWHERE = "9"  # a port on which nobody listens


def base_url(state: State) -> str:
    """Airflow's UI and API."""
    return f"http://127.0.0.1:{state.ports['airflow']}"


def command(part: str) -> list[str]:
    """What supervisord runs for one of Airflow's parts."""
    # Log servers listen on all interfaces and outlive a killed parent; all parts here share one log folder.
    flags = ["--skip-serve-logs"] if part in ("scheduler", "triggerer") else []
    return [sys.executable, "-P", "-m", "airflow", part, *flags]


def dags_folder(state: State, options: StackOptions) -> Path:
    """The DAG files: as chosen, or `dags/` beside the package, or an empty folder."""
    if options.dags_folder is not None:
        if not options.dags_folder.is_dir():
            raise StackError(f"airflow: there is no DAG folder {options.dags_folder}")
        return options.dags_folder.absolute()
    beside = Path(strefer_core.__file__).parents[1] / "dags"
    return beside if beside.is_dir() else state.home / "airflow" / "dags"


def plugins_folder(state: State) -> Path:
    """The plugins: `plugins/` beside the package, or an empty folder."""
    beside = Path(strefer_core.__file__).parents[1] / "plugins"
    return beside if beside.is_dir() else state.home / "airflow" / "plugins"


def environment(state: State, options: StackOptions) -> dict[str, str]:
    """Variables of every Airflow process."""
    home, url = state.home / "airflow", base_url(state)
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(options.airflow_parallelism),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder(state, options)),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins_folder(state)),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": state.secrets["airflow_fernet"],
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # no DNS: it may hang offline
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_users_file(state)),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url(state, "airflow"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(state.ports["airflow"]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": state.secrets["airflow_api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": state.secrets["airflow_jwt"],
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # queueing 1,000 partition keys takes 9 s
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",  # a new DAG file is seen within this many seconds
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": NOWHERE,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": NOWHERE,
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def outside_env() -> dict[str, str]:
    """The caller's environment without what would set up another Airflow; ours is set up here alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}


def write_files(state: State) -> None:
    """Write the login of the UI where the SimpleAuthManager reads it, and a configuration that says nothing.

    Where there is none Airflow's processes each write a default one, with keys in it, and may read each
    other's half-written.
    """
    write_private(state.home / "airflow" / "airflow.cfg", "# Set by environment variables: `strefer up`.\n")
    write_private(_users_file(state), json.dumps({USER: state.secrets["airflow_admin"]}))


def _users_file(state: State) -> Path:
    return state.home / "airflow-users.json"


def migrate(state: State, variables: dict[str, str], cancelled: Event) -> bool:
    """Bring Airflow's database to the installed version. False where it was there already.

    Asking Airflow itself costs 3 s of imports at every start, so the database carries a note.
    """
    note = f"strefer: airflow {version('apache-airflow')}"
    if postgres.read_note(state, "airflow") == note:
        return False
    log = state.log("airflow-migrate")
    log.touch(mode=0o600)
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "airflow", "db", "migrate"],
            env={**outside_env(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        code = _wait(process, cancelled)
    if code:
        raise StackError(f"airflow: `airflow db migrate` ended with {code} (log: {log}):\n{tail(log)}")
    postgres.write_note(state, "airflow", note)
    return True


def _wait(process: subprocess.Popen[bytes], cancelled: Event) -> int | str:
    """Exit code, or a word why it was ended."""
    waited_s = 0.0
    while process.poll() is None:
        if cancelled.wait(0.1) or (waited_s := waited_s + 0.1) > MIGRATION_TIMEOUT_S:
            process.kill()
            process.wait()
            return "cancelled" if cancelled.is_set() else f"no end after {MIGRATION_TIMEOUT_S:.0f} s"
    return process.returncode


def release_scheduler(pid: int) -> None:
    """End the idle executor processes that a stopping scheduler waits for in vain.

    LocalExecutor (3.3.2) tells "one message per living worker" to stop, but a worker that takes a message
    and is gone before it is counted leaves another without one, and the scheduler waits for that for ever.
    They ignore SIGTERM; idle ones hold nothing, so they may be killed.
    """
    import psutil

    try:
        for child in psutil.Process(pid).children():
            if " ".join(child.cmdline()).rstrip().endswith("LocalExecutor: <idle>"):
                child.kill()
    except psutil.NoSuchProcess:
        return


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"
