"""States as files in a folder: the pipeline's `Ledger` without a server, for `strefer run`."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from strefer_core import data_model as dm
from strefer_core.errors import StoreError
from strefer_core.store.files import os_errors, whole_file


class FolderLedger:
    """One JSON file per computation, `<folder>/<video_id>/<stage>-<fingerprint>.json`.

    Rows of results are not kept: they are in the result documents; calls of served models are. Locks are
    `flock` on a file beside it, so they work between processes and threads of one machine and end with the
    process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def find(self, video_id: str, stage: str, fingerprint: str) -> dm.StageRun | None:
        """The state of this very computation, or None. Raises StoreError where its file is damaged."""
        path = self._path(video_id, stage, fingerprint)
        try:
            return self._read(path)[0]
        except FileNotFoundError:
            return None

    @contextmanager
    def lock(self, video_id: str, stage: str, fingerprint: str) -> Iterator[bool]:
        """Yields True to one holder at a time, False to the others; freed when the holder's process dies."""
        path = self._path(video_id, stage, fingerprint).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                yield False
                return
            if _is_at(handle, path):
                break
            os.close(handle)  # its last holder removed this file between our two steps
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)  # while still locked, so that nobody keeps a removed file
            os.close(handle)

    def start(self, video_id: str, stage: str, fingerprint: str) -> int:
        """Note that an attempt begins and return its number; the rule is `Catalog.start`'s."""
        before = self.find(video_id, stage, fingerprint)
        attempts = 1
        if before is not None and before.status == "running":
            attempts = before.attempts + (before.reason is None)
        run = dm.StageRun(
            video_id=video_id, stage=stage, fingerprint=fingerprint, status="running", attempts=attempts
        )
        self._write(run)
        return attempts

    def postpone(self, run: dm.StageRun, calls: Sequence[dm.ModelCall] = ()) -> None:
        """Note why a run that began waits, and its calls of served models."""
        before = self.find(run.video_id, run.stage, run.fingerprint)
        has_ended = before is not None and before.status != "running"  # a verdict came meanwhile, and stays
        self._write(before if before is not None and has_ended else run, calls)

    def finish(self, run: dm.StageRun, result: dm.Result | None, calls: Sequence[dm.ModelCall] = ()) -> None:
        """Write the state and the calls that the run made beside those of earlier runs; again: no change."""
        self._write(run, calls)

    def calls(self, video_id: str, stage: str, fingerprint: str) -> list[dm.ModelCall]:
        """All calls of served models that the runs of this computation made."""
        try:
            return self._read(self._path(video_id, stage, fingerprint))[1]
        except FileNotFoundError:
            return []

    def set_filtered(self, video_id: str, stage: str, fingerprint: str, reason: str) -> None:
        """Take a video out after its stage had ended, as for near-duplicates; its document stays."""
        before = self.find(video_id, stage, fingerprint) or dm.StageRun(
            video_id=video_id, stage=stage, fingerprint=fingerprint, status="filtered"
        )
        self._write(replace(before, status="filtered", reason=reason, error_class=None, is_retryable=False))

    def _read(self, path: Path) -> tuple[dm.StageRun, list[dm.ModelCall]]:
        """Raises FileNotFoundError where nothing was begun, StoreError where the file is damaged."""
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            calls = [dm.ModelCall(**call) for call in state.pop("calls", ())]
            return dm.StageRun(**state), calls
        except FileNotFoundError:
            raise
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} holds no readable state; delete it to compute again") from error

    def _write(self, run: dm.StageRun, calls: Sequence[dm.ModelCall] = ()) -> None:
        path = self._path(run.video_id, run.stage, run.fingerprint)
        earlier = self.calls(run.video_id, run.stage, run.fingerprint)
        every = {call.call_id: asdict(call) for call in [*earlier, *calls]}
        state = asdict(run) | ({"calls": list(every.values())} if every else {})
        with os_errors("write", path), whole_file(path) as part:
            part.write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")

    def _path(self, video_id: str, stage: str, fingerprint: str) -> Path:
        return self._folder / video_id / f"{stage}-{fingerprint}.json"


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
