"""A published dataset with its videos, fetched from the object store into a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from strefer_core.errors import InputError, StoreError
from strefer_core.ingest import video_key
from strefer_core.stages.dataset import export_dataset
from strefer_core.store.files import sha256_of, whole_file
from strefer_core.store.objects import ObjectStore
from strefer_core.training.reading import LINEAGE


def fetch_dataset(objects: ObjectStore, version: str, folder: Path) -> Path:
    """Export a version and put its videos where its records say; what is there already stays.

    Raises:
        InputError: no such version, or a record's path leads out of the folder.
        StoreError: a video is missing or is not the one that the version was made from.
    """
    if not (folder / "manifest.json").exists():
        export_dataset(objects, version, folder)
    with (folder / LINEAGE).open(encoding="utf-8") as lines:
        for line in lines:
            video = json.loads(line)
            if video["accepted"]:
                _fetch_video(objects, video["video_id"], video["sha256"], _inside(folder, video["path"]))
    return folder


def _inside(folder: Path, name: str) -> Path:
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(folder):
        raise InputError(f"the path {name!r} of a video leads out of the dataset's folder")
    return path


def _fetch_video(objects: ObjectStore, video_id: str, sha256: str, path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        objects.fetch(video_key(video_id), part)
        if sha256_of(part) != sha256:
            raise StoreError(f"video {video_id} in the object store is not the one that was annotated")
