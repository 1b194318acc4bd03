"""The world's own bench: questions about rendered videos whose truth says what is right to answer.

    videos with truth -> right pairs (instruction engine, judged) -> options -> conditions -> items

Made once and kept as a file; the same options give the same items, whatever the number of processes.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from strefer_core.audit.checking import Verdict
from strefer_core.errors import ConfigError, InputError
from strefer_core.evaluation.items import BenchVideo, Item, VideoItems, WorldBench
from strefer_core.evaluation.world_conditions import ConditionChooser
from strefer_core.evaluation.world_judging import VideoJudge, judged_pairs
from strefer_core.evaluation.world_options import PREMISE, Options, OptionWriter, form_of, interval_of
from strefer_core.pipeline import Filtered
from strefer_core.probe.pool import Advance, one_thread, reason, run_all
from strefer_core.probe.videos import PLAN, Source, WorldVideo, knobs_of

BENCH_FILE = "world_bench.json"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class WorldBenchOptions:
    """Which videos and how many items. Raises ConfigError where something cannot be."""

    seed: int = 11  # of the world
    first_index: int = 0
    videos: int = 40
    knobs: str = PLAN  # see `probe.videos.knobs_of`
    per_task: int = 6  # most items of one group and task type per video; pairs of one set stay together
    item_seed: int = 0  # of the choice of items, options and conditions

    def __post_init__(self) -> None:
        if min(self.seed, self.first_index, self.item_seed) < 0 or min(self.videos, self.per_task) < 1:
            raise ConfigError("a bench needs seeds and indexes >= 0, and at least one video and one item")

    def sources(self, folder: Path) -> list[WorldVideo]:
        """The videos; rendered into the folder where they are not there yet."""
        indexes = range(self.first_index, self.first_index + self.videos)
        return [
            WorldVideo(seed=self.seed, index=i, knobs=knobs_of(self.knobs, self.seed, i), folder=folder)
            for i in indexes
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stored:
    """A bench as its file has it: no paths."""

    format: int
    options: dict[str, int | str]
    videos: list[VideoItems]
    failures: dict[str, str]


def build(
    options: WorldBenchOptions, folder: Path, jobs: int | None = None, advance: Advance = lambda *_: None
) -> WorldBench:
    """Make the bench of some world videos, kept or rendered in a folder.

    Args:
        options: which.
        folder: of the videos.
        jobs: processes; None: one per core.
        advance: told after each video.

    Raises:
        ConfigError: unknown knobs.
        InputError: no video gave an item.
        WorkerLost: a process died.
    """
    work = partial(items_of, per_task=options.per_task, seed=options.item_seed)
    sources = options.sources(folder)
    found = run_all(work, sources, jobs or os.cpu_count() or 1, advance)
    failures = {s.name: one.failure for s, one in zip(sources, found, strict=True) if one.failure is not None}
    bench = _bench(asdict(options), folder, found, failures)
    if not bench.items:
        told = "; ".join(f"{name}: {why}" for name, why in list(failures.items())[:3])
        raise InputError(f"none of {len(sources)} videos gave an item: {told}")
    return bench


def _bench(
    options: dict[str, int | str], folder: Path, found: Sequence[VideoItems], failures: dict[str, str]
) -> WorldBench:
    return WorldBench(
        options=options,
        folder=folder,
        videos={one.video.name: one.video for one in found if one.video is not None},
        items=tuple(item for one in found for item in one.items),
        failures=failures,
    )


def save(bench: WorldBench, path: Path) -> None:
    """Write a bench as JSON. The same bench gives the same bytes."""
    owned: dict[str, list[Item]] = defaultdict(list)
    for item in bench.items:
        owned[item.video].append(item)
    videos = [VideoItems(video=video, items=tuple(owned[name])) for name, video in bench.videos.items()]
    stored = _Stored(format=_FORMAT, options=bench.options, videos=videos, failures=bench.failures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_adapter().dump_json(stored))


def load(path: Path, folder: Path | None = None) -> WorldBench:
    """Read a bench; its videos lie in `folder`, by default where its file lies.

    Raises:
        InputError: the file is missing or is no bench of this version.
    """
    try:
        stored = _adapter().validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"no bench at {path}: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(
            f"{path} is no bench of the world: {error.errors()[0]['msg']}; make it again"
        ) from error
    if stored.format != _FORMAT:
        raise InputError(f"{path} has format {stored.format}, this version reads {_FORMAT}; make it again")
    return _bench(stored.options, folder or path.parent, stored.videos, stored.failures)


def trained_on(bench: WorldBench, video_ids: Collection[str]) -> list[str]:
    """Names of the bench's videos that are among these: a model that saw them is not tested by them.

    Args:
        bench: to be held out.
        video_ids: of a training set, the first 16 hex digits of the SHA-256 of each file.
    """
    return [video.name for video in bench.videos.values() if video.sha256[:16] in video_ids]


def check_videos(bench: WorldBench) -> None:
    """Raises InputError naming the first video that is missing, or is not the one the items are about."""
    for video in bench.videos.values():
        path = bench.folder / video.name
        if not path.exists():
            raise InputError(f"{path} is missing; render it again, or say where the bench's videos lie")
        if hashlib.sha256(path.read_bytes()).hexdigest() != video.sha256:
            raise InputError(f"{path} is another video than the bench was made from; make the bench again")


@cache
def _adapter() -> TypeAdapter[_Stored]:
    return TypeAdapter(_Stored)


def items_of(source: Source, *, per_task: int, seed: int) -> VideoItems:
    """The items of one video. Never raises: what goes wrong is in the result."""
    try:
        with one_thread():
            return _items(source.fetch(), source.name, per_task, seed)
    except Filtered as outcome:
        return VideoItems(video=None, failure=outcome.reason)
    except Exception as error:  # noqa: BLE001  # a bug that one video brings out must not end a bench over 100
        return VideoItems(video=None, failure=reason(error))


def _items(path: Path, name: str, per_task: int, seed: int) -> VideoItems:
    judge, verdicts = judged_pairs(path)
    made = _Made(name, judge, verdicts, random.Random(f"{seed}/{name}"))  # noqa: S311  (no secret)
    items = [*made.questions(per_task), *made.premises(per_task)]
    used = {one for item in items for one in (*item.region_ids, *(item.shuffled_ids or ()))}
    regions = {
        one.entity_id: {place: mask for place, mask in enumerate(one.masks) if mask is not None}
        for one in judge.masklets
        if one.entity_id in used
    }
    video = BenchVideo(
        name=name,
        sha256=judge.video_sha256,
        duration_s=judge.duration_s,
        regions=regions,
    )
    return VideoItems(video=video, items=tuple(items))


class _Made:
    """Makes the items of one video."""

    def __init__(
        self, video: str, judge: VideoJudge, verdicts: Sequence[Verdict], rng: random.Random
    ) -> None:
        self._video = video
        self._verdicts = verdicts
        self._rng = rng
        self._writer = OptionWriter(judge, verdicts)
        intervals = sorted({i for one in verdicts if (i := interval_of(one.pair)) is not None})
        self._chooser = ConditionChooser(judge, intervals)

    def questions(self, per_task: int) -> list[Item]:
        """Items of everything but false premises, group by group."""
        found: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
        for one in self._verdicts:
            if one.pair.task_type != PREMISE:
                found[one.pair.group, one.pair.task_type].append(one)
        return [item for key in sorted(found) for item in self._some(found[key], per_task)]

    def _some(self, verdicts: Sequence[Verdict], most: int) -> list[Item]:
        """Items of whole sets of pairs, which are asked alike and answered differently."""
        items: list[Item] = []
        for together in self._sets(verdicts):
            if len(items) >= most:
                break
            found = [(one, self._writer.options(one, self._rng)) for one in together]
            if all(options is not None for _, options in found):
                items += [self._item(one, options) for one, options in found if options is not None]
        return items

    def _sets(self, verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
        sets: dict[str, list[Verdict]] = defaultdict(list)
        for one in verdicts:
            is_closed = form_of(one.pair) in ("yes_no", "choice")
            sets[one.pair.set_key if is_closed and one.pair.set_key else one.pair.instruction_id].append(one)
        return self._rng.sample(list(sets.values()), len(sets))

    def premises(self, most: int) -> list[Item]:
        """As many false premises as true ones, asked and answered alike."""
        false = [one for one in self._verdicts if one.pair.task_type == PREMISE]
        true = [
            one
            for one in self._verdicts
            if one.pair.task_type != PREMISE and form_of(one.pair) in ("open", "when")
        ]
        denials = self._denials(false, most // 2)
        kinds = {_shape(one) for one, _ in denials}
        partners = [one for one in true if _shape(one) in kinds]
        others = self._denials(self._rng.sample(partners, len(partners)), len(denials))
        count = min(len(denials), len(others))
        return [self._item(one, options, PREMISE) for one, options in (*denials[:count], *others[:count])]

    def _denials(self, verdicts: Iterable[Verdict], most: int) -> list[tuple[Verdict, Options]]:
        found: list[tuple[Verdict, Options]] = []
        for one in verdicts:
            if len(found) == most:
                break
            if (options := self._writer.premise(one, self._rng)) is not None:
                found.append((one, options))
        return found

    def _item(self, verdict: Verdict, options: Options, task_type: str | None = None) -> Item:
        pair = verdict.pair
        changed = self._chooser.changed(pair, options, self._rng)
        question = pair.turns[0].text
        return Item(
            item_id=f"{Path(self._video).stem}/{pair.instruction_id}{'/premise' if task_type else ''}",
            video=self._video,
            group="G8" if task_type else pair.group,
            task_type=task_type or pair.task_type,
            form=options.form,
            template=pair.template_id,
            question=question,
            answer=pair.turns[1].text,
            options=options.texts,
            right=options.right,
            region_ids=pair.region_entity_ids[: question.count("<region>")],
            interval_s=interval_of(pair) if "<start_time>" in question else options.interval_s,
            option_intervals_s=options.intervals_s,
            shuffled_ids=changed.region_ids,
            shuffle_changes=changed.region_changes,
            shifted_s=changed.interval_s,
            shift_changes=changed.interval_changes,
        )


def _shape(verdict: Verdict) -> tuple[str, bool, bool]:
    """What a question asks, and whether it points with a region and with times."""
    question = verdict.pair.turns[0].text
    asks = verdict.readings[0].asks if verdict.readings else ""
    return asks, "<region>" in question, "<start_time>" in question
