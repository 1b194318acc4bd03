"""Perception by models of this process: GroundingDINO finds, SAM 2 follows, and an assigner says who is who.

SAM 3 finds and follows in one: as a detector it is the tracker, too.

An object of this class is light. The models are kept by the process's keeper, which may let one go when
memory is wanted: they are asked for anew at every step, and nothing here holds them between steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from numpy import float64
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Assigner, Detection, Footage, Track, Tracker
from strefer_core.backends.neural import devices
from strefer_core.config import LocalModel, MaskletsConfig, settings
from strefer_core.errors import ConfigError
from strefer_core.warm.keeper import keeper, model_bytes
from strefer_core.warm.weights import fetch_weights

_HERE = "strefer_core.backends.neural"
_CLASSES = {  # by part and kind
    ("detector", "transformers"): f"{_HERE}.groundingdino:GroundingDinoDetector",
    ("detector", "package"): f"{_HERE}.groundingdino_package:GroundingDinoPackageDetector",
    ("detector", "sam3"): f"{_HERE}.sam3:Sam3Video",
    ("tracker", "transformers"): f"{_HERE}.sam2:Sam2Tracker",
    ("tracker", "package"): f"{_HERE}.sam2_package:Sam2PackageTracker",
    ("assigner", "similarity"): f"{_HERE}.similarity:SimilarityAssigner",
    ("assigner", "vlm"): f"{_HERE}.vlm:VlmAssigner",
}


class NeuralPerception:
    """Detector, Tracker and Assigner (see `backends.interfaces`) of `masklets.backend = "gpu"`.

    Errors of its methods, beside those of the models: ConfigError where weights are missing or are none, and
    StoreError where they cannot be fetched now.
    """

    def __init__(self, config: MaskletsConfig) -> None:
        self._config = config

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        """See `interfaces.Detector`."""
        found: list[list[Detection]] = self._kept("detector", self._config.detector.implementation).detect(
            footage, frame_indices, nouns
        )
        return found

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """See `interfaces.Tracker`."""
        found: list[Track] = self._tracker().track(footage, detections)
        return found

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[float64]:
        """See `interfaces.Assigner`."""
        return self._assigner().scores(footage, tracks, entities, frame_indices)

    def _tracker(self) -> Tracker:
        finds_by = self._config.detector.implementation
        does_both = finds_by == "sam3"
        part, kind = ("detector", finds_by) if does_both else ("tracker", self._config.tracker.implementation)
        tracker: Tracker = self._kept(part, kind)
        return tracker

    def _assigner(self) -> Assigner:
        config = self._config.assigner
        if config.kind == "served":
            from strefer_core.backends.served.assigner import ServedAssigner

            return ServedAssigner(config.served, config.repeats)
        local: Assigner = self._kept("assigner", config.kind)
        return local

    def _kept(self, part: str, kind: str) -> Any:
        """The model of a part, loaded unless this process keeps it."""
        model: LocalModel = getattr(self._config, part)
        device = devices.device(settings())
        name = f"{part}:{kind}:{model.weights}@{model.sha256}:{model.dtype}:{model.batch}:{device}"
        return keeper().get(name, lambda: _loaded(part, kind, model, device), _bytes_of)


def _loaded(part: str, kind: str, model: LocalModel, device: str) -> Any:
    module, class_name = _CLASSES[part, kind].split(":")
    try:
        folder = fetch_weights(model.weights, model.sha256)
        make: Callable[..., Any] = getattr(import_module(module), class_name)
        batch = () if kind == "sam3" else (model.batch,)  # it goes through a video frame by frame
        return make(folder, device, devices.dtype(model.dtype, device), *batch)
    except ConfigError as error:
        raise ConfigError(f"masklets.{part}: {error}") from error


def _bytes_of(backend: Any) -> int:
    """Of the `torch.nn.Module` inside; what a tracker keeps of its last footage is not counted."""
    model = getattr(backend, "model", None) or backend.predictor
    return model_bytes(getattr(model, "parts", model))
