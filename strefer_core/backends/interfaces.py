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
from strefer_core.config import ClipsConfig, EntitiesConfig, InstructionsConfig, TranscriptConfig

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
    presence: NDArray[np.float32] | None = None  # (T,) logits that it is in view, of models that tell


class Embedder(Protocol):
    """Turns pictures into features that are near where the pictures show the same."""

    change: float  # squared distance that counts as a change; two unit vectors differ by at most 4

    def embed(self, images: Images) -> NDArray[np.float32]:
        """(T, H, W, 3) uint8 to (T, D) of unit norm; each picture by itself."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one pass over all frames of a video tells of its clips and its camera."""

    times_s: NDArray[np.float64]  # (N,) presentation time of every frame
    cuts: tuple[int, ...]  # positions of the first frames of new shots, ascending, without 0
    looked: NDArray[np.int64]  # (F,) positions of the frames that the features are of, ascending
    features: NDArray[np.float32] | None  # (F, D) of unit norm; None without an embedder
    change: float  # see `Embedder`
    camera: tuple[dm.Affine | None, ...]  # see `data_model.ClipsResult`


class Surveyor(Protocol):
    def survey(self, video_path: Path, config: ClipsConfig) -> Survey:
        """Look at all frames of a video once."""


class EntityRecognizer(Protocol):
    def recognize(self, footage: Footage, config: EntitiesConfig) -> list[EntityDescription]:
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


@dataclass(frozen=True, kw_only=True)
class Observed:
    """All that is known of one video once its things are tracked."""

    video: dm.Video
    video_path: Path
    clips: tuple[dm.Clip, ...]
    camera: tuple[dm.Affine | None, ...]  # see `data_model.ClipsResult`; empty: unknown
    entities: tuple[dm.Entity, ...]
    masklets: tuple[dm.Masklet, ...]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one entity does in one clip: see `data_model.TranscriptSegment`."""

    text: str | None  # None: not visible
    actions: tuple[dm.Action, ...] = ()
    samples: tuple[str | None, ...] = ()
    agreement: float | None = None


class Transcriber(Protocol):
    def transcribe(self, seen: Observed, config: TranscriptConfig) -> list[list[Told]]:
        """Per clip and masklet, in their order: what the masklet's entity does in the clip."""


class Writer(Protocol):
    def offer(
        self,
        seen: Observed,
        segments: Sequence[dm.TranscriptSegment],
        config: InstructionsConfig,
        seed: str,
    ) -> list[dm.Instruction]:
        """Pairs with an empty `instruction_id` that it can stand for; the same for the same arguments."""

    def render(
        self, seen: Observed, chosen: Sequence[dm.Instruction], config: InstructionsConfig, seed: str
    ) -> list[dm.Instruction]:
        """The chosen pairs in their final words, in order; the facts stay. A writer whose words are final
        already returns them as they are."""
