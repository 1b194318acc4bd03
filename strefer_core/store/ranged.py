"""A stored object as a seekable file of which only the asked-for bytes are fetched."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from strefer_core.errors import StoreError


class RangedFile(io.RawIOBase):
    """A read-only binary file over a function that fetches byte ranges.

    Each read is one fetch of exactly the bytes asked for, nothing is read ahead: in an object store a fetch
    is a request, so ask for what belongs together in one read, or wrap this in `io.BufferedReader` where
    somebody else does the reading. The object must not change while it is open; content-addressed ones
    never do.
    """

    def __init__(self, name: str, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        """`fetch(start, stop)` returns the bytes of the half-open range, or raises StoreError."""
        super().__init__()
        self.name = name
        self.size_bytes = size_bytes
        self._fetch = fetch
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of every file; asks the store nothing. Raises ValueError for a place before the start."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"cannot seek to {start + offset} in {self.name}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the object goes. Raises StoreError where the store does not answer."""
        if self.closed:
            raise ValueError(f"{self.name} is closed")
        view = memoryview(buffer).cast("B")
        stop = min(self._at + len(view), self.size_bytes)
        if stop <= self._at:
            return 0
        data = self._fetch(self._at, stop)
        if len(data) != stop - self._at:
            raise StoreError(f"{self.name} changed while it was read; read it again")
        view[: len(data)] = data
        self._at = stop
        return len(data)
