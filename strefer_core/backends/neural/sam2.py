"""SAM 2 through transformers: boxes become masks, carried forward and backward over the working frames.

What the reference recipe does in two video states, on frames written to disk, encoded twice: here every frame
is encoded once, in batches, and all runs (see `runs`) of all anchors advance together, one batch of the
model per step. Nothing in a step waits for the device, so that the host runs ahead of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.backends.neural.leaving import Leaving
from strefer_core.backends.neural.runs import Run, track_both_ways
from strefer_core.backends.neural.sam2_frames import FrameFeatures
from strefer_core.backends.neural.sam2_model import Look, Memory, Sam2Model
from strefer_core.errors import ConfigError
from strefer_core.warm.memory import in_batches

_RUNS_AT_ONCE = 32
_FEATURE_BYTES = 4 << 30  # 500 frames of the released models in half precision
_HALF = 0.5


class Sam2Tracker:
    """Tracker (see `backends.interfaces`) of SAM 2 and 2.1 checkpoints of transformers, without torchvision.

    Keeps the features of the last footage, so that the next anchor of the same video costs no encoding; its
    results do not depend on it. One thing's track does not depend on what else is tracked.
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
        compiles: bool = False,
    ) -> None:
        """Load a checkpoint.

        Args:
            folder: as `save_pretrained` writes it.
            device: `cpu` or `cuda[:n]`.
            dtype: of weights and features; float32, or half precision on a GPU.
            batch: frames per call of the image encoder.
            feature_bytes: most bytes of features kept; longer footage is encoded piece by piece.
            measures_agreement: tracks everything back again for `forward_backward_iou`.
            compiles: compiles the image encoder and the memory attention; minutes at first, faster then.

        Raises:
            ConfigError: no checkpoint of SAM 2 video there, or transformers or torch is not installed.
        """
        model = load_sam2(folder).to(device=device, dtype=dtype)
        if compiles:
            model.vision_encoder.compile()
            model.memory_attention.compile(dynamic=True)
        self.model = Sam2Model(model)
        self._batch, self._feature_bytes = batch, feature_bytes
        self._measures_agreement = measures_agreement
        self.features: FrameFeatures | None = None  # of the last footage

    @torch.inference_mode()
    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """One track per detection over all working frames; detections may be on different frames."""
        features = self._features(footage)

        def carry(runs: Sequence[Run]) -> None:
            longest_first = sorted(runs, key=lambda run: -run.length)
            in_batches(lambda some: self._carry(features, some), longest_first, _RUNS_AT_ONCE)

        return track_both_ways(carry, footage, detections, measures_agreement=self._measures_agreement)

    def _features(self, footage: Footage) -> FrameFeatures:
        if self.features is None or self.features.footage.images is not footage.images:
            self.features = None  # free the old ones before new ones are made
            self.features = FrameFeatures(
                self.model, footage, batch=self._batch, max_bytes=self._feature_bytes
            )
        return self.features

    def _carry(self, features: FrameFeatures, runs: Sequence[Run]) -> Sequence[Run]:
        """Carry runs, the longest first, in lockstep: those that have ended are the last ones."""
        leaving = Leaving()
        memory = self._begin(features, runs)
        leaving.add(runs, 0, memory.prompt.logits, memory.prompt.presence)
        for age in range(1, runs[0].length):
            going = [run for run in runs if run.length > age]
            memory.keep(len(going))
            seen = features.at([run.frame(age) for run in going])
            look = self.model.follow(seen, memory, len(features.footage.images))
            memory.add(look)
            leaving.add(going, age, look.logits, look.presence)
        leaving.flush()
        return runs

    def _begin(self, features: FrameFeatures, runs: Sequence[Run]) -> Memory:
        """A memory of the runs' prompts, which are all boxes or all masks."""
        seen = features.at([run.start for run in runs])
        begin = self._boxes if isinstance(runs[0].prompt, tuple) else self._masks
        return self.model.new_memory(begin(seen, runs))

    def _boxes(self, seen: Any, runs: Sequence[Run]) -> Look:
        height, width = runs[0].masks.shape[1:]
        scale = np.array([self.model.side_px / width, self.model.side_px / height] * 2)
        boxes = np.array([run.prompt for run in runs]) * scale
        return self.model.begin_with_boxes(
            seen, torch.from_numpy(boxes.astype(np.float32)).to(self.model.device)
        )

    def _masks(self, seen: Any, runs: Sequence[Run]) -> Look:
        masks = torch.from_numpy(np.stack([np.asarray(run.prompt) for run in runs])).to(self.model.device)
        return self.model.begin_with_masks(seen, resized(masks, self.model.side_px))


def resized(masks: torch.Tensor, side_px: int) -> torch.Tensor:
    """(B, H, W) bool to (B, 1, S, S) of 0 and 1, as transformers and `sam2` resize masks that are given."""
    whole = torch.nn.functional.interpolate(
        masks[:, None].float(), (side_px, side_px), mode="bilinear", antialias=True, align_corners=False
    )
    return (whole >= _HALF).float()


def load_sam2(folder: Path) -> Any:
    """A `Sam2VideoModel` on the CPU in float32. Raises ConfigError where the folder holds none."""
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder} holds no SAM 2 checkpoint: name a folder with config.json and model.safetensors, as "
            "transformers' save_pretrained writes it"
        )
    try:
        from transformers import AutoConfig, Sam2VideoModel
    except ImportError as error:
        raise ConfigError(
            "the sam2 tracker needs torch and transformers: pip install 'strefer[models]'"
        ) from error
    kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
    if kind != "sam2_video":
        raise ConfigError(f"{folder} holds a {kind} model, and the tracker needs one of type sam2_video")
    model: Any = Sam2VideoModel.from_pretrained(folder, local_files_only=True)
    return model.eval()
