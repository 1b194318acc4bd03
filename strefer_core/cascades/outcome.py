"""What every cascade is given and gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Assigner, Detection, Detector, Footage, Track, Tracker
from strefer_core.config import MaskletsConfig
from strefer_core.errors import ConfigError

CASCADES = ("first_frame", "paper", "strefer")


class Perception(Detector, Tracker, Assigner, Protocol):
    """What a cascade asks of its backend."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One entity's track, and how clearly it won."""

    entity: int  # place among the entities asked for
    track: Track
    score: float  # mean match score over the frames that were looked at, 0..1
    margin: float | None  # score minus the best rival's; None without a rival track


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a cascade found, and what it cost."""

    found: tuple[Found, ...]  # at most one per entity, in order of entities; no two share a track
    detector_calls: int  # frames that the detector looked at
    tracked_frames: int  # sampled frames that tracks were carried over, per anchor frame
    assigner_calls: int  # questions to the assigner: one expression on one frame
    nouns: tuple[str, ...]  # what the detector was asked for
    boxes: Mapping[int, Sequence[Detection]]  # what it saw, by index of the frames that it looked at


class Cascade(Protocol):
    def __call__(
        self,
        perception: Perception,
        footage: Footage,
        entities: Sequence[dm.Entity],
        config: MaskletsConfig,
    ) -> Outcome: ...


def run_cascade(
    name: str,
    perception: Perception,
    footage: Footage,
    entities: Sequence[dm.Entity],
    config: MaskletsConfig,
) -> Outcome:
    """Run one of `CASCADES`. Raises ConfigError for another name."""
    if name not in CASCADES:
        raise ConfigError(f"there is no cascade {name!r}; known: {', '.join(CASCADES)}")
    cascade: Cascade = import_module(f"strefer_core.cascades.{name}").cascade
    return cascade(perception, footage, entities, config)
