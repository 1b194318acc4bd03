"""A published version and its videos, fetched for a training."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from strefer_core.errors import InputError, StoreError
from strefer_core.ingest import video_key
from strefer_core.stages.dataset import build_dataset
from strefer_core.store.objects import FolderObjects
from strefer_core.training.fetching import fetch_dataset
from strefer_core.training.reading import prepare
from tests.samples import mover
from tests.unit.test_dataset import bundle_of

BYTES = b"the bytes of a video"


def published(objects: FolderObjects, name: str) -> str:
    bundle = bundle_of(mover())
    video = replace(bundle.video, sha256=hashlib.sha256(BYTES).hexdigest())
    manifest = build_dataset([replace(bundle, video=video)], {video.video_id: name}, objects)
    objects.put_bytes(video_key(video.video_id), BYTES)
    return manifest.version


def test_videos_lie_where_the_records_say(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    folder = fetch_dataset(objects, published(objects, "night/one.mp4"), tmp_path / "set")
    assert (folder / "night" / "one.mp4").read_bytes() == BYTES
    lines = prepare(folder, tmp_path / "records")
    assert {lines.sample(number, folder.joinpath).video for number in range(len(lines))} == {
        folder / "night" / "one.mp4"
    }
    assert set(lines.groups) <= {f"G{number}" for number in range(1, 9)}


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    version = published(objects, "one.mp4")
    objects.put_bytes(video_key(mover().video.video_id), b"other bytes")
    with pytest.raises(StoreError, match="not the one that was annotated"):
        fetch_dataset(objects, version, tmp_path / "set")
    assert not (tmp_path / "set" / "one.mp4").exists()


def test_an_unknown_version_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset 'nothing'"):
        fetch_dataset(FolderObjects(tmp_path / "objects"), "nothing", tmp_path / "set")
