"""Masks leave the device as bits, many frames at a time: no full-size host copy per thing and frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import interpolate

from strefer_core.backends.neural.runs import Run

_LOOKS_AT_ONCE = 512  # masks that wait on the device: 8 MB of bits at 480 x 270


class Leaving:
    """Takes mask logits, holds bits on the device, and fills in the runs' arrays now and then.

    Nothing waits for the device between two flushes.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Run, int]] = []
        self._bits: list[torch.Tensor] = []
        self._presence: list[torch.Tensor] = []

    def add(self, runs: Sequence[Run], age: int, logits: torch.Tensor, presence: torch.Tensor) -> None:
        """What was seen on the frames that are `age` after the prompts.

        Args:
            runs: B of them.
            age: frames since their prompts.
            logits: (B, 1, h, w), above 0: mask.
            presence: (B, 1) logits.
        """
        size = runs[0].masks.shape[1:]
        whole = interpolate(logits.float(), size, mode="bilinear", align_corners=False)
        self._bits.append(pack(whole[:, 0] > 0))
        self._presence.append(presence[:, 0].float())
        self._runs += [(run, run.frame(age)) for run in runs]
        if len(self._runs) >= _LOOKS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Fill in everything that waits."""
        if not self._runs:
            return
        bits, presence = torch.cat(self._bits).cpu().numpy(), torch.cat(self._presence).cpu().numpy()
        for (run, frame), row, logit in zip(self._runs, bits, presence, strict=True):
            height, width = run.masks.shape[1:]
            run.masks[frame] = np.unpackbits(row, count=height * width).reshape(height, width)
            run.presence[frame] = logit
        self._runs, self._bits, self._presence = [], [], []


def pack(masks: torch.Tensor) -> torch.Tensor:
    """(B, H, W) bool to (B, ceil(H * W / 8)) uint8, as `numpy.packbits` has it."""
    flat = masks.flatten(1)
    flat = torch.nn.functional.pad(flat.to(torch.uint8), (0, -flat.shape[1] % 8))
    weights = 2 ** torch.arange(7, -1, -1, dtype=torch.uint8, device=masks.device)
    return (flat.reshape(len(flat), -1, 8) * weights).sum(-1, dtype=torch.uint8)
