"""From objects in a drop to videos with an identity: the same bytes under two names are one video."""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from strefer_core.errors import InputError, StoreError
from strefer_core.store.catalog import Catalog, DropObject
from strefer_core.store.objects import ObjectInfo, ObjectStore

LOOSE_DROP = "loose"


def video_id_of(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def video_key(video_id: str) -> str:
    """Object key of a video's bytes."""
    return f"videos/{video_id}"


def drop_of(key: str, drop_prefix: str) -> str:
    """The drop that an object belongs to: the folder under the drop prefix; `loose` where it is in none."""
    folder, slash, _ = key.removeprefix(drop_prefix).partition("/")
    return folder if slash and folder else LOOSE_DROP


def new_objects(
    objects: ObjectStore, catalog: Catalog, drop_prefix: str, *, looked_at: bool = False
) -> list[ObjectInfo]:
    """Objects under the drop prefix that no drop holds with their present etag, ordered by key.

    With `looked_at`, also those that were registered, but whose ingest died before it looked at them.
    """
    known = catalog.known_objects(drop_prefix, looked_at=looked_at)
    return [item for item in _objects(objects, drop_prefix) if known.get(item.key) != item.etag]


def find_keys(objects: ObjectStore, catalog: Catalog, drop_prefix: str, drop_id: str = "") -> list[str]:
    """Keys to take in: of one drop, whole, or whatever is new where none is named."""
    if drop_id:
        found = _objects(objects, f"{drop_prefix}{drop_id}/")
    else:
        found = new_objects(objects, catalog, drop_prefix, looked_at=True)
    return [item.key for item in found]


def _objects(objects: ObjectStore, prefix: str) -> list[ObjectInfo]:
    """Everything under a prefix but the empty objects that some tools write for folders."""
    return sorted((i for i in objects.list(prefix) if not i.key.endswith("/")), key=lambda i: i.key)


@dataclass(frozen=True)
class Registered:
    """Outcome of registering a batch of objects."""

    video_ids: list[str]  # distinct, in order of keys
    unread: dict[str, str]  # key -> why; in no drop yet, so the next ingest finds them again


def register_videos(
    objects: ObjectStore, catalog: Catalog, drop_prefix: str, keys: Iterable[str]
) -> Registered:
    """Give each object its video id, keep its bytes under it, and note it with its drop.

    One object that cannot be read does not hold up the others. Running it again changes nothing.
    """
    found: dict[str, list[DropObject]] = defaultdict(list)
    unread: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="strefer-ingest-") as folder:
        for key in keys:
            try:
                found[drop_of(key, drop_prefix)].append(_take_in(objects, key, Path(folder) / "video"))
            except (InputError, StoreError) as error:
                unread[key] = str(error)
    for drop_id, items in found.items():
        catalog.register_drop(drop_id, drop_prefix if drop_id == LOOSE_DROP else f"{drop_prefix}{drop_id}/")
        catalog.add_drop_objects(drop_id, items)
    ids = [item.video_id for items in found.values() for item in items]
    return Registered(list(dict.fromkeys(ids)), unread)


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
