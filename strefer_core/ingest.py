"""From objects in a drop to videos with an identity: the same bytes under two names are one video."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from strefer_core.errors import InputError, StoreError
from strefer_core.store.catalog import Catalog, DropObject
from strefer_core.store.objects import ObjectInfo, ObjectStore


def video_id_of(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def video_key(video_id: str) -> str:
    """Object key of a video's bytes."""
    return f"videos/{video_id}"


def new_objects(
    objects: ObjectStore, catalog: Catalog, prefix: str, drop_id: str | None = None
) -> list[ObjectInfo]:
    """Objects under a prefix that no other drop holds with their present etag, ordered by key.

    A drop's own objects count as new to it, so that finding them again after a clear finds the same.
    """
    known = catalog.known_objects(prefix, except_drop=drop_id)
    found = (item for item in objects.list(prefix) if not item.key.endswith("/"))
    return sorted((i for i in found if known.get(i.key) != i.etag), key=lambda i: i.key)


def open_drop(objects: ObjectStore, catalog: Catalog, drop_id: str, prefix: str) -> list[str]:
    """Register a drop and return the keys of all objects under its prefix that are new to it."""
    catalog.register_drop(drop_id, prefix)
    return [item.key for item in new_objects(objects, catalog, prefix, drop_id)]


@dataclass(frozen=True)
class Registered:
    """Outcome of registering a batch of objects."""

    video_ids: list[str]  # distinct, in order of keys
    unread: dict[str, str]  # key -> why; in no drop yet, so the next ingest finds them again


def register_videos(objects: ObjectStore, catalog: Catalog, drop_id: str, keys: Iterable[str]) -> Registered:
    """Give each object of a drop its video id and keep its bytes under it.

    One object that cannot be read does not hold up the others. Running it again changes nothing.
    """
    found: list[DropObject] = []
    unread: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="strefer-ingest-") as folder:
        for key in keys:
            try:
                found.append(_take_in(objects, key, Path(folder) / "video"))
            except (InputError, StoreError) as error:
                unread[key] = str(error)
    catalog.add_drop_objects(drop_id, found)
    return Registered(list(dict.fromkeys(item.video_id for item in found)), unread)


def _take_in(objects: ObjectStore, key: str, path: Path) -> DropObject:
    info = objects.stat(key)
    if info is None:
        raise StoreError(f"{key} is gone from {objects.url('')}")
    objects.fetch(key, path)
    video_id = video_id_of(path)
    if objects.stat(video_key(video_id)) is None:
        objects.put_file(video_key(video_id), path)
    path.unlink()
    return DropObject(key=key, etag=info.etag, size_bytes=info.size_bytes, video_id=video_id)
