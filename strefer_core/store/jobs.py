"""Jobs: work for a whole machine that takes long, a training or an evaluation; and what a training tells."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from strefer_core.store.locks import lock_key
from strefer_core.store.runs import StageRuns

JobKind = Literal["train", "evaluate"]
JobStatus = Literal["open", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job and where it stands."""

    job_id: str
    kind: JobKind
    spec: dict[str, Any]
    status: JobStatus
    attempts: int
    result: dict[str, Any] | None  # set where it is done
    error_class: str | None
    reason: str | None  # set where it failed

    @property
    def is_over(self) -> bool:
        return self.status not in ("open", "running")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFigure:
    """One figure of a training at one step."""

    step: int
    name: str
    value: float


class Jobs(StageRuns):
    """Rows of `jobs` and `training_figures`."""

    def open_job(self, job_id: str, kind: JobKind, spec: Mapping[str, Any]) -> Job:
        """Ask for a job; one that is asked for already, or done, is not asked for twice."""
        self.all("open_job", job_id=job_id, kind=kind, spec=json.dumps(dict(spec)))
        found = self.find_job(job_id)
        assert found is not None
        return found

    def find_job(self, job_id: str) -> Job | None:
        rows = self.all("find_job", job_id=job_id)
        return Job(**rows[0]) if rows else None

    def lock_job(self, job_id: str) -> AbstractContextManager[bool]:
        """Yields True to one holder at a time; freed when the holder's process dies."""
        return self._locks.hold(lock_key("job", job_id))

    def is_job_running(self, job_id: str) -> bool:
        """Whether a live process holds the job's lock."""
        held = {row["lock_key"] for row in self.all("held_advisory_locks")}
        return lock_key("job", job_id) in held

    def start_job(self, job_id: str) -> int:
        """Note that an attempt begins and return its number; 0 where nobody asks for the job any more."""
        rows = self.all("start_job", job_id=job_id, worker=f"{socket.gethostname()}:{os.getpid()}")
        return int(rows[0]["attempts"]) if rows else 0

    def finish_job(
        self, job_id: str, result: Mapping[str, Any] | None, error: tuple[str, str] | None = None
    ) -> None:
        """End a job that is open or running: with a result, or with the class and message of its error."""
        error_class, reason = error or (None, None)
        self.all(
            "finish_job",
            job_id=job_id,
            status="failed" if error else "done",
            result=None if error else json.dumps(dict(result or {})),
            error_class=error_class,
            reason=reason,
        )

    def reopen_job(self, job_id: str) -> None:
        """Let a running job be begun again as if this attempt had not been."""
        self.all("reopen_job", job_id=job_id)

    def cancel_job(self, job_id: str) -> None:
        """Let nobody begin it any more; what runs sees it at its next step."""
        self.all("cancel_job", job_id=job_id)

    def note_training(self, job_id: str, step: int, figures: Mapping[str, float]) -> None:
        """Keep what a training says at a step; said again, it takes the place of what was there."""
        rows = [{"name": name, "value": value} for name, value in figures.items()]
        self.all("note_training_figures", job_id=job_id, step=step, figures=json.dumps(rows))

    def training_figures(self, job_id: str) -> Iterable[TrainingFigure]:
        """All figures of a training, by name and step."""
        return [TrainingFigure(**row) for row in self.all("training_figures", job_id=job_id)]
