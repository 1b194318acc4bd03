"""Models in the object store: published whole or not at all, named by their content, fetched checked.

Under `models/<version>/` lie the files that `save_pretrained` wrote, `manifest.json` with their checksums,
written last, and `README.md`, the model card, which is told later and is no part of the version.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from strefer_core.errors import InputError
from strefer_core.stages.published import (
    FileEntry,
    Objects,
    VersionManifest,
    fetch_published,
    read_manifest,
)
from strefer_core.store.files import sha256_of

PREFIX = "models"
FORMAT = "strefer-model/1"
VERSION_DIGITS = 12
CARD = "README.md"
_SUFFIXES = {".safetensors", ".json", ".txt", ".model", ".jinja"}


class ModelManifest(VersionManifest):
    """Of a model: also what it was made from."""

    dataset_version: str
    base: str | None
    preset: str
    options: dict[str, Any]


def manifest_key(version: str) -> str:
    """Object key of a model's manifest."""
    return f"{PREFIX}/{version}/manifest.json"


def publish_model(
    folder: Path,
    objects: Objects,
    *,
    dataset_version: str,
    base: str | None,
    preset: str,
    options: dict[str, Any],
) -> ModelManifest:
    """Upload a model's folder; the same files from the same data are the same version.

    Raises:
        InputError: the folder holds no weights, or a file that could run code when it is loaded.
        StoreError: the object store failed; nothing half-made can be read.
    """
    entries = [_entry(path) for path in sorted(folder.iterdir()) if path.is_file()]
    if not any(entry.name.endswith(".safetensors") for entry in entries):
        raise InputError(f"{folder.name} holds no .safetensors: it is no model")
    content = json.dumps([[(entry.name, entry.sha256) for entry in entries], dataset_version, base, options])
    version = hashlib.sha256(content.encode()).hexdigest()[:VERSION_DIGITS]
    manifest = ModelManifest(
        format=FORMAT, version=version, files=entries, dataset_version=dataset_version,
        base=base, preset=preset, options=options,
    )  # fmt: skip
    if not objects.exists(manifest_key(version)):
        for entry in entries:
            objects.put_file(f"{PREFIX}/{version}/{entry.name}", folder / entry.name)
        objects.put_bytes(manifest_key(version), (manifest.model_dump_json(indent=2) + "\n").encode())
    return manifest


def _entry(path: Path) -> FileEntry:
    if path.suffix not in _SUFFIXES:
        raise InputError(f"{path.name}: a model is safetensors and JSON, nothing that runs code when loaded")
    return FileEntry(name=path.name, sha256=sha256_of(path), bytes=path.stat().st_size)


def open_model(objects: Objects, version: str) -> ModelManifest:
    """A published model's manifest. Raises InputError where there is none, StoreError where it is damaged."""
    return read_manifest(objects, manifest_key(version), version, ModelManifest, FORMAT)


def fetch_model(objects: Objects, version: str, folder: Path) -> Path:
    """A published model in a local folder, for `from_pretrained`; files that are there already are checked.

    Raises as `open_model`, and StoreError where a file is not what was published.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for entry in open_model(objects, version).files:
        path = folder / entry.name
        if path.exists() and sha256_of(path) == entry.sha256:
            continue
        fetch_published(objects, f"{PREFIX}/{version}/{entry.name}", entry, path)
    return folder
