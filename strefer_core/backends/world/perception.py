"""The backend object that a cascade is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.backends.world import detector
from strefer_core.backends.world.assigner import WorldAssigner
from strefer_core.backends.world.dice import Dice
from strefer_core.backends.world.noise import Noise
from strefer_core.backends.world.scene import Scene
from strefer_core.backends.world.tracker import WorldTracker
from strefer_core.world.truth import WorldTruth


class WorldPerception:
    """Detector, Tracker and Assigner (see `backends.interfaces`) of one world video, from its truth.

    Deterministic: an answer depends on the truth, the noise, the seed and the question, never on what
    was asked before or with it.

    Args:
        truth: of the video that all footage shows.
        noise: how often it errs; `Noise.none()` gives the truth itself.
        seed: other seeds make other errors at the same rates.
    """

    def __init__(self, truth: WorldTruth, noise: Noise, seed: int = 0) -> None:
        self._truth = truth
        self._noise = noise
        self._dice = Dice((seed, truth.seed, truth.index), np.asarray(truth.frames_pts_s))
        self._last: tuple[object, Scene] | None = None

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        """Boxes of what can be seen, best score first; `score` is the best of `noun_scores`."""
        return detector.detect(self._scene(footage), self._dice, self._noise, frame_indices, nouns)

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """Each detection on its own, forward and backward from its frame."""
        tracker = WorldTracker(self._scene(footage), self._dice, self._noise)
        return [tracker.track(detection) for detection in detections]

    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """(F, E, K) match scores, each from its frame alone; NaN where a track has no mask."""
        assigner = WorldAssigner(self._scene(footage), self._dice, self._noise)
        return assigner.scores(tracks, entities, frame_indices)

    def _scene(self, footage: Footage) -> Scene:
        """What the last footage shows is kept: decoding masks costs more than all the rest."""
        key = footage.images.shape, footage.pts_s.tobytes(), footage.sampled.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = key, Scene(self._truth, footage)
        return self._last[1]
