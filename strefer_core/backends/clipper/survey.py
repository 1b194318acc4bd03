"""One pass over all frames of a video for cuts, features and the camera's motion: decoding costs the most."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Embedder, Survey
from strefer_core.backends.shots import CutFinder
from strefer_core.camera import GroundSteps, Transform, display_affine
from strefer_core.config import ClipsConfig
from strefer_core.footage import working_positions
from strefer_core.video_io import VideoIndex, index_video, iter_frames, sample_positions

_SIDE_PX = 480  # the ground is told to a fraction of a pixel
_CUTS_SIDE_PX = 240  # cuts show at any size; half the side is quickly made
_GROUND_FPS = 10.0
_GROUND_FRAMES = 3000  # of longer videos fewer per second: their sampled frames lie too far apart anyway
_FEATURES_FPS = 5.0
_FEATURES_FRAMES = 5000  # bounds the search for changes, which takes time with its square
_BATCH = 32  # frames that are embedded at a time


class ScenedetectSurveyor:
    """The `clips` stage's default backend."""

    def survey(self, video_path: Path, config: ClipsConfig) -> Survey:
        """See `interfaces.Surveyor`.

        Raises:
            UnreadableVideo: a frame cannot be decoded.
            ConfigError: the embedder cannot be had.
        """
        index = index_video(video_path)
        sampled = sample_positions(index.frame_count)
        steady = working_positions(index.times_s, sampled, fps=_GROUND_FPS, max_frames=_GROUND_FRAMES)
        looked = working_positions(index.times_s, sampled[:1], fps=_FEATURES_FPS, max_frames=_FEATURES_FRAMES)
        cuts, ground, features = CutFinder(), GroundSteps(), _Features(embedder(config))
        samples, steadies, looks = ({int(p) for p in positions} for positions in (sampled, steady, looked))
        scale = 1.0
        for position, image in iter_frames(video_path, range(index.frame_count), index, max_side_px=_SIDE_PX):
            scale = _scale(image, index)
            cuts.see(_small(image))
            if position in steadies:
                ground.see(image, is_sampled=position in samples)
            if position in looks:
                features.see(image)
        found = cuts.cuts()
        return Survey(
            times_s=index.times_s,
            cuts=tuple(found),
            looked=looked,
            features=features.all(),
            change=features.change,
            camera=_camera(ground.motions, sampled, found, scale),
        )


def embedder(config: ClipsConfig) -> Embedder | None:
    """The embedder that the settings name; None where clips are cut at shots alone."""
    if config.embedder == "none":
        return None
    if config.embedder == "siglip":
        from strefer_core.backends.clipper.siglip import SiglipEmbedder

        return SiglipEmbedder(config.siglip_path)
    from strefer_core.backends.clipper.layout import LayoutEmbedder

    return LayoutEmbedder()


class _Features:
    """Embeds frames batch by batch, so that no more than a batch of pictures is kept."""

    def __init__(self, embedder: Embedder | None) -> None:
        self.change = embedder.change if embedder else 1.0
        self._embedder = embedder
        self._waiting: list[NDArray[np.uint8]] = []
        self._done: list[NDArray[np.float32]] = []

    def see(self, image: NDArray[np.uint8]) -> None:
        if self._embedder:
            self._waiting.append(image)
        if len(self._waiting) == _BATCH:
            self._embed()

    def all(self) -> NDArray[np.float32] | None:
        """(F, D) features of all frames seen; None without an embedder."""
        if self._waiting:
            self._embed()
        return np.concatenate(self._done) if self._done else None

    def _embed(self) -> None:
        assert self._embedder is not None
        self._done.append(self._embedder.embed(np.stack(self._waiting)))
        self._waiting = []


def _camera(
    motions: Sequence[Transform | None], sampled: NDArray[np.int64], cuts: Sequence[int], scale: float
) -> tuple[dm.Affine | None, ...]:
    """Motions in display pixels; None across a cut, whatever seems to have moved."""
    return tuple(
        None if motion is None or any(a < cut <= b for cut in cuts) else display_affine(motion, scale)
        for motion, (a, b) in zip(motions, pairwise(sampled.tolist()), strict=True)
    )


def _scale(image: NDArray[np.uint8], index: VideoIndex) -> float:
    """Working pixels per display pixel."""
    return max(image.shape[:2]) / max(index.width_px, index.height_px)


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    share = min(1.0, _CUTS_SIDE_PX / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
