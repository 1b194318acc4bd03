"""A served model that sees as an answerer: it is shown frames with visual prompts, and knows no regions.

It gives no likelihoods: of options it is asked for a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from strefer_core.config import ServedEndpoint, ServedModel
from strefer_core.errors import ConfigError
from strefer_core.evaluation.prompting import RegionMode, TimeMode, drawn, prompted
from strefer_core.served.ask import Ask
from strefer_core.served.client import ask_all
from strefer_core.served.pictures import jpegs
from strefer_core.video_io import decode_frames, index_video, sample_positions
from strefer_core.video_llm.samples import Region, Sample

LETTERS = "ABCDEFGH"
_MAX_ANSWER_CHARS = 4000

M = TypeVar("M", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(_Strict):
    """In the model's own words."""

    answer: str = Field(max_length=_MAX_ANSWER_CHARS)


class Chosen(_Strict):
    """One of the options."""

    letter: str = Field(pattern=r"^[A-H]$")


@dataclass(frozen=True, kw_only=True)
class ServedAnswerer:
    """Raises ConfigError where a mode is none that a served model can be shown."""

    endpoint: ServedEndpoint
    model: ServedModel
    region_mode: RegionMode = "som"
    time_mode: TimeMode = "number"
    _endpoints: dict[str, ServedEndpoint] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.region_mode == "connector" or self.time_mode in ("31", "ours"):
            raise ConfigError(
                "a served model has no region connector and no time tokens: choose --region som or none, and "
                "--time-tokens number or text"
            )
        object.__setattr__(self, "_endpoints", {"vlm": self.endpoint})

    def answer(self, samples: Sequence[Sample], *, max_new_tokens: int = 64) -> list[str]:
        """Answers in its own words; "" where it gives none that can be used.

        `max_new_tokens` is not sent: `model.max_tokens` bounds the whole reply, its JSON included.

        Raises:
            UnreadableVideo: of a sample.
            BackendError, ConfigError: as `served.client.ask_all`.
        """
        asks = [self._ask("answer.v1", Answer, sample, {}) for sample in samples]
        return [reply.answer if reply else "" for reply in ask_all(asks, self._endpoints)]

    def choose(self, questions: Sequence[tuple[Sample, Sequence[str]]]) -> list[int | None]:
        """Per question with options the place of the chosen one; None where no usable letter came.

        Raises as `answer`.
        """
        asks = [
            self._ask("choose.v1", Chosen, sample, dict(zip(LETTERS, options, strict=False)))
            for sample, options in questions
        ]
        replies = ask_all(asks, self._endpoints)
        return [
            place if reply is not None and (place := LETTERS.index(reply.letter)) < len(options) else None
            for reply, (_, options) in zip(replies, questions, strict=True)
        ]

    def log_likelihoods(self, sample: Sample, options: Sequence[str]) -> list[float]:
        """0 for the option that it chooses and -1 for the others: an order, no likelihoods."""
        (chosen,) = self.choose([(sample, options)])
        return [0.0 if place == chosen else -1.0 for place in range(len(options))]

    def _ask(self, prompt: str, reply: type[M], sample: Sample, options: dict[str, str]) -> Ask[M]:
        index = index_video(sample.video)
        positions = sample_positions(index.frame_count)
        frames = shown(sample.regions, len(positions), self.model.frames)
        times_s = [float(index.times_s[positions[frame]]) for frame in frames]
        asked = prompted(
            with_options(sample, list(options.values())),
            times_s,
            region_mode=self.region_mode,
            time_mode=self.time_mode,
            numbers=frames,
        )
        images = decode_frames(sample.video, positions[frames], index)
        pictures = drawn(images, asked, frames, numbers=frames if self.time_mode == "number" else None)
        question, *told = (text for text, _ in asked.turns)
        fields: dict[str, JsonValue] = {"question": question, "frame_times_s": _rounded(frames, times_s)}
        if options:
            fields["options"] = dict(zip(options, told, strict=True))
        return Ask(
            server="vlm",
            model=self.model,
            prompt=prompt,
            reply=reply,
            fields=fields,
            images=jpegs(pictures, self.model.max_side_px),
        )


def _rounded(frames: Sequence[int], times_s: Sequence[float]) -> dict[str, JsonValue]:
    return {str(frame): round(time_s, 2) for frame, time_s in zip(frames, times_s, strict=True)}


def with_options(sample: Sample, options: Sequence[str]) -> Sample:
    """The last question, and each option as a turn of its own: all are put in words together."""
    return replace(sample, turns=((sample.turns[-1][0], ""), *((option, "") for option in options)))


def shown(regions: Sequence[Region], count: int, at_most: int) -> list[int]:
    """Indices of the sampled frames to show: evenly spaced ones, and one with a mask of each region.

    Args:
        regions: with masks by such indices.
        count: of sampled frames.
        at_most: evenly spaced ones.
    """
    found = {int(place) for place in np.linspace(0, count - 1, min(at_most, count))}
    for region in regions:
        known = sorted(place for place in region if place < count)
        if known and not found.intersection(known):
            found.add(known[len(known) // 2])
    return sorted(found)
