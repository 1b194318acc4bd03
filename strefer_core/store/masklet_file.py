"""The bytes of a masklet file, read in parts and checked before anything parses them.

What is fetched is planned from the footer. pyarrow by itself would begin with the last 64 KiB, often the
whole file, and then fetch column by column; and it may abort the process on a damaged footer.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, TypeVar

import pyarrow as pa
from pyarrow import parquet

from strefer_core.errors import MismatchError, StoreError
from strefer_core.store.masklet_format import END_BYTES, HEAD_KEY, MAGIC, TAG, group_span

_FIRST_READ_BYTES = 8 * 1024  # from the end; holds the footer of a video with up to about seven entities
_CRC_BYTES = 4

T = TypeVar("T")


class Source(Protocol):
    """A seekable binary file: an open file, `ObjectStore.open`, `io.BytesIO`."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def read(self, size: int, /) -> bytes | None: ...


class MaskletFile:
    """The row groups of one masklet file. Methods raise StoreError for damage and where the store fails."""

    def __init__(self, source: Source) -> None:
        """Read and check the footer.

        Raises:
            MismatchError: the file is something else, also an older result document in JSON.
            StoreError: it is cut or damaged, or the store does not answer.
        """
        self._source = source
        self.name = str(getattr(source, "name", "the masklet object"))
        self._size = source.seek(0, io.SEEK_END)
        self._last_read = self._bytes(max(0, self._size - _FIRST_READ_BYTES), self._size)
        self._metadata, self._checksums = self._read_footer()

    @property
    def head(self) -> bytes | None:
        """The JSON text of `masklet_format.Head`."""
        text: bytes | None = (self._metadata.metadata or {}).get(HEAD_KEY)
        return text

    @cached_property
    def group_rows(self) -> list[int]:
        """How many rows each row group has."""
        return [self._metadata.row_group(number).num_rows for number in range(self._metadata.num_row_groups)]

    def rows(self, groups: Sequence[int]) -> list[dict[str, Any]]:
        """The rows of some row groups, in that order; fetches no other bytes."""
        if not groups:
            return []
        # pyarrow sees a file of the right length in which only the wanted ranges are filled in.
        sparse = bytearray(self._size)
        for start, stop in self._ranges(groups):
            sparse[start:stop] = self._known_or_read(start, stop)
        for number in groups:
            start, stop = group_span(self._metadata, number)
            if zlib.crc32(memoryview(sparse)[start:stop]) != self._checksums[number]:
                raise self.damaged(f"row group {number} has another checksum")
        return self._parsed(lambda: self._parse(sparse, groups))

    def damaged(self, how: str) -> StoreError:
        return StoreError(f"{self.name} is damaged: {how}; delete it and run the masklets again")

    def _parse(self, sparse: bytearray, groups: Sequence[int]) -> list[dict[str, Any]]:
        file = parquet.ParquetFile(pa.BufferReader(sparse), metadata=self._metadata)
        rows: list[dict[str, Any]] = file.read_row_groups(list(groups), use_threads=False).to_pylist()
        return rows

    def _ranges(self, groups: Sequence[int]) -> Iterator[tuple[int, int]]:
        """The spans of some row groups, those side by side joined."""
        spans = sorted(group_span(self._metadata, number) for number in groups)
        begin, end = spans[0]
        for start, stop in spans[1:]:
            if start != end:
                yield begin, end
                begin = start
            end = stop
        yield begin, end

    def _read_footer(self) -> tuple[Any, tuple[int, ...]]:
        """The parsed footer, and the checksums of the row groups."""
        end = self._last(END_BYTES)
        if self._size < len(MAGIC) + END_BYTES or not end.endswith(MAGIC):
            raise self._foreign()
        length = int.from_bytes(end[: -len(MAGIC)], "little") + END_BYTES
        if length > self._size - len(MAGIC):
            raise self.damaged("its footer is longer than the file")
        # All in one more read: a row group takes over 256 bytes in the footer, and a checksum of 4.
        self._last(length + length // 64 + len(TAG) + _CRC_BYTES)
        footer, check = self._last(length), self._last(length + len(TAG) + _CRC_BYTES)[:-length]
        if not check.endswith(TAG):
            raise MismatchError(f"{self.name} is no masklet object but another Parquet file")
        if struct.unpack_from("<I", check)[0] != zlib.crc32(footer):
            raise self.damaged("its footer has another checksum")
        metadata = self._parsed(lambda: parquet.read_metadata(pa.BufferReader(MAGIC + footer)))
        count = metadata.num_row_groups
        sums = self._last(length + len(check) + _CRC_BYTES * count)
        return metadata, struct.unpack_from(f"<{count}I", sums)

    def _foreign(self) -> MismatchError | StoreError:
        first = self._bytes(0, min(len(MAGIC), self._size))
        if first == MAGIC:
            return StoreError(f"{self.name} is cut off; delete it and run the masklets again")
        if first.startswith(b"{") and self._last(1) == b"}":
            return MismatchError(f"{self.name} is JSON, as older versions wrote; run the masklets again")
        return MismatchError(f"{self.name} of {self._size} bytes is no masklet object (no Parquet file)")

    def _last(self, count: int) -> bytes:
        """The last `count` bytes of the file, or all where it is shorter."""
        count = min(count, self._size)
        if count > (known := len(self._last_read)):
            self._last_read = self._bytes(self._size - count, self._size - known) + self._last_read
        return self._last_read[len(self._last_read) - count :]

    def _known_or_read(self, start: int, stop: int) -> bytes:
        """A range of bytes; what came with the footer is not fetched again."""
        known = self._size - len(self._last_read)
        fresh = self._bytes(start, min(stop, known)) if start < known else b""
        return fresh + self._last_read[max(start - known, 0) : max(stop - known, 0)]

    def _bytes(self, start: int, stop: int) -> bytes:
        try:
            self._source.seek(start)
            data = self._source.read(stop - start)
        except OSError as error:
            raise StoreError(f"cannot read {self.name}: {error.strerror or error}") from error
        if data is None or len(data) != stop - start:
            raise StoreError(f"{self.name} changed while it was read; read it again")
        return data

    def _parsed(self, parse: Callable[[], T]) -> T:
        try:
            return parse()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self.damaged(str(error) or repr(error)) from error
