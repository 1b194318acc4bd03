"""Published dataset versions: what a manifest says, opening one checked, copying one to a folder."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from strefer_core.errors import InputError, StoreError
from strefer_core.store.files import sha256_of, whole_file

PREFIX = "datasets"
FORMAT = "strefer-dataset/1"


class Objects(Protocol):
    """The part of `store.objects.ObjectStore` that datasets need."""

    def put_bytes(self, key: str, data: bytes) -> None: ...
    def put_file(self, key: str, path: Path) -> None: ...
    def get_bytes(self, key: str) -> bytes: ...
    def fetch(self, key: str, path: Path) -> None: ...
    def exists(self, key: str) -> bool: ...


class FileEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    bytes: int


class VersionManifest(BaseModel):
    """What any published version holds. Nothing in it depends on when or where it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    version: str
    files: list[FileEntry]


M = TypeVar("M", bound=VersionManifest)


class Manifest(VersionManifest):
    """Of a dataset."""

    strefer_version: str
    counts: dict[str, Any]
    lineage: dict[str, Any]  # {"file": ..., "config": the pipeline's configuration}


def manifest_key(version: str) -> str:
    """Object key of a version's manifest."""
    return f"{PREFIX}/{version}/manifest.json"


@dataclass(frozen=True)
class Dataset:
    """A published version, opened by its manifest."""

    manifest: Manifest
    objects: Objects

    def fetch(self, name: str, path: Path) -> None:
        """Write one of its files to `path`, checked. Raises StoreError where it is not what was published."""
        entry = next((entry for entry in self.manifest.files if entry.name == name), None)
        if entry is None:
            raise InputError(f"dataset {self.manifest.version} has no file {name!r}")
        fetch_published(self.objects, f"{PREFIX}/{self.manifest.version}/{name}", entry, path)


def fetch_published(objects: Objects, key: str, entry: FileEntry, path: Path) -> None:
    """Write a published file to `path`. Raises StoreError where it is not what the manifest's entry says."""
    with whole_file(path) as part:
        objects.fetch(key, part)
        if part.stat().st_size != entry.bytes or sha256_of(part) != entry.sha256:
            raise StoreError(f"{key} is not what was published; restore the object, or publish a new version")


def read_manifest(objects: Objects, key: str, version: str, kind: type[M], format_name: str) -> M:
    """The manifest of a published version.

    Raises:
        InputError: no such version, or one that was never finished.
        StoreError: the manifest is damaged, or another's.
    """
    what = format_name.split("/")[0].removeprefix("strefer-")
    if not objects.exists(key):
        raise InputError(f"no {what} {version!r}: {key} is not in the object store")
    try:
        manifest = kind.model_validate_json(objects.get_bytes(key))
    except ValidationError as error:
        raise StoreError(f"the manifest of {what} {version} is damaged: {error}") from error
    if manifest.format != format_name or manifest.version != version:
        raise StoreError(f"{key} is a {manifest.format} of version {manifest.version}")
    return manifest


def open_dataset(objects: Objects, version: str, *, verify: bool = True) -> Dataset:
    """Open a published version.

    Args:
        objects: where it was published.
        version: its name.
        verify: also read every file and compare its checksum.

    Raises:
        InputError: no such version, or one that was never finished (it has no manifest).
        StoreError: the manifest or a file is damaged or missing.
    """
    dataset = Dataset(read_manifest(objects, manifest_key(version), version, Manifest, FORMAT), objects)
    if verify:
        with tempfile.TemporaryDirectory(prefix="strefer-verify-") as folder:
            for entry in dataset.manifest.files:
                dataset.fetch(entry.name, Path(folder) / "file")
    return dataset


def export_dataset(objects: Objects, version: str, out_dir: Path) -> Manifest:
    """Copy a version to a local folder, every file checked, the manifest last.

    Files of the same names are replaced, others stay. Raises as `open_dataset` does.
    """
    dataset = open_dataset(objects, version, verify=False)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "manifest.json").unlink(missing_ok=True)  # the folder is no whole version until the end
    for entry in dataset.manifest.files:
        dataset.fetch(entry.name, out_dir / entry.name)
    with whole_file(out_dir / "manifest.json") as part:
        part.write_bytes(objects.get_bytes(manifest_key(version)))
    return dataset.manifest
