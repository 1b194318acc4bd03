"""What a Video LLM is taught and asked: turns about one video, with the regions and times they point to.

Light on purpose: no torch. Readers of datasets make samples, the processor turns them into tensors, and
benchmarks ask with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from strefer_core.data_model import Rle

Region = Mapping[int, Rle]
"""Masks of one thing by sampled frame: the index among the frames that the model is shown."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One conversation about one video; the last answer is empty where it is to be given.

    Texts hold `<region>` once per region, in order over all turns, and `<start_time>` and `<end_time>` where
    the values below stand; no `<image>`, which the processor puts first.
    """

    sample_id: str
    video: Path
    turns: tuple[tuple[str, str], ...]  # (question, answer)
    regions: tuple[Region, ...] = ()
    start_s: float | None = None
    end_s: float | None = None
    group: str = ""  # "G1".."G8", or the name of another part of the mixture
    task_type: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A question with its possible answers, of which one is right."""

    sample: Sample  # its last answer is empty
    options: tuple[str, ...]
    right: int  # index into `options`


class Answerer(Protocol):
    """A model that answers, whatever it is made of."""

    def answer(self, samples: Sequence[Sample], *, max_new_tokens: int = 64) -> list[str]:
        """The greedy answer to each sample's last question."""
        ...

    def log_likelihoods(self, sample: Sample, options: Sequence[str]) -> list[float]:
        """Log probability of each option as the answer, in nats per token."""
        ...
