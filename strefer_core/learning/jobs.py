"""How a job is run to its end: once at a time, resumed after a death, failed with its reason.

A job is addressed by an id, like a stage run by its fingerprint, and delivered at least once: whoever gets
the message takes the job's lock, so a second delivery finds it running, done, or no longer wanted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strefer_core.errors import ConfigError, StoreError, StreferError

if TYPE_CHECKING:
    from strefer_core.store.catalog import Catalog, Job
    from strefer_core.store.objects import ObjectStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A job that is being run, and what it is run with."""

    job: Job
    catalog: Catalog
    objects: ObjectStore
    folder: Path  # of this machine, kept between attempts

    def is_wanted(self) -> bool:
        """False once somebody cancelled it."""
        now = self.catalog.find_job(self.job.job_id)
        return now is not None and now.status == "running"


Runner = Callable[[Running], dict[str, Any]]


class Cancelled(StreferError):
    """Somebody cancelled the job while it ran."""


def runner(kind: str) -> Runner:
    """What runs a kind of job. Raises ConfigError where this machine lacks the packages for it."""
    try:
        if kind == "train":
            from strefer_core.learning.training_job import run_training

            return run_training
        from strefer_core.learning.evaluation_job import run_evaluation

        return run_evaluation
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"workers of the queue train need strefer[training,video]; {error.name} is not installed here"
        ) from error


def run_job(
    job_id: str,
    *,
    catalog: Catalog,
    objects: ObjectStore,
    folder: Path,
    max_attempts: int,
    find_runner: Callable[[str], Runner] = runner,
) -> None:
    """Run one job to its end, or do nothing where it runs elsewhere, is over, or is no longer wanted.

    Raises:
        StoreError: the catalog or the object store did not answer: another delivery goes on from there.
    """
    with catalog.lock_job(job_id) as is_ours:
        if not is_ours:
            log.info("job=%s status=busy", job_id)
            return
        attempt = catalog.start_job(job_id)
        job = catalog.find_job(job_id)
        if not attempt or job is None:
            log.info("job=%s status=%s", job_id, job.status if job else "unknown")
            return
        if attempt > max_attempts:
            lost = f"its process died {max_attempts} times: out of memory, or killed; see the worker's log"
            catalog.finish_job(job_id, None, ("WorkerLost", lost))
            return
        running = Running(job=job, catalog=catalog, objects=objects, folder=folder / job_id)
        _attempt(running, find_runner)


def _attempt(running: Running, find_runner: Callable[[str], Runner]) -> None:
    job_id, catalog = running.job.job_id, running.catalog
    try:
        running.folder.mkdir(parents=True, exist_ok=True)
        catalog.finish_job(job_id, find_runner(running.job.kind)(running))
    except StoreError:
        catalog.reopen_job(job_id)
        raise
    except Cancelled:
        log.info("job=%s status=cancelled", job_id)
    except Exception as error:
        log.exception("job=%s status=failed", job_id)
        catalog.finish_job(job_id, None, (type(error).__name__, str(error) or type(error).__name__))
