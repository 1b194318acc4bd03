"""Models of one process: loaded on first use, kept for the next videos, let go when memory is wanted.

A worker has one process per device, so a model is loaded once per process and not once per video. Kept models
share a budget of bytes; above it the longest unused ones go. One process is one `keeper()`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from strefer_core import metrics
from strefer_core.config import settings
from strefer_core.warm.memory import empty_device_cache, is_out_of_memory

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class _Kept:
    model: Any
    size_bytes: int


@dataclass
class _Load:
    """A load in progress: who comes meanwhile waits for it instead of loading a second time."""

    over: threading.Event = field(default_factory=threading.Event)
    in_thread: int = field(default_factory=threading.get_ident)


class Keeper:
    """Kept models by name, the longest unused first. Safe to share between threads."""

    def __init__(self, budget_bytes: int | None) -> None:
        """`budget_bytes`: most bytes of all kept models together; None: as many as there are."""
        self.budget_bytes = budget_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._sizes: dict[str, int] = {}  # of every model that was ever loaded
        self._loads: dict[str, _Load] = {}
        self._guard = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Names of what is kept, the longest unused first."""
        with self._guard:
            return list(self._kept)

    @property
    def kept_bytes(self) -> int:
        """Size of all kept models together."""
        with self._guard:
            return self._total_bytes()

    def get(self, name: str, load: Callable[[], T], size_bytes: Callable[[T], int]) -> T:
        """The model kept under a name, or the one that `load` makes now.

        A model larger than the whole budget is kept alone. Memory of a model that was let go is free once
        nobody holds it any more: so hold it for one video, and ask again for the next.

        Args:
            name: of the model with everything that makes it another one (weights, device, precision).
            load: makes it. Where memory ends in it, everything else that is kept goes and it is tried again.
            size_bytes: its size, as `model_bytes` has it.

        Raises whatever `load` raises; nothing is kept then, and the next call tries again.
        """
        while True:
            with self._guard:
                if name in self._kept:
                    self._kept.move_to_end(name)
                    metrics.model_used(name, is_hit=True)
                    return cast(T, self._kept[name].model)
                running = self._loads.get(name)
                if running is None:
                    mine = self._loads[name] = _Load()
                    break
            if running.in_thread == threading.get_ident():
                raise RuntimeError(f"loading {name} asks for {name} itself")
            running.over.wait()
        try:
            return self._load(name, load, size_bytes)
        finally:
            with self._guard:
                del self._loads[name]
            mine.over.set()

    def evict(self, name: str) -> None:
        """Let a model go, if it is kept."""
        with self._guard:
            gone = {name: self._kept.pop(name)} if name in self._kept else {}
        _let_go(gone)

    def clear(self) -> None:
        """Let all models go."""
        with self._guard:
            gone = dict(self._kept)
            self._kept.clear()
        _let_go(gone)

    def _load(self, name: str, load: Callable[[], T], size_bytes: Callable[[T], int]) -> T:
        self._make_room(self._sizes.get(name, 0))  # before memory is needed, where the size is known already
        started = time.perf_counter()
        model = self._with_room(load)
        elapsed_s = time.perf_counter() - started
        size = size_bytes(model)
        self._make_room(size)
        with self._guard:
            self._kept[name], self._sizes[name] = _Kept(model, size), size
            total = self._total_bytes()
        log.info("model=%s load_s=%.3f size_bytes=%d kept_bytes=%d", name, elapsed_s, size, total)
        metrics.model_used(name, is_hit=False)
        metrics.model_loaded(name, elapsed_s, size)
        return model

    def _with_room(self, load: Callable[[], T]) -> T:
        try:
            return load()
        except Exception as error:
            if not is_out_of_memory(error) or not self.names:
                raise
            log.warning("no memory for one more model: letting go of %s", ", ".join(self.names))
        self.clear()  # outside of `except`: the error's frames hold the half-loaded model
        return load()

    def _make_room(self, wanted_bytes: int) -> None:
        gone: dict[str, _Kept] = {}
        with self._guard:
            while self._kept and self._is_above(self._total_bytes() + wanted_bytes):
                gone.update([self._kept.popitem(last=False)])
        _let_go(gone)

    def _is_above(self, size_bytes: int) -> bool:
        return self.budget_bytes is not None and size_bytes > self.budget_bytes

    def _total_bytes(self) -> int:
        return sum(kept.size_bytes for kept in self._kept.values())


def _let_go(gone: dict[str, _Kept]) -> None:
    """Free what was taken out: modules have reference cycles, and CUDA's allocator keeps freed blocks."""
    if not gone:
        return
    for name in list(gone):
        size_bytes = gone.pop(name).size_bytes  # no variable may hold a model when the cache is emptied
        log.info("model=%s evicted size_bytes=%d", name, size_bytes)
        metrics.model_evicted(name, size_bytes)
    empty_device_cache()


def model_bytes(model: Any) -> int:
    """Bytes of a `torch.nn.Module`'s parameters and buffers; shared ones count once."""
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    return sum(t.numel() * t.element_size() for t in tensors.values())


_of_process: dict[int, Keeper] = {}  # by process id: a forked child must not use its parent's CUDA tensors
_guard = threading.Lock()


def keeper() -> Keeper:
    """The process's keeper, with the budget that the settings give it."""
    with _guard:
        pid = os.getpid()
        if pid not in _of_process:
            _of_process[pid] = Keeper(_budget_bytes())
        return _of_process[pid]


def _budget_bytes() -> int | None:
    """What the settings say; else a share of the CUDA device's memory, or no limit without one."""
    limits = settings().models
    if limits.budget_bytes is not None:
        return limits.budget_bytes
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    total: int = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return int(limits.device_share * total)
