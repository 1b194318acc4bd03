"""PostgreSQL for the embedded stack: on a Unix socket in a private folder only, never as root.

Postgres refuses to run as root, so under root it runs as the account `pgserver` (or an existing
`postgres`). A state folder or an environment below a closed folder (`/root`, a temporary folder) could
not be reached by that account: it gets the one capability that lets it pass, and opens no folder to others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from strefer_core.errors import StackError
from strefer_core.local import wheels
from strefer_core.local.state import State

USER = "strefer"
DATABASES = ("airflow", "strefer")
MAX_CONNECTIONS = 200  # Airflow's four processes and their pools, tasks, workers, a person with psql
ACCOUNTS = ("pgserver", "postgres")  # the first is what the wheel itself makes
CAPABILITIES = {
    "dac_read_search": 2,
    "dac_override": 1,
}  # narrower first; containers keep the second


def data_dir(state: State) -> Path:
    """The cluster's files."""
    return state.home / "postgres"


def url(state: State, database: str, *, host: str = "") -> str:
    """SQLAlchemy URL over the socket. A library that insists on a host may be given one: the socket wins."""
    folder = quote(str(state.postgres_socket_dir), safe="/")
    return f"postgresql+psycopg2://{USER}:{state.secrets['postgres']}@{host}/{database}?host={folder}"


def command(state: State) -> list[str]:
    """What supervisord runs."""
    return [
        *as_account(data_dir(state)),
        str(wheels.postgres_program("postgres")),
        *("-D", str(data_dir(state))),
        *("-c", "listen_addresses="),
        *("-c", f"unix_socket_directories={state.postgres_socket_dir}"),
        *("-c", "unix_socket_permissions=0700"),
        *("-c", f"max_connections={MAX_CONNECTIONS}"),
        *("-c", "jit=off"),  # compiling costs more than our short queries
    ]


def prepare(state: State) -> None:
    """Make the cluster on first use, the sockets' folder, and room for a start after a crash."""
    folder, sockets = data_dir(state), state.postgres_socket_dir
    for path in (folder, sockets):
        path.mkdir(exist_ok=True, mode=0o700)
        _give_to_account(path, account(folder))
    if not (folder / "PG_VERSION").exists():
        _initialise(state, folder)
    # Nothing of ours runs now. After a reboot the number in it may belong to any other process,
    # and Postgres would refuse to start beside it.
    (folder / "postmaster.pid").unlink(missing_ok=True)


def _initialise(state: State, folder: Path) -> None:
    for left in folder.iterdir():  # of an initdb that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    with tempfile.NamedTemporaryFile("w", prefix="strefer-") as password:
        password.write(state.secrets["postgres"])
        password.flush()
        _give_to_account(Path(password.name), account(folder))
        arguments = ["-D", str(folder), "-U", USER, f"--pwfile={password.name}", "--auth=scram-sha-256"]
        arguments += ["--encoding=UTF8", "--locale=C"]
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # the same on every machine
        done = subprocess.run(
            [*as_account(folder), str(wheels.postgres_program("initdb")), *arguments, "--no-instructions"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
    state.log("postgres").touch(mode=0o600)
    state.log("postgres").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise StackError(
            f"postgres: initdb failed in {folder} (log: {state.log('postgres')}):\n{done.stderr.strip()}"
        )


def create_databases(state: State) -> None:
    """Make the databases that are missing."""
    import psycopg2
    from psycopg2 import sql

    with closing(psycopg2.connect(dsn(state, "postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            known = {name for (name,) in cursor.fetchall()}
            for name in DATABASES:
                if name not in known:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def dsn(state: State, database: str) -> str:
    """The same for libpq, with a short time limit to connect."""
    return url(state, database).replace("+psycopg2", "") + "&connect_timeout=5"


def read_note(state: State, database: str) -> str | None:
    """The comment on a database: where we note what it was migrated to."""
    import psycopg2

    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with closing(psycopg2.connect(dsn(state, database))) as connection, connection.cursor() as cursor:
        cursor.execute(query, (database,))
        row = cursor.fetchone()
        return row[0] if row else None


def write_note(state: State, database: str, note: str) -> None:
    """Set the comment on a database. It goes where the database goes, so it is never out of step."""
    import psycopg2
    from psycopg2 import sql

    statement = sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), sql.Literal(note))
    with closing(psycopg2.connect(dsn(state, database))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def account(folder: Path) -> tuple[int, int] | None:
    """(uid, gid) that Postgres runs as; None: the present user, who is not root."""
    if os.geteuid() != 0:
        return None
    try:
        owner = (folder / "PG_VERSION").stat()
    except FileNotFoundError:
        return _system_account()
    return owner.st_uid, owner.st_gid  # a cluster belongs to whoever made it


def _system_account() -> tuple[int, int]:
    """An account of the system that is not root; made where there is none."""
    found = _find_account()
    if found is None:
        made = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNTS[0]]
        try:
            subprocess.run(made, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise StackError(
                f"postgres does not run as root, and no account could be made for it ({error}): "
                f"run as an ordinary user, or add an account named {ACCOUNTS[0]}"
            ) from error
        found = _find_account()
    assert found is not None
    return found


def _find_account() -> tuple[int, int] | None:
    import pwd

    for name in ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    return None


def as_account(folder: Path) -> list[str]:
    """What to put before a command so that it runs as `account()`; nothing where that is the present user."""
    user = account(folder)
    if user is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("postgres does not run as root, and there is no `setpriv`: run as an ordinary user")
    capability = _capability()
    return [
        setpriv,
        *(f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups"),
        *([f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"] if capability else []),
        "--",
    ]


def _capability() -> str | None:
    """The narrowest capability of ours that passes closed folders."""
    held = 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            held = int(line.split()[1], 16)
    return next((name for name, bit in CAPABILITIES.items() if held >> bit & 1), None)


def _give_to_account(path: Path, user: tuple[int, int] | None) -> None:
    if user is not None:
        os.chown(path, *user)
