"""Frames as models take them, resized and normalised where the model runs.

transformers' own image processors do the same on the host, one picture at a time, or need torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

    def tensor(self, images: Sequence[Images] | Images, device: str) -> torch.Tensor:
        """Frames (B, H, W, 3) uint8 RGB of one size to (B, 3, height, width) float32 on the device."""
        import numpy as np
        import torch
        from torch.nn.functional import interpolate

        frames = torch.from_numpy(np.ascontiguousarray(np.stack(images))).to(device).permute(0, 3, 1, 2)
        size = self.size_of(*frames.shape[-2:])
        resized = interpolate(frames.float(), size=size, mode="bilinear", antialias=True)
        values = resized.round().clamp(0, 255) / 255  # as of pictures, which hold whole numbers
        mean, std = (torch.tensor(each, device=device).view(1, 3, 1, 1) for each in (self.mean, self.std))
        return (values - mean) / std

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after resizing."""
        shorter, longer = min(height, width), max(height, width)
        exact = min(self.shortest_edge, self.longest_edge * shorter / longer)
        # The longer side is cut off, the shorter one rounded: what the models were trained and tested with.
        short, long = max(1, round(exact)), max(1, int(exact * longer / shorter))
        return (long, short) if height > width else (short, long)
