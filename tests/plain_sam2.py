"""Tracking as transformers' documentation shows it: one session per direction, object after object, frame
after frame, nothing shared and nothing thrown away. What our tracker is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Footage


@dataclass(frozen=True)
class Plain:
    """What one thing's tracking gives on all frames."""

    logits: NDArray[np.float32]  # (T, H, W)
    presence: NDArray[np.float32]  # (T,), NaN in transformers 4, which does not tell


class PlainSam2:
    def __init__(self, folder: Path) -> None:
        self.model: Any = Sam2VideoModel.from_pretrained(folder, local_files_only=True).eval()

    def track(self, footage: Footage, frame: int, prompt: dm.Box | NDArray[np.bool_]) -> Plain:
        """Both ways from a box or a mask on a working frame."""
        count, height, width = footage.images.shape[:3]
        logits = np.full((count, height, width), np.nan, np.float32)
        presence = np.full(count, np.nan, np.float32)
        for reverse in (False, True):
            session = self._session(footage)
            self._prompt(session, frame, prompt)
            seen = [self.model(session, frame_idx=frame)]
            seen += self.model.propagate_in_video_iterator(session, start_frame_idx=frame, reverse=reverse)
            for one in seen:
                whole = interpolate(one.pred_masks.float(), (height, width), mode="bilinear")
                logits[one.frame_idx] = whole[0, 0].numpy()
                if getattr(one, "object_score_logits", None) is not None:
                    presence[one.frame_idx] = float(one.object_score_logits.reshape(()))
        return Plain(logits, presence)

    def _session(self, footage: Footage) -> Any:
        height, width = footage.images.shape[1:3]
        return Sam2VideoInferenceSession(
            video=self.pixels(footage), video_height=height, video_width=width, dtype=torch.float32
        )

    def pixels(self, footage: Footage) -> torch.Tensor:
        side = (self.model.config.image_size,) * 2
        frames = torch.from_numpy(footage.images).permute(0, 3, 1, 2)
        squares = interpolate(frames, side, mode="bilinear", antialias=True).double() / 255
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        return ((squares - mean[:, None, None]) / std[:, None, None]).float()

    def _prompt(self, session: Any, frame: int, prompt: dm.Box | NDArray[np.bool_]) -> None:
        number = session.obj_id_to_idx(1)
        side = self.model.config.image_size
        if isinstance(prompt, tuple):
            x0, y0, x1, y1 = prompt
            across, down = side / session.video_width, side / session.video_height
            corners = [[x0 * across, y0 * down], [x1 * across, y1 * down]]
            labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
            points = {"point_coords": torch.tensor([[corners]]), "point_labels": labels}
            session.add_point_inputs(number, frame, points)
        else:
            whole = torch.from_numpy(prompt)[None, None].float()
            whole = interpolate(whole, (side, side), mode="bilinear", antialias=True)
            session.add_mask_inputs(number, frame, (whole >= 0.5).float())
        session.obj_with_new_inputs = [1]


def differing(masks: NDArray[np.bool_], plain: Plain, *, margin: float) -> int:
    """Pixels that differ although the plain logit is not within `margin` of the border of a mask."""
    return int(((masks != (plain.logits > 0)) & (np.abs(plain.logits) > margin)).sum())


def all_differing(masks: Sequence[NDArray[np.bool_]], plains: Sequence[Plain], *, margin: float) -> int:
    return sum(differing(own, plain, margin=margin) for own, plain in zip(masks, plains, strict=True))
