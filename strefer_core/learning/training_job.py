"""A job of the kind "train": from a dataset version to a published model.

Its specification has

    dataset_version     what to train on
    preset              of the model
    base                version of the model to start from; null: from scratch, or the preset's own weights
    weights             {group or part: weight} of the mixture; empty: as the data comes
    seed, steps, epochs, ...    as of `TrainingOptions`, all of `PASSED_ON`; left out: its defaults
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strefer_core.config import settings
from strefer_core.learning.checkpoints import Checkpoints
from strefer_core.learning.jobs import Cancelled, Running
from strefer_core.learning.registry import fetch_model, manifest_key, publish_model
from strefer_core.store.catalog import Model
from strefer_core.training.fetching import fetch_dataset
from strefer_core.training.options import TrainingOptions
from strefer_core.training.training import CHECKPOINTS, CURVE, train

log = logging.getLogger(__name__)

PASSED_ON = (
    "weights", "seed", "steps", "epochs", "learning_rate", "region_mode", "time_mode", "save_steps",
    "videos_per_batch", "questions_per_video", "align_steps",
)  # fmt: skip
_LOOKS = 20  # steps between two looks at whether somebody cancelled


def run_training(running: Running) -> dict[str, Any]:
    """Train, publish, and note the model.

    Returns:
        `{model_version, dataset_version, steps, samples, loss, seconds, resumed_at}`.
    """
    options = training_options(running)
    checkpoints = Checkpoints(running.objects, running.job.job_id, options.out / CHECKPOINTS)
    checkpoints.restore()
    watch = _Watch(running, checkpoints, options.out / CURVE)
    trained = train(options, watch)
    watch.tell()  # of the last step
    spec = running.job.spec
    told = {name: spec[name] for name in PASSED_ON if spec.get(name) is not None}
    manifest = publish_model(
        trained.model,
        running.objects,
        dataset_version=spec["dataset_version"],
        base=spec.get("base"),
        preset=spec["preset"],
        options=told,
    )
    running.catalog.record_model(
        Model(
            version=manifest.version,
            manifest_key=manifest_key(manifest.version),
            dataset_version=manifest.dataset_version,
            base=manifest.base,
            preset=manifest.preset,
            options=manifest.options,
            job_id=running.job.job_id,
        )
    )
    checkpoints.drop()
    return {
        "model_version": manifest.version,
        "dataset_version": manifest.dataset_version,
        "steps": trained.steps,
        "samples": trained.samples,
        "loss": trained.loss,
        "seconds": trained.seconds,
        "resumed_at": trained.resumed_at,
    }


def training_options(running: Running) -> TrainingOptions:
    """What to train, with the dataset, its videos and the base on this machine."""
    spec, folder = running.job.spec, running.folder
    base = fetch_model(running.objects, spec["base"], folder / "base") if spec.get("base") else None
    return TrainingOptions(
        dataset=fetch_dataset(running.objects, spec["dataset_version"], folder / "dataset"),
        out=folder / "run",
        cache=settings().job_folder / "cache",
        preset=spec["preset"],
        base=base,
        **{name: spec[name] for name in PASSED_ON if spec.get(name) is not None},
    )


class _Watch:
    """After each step: figures to the catalog, checkpoints to the object store, and is it still wanted?"""

    def __init__(self, running: Running, checkpoints: Checkpoints, curve: Path) -> None:
        self._running = running
        self._checkpoints = checkpoints
        self._curve = curve
        self._told = 0  # bytes of the curve

    def __call__(self, done: int, total: int) -> None:
        self._checkpoints.keep()
        self.tell()
        if done % _LOOKS == 0 and not self._running.is_wanted():
            raise Cancelled(f"training {self._running.job.job_id} was cancelled at step {done} of {total}")

    def tell(self) -> None:
        """New whole lines of the curve, as figures."""
        if not self._curve.exists():
            return
        with self._curve.open("rb") as file:
            file.seek(self._told)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._told += len(whole)
        for line in whole.splitlines():
            row: Mapping[str, Any] = json.loads(line)
            figures = {
                name: float(value)
                for name, value in row.items()
                if name != "step" and isinstance(value, int | float) and not isinstance(value, bool)
            }
            self._running.catalog.note_training(self._running.job.job_id, int(row["step"]), figures)
