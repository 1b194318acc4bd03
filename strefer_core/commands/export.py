"""`strefer export`."""

from __future__ import annotations

from pathlib import Path

from strefer_core.console import emit
from strefer_core.errors import InputError


def export(version: str | None, out_dir: Path, *, as_json: bool) -> None:
    """Copy a dataset version to a folder and say so."""
    from strefer_core import worker

    if version is None:
        latest = worker.catalog().latest_dataset()
        if latest is None:
            raise InputError("no dataset has been published yet; drop some videos first")
        version = latest.version
    export_version(version, out_dir)
    emit(
        {"version": version, "out_dir": str(out_dir)},
        as_json=as_json,
        human=f"dataset {version} is in {out_dir}",
    )


def export_version(version: str, out_dir: Path) -> None:
    """Copy a dataset version from the object store, checksums verified."""
    from strefer_core import worker
    from strefer_core.stages.dataset import export_dataset

    export_dataset(worker.objects(), version, out_dir)
