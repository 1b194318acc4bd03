"""The words of the embedded stack: its parts, what a caller may choose, what a caller is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from strefer_core.errors import ConfigError

SERVERS = ("postgres", "redis", "s3")
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
QUEUES = ("cpu", "gpu", "llm", "train")
WORKERS = tuple(f"worker-{queue}" for queue in QUEUES)
ALL_PARTS = SERVERS + AIRFLOW + WORKERS

NEEDS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("postgres",),
    **dict.fromkeys(AIRFLOW[1:], ("postgres", "api-server")),
    **dict.fromkeys(WORKERS, SERVERS),
}
"""Parts without which a part cannot do its work; they are started with it."""

Report = Callable[[str, str], None]
"""Told of progress: (part, message). Never called by two threads at a time."""


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What may be chosen at a start. A part that runs already keeps what it was started with."""

    parts: tuple[str, ...] = ALL_PARTS
    concurrency: Mapping[str, int] = field(default_factory=dict)  # worker processes per queue; default 1
    airflow_parallelism: int = 4  # tasks that Airflow's LocalExecutor runs at a time
    dags_folder: Path | None = None  # default: `dags/` beside the installed package
    start_timeout_s: float = 120.0  # per part, from its start to its first good health check

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in ALL_PARTS]
        if unknown:
            raise ConfigError(
                f"no such part of the stack: {', '.join(unknown)}; parts are {', '.join(ALL_PARTS)}"
            )
        for queue, processes in self.concurrency.items():
            if queue not in QUEUES or processes < 1:
                raise ConfigError(
                    f"concurrency {queue}={processes}: queues are {', '.join(QUEUES)}, "
                    "each with 1 process or more"
                )
        if self.airflow_parallelism < 1:
            raise ConfigError(f"airflow_parallelism is {self.airflow_parallelism}; it must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class StackInfo:
    """A stack that is up."""

    home: Path
    parts: tuple[str, ...]
    was_running: bool  # nothing had to be started
    airflow_url: str | None  # None where Airflow is no part of it
    airflow_user: str
    airflow_password: str = field(repr=False)
    s3_endpoint_url: str
    env_file: Path  # every `STREFER_*` setting of it, mode 600
    log_dir: Path


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """One part now. Memory is the sum over its process and all its descendants."""

    name: str
    state: str  # supervisor's word, lower case: running, starting, backoff, stopped, exited, fatal
    pid: int | None
    is_healthy: bool
    reason: str  # why it is not healthy; else ""
    log: Path
    processes: int
    rss_bytes: int
    pss_bytes: int | None  # shared pages counted in shares; None where the system does not tell


@dataclass(frozen=True, kw_only=True)
class StackStatus:
    """The whole stack now; no parts where it is down."""

    home: Path
    is_running: bool
    parts: tuple[PartStatus, ...]

    @property
    def is_healthy(self) -> bool:
        """It runs, and so does every part."""
        return self.is_running and all(part.is_healthy for part in self.parts)


def with_needs(parts: Iterable[str]) -> tuple[str, ...]:
    """The parts and all that they need, in starting order."""
    wanted = set(parts)
    while more := {need for part in wanted for need in NEEDS.get(part, ())} - wanted:
        wanted |= more
    return tuple(part for part in ALL_PARTS if part in wanted)
