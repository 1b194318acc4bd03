"""Batches that fit: where a device's memory ends, the batch is halved and the work goes on."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from strefer_core.errors import TooLargeForDevice

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_OUT_OF_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What CUDA's libraries say where PyTorch's own allocator was not the one to ask."""


def in_batches(call: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T], size: int) -> list[R]:
    """One result per item, in order, computed in batches of at most `size` items.

    A batch for which the device's memory does not suffice is halved, down to single items; the size that
    fitted holds for the rest.

    Args:
        call: results of a batch, one per item. May be called again with a part of the same items.
        items: what to compute on.
        size: largest batch, at least 1.

    Raises:
        TooLargeForDevice: one item alone does not fit; named by its place and its shape or text.
        ValueError: `size` is below 1, or `call` gave another number of results than it got items.
        Anything else that `call` raises.
    """
    if size < 1:
        raise ValueError(f"a batch has at least 1 item, not {size}")
    results: list[R] = []
    while len(results) < len(items):
        start = len(results)
        batch = items[start : start + size]
        found = _fitting(call, batch)
        if found is not None:
            if len(found) != len(batch):
                raise ValueError(f"{len(batch)} items gave {len(found)} results")
            results.extend(found)
            continue
        empty_device_cache()
        if len(batch) == 1:
            raise TooLargeForDevice(
                f"item {start} of {len(items)} ({_told(batch[0])}) does not fit into the device's memory by "
                "itself: use a device with more memory, smaller frames, or half precision"
            )
        size = len(batch) // 2
        log.warning("out of memory with %d items: going on with %d at a time", len(batch), size)
    return results


def _fitting(call: Callable[[Sequence[T]], Sequence[R]], batch: Sequence[T]) -> Sequence[R] | None:
    """The batch's results, or None where memory ended. The error goes with its frames: they hold tensors."""
    try:
        return call(batch)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory did not suffice. The process can go on computing after it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(error, torch.cuda.OutOfMemoryError):  # newer ones have it as torch.OutOfMemoryError too
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def empty_device_cache() -> None:
    """Give back to the device what was freed here, so that another size of block finds room."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _told(item: object) -> str:
    shape = getattr(item, "shape", None)
    return f"shape {tuple(shape)}" if shape is not None else repr(item)[:80]
