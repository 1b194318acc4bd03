"""Features of a SigLIP vision tower, through transformers. Needs the `models` extra."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Images
from strefer_core.errors import ConfigError


class SiglipEmbedder:
    """Pooled outputs of unit norm, on a GPU where there is one.

    Args:
        path: folder of a checkpoint (a whole SigLIP or its vision model), as `save_pretrained` writes it.

    Raises:
        ConfigError: transformers or torch is not installed, or there is no such checkpoint.
    """

    change = 0.2  # a cosine of 0.9; an assumption, measure it on your videos: `clips.min_change` scales it

    def __init__(self, path: str) -> None:
        self._model = _loaded(path)
        self._side_px = int(self._model.config.image_size)

    def embed(self, images: Images) -> NDArray[np.float32]:
        """(T, H, W, 3) uint8 RGB to (T, D) float32 of unit norm."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(self._pixels(images)).to(self._model.device)
            pooled = self._model(pixel_values=pixels).pooler_output
            found: NDArray[np.float32] = torch.nn.functional.normalize(pooled.float(), dim=-1).cpu().numpy()
        return found

    def _pixels(self, images: Images) -> NDArray[np.float32]:
        """As SigLIP was trained: squares, whatever the picture's shape, from -1 to 1; (T, 3, side, side)."""
        side = (self._side_px, self._side_px)
        squares = np.stack([cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in images])
        return squares.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


@cache
def _loaded(path: str) -> Any:
    if not Path(path, "config.json").is_file():
        raise ConfigError(
            f"clips.siglip_path {path!r} holds no checkpoint: name a folder with config.json and weights"
        )
    try:
        import torch
        from transformers import SiglipVisionModel
    except ImportError as error:
        raise ConfigError(
            "clips.embedder siglip needs torch and transformers: pip install 'strefer[models]'"
        ) from error
    model: Any = SiglipVisionModel.from_pretrained(path)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
