"""Videos that this machine fetched, kept until space is wanted; shared by all its worker processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from strefer_core.errors import StoreError
from strefer_core.store.files import os_errors, sha256_of, whole_file
from strefer_core.store.objects import ObjectStore

_LOCK = ".lock"
KEEP_S = 900.0
"""A file used in the last so many seconds is never removed: a stage may be about to open it."""


def fetch_video(
    objects: ObjectStore, video_id: str, cache_dir: Path, max_bytes: int, keep_s: float = KEEP_S
) -> Path:
    """A local file with the bytes of a video, from the cache or from the object store.

    The least recently used files go when the cache holds more than `max_bytes`; those used within
    `keep_s` stay even then, so that the limit is exceeded rather than a running stage disturbed.

    Raises:
        StoreError: the store has no such video, or its bytes do not have this id.
    """
    path = cache_dir / video_id
    try:
        os.utime(path)  # one step: a file that is there counts as used from now on
    except FileNotFoundError:
        _download(objects, video_id, path)
        evict(cache_dir, max_bytes, keep_s)
    return path


def _download(objects: ObjectStore, video_id: str, path: Path) -> None:
    key = f"videos/{video_id}"
    with os_errors("write", path), whole_file(path) as part:
        objects.fetch(key, part)
        found = sha256_of(part)[:16]
        if found != video_id:
            raise StoreError(f"object {key} holds the bytes of video {found}; upload the video again")


def evict(cache_dir: Path, max_bytes: int, keep_s: float) -> None:
    """Remove the oldest files above the limit; parts left by killed processes age like the others."""
    with _one_process(cache_dir) as is_ours:
        if not is_ours:  # another process is at it
            return
        entries = list(_entries(cache_dir))
        total = sum(size for _, size, _ in entries)
        unused_since = time.time() - keep_s
        for used, size, path in sorted(entries):
            if total <= max_bytes or used > unused_since:
                return
            path.unlink(missing_ok=True)
            total -= size


def _entries(cache_dir: Path) -> Iterator[tuple[float, int, Path]]:
    """(time of last use, size in bytes, path) of every file but the lock."""
    for path in cache_dir.iterdir():
        if path.name != _LOCK:
            with suppress(FileNotFoundError):  # another process finished or removed it
                found = path.stat()
                yield found.st_mtime, found.st_size, path


@contextmanager
def _one_process(cache_dir: Path) -> Iterator[bool]:
    with (cache_dir / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
