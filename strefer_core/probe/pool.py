"""Many jobs in many processes: results in order, and one that goes wrong is a result with its reason."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import cv2

from strefer_core.errors import ConfigError, StreferError, WorkerLost

Job = TypeVar("Job")
Result = TypeVar("Result")
Advance = Callable[[int, int], None]  # jobs done, jobs in all


def run_all(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int,
    advance: Advance = lambda *_: None,
) -> list[Result]:
    """Results in order of jobs, whichever was done first; what comes out does not hang on `processes`.

    Raises:
        WorkerLost: a process died, most often for want of memory.
    """
    done: dict[int, Result] = {}
    for place, result in _as_done(work, jobs, processes):
        done[place] = result
        advance(len(done), len(jobs))
    return [done[place] for place in range(len(jobs))]


def _as_done(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[int, Result]]:
    """Yield (place, result) of each job as it is done."""
    if processes <= 1 or len(jobs) <= 1:
        yield from ((place, work(job)) for place, job in enumerate(jobs))
        return
    # Not forked: OpenCV's threads and locks do not live through it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        places = {pool.submit(work, job): place for place, job in enumerate(jobs)}
        try:
            for future in as_completed(places):
                yield places[future], future.result()
        except BrokenProcessPool as error:
            raise WorkerLost("a process died, perhaps for want of memory; run with fewer --jobs") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def reason(error: Exception) -> str:
    """What went wrong with a job, in one line; of a bug, where it came up as well."""
    told = f"{type(error).__name__}: {error}"
    return told if isinstance(error, StreferError) else f"{told} ({_place(error)})"


def _place(error: Exception) -> str:
    """Where an error came up: the last line of our own code on the way to it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Seconds are those of one core, whatever the machine and however many jobs run beside."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def videos_folder(kept: Path | None) -> AbstractContextManager[str]:
    """The folder for rendered videos: `kept`, made where missing, or one that is removed in the end.

    Raises:
        ConfigError: the folder cannot be made.
    """
    if kept is None:
        return TemporaryDirectory(prefix="strefer-world-")
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot keep videos in {kept}: {error.strerror}") from error
    return nullcontext(str(kept))
