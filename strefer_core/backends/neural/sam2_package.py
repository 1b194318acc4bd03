"""SAM 2 through Meta's `sam2` package, behind the same interface as the tracker of transformers.

For checkpoints as Meta releases them, and to compare the two. The package carries object after object; what
is ours is the frames' way in (arrays instead of a folder of JPEGs), features that are encoded in batches and
shared by all states, states that forget what they no longer need, and masks that leave as bits.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from strefer_core.backends.interfaces import Detection, Footage, Images, Track
from strefer_core.backends.neural.devices import mixed
from strefer_core.backends.neural.leaving import Leaving
from strefer_core.backends.neural.runs import Run, track_both_ways
from strefer_core.backends.neural.sam2_convert import predictor_of, renamed
from strefer_core.backends.neural.sam2_frames import FrameFeatures
from strefer_core.backends.neural.sam2_model import Features, pixels
from strefer_core.errors import ConfigError

_FEATURE_BYTES = 4 << 30
_RELEASED = {
    "sam2.1_hiera_tiny.pt": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1_hiera_small.pt": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "sam2.1_hiera_base_plus.pt": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "sam2.1_hiera_large.pt": "configs/sam2.1/sam2.1_hiera_l.yaml",
}


class Sam2PackageTracker:
    """Tracker (see `backends.interfaces`) of Meta's checkpoints, or of transformers' ones, converted.

    One thing's track does not depend on what else is tracked: the package's constraints between objects and
    its filling of holes are off.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        dtype: torch.dtype,
        batch: int = 8,
        *,
        feature_bytes: int = _FEATURE_BYTES,
        measures_agreement: bool = True,
    ) -> None:
        """Load a checkpoint.

        Args:
            folder: with one released checkpoint under its released name (`sam2.1_hiera_tiny.pt`, ...), or one
                of transformers, whose weights are renamed.
            device: `cpu` or `cuda[:n]`.
            dtype: float32, or half precision, in which the package computes where that is safe.
            batch: frames per call of the image encoder.
            feature_bytes: most bytes of features kept.
            measures_agreement: tracks everything back again for `forward_backward_iou`.

        Raises:
            ConfigError: the package is not installed, or there is no such checkpoint.
        """
        self.model = self.predictor = load_predictor(folder).to(device)
        self._encoder = _Encoder(self.predictor, device, dtype)
        self._batch, self._feature_bytes = batch, feature_bytes
        self._measures_agreement = measures_agreement
        self.features: FrameFeatures | None = None  # of the last footage

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """One track per detection over all working frames; detections may be on different frames."""
        features = self.features_of(footage)

        def carry(runs: Sequence[Run]) -> None:
            together = defaultdict(list)
            for run in runs:
                together[run.start, run.step, run.length].append(run)
            for group in together.values():
                self._carry(features, group)

        with torch.inference_mode(), self._encoder.precision():
            return track_both_ways(carry, footage, detections, measures_agreement=self._measures_agreement)

    def pixels(self, footage: Footage) -> torch.Tensor:
        """Frames as the model sees them: (T, 3, S, S) float32."""
        return pixels(footage.images, self.predictor.image_size, torch.device(self._encoder.device))

    def features_of(self, footage: Footage) -> FrameFeatures:
        """Features of a footage: the kept ones, if they are of these very images."""
        if self.features is None or self.features.footage.images is not footage.images:
            self.features = None  # free the old ones before new ones are made
            self.features = FrameFeatures(
                self._encoder, footage, batch=self._batch, max_bytes=self._feature_bytes
            )
        return self.features

    def _carry(self, features: FrameFeatures, runs: Sequence[Run]) -> None:
        """Carry runs that begin on one frame, in one direction, for equally long."""
        state, first = self.new_state(features), runs[0]
        for number, run in enumerate(runs):
            prompt = {"inference_state": state, "frame_idx": run.start, "obj_id": number}
            if isinstance(run.prompt, tuple):
                self.predictor.add_new_points_or_box(box=np.array(run.prompt, np.float32), **prompt)
            else:
                self.predictor.add_new_mask(mask=torch.from_numpy(np.asarray(run.prompt)), **prompt)
        leaving = Leaving()
        going = self.predictor.propagate_in_video(
            state,
            start_frame_idx=first.start,
            max_frame_num_to_track=first.length - 1,
            reverse=first.step < 0,
        )
        for frame, _, logits in going:
            leaving.add(runs, abs(frame - first.start), logits, _presence(state, frame))
            prune(state, frame, memories=self.predictor.num_maskmem, pointers=_pointers(self.predictor))
        leaving.flush()

    def new_state(self, features: FrameFeatures) -> dict[str, Any]:
        """What the package's `init_state` makes of a folder of JPEGs, from features instead."""
        count, height, width = features.footage.images.shape[:3]
        device = torch.device(self._encoder.device)
        objects = ("point_inputs", "mask_inputs", "output_dict", "temp_output_dict", "frames_tracked")
        return {
            "images": None,
            "num_frames": count,
            "video_height": height,
            "video_width": width,
            "offload_video_to_cpu": False,
            "offload_state_to_cpu": False,
            "device": device,
            "storage_device": device,
            "cached_features": _Shared(features, self._encoder),
            "constants": {},
            "obj_id_to_idx": {},
            "obj_idx_to_id": {},
            "obj_ids": [],
        } | {f"{name}_per_obj": {} for name in objects}


