"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strefer_core.errors import StoreError

PART_PREFIX = ".part-"
"""Begins the names of files that are not whole yet."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to `path` at the end, removed on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=PART_PREFIX, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # or a crash could leave an empty file under the final name
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def os_errors(action: str, what: object) -> Iterator[None]:
    """Turn the operating system's errors into StoreError: "cannot read videos/a.mp4: No such file"."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot {action} {what}: {error.strerror or error}") from error
