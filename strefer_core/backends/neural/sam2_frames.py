"""Features of a footage's frames: encoded in batches, once as long as they fit into their share of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from strefer_core.backends.interfaces import Footage, Images
from strefer_core.backends.neural.sam2_model import Features
from strefer_core.warm.memory import in_batches


class Encoder(Protocol):
    def encode(self, images: Images) -> Features:
        """Features of frames (B, H, W, 3) uint8."""


class FrameFeatures:
    """Encodes frames where they are first asked for, with their neighbours, and keeps the last used ones.

    Runs go from frame to frame, so a block of neighbours is one batch of the encoder. Blocks that no longer
    fit are let go, the longest unused first, and encoded again where they are asked for again: footage of any
    length takes bounded memory, and a pass through it encodes every frame once at most.
    """

    def __init__(self, model: Encoder, footage: Footage, *, batch: int, max_bytes: int) -> None:
        """`batch`: frames per call of the encoder; `max_bytes`: of features kept beside those in use."""
        self.footage = footage
        self.encoded_frames = 0
        self._model, self._batch, self._max_bytes = model, batch, max_bytes
        self._blocks: OrderedDict[int, list[Features]] = OrderedDict()  # one per frame, views of its batch

    @property
    def size_bytes(self) -> int:
        """Of all features that are kept."""
        return sum(frame.size_bytes for block in self._blocks.values() for frame in block)

    def at(self, frames: Sequence[int]) -> Features:
        """Features of working frames, in their order; a frame may be asked for several times."""
        for number in dict.fromkeys(frame // self._batch for frame in frames):
            self._use(number)
        found = Features.cat([self._blocks[frame // self._batch][frame % self._batch] for frame in frames])
        self._let_go()
        return found

    def _use(self, number: int) -> None:
        if number not in self._blocks:
            start = number * self._batch
            images = self.footage.images[start : start + self._batch]
            self._blocks[number] = in_batches(self._encode, list(images), self._batch)
            self.encoded_frames += len(images)
        self._blocks.move_to_end(number)

    def _encode(self, images: Sequence[Images]) -> list[Features]:
        found = self._model.encode(np.stack(images))
        return [found[place] for place in range(len(images))]

    def _let_go(self) -> None:
        while len(self._blocks) > 1 and self.size_bytes > self._max_bytes:
            self._blocks.popitem(last=False)
