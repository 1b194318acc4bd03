"""Timestamp Conversion: times of a video as the model reads and writes them. Pure; no torch.

| mode | a time is written as | error at most |
|---|---|---|
| `31` | one of 32 tokens `<0>`..`<31>`: round(31 t / duration) (arXiv 2509.03501) | duration / 62 |
| `ours` | that token, then one of 32 for the rest, `<-16>`..`<+15>` steps of 1 / 992 | duration / 1984 |
| `text` | "12.3 s" | 0.05 s |
| `number` | "frame 7", the number drawn on the nearest frame (NumberIt, arXiv 2411.10332) | half a gap |

The tokens `<0>`..`<31>` are in every model's vocabulary, since their embeddings are also its frames' clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

TimeMode = Literal["text", "31", "ours", "number"]
TIME_MODES: tuple[TimeMode, ...] = get_args(TimeMode)

STEPS = 31
FINE = 32

CLOCK_TOKENS = tuple(f"<{k}>" for k in range(STEPS + 1))
FINE_TOKENS = tuple(f"<{j:+d}>" for j in range(-FINE // 2, FINE // 2))

_PATTERNS: dict[TimeMode, str] = {
    "31": r"<(\d+)>",
    "ours": r"<(\d+)>\s?<([+-]\d+)>",
    "text": r"(\d+(?:\.\d+)?) s\b",
    "number": r"frame (\d+)",
}


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The times of one video's frames, as presentation times in seconds."""

    duration_s: float
    frames_s: tuple[float, ...]

    def fractions(self) -> list[float]:
        """Of the duration, per frame."""
        return [time_s / self.duration_s for time_s in self.frames_s]


def say(time_s: float, clock: Clock, mode: TimeMode) -> str:
    """A time in words or tokens; times outside the video are moved to its ends."""
    share = min(max(time_s / clock.duration_s, 0.0), 1.0)
    if mode == "31":
        return CLOCK_TOKENS[round(STEPS * share)]
    if mode == "ours":
        step = round(STEPS * FINE * share)
        coarse = (step + FINE // 2) // FINE
        return CLOCK_TOKENS[coarse] + FINE_TOKENS[step - FINE * coarse + FINE // 2]
    if mode == "text":
        return f"{share * clock.duration_s:.1f} s"
    return f"frame {int(np.abs(np.array(clock.frames_s) - time_s).argmin())}"


def read(text: str, clock: Clock, mode: TimeMode) -> list[float]:
    """All times (s) that are written in a text, in order."""
    return [_read(match, clock, mode) for match in re.finditer(_PATTERNS[mode], text)]


def in_seconds(text: str, clock: Clock, mode: TimeMode) -> str:
    """The text with each of its times as "12.3 s"."""
    return re.sub(_PATTERNS[mode], lambda match: f"{_read(match, clock, mode):.1f} s", text)


def _read(match: re.Match[str], clock: Clock, mode: TimeMode) -> float:
    numbers = [float(number) for number in match.groups()]
    if mode == "text":
        return numbers[0]
    if mode == "number":
        return clock.frames_s[min(int(numbers[0]), len(clock.frames_s) - 1)]
    steps = numbers[0] + (numbers[1] / FINE if mode == "ours" else 0.0)
    return clock.duration_s * min(max(steps / STEPS, 0.0), 1.0)


def error_bound_s(clock: Clock, mode: TimeMode) -> float:
    """How far a time within the video may be off after `say` and `read`."""
    if mode == "text":
        return 0.05
    if mode == "number":
        gaps = np.diff(clock.frames_s, prepend=2 * clock.frames_s[0])  # before the first: all of it
        ends = [clock.frames_s[0], clock.duration_s - clock.frames_s[-1]]
        return float(max([*(gaps[1:] / 2), *ends]))
    return clock.duration_s / (2 * STEPS * (FINE if mode == "ours" else 1))