class _Encoder:
    """The package's image encoder, as `FrameFeatures` wants it."""

    def __init__(self, predictor: Any, device: str, dtype: torch.dtype) -> None:
        self.device, self._dtype = device, dtype
        self._predictor = predictor
        self.positions: list[torch.Tensor] = []  # the same for all frames

    def precision(self) -> Any:
        return mixed(self.device, self._dtype)

    def encode(self, images: Images) -> Features:
        found = self._predictor.forward_image(
            pixels(images, self._predictor.image_size, torch.device(self.device))
        )
        self.positions = [position[:1] for position in found["vision_pos_enc"]]
        fine, middle, coarse = found["backbone_fpn"]
        return Features(fine, middle, coarse)


class _Shared:
    """In the place of a state's dict of cached features: all states read the same ones."""

    def __init__(self, features: FrameFeatures, encoder: _Encoder) -> None:
        self._features, self._encoder = features, encoder

    def get(self, frame: int, _default: object = None) -> tuple[torch.Tensor, dict[str, list[torch.Tensor]]]:
        """A stand-in for the picture, which nothing looks at any more, and its features."""
        one = self._features.at([frame])
        found = {
            "backbone_fpn": [one.fine, one.middle, one.coarse],
            "vision_pos_enc": list(self._encoder.positions),
        }
        return one.fine[:, :1, :1, :1], found


def prune(state: dict[str, Any], frame: int, *, memories: int, pointers: int) -> None:
    """Forget what no later frame looks at: masks, and memories and pointers of so many frames ago."""
    for seen in state["output_dict_per_obj"].values():
        tracked = seen["non_cond_frame_outputs"]
        for other in [other for other in tracked if abs(other - frame) >= pointers]:
            del tracked[other]
        for other, one in tracked.items():
            one["pred_masks"] = None
            if abs(other - frame) >= memories:
                one["maskmem_features"] = one["maskmem_pos_enc"] = None


def _pointers(predictor: Any) -> int:
    return int(predictor.max_obj_ptrs_in_encoder)


def _presence(state: dict[str, Any], frame: int) -> torch.Tensor:
    """(B, 1) logits that the things are in view."""
    logits = [
        (seen["cond_frame_outputs"].get(frame) or seen["non_cond_frame_outputs"][frame])[
            "object_score_logits"
        ]
        for seen in state["output_dict_per_obj"].values()
    ]
    return torch.cat(logits)


def load_predictor(folder: Path) -> Any:
    """A `SAM2VideoPredictor` on the CPU. Raises ConfigError where the package or a checkpoint is missing."""
    try:
        from sam2 import sam2_video_predictor
    except ImportError as error:
        raise ConfigError(
            "the sam2_package tracker needs the sam2 package, which the GPU environment has (make test-gpu "
            "builds it); elsewhere use the tracker sam2, which gives the same masks"
        ) from error
    sam2_video_predictor.tqdm = lambda frames, **_: frames  # no bars in logs
    released = [path for path in sorted(folder.glob("*.pt")) if path.name in _RELEASED]
    if len(released) == 1:
        return _released(released[0])
    if (folder / "config.json").is_file():
        return _converted(folder)
    raise ConfigError(
        f"{folder} holds no SAM 2 checkpoint: name a folder with one of {', '.join(_RELEASED)}, or with "
        "config.json and model.safetensors of transformers"
    )


def _released(path: Path) -> Any:
    from sam2.build_sam import build_sam2_video_predictor

    predictor = build_sam2_video_predictor(
        _RELEASED[path.name], device="cpu", hydra_overrides_extra=["++model.fill_hole_area=0"]
    )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path} holds more than weights, which is not loaded: it could run code of its own"
        ) from error
    try:
        predictor.load_state_dict(weights["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{path} does not fit the model of that name: {str(error)[:300]}") from error
    return predictor


def _converted(folder: Path) -> Any:
    from strefer_core.backends.neural.sam2 import load_sam2

    model = load_sam2(folder)
    predictor = predictor_of(model.config)
    predictor.load_state_dict(renamed(model.state_dict(), predictor.state_dict()))
    return predictor
