"""What a training is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """One training; the same options on the same data give the same model on the same machine."""

    dataset: Path  # an exported version's folder, or a .json file in the released format
    out: Path  # the model, its checkpoints, and training.jsonl
    videos: Path | None = None  # folder of the records' `path`; None: the dataset's own folder
    cache: Path | None = None  # decoded frames and prepared records; None: `out`/cache
    others: Mapping[str, Path] = field(default_factory=dict)  # more files, released format, by part's name
    weights: Mapping[str, float] = field(default_factory=dict)  # of the groups and parts; empty: as they come
    # In the first steps, see `Preset.first_weights`; None: the preset's, {}: no others than later.
    first_weights: Mapping[str, float] | None = None
    preset: str = "tiny"
    base: Path | None = None  # a trained model to start from; its preset's sizes hold
    vision: Path | None = None  # pre-trained vision tower to start from
    language: Path | None = None  # pre-trained language model, with its tokenizer
    seed: int = 0
    steps: int | None = None  # None: by `epochs`
    epochs: float = 1.0
    region_mode: str = "connector"
    time_mode: str = "31"
    mask_frames: str | None = None  # "one" or "all"; None: as the preset does
    videos_per_batch: int | None = None
    questions_per_video: int | None = None
    most_tokens: int = 0  # rows are filled up to so many tokens; 0: one video, one row
    learning_rate: float | None = None
    align_steps: int | None = None  # of the first part of a training from scratch
    save_steps: int | None = None  # None: ten times in all
    tolerance: float = 0.01  # share of records that may be unusable
    tensorboard: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of transformers' TrainingArguments


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came of it."""

    model: Path  # folder: `VideoLlm.from_pretrained`, `VideoLlmProcessor.from_pretrained`
    steps: int
    samples: int  # that were learned from, counted once each time
    loss: float  # mean of the last tenth
    seconds: float  # of this process; a resumed run's earlier ones are not in it
    resumed_at: int  # step; 0: from the start
    shares: Mapping[str, float]  # of the mixture's parts
    skipped: Mapping[str, int]  # records, by reason
