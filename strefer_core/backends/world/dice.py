"""Random draws that belong to what they decide: the same question meets the same draw whenever it is asked.

Every kind of event has its own table of draws per key (entity, direction, anchor ...) with one row per frame
of the video. An event happens where its draw is below its rate, so that a higher rate adds errors to those
of a lower one, and cascades that are compared meet the same hard moments.
"""

from __future__ import annotations

from typing import cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK_S = 1.0
"""Frames of one such stretch may share their one-image errors (`Noise.streak`)."""


def raised(rate: float, weight: float) -> float:
    """Chance that one of `weight` independent tries at `rate` succeeds: 0 stays 0, 1 stays 1."""
    return float(1 - (1 - rate) ** weight)


class Dice:
    """Draws for one video. Tables are kept; they depend on nothing but seed, kind and key."""

    def __init__(self, seed: tuple[int, ...], pts_s: Floats) -> None:
        self._seed = seed
        self._pts_s = pts_s
        self._block = (pts_s // BLOCK_S).astype(np.int64)
        self._kept: dict[tuple[str, tuple[int, ...], int], Floats] = {}

    def uniform(self, kind: str, *key: int, columns: int = 1) -> Floats:
        """(frames of the video, columns) draws from [0, 1)."""
        place = kind, key, columns
        if place not in self._kept:
            self._kept[place] = self._rng(kind, key).random((len(self._pts_s), columns))
        return self._kept[place]

    def normal(self, kind: str, *key: int, columns: int = 1) -> Floats:
        """(frames of the video, columns) draws from a standard normal distribution."""
        place = "normal " + kind, key, columns
        if place not in self._kept:
            shape = len(self._pts_s), columns
            self._kept[place] = self._rng(place[0], key).standard_normal(shape)
        return self._kept[place]

    def once(self, kind: str, *key: int) -> float:
        """One draw from [0, 1) for the whole video."""
        return float(self.uniform(kind, *key)[0, 0])

    def by_stretch(self, kind: str, *key: int, share: float) -> Floats:
        """(frames of the video,) draws; in a `share` of stretches of `BLOCK_S` all frames have the same."""
        common = self.uniform(kind + " stretch", *key, columns=2)[self._block]
        return cast(Floats, np.where(common[:, 0] < share, common[:, 1], self.uniform(kind, *key)[:, 0]))

    def by_video(self, kind: str, *key: int, share: float) -> Floats:
        """(frames of the video,) draws; with chance `share` all frames have the same."""
        common = self.uniform(kind + " video", *key, columns=2)[0]
        alone = self.uniform(kind, *key)[:, 0]
        return np.full_like(alone, common[1]) if common[0] < share else alone

    def by_anchor(self, kind: str, *key: int, anchor: tuple[int, ...], share: float) -> Floats:
        """(frames of the video,) draws; a `share` of the rows is the same for all anchors."""
        common = self.uniform(kind + " common", *key, columns=2)
        alone = self._rng(kind, (*key, *anchor)).random(len(self._pts_s))
        return cast(Floats, np.where(common[:, 0] < share, common[:, 1], alone))

    def _rng(self, kind: str, key: tuple[int, ...]) -> np.random.Generator:
        return np.random.default_rng([*self._seed, crc32(kind.encode()), *key])
