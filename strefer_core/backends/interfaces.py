"""What stages ask of backends. A backend is any object with these methods; it is built once per process.

The four steps of the masklet cascade keep the paper's names: sample, detect, track, assign
(arXiv 2509.03501, section on the Referring Masklet Generator).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm

Images = NDArray[np.uint8]  # (T, H, W, 3), RGB
Masks = NDArray[np.bool_]  # (T, H, W)


@dataclass(frozen=True, kw_only=True)
class Footage:
    """Decoded working frames of one video, all of one size.

    `sampled[i]` is the position in `images` of sampled frame `i` (see `data_model.FRAME_COUNT`);
    frames between sampled ones are there for trackers that need small steps. `scale` turns
    display pixels into working pixels.
    """

    images: Images  # (T, H, W, 3) uint8
    pts_s: NDArray[np.float64]  # (T,) seconds from the first frame
    sampled: NDArray[np.int64]  # (FRAME_COUNT or fewer,)
    scale: float
    width_px: int  # display size
    height_px: int


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One box on one sampled frame, with a score for every noun asked for."""

    frame_index: int  # among the sampled frames
    box: dm.Box  # working pixels
    score: float  # 0..1
    noun_scores: tuple[float, ...]  # one per noun asked for; never decided by comparing label strings


@dataclass(frozen=True, kw_only=True)
class Track:
    """Masks of one thing over all working frames, started from one detection."""

    detection: Detection
    masks: Masks  # (T, H, W) bool, working size
    forward_backward_iou: float | None


class ShotDetector(Protocol):
    def shots(self, video_path: Path) -> list[float]:
        """Presentation times (s) of hard cuts, ascending, without 0 and the end."""


class EntityRecognizer(Protocol):
    def recognize(self, footage: Footage, max_entities: int) -> list[EntityDescription]:
        """Active things in words; fewer where they cannot be told apart."""


@dataclass(frozen=True, kw_only=True)
class EntityDescription:
    expression: str
    noun: str
    generalized_noun: str
    attributes: tuple[tuple[str, str], ...] = ()


class Detector(Protocol):
    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        """Boxes of things that any noun names, per asked frame (indices among the sampled frames)."""


class Tracker(Protocol):
    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """One track per detection, carried forward and backward over all working frames."""


class Assigner(Protocol):
    def scores(
        self,
        footage: Footage,
        tracks: Sequence[Track],
        entities: Sequence[dm.Entity],
        frame_indices: Sequence[int],
    ) -> NDArray[np.float64]:
        """(frames, entities, tracks) match scores, 0..1, from the asked sampled frames.

        NaN where a track has no mask on a frame. What a frame says may come from that frame alone (a
        model that looks at one image) or from the whole track (which way it goes).
        """


class Transcriber(Protocol):
    def transcribe(
        self,
        video: dm.Video,
        clip: dm.Clip,
        entities: Sequence[dm.Entity],
        masklets: Sequence[dm.Masklet],
    ) -> list[tuple[str | None, tuple[dm.Action, ...]]]:
        """Per masklet: what its entity does in the clip, in words and facts; None where not visible."""


class Writer(Protocol):
    def write(
        self,
        video: dm.Video,
        clips: Sequence[dm.Clip],
        entities: Sequence[dm.Entity],
        masklets: Sequence[dm.Masklet],
        segments: Sequence[dm.TranscriptSegment],
        seed: str,
    ) -> list[dm.Instruction]:
        """Pairs with an empty `instruction_id`; the same ones for the same arguments."""
