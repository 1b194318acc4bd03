"""Items of the world's bench: a question about one video, its possible answers, and how it is asked.

Each item is asked in conditions. Regions: the right masks, those of other entities of the same video
(`shuffled`), or empty ones (`none`). Times: the right interval, or another one (`shifted`). Where neither can
change what is right to answer, the item says so and is no evidence of the effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from strefer_core.data_model import Rle
from strefer_core.video_llm.samples import Choice, Region, Sample

Interval = tuple[float, float]  # (start_s, end_s), half-open
Form = Literal[
    "yes_no",  # options are the first words of answers, not whole ones
    "choice",  # lettered options in the question
    "open",  # the right answer among wrong ones of other questions
    "premise",  # whether the answer goes along with the question or denies what it takes for granted
    "when",  # options are intervals, all said in the same words
]
Regions = Literal["right", "shuffled", "none"]
Times = Literal["right", "shifted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """What the placeholders of a question stand for."""

    regions: Regions = "right"
    times: Times = "right"

    @property
    def name(self) -> str:
        return f"regions={self.regions},times={self.times}"


RIGHT = Condition()
SHUFFLED = Condition(regions="shuffled")
NONE = Condition(regions="none")
SHIFTED = Condition(times="shifted")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One question with its options, of which one is right."""

    item_id: str
    video: str  # name of its file
    group: str  # "G1".."G8"
    task_type: str
    form: Form
    template: str  # of the question, as instructions have it
    question: str
    answer: str  # of the pair that the item was made from
    options: tuple[str, ...]
    right: int  # index into `options`
    # Entity ids, one per `<region>` of the question.
    region_ids: tuple[str, ...] = ()
    interval_s: Interval | None = None  # of `<start_time>` and `<end_time>` in the question or the answer
    option_intervals_s: tuple[Interval, ...] = ()  # of form "when": one per option
    shuffled_ids: tuple[str, ...] | None = None  # None: the video has nobody else to point at
    shuffle_changes: bool = False  # the right answer is wrong of the shuffled regions
    shifted_s: Interval | None = None  # None: no question about an interval, or no other interval
    shift_changes: bool = False  # the right answer is wrong of the shifted interval

    @property
    def chance(self) -> float:
        return 1 / len(self.options)

    def conditions(self) -> Iterator[Condition]:
        """Those that say something: a shuffle or a shift that changes nothing is not asked."""
        yield RIGHT
        if self.region_ids:
            yield NONE
        if self.shuffle_changes:
            yield SHUFFLED
        if self.shift_changes:
            yield SHIFTED

    def asked_ids(self, regions: Regions) -> tuple[str, ...]:
        """Entity ids behind the regions; "" for an empty one."""
        if regions == "none":
            return ("",) * len(self.region_ids)
        return (self.shuffled_ids or ()) if regions == "shuffled" else self.region_ids

    def asked_interval_s(self, times: Times) -> Interval | None:
        return self.shifted_s if times == "shifted" else self.interval_s


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchVideo:
    """One video of the bench and the masks that its items point with."""

    name: str
    sha256: str
    duration_s: float
    regions: dict[str, dict[int, Rle]]  # by entity id, by index among the sampled frames


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoItems:
    """One video with its items; of one that gave none, the reason."""

    video: BenchVideo | None
    items: tuple[Item, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorldBench:
    """All items, in order of videos."""

    options: dict[str, int | str]  # what it was made from
    folder: Path  # of the video files
    videos: dict[str, BenchVideo]
    items: tuple[Item, ...]
    failures: dict[str, str] = field(default_factory=dict)  # by video

    def sample(self, item: Item, condition: Condition = RIGHT) -> Sample:
        """The question as a model is asked it. Raises ValueError for a condition that the item lacks."""
        ids = item.asked_ids(condition.regions)
        interval = item.asked_interval_s(condition.times)
        if len(ids) != len(item.region_ids) or (interval is None and item.interval_s is not None):
            raise ValueError(f"{item.item_id} cannot be asked with {condition.name}")
        known = self.videos[item.video].regions
        none: Region = {}
        return Sample(
            sample_id=item.item_id,
            video=self.folder / item.video,
            turns=((item.question, ""),),
            regions=tuple(known[one] if one else none for one in ids),
            start_s=interval[0] if interval else None,
            end_s=interval[1] if interval else None,
            group=item.group,
            task_type=item.task_type,
        )

    def choices(self, item: Item, condition: Condition = RIGHT) -> list[Choice]:
        """The question and its options: one choice, or, where options are intervals, one per option.

        Of the latter each has a single option, with its own interval in the sample.
        """
        sample = self.sample(item, condition)
        if not item.option_intervals_s:
            return [Choice(sample=sample, options=item.options, right=item.right)]
        return [
            Choice(sample=replace(sample, start_s=start_s, end_s=end_s), options=(text,), right=0)
            for text, (start_s, end_s) in zip(item.options, item.option_intervals_s, strict=True)
        ]
