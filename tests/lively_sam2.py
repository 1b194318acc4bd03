"""A tiny SAM 2 whose random weights are loud: its masks depend on prompts, frames and memories, and things
come and go. The default initialization is so quiet that a tracker without any memory would pass.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Sam2VideoModel

_GAIN, _SEED = (
    1.5,
    0,
)  # with these, presence logits lie around 0, and rounding does not grow from frame to frame


def write_lively_sam2(quiet: Path, folder: Path) -> Path:
    """Save the model of the folder `quiet` with other weights."""
    model = Sam2VideoModel.from_pretrained(quiet, local_files_only=True)
    draws = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name:
                scale = (_GAIN / weights[0].numel()) ** 0.5 if weights.ndim > 1 else 0.1
                weights.normal_(0, scale, generator=draws)
    model.save_pretrained(folder)
    return folder
