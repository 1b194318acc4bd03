"""A very small Video LLM and footage made of numbers, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from strefer_core.masks import encode
from strefer_core.video_llm.frames import Footage
from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.presets import PRESETS, build
from strefer_core.video_llm.processing import VideoLlmProcessor
from strefer_core.video_llm.samples import Region, Sample
from strefer_core.video_llm.times import Clock

WORDS = [
    "What colour is the <region>?",
    "It is red.",
    "Where is it from <start_time> to <end_time>?",
    "On the left.",
]
HEIGHT, WIDTH = 36, 64


def tiny(seed: int = 0, **modes: str) -> tuple[VideoLlm, VideoLlmProcessor]:
    """The preset `tiny` with random weights, in which zeros that training would fill are filled."""
    model, processor = build("tiny", WORDS, seed=seed, **modes)  # type: ignore[arg-type]
    with torch.no_grad():
        model.temporal_encoder.score.normal_()
    return model.eval(), processor  # type: ignore[no-untyped-call]


def footage(seed: int = 0, duration_s: float = 8.0) -> Footage:
    """32 noisy pictures, evenly in time."""
    size = PRESETS["tiny"].vision["image_size"]
    rng = np.random.default_rng(seed)
    return Footage(
        video_id=f"{seed:016x}",
        pictures=rng.integers(0, 256, (32, 3, size, size), dtype=np.uint8),
        clock=Clock(duration_s=duration_s, frames_s=tuple(np.linspace(0, duration_s - 0.04, 32).tolist())),
        size_px=(HEIGHT, WIDTH),
    )


def box_region(frames: dict[int, tuple[int, int, int, int]]) -> Region:
    """Masks that are boxes (x0, y0, x1, y1) by frame."""
    found = {}
    for frame, (x0, y0, x1, y1) in frames.items():
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[y0:y1, x0:x1] = True
        rle = encode(mask)
        assert rle is not None
        found[frame] = rle
    return found


def sample(
    question: str, answer: str, *, regions: tuple[Region, ...] = (), times: tuple[float, float] | None = None
) -> Sample:
    return Sample(
        sample_id=question,
        video=Path("none.mp4"),
        turns=((question, answer),),
        regions=regions,
        start_s=times and times[0],
        end_s=times and times[1],
    )
