"""The order in which parts are started: as much at the same time as their needs allow.

    redis ──────────────────────────────┐
    s3 ─────────────────────────────────┼─> workers
    postgres ─> databases ─┬─> catalog ─┘
                           ├─> Airflow's tables ─> dag-processor, triggerer
                           │                   └─┬─> scheduler
                           └─> api-server ───────┘

The api-server computes for seconds before it looks at the tables. The scheduler comes last: a task that it
starts before the API answers is killed after some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any, NoReturn

from strefer_core.errors import StackError
from strefer_core.local import airflow, health, parts, postgres
from strefer_core.local.options import AIRFLOW, WORKERS, Report, StackOptions
from strefer_core.local.state import State
from strefer_core.local.supervise import ALIVE, UNREACHABLE, Supervisor

AIRFLOW_NEEDS = {
    "api-server": ("airflow",),  # on a busy machine it comes first and gives up on the old schema
    "dag-processor": ("airflow",),
    "triggerer": ("airflow",),
    "scheduler": ("airflow", "api-server"),
}
POLL_S = 0.15
MAX_STARTS = 2  # of one part within one `up`


class _Cancelled(Exception):
    """Another part failed; this one need not go on."""


@dataclass(frozen=True, kw_only=True)
class Starter:
    """Starts parts under a running supervisord."""

    state: State
    client: Supervisor
    options: StackOptions
    report: Report
    _cancelled: Event = field(default_factory=Event)
    _report_lock: Lock = field(default_factory=Lock)

    def start(self, missing: Iterable[str], running: Iterable[str]) -> None:
        """Start the missing parts and wait until they and the running ones are healthy.

        Raises:
            StackError: the first part that failed.
        """
        names = set(missing) | set(running)
        with ThreadPoolExecutor(max_workers=len(names) + 2) as pool:
            try:
                self._run(pool, set(missing), names)
            finally:
                self._cancelled.set()

    def _run(self, pool: ThreadPoolExecutor, missing: set[str], names: set[str]) -> None:
        jobs: dict[str, Future[None]] = {}

        def add(name: str, work: Callable[[], None], *needs: str) -> None:
            before = [jobs[need] for need in needs if need in jobs]
            jobs[name] = pool.submit(self._after, before, work)

        def add_part(part: str, *needs: str) -> None:
            if part in names:
                add(part, lambda: self._part(part, part in missing), *needs)

        for server in ("redis", "s3", "postgres"):
            add_part(server)
        if "postgres" in names:
            add("catalog", self._migrate_catalog, "postgres")
        if names & set(AIRFLOW):
            add("airflow", self._migrate_airflow, "postgres")
        for part in AIRFLOW:
            add_part(part, *AIRFLOW_NEEDS[part])
        for part in WORKERS:
            add_part(part, "redis", "s3", "postgres")
        self._join(list(jobs.values()))

    def _after(self, before: list[Future[None]], work: Callable[[], None]) -> None:
        for job in before:
            job.result()
        if not self._cancelled.is_set():
            work()

    def _join(self, jobs: list[Future[None]]) -> None:
        done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
        errors = [error for job in done if (error := job.exception()) is not None]
        for error in sorted(errors, key=lambda e: isinstance(e, _Cancelled)):
            raise error

    def _part(self, part: str, is_missing: bool) -> None:
        begun = time.monotonic()
        if is_missing:
            if part == "postgres":
                postgres.prepare(self.state)
            self._launch(part)
        self._wait_until_healthy(part)
        if part == "postgres":
            postgres.create_databases(self.state)
        self._tell(part, f"ready after {time.monotonic() - begun:.1f} s")

    def _launch(self, part: str) -> None:
        try:
            self.client.start(part)
        except UNREACHABLE as error:
            self._fail(part, f"supervisord could not start it: {error}")

    def _wait_until_healthy(self, part: str) -> None:
        deadline = time.monotonic() + self.options.start_timeout_s
        pids: set[int] = set()
        while not self._cancelled.is_set():
            info = self._info(part)
            pids |= {info["pid"]} - {0}
            has_ended = info["statename"] in ("BACKOFF", "EXITED", "FATAL")
            if len(pids) > MAX_STARTS or (len(pids) == MAX_STARTS and has_ended):
                self._fail(part, f"it ends soon after every start. {info['spawnerr']}".strip())
            reason = self._why_unhealthy(part, info)
            if reason is None:
                return
            if time.monotonic() > deadline:
                self._fail(part, f"not ready after {self.options.start_timeout_s:.0f} s: {reason}")
            self._cancelled.wait(POLL_S)
        raise _Cancelled

    def _info(self, part: str) -> dict[str, Any]:
        try:
            return self.client.processes()[part]
        except UNREACHABLE as error:
            self._fail("supervisord", f"it does not answer: {error}")

    def _why_unhealthy(self, part: str, info: dict[str, Any]) -> str | None:
        if info["statename"] not in ALIVE:
            return str(info["statename"].lower())
        try:
            health.check(self.state, part, info["start"])
        except health.Unhealthy as error:
            return str(error)
        return None

    def _fail(self, part: str, reason: str) -> NoReturn:
        log = self.state.log(part)
        raise StackError(f"{part}: {reason}\nlog: {log}, its last lines:\n{airflow.tail(log)}")

    def _migrate_catalog(self) -> None:
        from strefer_core.store.catalog import migrate

        begun = time.monotonic()
        migrate(postgres.url(self.state, "strefer", host="localhost"))
        self._tell("catalog", f"tables are up to date after {time.monotonic() - begun:.1f} s")

    def _migrate_airflow(self) -> None:
        begun = time.monotonic()
        variables = parts.airflow_env(self.state, self.options)
        if airflow.migrate(self.state, variables, self._cancelled):
            self._tell("airflow", f"tables made after {time.monotonic() - begun:.1f} s")

    def _tell(self, part: str, message: str) -> None:
        with self._report_lock:
            self.report(part, message)
