"""What each part of the stack executes, with which environment, and how it is asked to stop."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from strefer_core.local import airflow, postgres, wheels
from strefer_core.local.options import AIRFLOW, QUEUES, WORKERS, StackOptions, with_needs
from strefer_core.local.state import State, write_private

BUCKET = "strefer"
MARK = "STREFER_STACK"  # in every process's environment: whose it is, also when its parent is gone


@dataclass(frozen=True, kw_only=True)
class Part:
    """One supervised process."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    inherits_env: bool = True  # servers take nothing from the caller's environment
    stop_signal: Literal["TERM", "INT"] = "TERM"
    stop_wait_s: int = 15  # then supervisord kills it

    def spec(self, home: Path) -> str:
        """What `launch.py` reads."""
        return json.dumps(
            {"argv": self.argv, "env": dict(self.env), "cwd": str(home), "inherit": self.inherits_env}
        )


def settings_env(state: State, parts: tuple[str, ...]) -> dict[str, str]:
    """The `STREFER_*` settings that lead to the parts named."""
    database = postgres.url(state, "strefer", host="localhost")
    s3 = {
        "STREFER_OBJECTS_URL": f"s3://{BUCKET}",
        "STREFER_S3_ENDPOINT_URL": s3_url(state),
        "STREFER_S3_ACCESS_KEY": state.secrets["s3_access_key"],
        "STREFER_S3_SECRET_KEY": state.secrets["s3_secret_key"],
    }
    web = {
        "STREFER_AIRFLOW_URL": airflow.base_url(state),
        "STREFER_AIRFLOW_USER": airflow.USER,
        "STREFER_AIRFLOW_PASSWORD": state.secrets["airflow_admin"],
    }
    return {
        **({"STREFER_DATABASE_URL": database} if "postgres" in parts else {}),
        **({"STREFER_BROKER_URL": redis_url(state)} if "redis" in parts else {}),
        **(s3 if "s3" in parts else {}),
        **(web if "api-server" in parts else {}),
    }


def redis_url(state: State) -> str:
    """Celery's broker."""
    return f"redis://:{state.secrets['redis']}@127.0.0.1:{state.ports['redis']}/0"


def s3_url(state: State) -> str:
    """The object store's endpoint."""
    return f"http://127.0.0.1:{state.ports['s3']}"


def make_parts(state: State, options: StackOptions, wanted: tuple[str, ...]) -> dict[str, Part]:
    """The parts wanted, by name."""
    servers = {"postgres": _postgres, "redis": _redis, "s3": _s3}
    made = {}
    for name in wanted:
        if name in servers:
            made[name] = servers[name](state)
        elif name in AIRFLOW:
            made[name] = Part(name=name, argv=tuple(airflow.command(name)), env=airflow_env(state, options))
        else:
            made[name] = _worker(name, state, options)
    return made


def airflow_env(state: State, options: StackOptions) -> dict[str, str]:
    """Environment of Airflow's parts, so of its tasks. The workers do not get its keys."""
    return {**_python_env(state, options), **airflow.environment(state, options)}


def _python_env(state: State, options: StackOptions) -> dict[str, str]:
    """Environment of every Python part: Airflow's tasks and the workers see the same settings."""
    return {
        **_base_env(state),
        **settings_env(state, with_needs(options.parts)),
        "STREFER_HOME": str(state.home),
        "PYTHONUNBUFFERED": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"])),
    }


def write_files(state: State, parts: Mapping[str, Part]) -> None:
    """Write what the parts read: the commands, Redis's configuration, Airflow's login, the bucket."""
    for part in parts.values():
        write_private(spec_path(state, part.name), part.spec(state.home))
    write_private(state.home / "redis.conf", _redis_conf(state))
    airflow.write_files(state)
    for folder in (state.home / "redis", state.home / "objects" / BUCKET, state.home / "airflow" / "dags"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def with_other_options(state: State, options: StackOptions, running: Sequence[str]) -> list[str]:
    """Running parts that were started with other options than these."""
    made = make_parts(state, options, tuple(running))
    return [
        name for name, part in made.items() if _choices(part.spec(state.home)) != _choices(_old(state, name))
    ]


def _old(state: State, name: str) -> str:
    return spec_path(state, name).read_text()


def _choices(spec: str) -> list[object]:
    """What of a part's specification a user chooses."""
    read = json.loads(spec)
    chosen = ("AIRFLOW__CORE__PARALLELISM", "AIRFLOW__CORE__DAGS_FOLDER")
    return [read["argv"], *(read["env"].get(name) for name in chosen)]


def spec_path(state: State, part: str) -> Path:
    """The file that says what to execute for a part."""
    return state.home / "parts" / f"{part}.json"


def _base_env(state: State) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {
        MARK: state.stack_id,
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }


def _postgres(state: State) -> Part:
    # INT is a fast shutdown: clients are sent away, the log is closed, the next start needs no recovery.
    return Part(
        name="postgres",
        argv=tuple(postgres.command(state)),
        env=_base_env(state),
        inherits_env=False,
        stop_signal="INT",
        stop_wait_s=30,
    )


def _redis(state: State) -> Part:
    argv = (str(wheels.redis_server()), str(state.home / "redis.conf"))
    return Part(name="redis", argv=argv, env=_base_env(state), inherits_env=False)


def _redis_conf(state: State) -> str:
    folder = str(state.home / "redis").replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "bind 127.0.0.1",
        f"port {state.ports['redis']}",
        f"requirepass {state.secrets['redis']}",
        f'dir "{folder}"',
        "appendonly yes",  # queued work outlives a restart
        'save ""',
        "daemonize no",
    ]
    return "\n".join(lines) + "\n"


def _s3(state: State) -> Part:
    argv = ("serve", "s3", "--config=", f"--addr=127.0.0.1:{state.ports['s3']}", str(state.home / "objects"))
    # Quoted: a comma would part two items of a list.
    keys = f'"{state.secrets["s3_access_key"]},{state.secrets["s3_secret_key"]}"'
    env = {
        **_base_env(state),
        "HOME": str(state.home),
        "RCLONE_AUTH_KEY": keys,
        "RCLONE_CACHE_DIR": str(state.home / "cache" / "rclone"),
    }
    return Part(name="s3", argv=(str(wheels.rclone()), *argv), env=env, inherits_env=False)


def _worker(name: str, state: State, options: StackOptions) -> Part:
    queue = QUEUES[WORKERS.index(name)]
    argv = [sys.executable, "-P", "-m", "celery", "-A", "strefer_core.worker", "worker", "--loglevel=INFO"]
    argv += ["-Q", queue, "-n", f"{queue}@%h", "-c", str(options.concurrency.get(queue, 1)), "--pool=prefork"]
    argv += ["--without-gossip", "--without-mingle"]  # workers here have nothing to tell each other
    env = {**_python_env(state, options), **_thread_env(queue)}
    return Part(name=name, argv=tuple(argv), env=env, stop_wait_s=20)


def _thread_env(queue: str) -> dict[str, str]:
    """One numeric thread per worker process: there are as many processes as the user wants, and the order of
    sums, so the last digits of a result, does not hang on the machine's core count. Training has one
    process and may take the whole machine. What the caller set holds."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {} if queue == "train" else {name: os.environ.get(name, "1") for name in names}
