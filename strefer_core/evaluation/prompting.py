"""Questions and frames for models that know no regions and no time tokens: visual prompts instead.

| mode | regions | times |
|---|---|---|
| `som` | a numbered mark on the frames, "the thing marked 1" in the text | |
| `number` | | the frame's number on each frame, "frame 7" in the text |
| `text` | | seconds in the text |

What draws is `strefer_core.visual_prompts`; whoever builds an answerer calls these functions before its
processor, so a model can be evaluated, and trained, on the same pictures and the same words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from strefer_core.errors import ConfigError
from strefer_core.masks import decode
from strefer_core.overlay import Picture
from strefer_core.video_llm.samples import Region, Sample
from strefer_core.visual_prompts import mark_regions, number_frames

RegionMode = Literal["connector", "som", "none"]
TimeMode = Literal["31", "ours", "number", "text"]  # the first two are tokens

_REGION = re.compile(r"(?:\b(the|The) )?\[?<region>\]?")


@dataclass(frozen=True, kw_only=True)
class EvaluationModes:
    """How an answerer is shown regions and times; None: as the model was trained. Raises ConfigError."""

    region_mode: RegionMode | None = None
    time_mode: TimeMode | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("region", self.region_mode, get_args(RegionMode)),
            ("time", self.time_mode, get_args(TimeMode)),
        ):
            if value is not None and value not in known:
                raise ConfigError(f"there is no {name} mode {value!r}; known: {', '.join(known)}")


@dataclass(frozen=True, kw_only=True)
class Prompted:
    """A sample in words for visual prompts; what is to be drawn beside."""

    turns: tuple[tuple[str, str], ...]
    marked: tuple[Region, ...]  # distinct regions, in order of their labels
    labels: tuple[str, ...]  # "1", "2", ...: one per item of `marked`


def prompted(
    sample: Sample,
    frames_pts_s: Sequence[float],
    *,
    region_mode: RegionMode | None = None,
    time_mode: TimeMode | None = None,
    numbers: Sequence[int] | None = None,
) -> Prompted:
    """Rewrite the turns of a sample for the modes; a mode of None leaves its placeholders alone.

    Args:
        sample: with placeholders.
        frames_pts_s: presentation time of each frame that is shown.
        region_mode: "som": regions by their marks; "none": no region at all, "the thing" in the text.
        time_mode: "number": times (NumberIt) by the numbers on the frames; "text": in seconds.
        numbers: what is drawn on the frames; 0, 1, 2, ... by default.

    Raises:
        ValueError: there are not as many regions as `<region>`s, or times are missing.
    """
    turns = sample.turns
    marked: tuple[Region, ...] = ()
    labels: tuple[str, ...] = ()
    if region_mode == "som":
        marked, places = _distinct(sample.regions)
        labels = tuple(str(place + 1) for place in range(len(marked)))
        turns = with_regions(turns, [f"the thing marked {labels[place]}" for place in places])
    elif region_mode == "none":
        turns = with_regions(turns, ["the thing"] * len(sample.regions))
    if time_mode in ("number", "text") and any("_time>" in text for turn in turns for text in turn):
        if sample.start_s is None or sample.end_s is None:
            raise ValueError(f"{sample.sample_id} speaks of times and has none")
        told = [
            frame_name(t, frames_pts_s, numbers) if time_mode == "number" else seconds_name(t)
            for t in (sample.start_s, sample.end_s)
        ]
        turns = tuple(tuple(with_times(text, *told) for text in turn) for turn in turns)  # type: ignore[misc]
    return Prompted(turns=turns, marked=marked, labels=labels)


def _distinct(regions: Sequence[Region]) -> tuple[tuple[Region, ...], list[int]]:
    """The regions without repetitions, and for each given one its place among them."""
    found: list[Region] = []
    places = []
    for region in regions:
        if region not in found:
            found.append(region)
        places.append(found.index(region))
    return tuple(found), places


def with_regions(turns: Sequence[tuple[str, str]], names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Names in the place of `<region>`s, in order over all turns; of "the <region>" no second "the" is left.

    Raises:
        ValueError: there are not as many names as placeholders.
    """
    count = sum(text.count("<region>") for turn in turns for text in turn)
    if count != len(names):
        raise ValueError(f"{len(names)} names for {count} regions")
    left = iter(names)

    def named(found: re.Match[str]) -> str:
        name = next(left)
        is_first = found.start() == 0 or found.string[: found.start()].endswith("\n")
        return name[0].upper() + name[1:] if found[1] == "The" or is_first else name

    return tuple((_REGION.sub(named, question), _REGION.sub(named, answer)) for question, answer in turns)


def with_times(text: str, start: str, end: str) -> str:
    """Words in the place of `<start_time>` and `<end_time>`."""
    return text.replace("<start_time>", start).replace("<end_time>", end)


def frame_name(time_s: float, frames_pts_s: Sequence[float], numbers: Sequence[int] | None = None) -> str:
    """ "frame 7": the number of the frame nearest to a time, the earlier of two."""
    place = int(np.abs(np.asarray(frames_pts_s) - time_s).argmin())
    return f"frame {numbers[place] if numbers is not None else place}"


def seconds_name(time_s: float) -> str:
    """ "4.2 seconds", to a tenth."""
    return f"{time_s:.1f} seconds"


def drawn(
    images: NDArray[np.uint8] | Sequence[Picture],
    prompt: Prompted,
    frames: Sequence[int],
    *,
    numbers: Sequence[int] | None = None,
) -> list[Picture]:
    """Frames with marks on the regions, and with numbers where they are given.

    Args:
        images: (T, H, W, 3) uint8 RGB.
        prompt: whose regions are marked.
        frames: index of each image among the sampled frames, by which regions have their masks.
        numbers: one per image; None: no numbers.

    Returns:
        New pictures, in order.
    """
    marked = [_marked(image, prompt, frame) for image, frame in zip(images, frames, strict=True)]
    return marked if numbers is None else number_frames(marked, numbers)


def _marked(image: Picture, prompt: Prompted, frame: int) -> Picture:
    if not prompt.marked:
        return image.copy()
    empty = np.zeros(image.shape[:2], np.bool_)
    masks = [decode(region[frame]) if frame in region else empty for region in prompt.marked]
    return mark_regions(image, masks, labels=prompt.labels)
