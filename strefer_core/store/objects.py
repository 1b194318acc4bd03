"""The object store: blobs by key, in S3 or in a plain folder, behind one small interface.

Keys are `/`-separated and relative to the store's address. Content-addressed keys are
`<prefix>/sha256/<first 2 hex digits>/<64 hex digits><suffix>`: writing the same bytes again costs one look,
reading them checks them, and no folder grows too large. Other keys are names that people or ids gave.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from strefer_core.errors import ConfigError, StoreError
from strefer_core.store.files import PART_PREFIX, os_errors, sha256_of, whole_file
from strefer_core.store.keys import check_content, check_key, check_prefix, content_key
from strefer_core.store.ranged import RangedFile

if TYPE_CHECKING:
    from strefer_core.config import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    key: str
    size_bytes: int
    etag: str  # changes when the bytes change; nothing more is promised
    modified: datetime  # UTC


class ObjectStore(ABC):
    """Blobs by key. Objects appear whole or not at all. Safe to share between threads.

    Every method raises InputError for a key that is not allowed and StoreError where the store does not
    answer, refuses, or has no such object.
    """

    @abstractmethod
    def create(self) -> None:
        """Make the bucket or folder if it is missing."""

    @abstractmethod
    def put_bytes(self, key: str, data: bytes) -> None:
        """Write an object over whatever the key held."""

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Write a file as an object over whatever the key held."""

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo | None:
        """What is under a key, or None."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose keys begin with `prefix`, in byte order of keys; "" lists all."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    @abstractmethod
    def url(self, key: str) -> str:
        """The object's address, to be shown."""

    @abstractmethod
    def _read(self, key: str) -> bytes: ...

    @abstractmethod
    def _read_range(self, key: str, start: int, stop: int) -> bytes:
        """The bytes `[start, stop)`, not empty and within the object; fewer where it has shrunk."""

    @abstractmethod
    def _download(self, key: str, path: Path) -> None: ...

    def exists(self, key: str) -> bool:
        return self.stat(key) is not None

    def get_bytes(self, key: str) -> bytes:
        """An object's bytes; checked where the key is content-addressed."""
        data = self._read(check_key(key))
        check_content(key, hashlib.sha256(data).hexdigest())
        return data

    def open(self, key: str) -> RangedFile:
        """An object as a seekable file that fetches what is read of it, and no more.

        Parts cannot be checked against a content-addressed key: what is read carries its own checksums.
        """
        found = self.stat(check_key(key))
        if found is None:
            raise StoreError(f"cannot read {key}: there is no such object")
        return RangedFile(key, found.size_bytes, partial(self._read_range, key))

    def fetch(self, key: str, path: Path) -> None:
        """Write an object to a file, which appears whole and checked; makes the folder."""
        check_key(key)
        with os_errors("write", path), whole_file(path) as part:
            self._download(key, part)
            check_content(key, sha256_of(part))

    def put_content(self, data: bytes, prefix: str, suffix: str) -> str:
        """Store bytes under their content-addressed key, unless they are there; returns the key."""
        key = content_key(prefix, hashlib.sha256(data).hexdigest(), suffix)
        present = self.stat(key)
        if present is None or present.size_bytes != len(data):
            self.put_bytes(key, data)
        return key


class FolderObjects(ObjectStore):
    """Objects as files under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def create(self) -> None:
        with os_errors("create", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def put_bytes(self, key: str, data: bytes) -> None:
        with os_errors("write", key), whole_file(self._path(key)) as part:
            part.write_bytes(data)

    def put_file(self, key: str, path: Path) -> None:
        from shutil import copyfile

        with os_errors("write", key), whole_file(self._path(key)) as part:
            copyfile(path, part)

    def stat(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        with os_errors("look at", key):
            return self._info(key, path) if path.is_file() else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        top = self.folder / prefix.rpartition("/")[0]  # the deepest folder that the prefix names whole
        with os_errors("list", prefix):
            paths = [Path(folder) / name for folder, _, names in os.walk(top) for name in names]
            keys = [
                path.relative_to(self.folder).as_posix() for path in paths if PART_PREFIX not in path.name
            ]
        for key in sorted(key for key in keys if key.startswith(prefix)):
            if (info := self.stat(key)) is not None:  # deleted since
                yield info

    def delete(self, key: str) -> None:
        with os_errors("delete", key):
            self._path(key).unlink(missing_ok=True)

    def url(self, key: str) -> str:
        return self._path(key).as_uri()

    def _read(self, key: str) -> bytes:
        with os_errors("read", key):
            return self._path(key).read_bytes()

    def _read_range(self, key: str, start: int, stop: int) -> bytes:
        with os_errors("read", key), self._path(key).open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def _download(self, key: str, path: Path) -> None:
        from shutil import copyfile

        with os_errors("read", key):
            copyfile(self._path(key), path)

    def _path(self, key: str) -> Path:
        return self.folder / check_key(key)

    def _info(self, key: str, path: Path) -> ObjectInfo:
        found = path.stat()
        return ObjectInfo(
            key=key,
            size_bytes=found.st_size,
            etag=f"{found.st_mtime_ns:x}-{found.st_size:x}",
            modified=datetime.fromtimestamp(found.st_mtime, UTC),
        )


def open_objects(settings: Settings) -> ObjectStore:
    """The object store that the settings name. Raises ConfigError where they name none."""
    url = urlsplit(settings.objects_url)
    if url.scheme == "file" and url.path:
        return FolderObjects(Path(unquote(url.path)))
    if url.scheme == "s3" and url.netloc:
        from strefer_core.store.s3 import S3Objects  # boto3 takes a while to import

        return S3Objects.from_settings(settings, bucket=url.netloc, prefix=unquote(url.path).strip("/"))
    raise ConfigError(
        f"STREFER_OBJECTS_URL is {settings.objects_url!r}; write s3://bucket[/prefix] or file:///folder"
    )
