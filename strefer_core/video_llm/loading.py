"""Reads a saved model: all of it, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from strefer_core.errors import InputError
from strefer_core.video_llm.modeling import VideoLlm


def load_model(folder: Path, dtype: torch.dtype | None = None) -> VideoLlm:
    """A model that was saved.

    Args:
        folder: of the model.
        dtype: of its weights; None: as they were saved.

    Raises:
        InputError: the folder holds no Video LLM, or one with other parts than this version's models have.
    """
    options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    try:
        found: Any = VideoLlm.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, **options
        )
    except OSError as error:
        raise InputError(f"{folder} holds no Video LLM: {error}") from error
    model, told = found
    keys = {*told["missing_keys"], *told["unexpected_keys"]}
    if parts := sorted({key.partition(".")[0] for key in keys}):
        raise InputError(
            f"{folder} was trained with another version of strefer: its {', '.join(parts)} has other parts; "
            "train the model again"
        )
    assert isinstance(model, VideoLlm)
    return model
