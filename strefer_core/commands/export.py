"""`strefer export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from strefer_core.console import emit
from strefer_core.errors import InputError

if TYPE_CHECKING:
    from strefer_core.stages.published import Manifest


def export(
    version: str | None, out_dir: Path, *, pronouns: bool = True, filtered: bool = True, as_json: bool
) -> None:
    """Copy a dataset version, or a control of it, to a folder and say so."""
    version = version or _latest()
    plain = {"version": version, "out_dir": str(out_dir)}
    if pronouns and filtered:
        export_version(version, out_dir)
        told = f"dataset {version} is in {out_dir}"
    else:
        made = _export_control(version, out_dir, pronouns=pronouns, filtered=filtered)
        told = f"a control of dataset {version} is in {out_dir}: {made.counts['instructions']} pairs"
        plain |= {"version": made.version, "control_of": version}
    emit(plain, as_json=as_json, human=told)


def _latest() -> str:
    from strefer_core import worker

    latest = worker.catalog().latest_dataset()
    if latest is None:
        raise InputError("no dataset has been published yet; drop some videos first")
    return latest.version


def _export_control(version: str, out_dir: Path, *, pronouns: bool, filtered: bool) -> Manifest:
    from strefer_core import worker
    from strefer_core.experiments.controls import Control, export_control
    from strefer_core.stages.dataset import open_dataset

    dataset, control = open_dataset(worker.objects(), version), Control(pronouns=pronouns, filtered=filtered)
    return export_control(dataset, worker.catalog(), worker.objects(), control, out_dir)


def export_version(version: str, out_dir: Path) -> None:
    """Copy a dataset version from the object store, checksums verified."""
    from strefer_core import worker
    from strefer_core.stages.dataset import export_dataset

    export_dataset(worker.objects(), version, out_dir)
