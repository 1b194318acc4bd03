"""The embedded stack: private, on the loopback address only, one per folder, and gone when it is stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import botocore.config
import botocore.exceptions
import httpx
import psutil
import psycopg2
import pytest
import redis

from strefer_core import local
from strefer_core.config import Settings
from strefer_core.errors import ConfigError, StackError

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SERVERS = local.StackOptions(parts=local.SERVERS)
Find = Callable[[Path], list[psutil.Process]]


def read_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STREFER_HOME", str(home))
    return Settings()


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
        connection.commit()
    return rows


def s3_client(settings: Settings, secret: str | None = None) -> Any:
    assert settings.s3_access_key
    assert settings.s3_secret_key
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=secret or settings.s3_secret_key.get_secret_value(),
        region_name=settings.s3_region,
        config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def wait_until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def part(home: Path, name: str) -> local.PartStatus:
    return next(part for part in local.status(home).parts if part.name == name)


# --- The whole stack, shared with the other integration tests ---------------------------------------------


def test_second_up_finds_the_first(stack: local.StackInfo) -> None:
    before = {part.name: part.pid for part in local.status(stack.home).parts}
    begun = time.monotonic()
    again = local.up(stack.home)
    assert time.monotonic() - begun < 2
    assert again.was_running
    assert again.airflow_url == stack.airflow_url
    assert {part.name: part.pid for part in local.status(stack.home).parts} == before


def test_every_part_is_healthy_and_weighed(stack: local.StackInfo) -> None:
    status = local.status(stack.home)
    assert [part.name for part in status.parts] == list(local.ALL_PARTS)
    assert status.is_healthy, [part for part in status.parts if not part.is_healthy]
    for item in status.parts:
        assert item.pid in psutil.pids()
        assert 2**20 < item.rss_bytes < 2 * 2**30
        assert item.log.exists()


def test_secrets_stay_private(stack: local.StackInfo, find_processes: Find) -> None:
    secrets = json.loads((stack.home / "secrets.json").read_text())
    assert len(set(secrets.values())) == len(secrets) >= 8
    top = [path for path in stack.home.iterdir() if path.is_file()]
    files = [*top, *(stack.home / "parts").iterdir(), *(stack.home / "logs").iterdir()]
    assert {path.name for path in files} >= {"stack.env", "secrets.json", "state.json", "s3.json"}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    command_lines: list[str] = []
    for process in psutil.process_iter(["cmdline"]):
        command_lines += process.info["cmdline"] or []
    logs = [path.read_text(errors="replace") for path in (stack.home / "logs").iterdir()]
    for name, secret in secrets.items():
        assert not any(secret in line for line in command_lines), f"{name} is in a command line"
        assert not any(secret in log for log in logs), f"{name} is in a log"
        assert secret not in repr(stack)


def test_listens_on_the_loopback_address_only(stack: local.StackInfo, find_processes: Find) -> None:
    ours = {process.pid for process in find_processes(stack.home)}
    for item in local.status(stack.home).parts:
        assert item.pid is not None
        ours |= {item.pid, *(child.pid for child in psutil.Process(item.pid).children(recursive=True))}
    listening = [
        tuple(connection.laddr)
        for connection in psutil.net_connections(kind="inet")
        if connection.pid in ours and connection.status == psutil.CONN_LISTEN
    ]
    ports = json.loads((stack.home / "state.json").read_text())["ports"].values()
    assert sorted(listening) == sorted(("127.0.0.1", port) for port in ports)


def test_airflow_lets_in_who_has_the_password(stack: local.StackInfo) -> None:
    login = {"username": stack.airflow_user, "password": stack.airflow_password}
    with httpx.Client(base_url=stack.airflow_url or "", trust_env=False) as client:
        assert client.post("/auth/token", json={**login, "password": "wrong"}).status_code == 401
        token = client.post("/auth/token", json=login).json()["access_token"]
        assert client.get("/api/v2/dags").status_code == 401
        assert client.get("/api/v2/dags", headers={"Authorization": f"Bearer {token}"}).status_code == 200


# --- Servers alone: the settings lead to them, with their passwords only ----------------------------------


def test_postgres_wants_its_password(servers: local.StackInfo) -> None:
    url = Settings().database_url.get_secret_value()
    secret = json.loads((servers.home / "secrets.json").read_text())["postgres"]
    assert query(url, "SELECT current_database(), current_setting('server_version_num')::int / 10000") == [
        ("strefer", 18)
    ]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        query(url.replace(secret, "wrong"), "SELECT 1")


def test_redis_wants_its_password(servers: local.StackInfo) -> None:
    url = Settings().broker_url.get_secret_value()
    secret = json.loads((servers.home / "secrets.json").read_text())["redis"]
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    with (
        redis.Redis.from_url(url.replace(secret, "wrong")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_s3_wants_its_key(servers: local.StackInfo) -> None:
    settings = Settings()
    bucket = settings.objects_url.removeprefix("s3://")
    with closing(s3_client(settings)) as client:
        client.put_object(Bucket=bucket, Key="stack-test/a", Body=b"bytes")
        assert client.get_object(Bucket=bucket, Key="stack-test/a")["Body"].read() == b"bytes"
        client.delete_object(Bucket=bucket, Key="stack-test/a")
    with (
        closing(s3_client(settings, secret="wrong")) as client,
        pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"),
    ):
        client.list_buckets()


# --- A stack of its own, to break -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lone_home(tmp_path_factory: pytest.TempPathFactory, find_processes: Find) -> Iterator[Path]:
    """A folder whose name needs quoting everywhere and is too long for a socket."""
    home = tmp_path_factory.mktemp("lone") / f"it's 100% a folder; {'long ' * 20}" / ".strefer"
    yield home
    local.down(home)
    assert find_processes(home) == []


@pytest.fixture
def lone(lone_home: Path) -> Path:
    """The lone stack, up."""
    local.up(lone_home, options=SERVERS)
    return lone_home


def test_long_and_odd_folder_names_work(lone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(str(lone)) > 107
    settings = read_settings(lone, monkeypatch)
    assert quote(str(lone)) not in settings.database_url.get_secret_value()
    assert query(settings.database_url.get_secret_value(), "SELECT 1") == [(1,)]
    assert local.status(lone).is_healthy


@pytest.mark.parametrize("name", local.SERVERS)
def test_killed_part_is_restarted(lone: Path, name: str) -> None:
    killed = part(lone, name).pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: part(lone, name).pid not in (killed, None) and part(lone, name).is_healthy)


@pytest.mark.parametrize("survivors", ["none", "all but supervisord"])
def test_up_recovers_after_a_crash(
    lone: Path, survivors: str, monkeypatch: pytest.MonkeyPatch, find_processes: Find
) -> None:
    settings = read_settings(lone, monkeypatch)
    url, broker = settings.database_url.get_secret_value(), settings.broker_url.get_secret_value()
    query(url, "CREATE TABLE IF NOT EXISTS kept (n int); TRUNCATE kept; INSERT INTO kept VALUES (7)")
    with redis.Redis.from_url(broker) as client:
        client.set("kept", "7")
    time.sleep(1.1)  # Redis's promise: what is older than a second is on disk
    crash(lone, everything=survivors == "none")
    assert not local.status(lone).is_running
    assert not local.up(lone, options=SERVERS).was_running
    settings = read_settings(lone, monkeypatch)
    assert query(settings.database_url.get_secret_value(), "SELECT n FROM kept") == [(7,)]
    with redis.Redis.from_url(settings.broker_url.get_secret_value()) as client:
        assert client.get("kept") == b"7"
    pids = [item.pid for item in local.status(lone).parts]
    servers = [p.pid for p in find_processes(lone) if p.name() in ("redis-server", "rclone")]
    assert len(servers) == 2
    assert set(servers) <= set(pids), "a server of the crashed stack still runs"


def crash(home: Path, *, everything: bool) -> None:
    """SIGKILL, as an out-of-memory kill or a power cut does."""
    supervisor = psutil.Process(json.loads((home / "state.json").read_text())["supervisor_pid"])
    killed = [supervisor, *(supervisor.children(recursive=True) if everything else [])]
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, timeout=10)


def test_down_ends_orphans_too(lone: Path, find_processes: Find) -> None:
    crash(lone, everything=False)
    assert find_processes(lone) != []
    local.down(lone)
    assert find_processes(lone) == []


def test_down_leaves_no_process_and_no_settings(lone: Path, find_processes: Find) -> None:
    run_dir = Path(json.loads((lone / "state.json").read_text())["run_dir"])
    assert run_dir.is_dir()
    local.down(lone)
    assert find_processes(lone) == []
    assert not (lone / "stack.env").exists()
    assert not run_dir.exists()
    local.down(lone)
    assert not local.status(lone).is_running


def test_down_where_nothing_was(tmp_path: Path) -> None:
    local.down(tmp_path / "never")
    assert not (tmp_path / "never").exists()
    assert local.status(tmp_path / "never").parts == ()


def test_keeps_secrets_and_ports_but_not_a_taken_port(lone: Path) -> None:
    def read(name: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((lone / name).read_text())
        return found

    secrets, ports = read("secrets.json"), dict(read("state.json")["ports"])  # type: ignore[call-overload]
    local.down(lone)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports["redis"]))
        taken.listen()
        local.up(lone, options=SERVERS)
        after = dict(read("state.json")["ports"])  # type: ignore[call-overload]
    assert read("secrets.json") == secrets
    assert after["redis"] != ports["redis"]
    assert {name: after[name] for name in ("s3", "airflow")} == {
        name: ports[name] for name in ("s3", "airflow")
    }


def test_two_ups_at_a_time_make_one_stack(lone: Path) -> None:
    local.down(lone)
    code = (
        "import sys, pathlib; from strefer_core import local;"
        "info = local.up(pathlib.Path(sys.argv[1]), options=local.StackOptions(parts=local.SERVERS));"
        "print(info.was_running)"
    )
    command = [sys.executable, "-c", code, str(lone)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].strip() for process in running]
    assert sorted(outputs) == ["False", "True"]


def test_missing_parts_are_added_and_others_left(lone_home: Path) -> None:
    local.down(lone_home)
    local.up(lone_home, options=local.StackOptions(parts=("redis",)))
    first = part(lone_home, "redis")
    assert "STREFER_S3_ENDPOINT_URL" not in (lone_home / "stack.env").read_text()
    local.up(lone_home, options=SERVERS)
    assert [item.name for item in local.status(lone_home).parts] == list(local.SERVERS)
    assert part(lone_home, "redis").pid == first.pid
    assert "STREFER_S3_ENDPOINT_URL" in (lone_home / "stack.env").read_text()


def test_failed_start_names_part_reason_and_log(tmp_path: Path, find_processes: Find) -> None:
    home = tmp_path / "broken"
    (home / "postgres").mkdir(parents=True, mode=0o700)
    (home / "postgres" / "PG_VERSION").write_text("9.6\n")
    (home / "postgres" / "postgresql.conf").write_text("")
    if os.geteuid() == 0:
        shutil.chown(home / "postgres" / "PG_VERSION", "nobody")
    with pytest.raises(StackError, match="postgres") as caught:
        local.up(home, options=SERVERS)
    assert str(home / "logs" / "postgres.log") in str(caught.value)
    assert "database files are incompatible with server" in str(caught.value)
    assert find_processes(home) == []
    assert not (home / "stack.env").exists()


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be made"):
        local.up(tmp_path / "file" / ".strefer", options=SERVERS)


def test_works_for_an_ordinary_user(tmp_path: Path, find_processes: Find) -> None:
    if os.geteuid() != 0:
        pytest.skip("all the other tests show it")
    # A namespace in which our files belong to user 1000, who is not root there.
    user = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    if not shutil.which("unshare") or subprocess.run([*user, "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    code = (
        "import os, sys, pathlib; from strefer_core import local; home = pathlib.Path(sys.argv[1]);"
        "local.up(home, options=local.StackOptions(parts=local.SERVERS));"
        "print(os.geteuid(), local.status(home).is_healthy); local.down(home)"
    )
    home = tmp_path / "user"
    command = [*user, sys.executable, "-c", code, str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1000", "True"], done.stderr
    assert find_processes(home) == []


# --- Choices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"parts": ("postgres", "mysql")}, "mysql"),
        ({"concurrency": {"gpus": 1}}, "gpus"),
        ({"concurrency": {"cpu": 0}}, "cpu=0"),
        ({"airflow_parallelism": 0}, "airflow_parallelism"),
    ],
)
def test_choices_that_make_no_sense(choices: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        local.StackOptions(**choices)  # type: ignore[arg-type]
