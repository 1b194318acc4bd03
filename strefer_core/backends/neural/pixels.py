"""Frames as models take them, resized and normalised where the model runs.

transformers' own image processors do the same on the host, one picture at a time, or need torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from strefer_core.backends.interfaces import Images
from strefer_core.errors import ConfigError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How frames are resized and normalised: the part of an image processor's settings that decides it."""

    shortest_edge: int  # sides of the result, the aspect kept, ...
    longest_edge: int  # ... whichever comes first
    mean: tuple[float, ...]  # per channel, of values 0..1
    std: tuple[float, ...]

    @classmethod
    def of(cls, processor: Any) -> Pixels:
        """The settings of an image processor. Raises ConfigError where it sizes pictures another way."""
        size: Mapping[str, int | None] = dict(processor.size)
        shortest, longest = size.get("shortest_edge"), size.get("longest_edge")
        if not shortest or not longest:
            raise ConfigError(f"{type(processor).__name__} must have shortest_edge and longest_edge: {size}")
        return cls(
            shortest_edge=shortest,
            longest_edge=longest,
            mean=tuple(processor.image_mean),
            std=tuple(processor.image_std),
        )

    def tensor(self, images: Sequence[Images], device: str) -> torch.Tensor:
        """Frames (H, W, 3) uint8 RGB of one size to (B, 3, height, width) float32 on the device."""
        import torch

        frames = torch.from_numpy(np.stack(list(images))).to(device).permute(0, 3, 1, 2).float()
        height, width = self.size_of(*frames.shape[-2:])
        resized = _resized(_resized(frames, frames.shape[-2], width), height, width)
        mean, std = (torch.tensor(each, device=device).view(1, 3, 1, 1) for each in (self.mean, self.std))
        return (resized / 255 - mean) / std

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after resizing."""
        shorter, longer = min(height, width), max(height, width)
        exact = min(self.shortest_edge, self.longest_edge * shorter / longer)
        # The longer side is cut off, the shorter one rounded: what the models were trained and tested with.
        short, long = max(1, round(exact)), max(1, int(exact * longer / shorter))
        return (long, short) if height > width else (short, long)


def _resized(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Whole numbers again, as Pillow has them, which resizes one side after the other."""
    from torch.nn.functional import interpolate

    exact = interpolate(frames, size=(height, width), mode="bilinear", antialias=True)
    return (exact + 0.5).floor().clamp(0, 255)
