"""Checkpoints of a training in the object store: a training that died goes on, also on another machine.

`trainings/<job>/checkpoint-<step>/` holds the files of one, `complete` among them, written last. The newest
is kept. Files are written by transformers; nothing here reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from strefer_core.errors import StoreError
from strefer_core.store.objects import ObjectStore

PREFIX = "trainings"
_DONE = "complete"
_STATE = "trainer_state.json"  # what transformers writes last


class Checkpoints:
    """The checkpoints of one training, here and in the object store."""

    def __init__(self, objects: ObjectStore, job_id: str, folder: Path) -> None:
        self._objects = objects
        self._prefix = f"{PREFIX}/{job_id}/"
        self._folder = folder
        self._kept = self._newest_kept()

    def restore(self) -> int | None:
        """Bring the kept checkpoint here where none as new is; returns its step, None where none is kept."""
        step = self._kept
        if step is None or step <= max(_steps(self._folder), default=-1):
            return step
        target = self._folder / f"checkpoint-{step}"
        prefix = f"{self._prefix}checkpoint-{step}/"
        names = [one.key.removeprefix(prefix) for one in self._objects.list(prefix)]
        for name in sorted(names, key=lambda name: name == _STATE):  # the state last: it makes it whole
            if name != _DONE:
                path = target / _inside(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._objects.fetch(prefix + name, path)
        return step

    def keep(self) -> int | None:
        """Upload the newest checkpoint where it is not kept yet, and drop the others; returns its step."""
        step = max(_steps(self._folder), default=None)
        if step is None or (self._kept is not None and step <= self._kept):
            return self._kept
        source, prefix = self._folder / f"checkpoint-{step}", f"{self._prefix}checkpoint-{step}/"
        for path in sorted(source.rglob("*")):
            if path.is_file():
                self._objects.put_file(prefix + path.relative_to(source).as_posix(), path)
        self._objects.put_bytes(prefix + _DONE, b"")
        self._kept = step
        self._drop(but=prefix)
        return step

    def drop(self) -> None:
        """Forget all that is kept: the training is over."""
        self._drop(but=None)

    def _drop(self, but: str | None) -> None:
        for one in list(self._objects.list(self._prefix)):
            if but is None or not one.key.startswith(but):
                self._objects.delete(one.key)

    def _newest_kept(self) -> int | None:
        ends = f"/{_DONE}"
        keys = [one.key for one in self._objects.list(self._prefix) if one.key.endswith(ends)]
        steps = [int(key.removesuffix(ends).rpartition("-")[2]) for key in keys]
        return max(steps, default=None)


def _steps(folder: Path) -> Iterator[int]:
    """Steps of the whole checkpoints in a folder."""
    for path in folder.glob("checkpoint-*"):
        number = path.name.removeprefix("checkpoint-")
        if number.isdigit() and (path / _STATE).exists():
            yield int(number)


def _inside(name: str) -> Path:
    """A name below a folder. Raises StoreError for one that leads out of it."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise StoreError(f"a checkpoint has a file {name!r}, which leads out of its folder")
    return path
