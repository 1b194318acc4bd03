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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from strefer_core.config import settings
from strefer_core.errors import InputError
from strefer_core.learning.checkpoints import Checkpoints
from strefer_core.learning.jobs import Cancelled, Running
from strefer_core.learning.registry import fetch_model, publish_model
from strefer_core.stages.published import export_dataset
from strefer_core.store.cache import fetch_video
from strefer_core.store.catalog import Model
from strefer_core.training.options import TrainingOptions
from strefer_core.training.training import CURVE, train

log = logging.getLogger(__name__)

PASSED_ON = (
    "weights", "seed", "steps", "epochs", "learning_rate", "region_mode", "time_mode", "save_steps",
    "videos_per_batch", "questions_per_video",
)  # fmt: skip
_LOOKS = 20  # steps between two looks at whether somebody cancelled


def run_training(running: Running) -> dict[str, Any]:
    """Train, publish, and note the model.

    Returns:
        `{model_version, dataset_version, steps, samples, loss, seconds, resumed_at}`.
    """
    options = training_options(running)
    checkpoints = Checkpoints(running.objects, running.job.job_id, options.out)
    checkpoints.restore()
    trained = train(options, _Watch(running, checkpoints, options.out / CURVE))
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
            manifest_key=f"models/{manifest.version}/manifest.json",
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
    dataset, videos = folder / "dataset", folder / "videos"
    export_dataset(running.objects, spec["dataset_version"], dataset)
    for video_id, path in _videos(dataset):
        _link(running, video_id, videos / path)
    base = fetch_model(running.objects, spec["base"], folder / "base") if spec.get("base") else None
    return TrainingOptions(
        dataset=dataset,
        videos=videos,
        out=folder / "run",
        cache=settings().job_folder / "cache",
        preset=spec["preset"],
        base=base,
        **{name: spec[name] for name in PASSED_ON if spec.get(name) is not None},
    )


def _videos(dataset: Path) -> Iterator[tuple[str, str]]:
    """(video id, path in the records) of every video with pairs."""
    with (dataset / "lineage.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["accepted"]:
                yield row["video_id"], row["path"]


def _link(running: Running, video_id: str, path: Path) -> None:
    if path.is_absolute() and running.folder not in path.parents:
        raise InputError(f"the dataset names a video {path}, which leads out of its folder")
    now = settings()
    kept = fetch_video(running.objects, video_id, now.video_cache_dir, now.cache_max_bytes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(kept)


class _Watch:
    """After each step: figures to the catalog, checkpoints to the object store, and is it still wanted?"""

    def __init__(self, running: Running, checkpoints: Checkpoints, curve: Path) -> None:
        self._running = running
        self._checkpoints = checkpoints
        self._curve = curve
        self._told = 0  # bytes of the curve

    def __call__(self, done: int, total: int) -> None:
        self._checkpoints.keep()
        self._tell()
        if done % _LOOKS == 0 and not self._running.is_wanted():
            raise Cancelled(f"training {self._running.job.job_id} was cancelled at step {done} of {total}")

    def _tell(self) -> None:
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
