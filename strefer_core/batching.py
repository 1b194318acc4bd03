"""How a drop is cut into batches; imports nothing, so DAG files may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_BATCHES = 200  # mapped task instances per DAG run; progress per video is rows, not tasks
MIN_BATCH = 32


def batches(items: Sequence[T]) -> list[list[T]]:
    """Cut a drop into at most `MAX_BATCHES` batches of at least `MIN_BATCH` (the last may be smaller)."""
    size = max(MIN_BATCH, -(-len(items) // MAX_BATCHES))
    return [list(items[i : i + size]) for i in range(0, len(items), size)]
