"""What the dashboards show: one method per page or part of one, each a few indexed reads.

Rows come as frozen values; a page's context is made of nothing else. Lists are bounded by `count` and go
on after the last item seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from strefer_core import data_model as dm
from strefer_core.store.database import Database, execute
from strefer_core.store.reviews import Queue, Review, read_review
from strefer_core.store.validations import Validation

HISTOGRAM_BINS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class DropFigures:
    """One drop in numbers."""

    drop_id: str
    created_at: datetime
    videos: int
    failed_videos: int
    filtered_videos: int
    pairs: int
    accepted: int
    quarantined: int
    unchecked: int
    reviewed: int
    estimated_error: float | None  # mean chance that an accepted pair is wrong; None: no filter looked
    sampled: int  # accepted pairs that were drawn by chance and reviewed
    sampled_wrong: int
    compute_s: float
    tokens: int  # of served models, prompts and replies
    is_open: bool | None  # its newest gate; None: never decided

    @property
    def audited_error(self) -> float | None:
        """Share of the sampled pairs that people found wrong; None before the first."""
        return self.sampled_wrong / self.sampled if self.sampled else None

    @property
    def compute_s_per_accepted(self) -> float | None:
        return self.compute_s / self.accepted if self.accepted else None

    @property
    def tokens_per_accepted(self) -> float | None:
        return self.tokens / self.accepted if self.accepted else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """The whole catalog in numbers."""

    drops: int
    videos: int
    pairs: int
    accepted: int
    quarantined: int
    to_review: int  # stopped by the filter alone, decided on by nobody
    reviewed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why videos of a drop did not get through a stage."""

    stage: str
    status: str
    error_class: str | None
    reason: str
    videos: int
    example: str  # a video id


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """Accepted pairs of one group and task type."""

    group_name: str
    task_type: str
    pairs: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckTotals:
    """One check over all that is current."""

    check_name: str
    object_kind: str
    objects: int
    warned: int
    failed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """Values of one check in bins of one width over [low, high]; the last bin takes what lies above."""

    objects: int
    low: float
    high: float
    highest: float
    low_threshold: float
    high_threshold: float
    counts: tuple[int, ...]
    findings: tuple[int, ...]  # of `counts`, those that warned or failed


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFlag:
    """One finding of the newest quality run of a video."""

    object_id: str
    object_kind: str
    value: float
    threshold: float
    severity: str
    video_id: str = ""
    check_name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectationFlag:
    """An object that breaks an expectation of the newest validation of a drop."""

    object_id: str
    object_kind: str  # "video", or as of `ShownFlag`
    expectation: str
    means: str  # what is expected, as a sentence
    value: str | None
    severity: str  # "fail", "warn" or "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedVideo:
    """A video of a drop, as lists show it."""

    drop_id: str
    video_id: str
    key: str
    duration_s: float | None  # None, as the sizes: not readable, or not looked at yet
    width_px: int | None
    height_px: int | None
    lost_stage: str | None  # where it failed or was filtered
    lost_status: str | None
    lost_reason: str | None
    pairs: int
    accepted: int
    quarantined: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedRun:
    """The newest ended run of a video in a stage."""

    video_id: str
    stage: str
    fingerprint: str
    status: str
    result_key: str | None
    reason: str | None
    error_class: str | None
    attempts: int
    compute_s: float
    started_at: datetime
    finished_at: datetime | None
    worker: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownEntity:
    """An entity with its masklet, the masks themselves apart; None everywhere: no track."""

    entity_id: str
    index: int
    expression: str
    noun: str
    masklet_id: str | None
    frames_pts_s: list[float] | None
    visible: list[bool] | None
    areas_px: list[int] | None
    visible_frames: int | None
    detector_score: float | None
    assignment_margin: float | None
    forward_backward_iou: float | None
    start_frame_index: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownSegment:
    """A transcript segment."""

    segment_id: str
    clip_id: str
    entity_id: str
    start_s: float
    end_s: float
    text: str | None
    actions: list[dict[str, Any]]
    agreement: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """An instruction with what holds for it now."""

    instruction_id: str
    video_id: str
    group_name: str
    task_type: str
    turns: list[dict[str, str]]
    region_entity_ids: list[str]
    start_s: float | None
    end_s: float | None
    is_negative: bool
    template_id: str
    source_ids: list[str]
    pair_key: str
    status: str
    verdict: str  # by the flags alone
    failed_checks: list[str] | None
    error_estimate: float | None
    error_threshold: float | None
    decision: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelUse:
    """Calls of one served model with one prompt for a video."""

    stage: str
    model: str
    prompt: str
    calls: int
    used: int
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoPage:
    """All that is current of one video; runs is empty where it is unknown."""

    video_id: str
    names: tuple[tuple[str, str], ...]  # (drop_id, key)
    facts: Mapping[str, Any] | None  # of the table `videos`
    runs: tuple[EndedRun, ...]
    clips: tuple[Mapping[str, Any], ...]  # clip_id, index, start_s, end_s
    entities: tuple[ShownEntity, ...]
    segments: tuple[ShownSegment, ...]
    pairs: tuple[Pair, ...]
    flags: tuple[ShownFlag, ...]
    broken: tuple[ExpectationFlag, ...]
    reviews: tuple[Review, ...]  # newest first
    models: tuple[ModelUse, ...]

    def run(self, stage: str) -> EndedRun | None:
        return next((run for run in self.runs if run.stage == stage), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueItem:
    """A pair that waits for a person, and the place in the queue to go on after."""

    pair: Pair
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownDataset:
    """A published version."""

    version: str
    manifest_key: str
    counts: dict[str, Any]
    created_at: datetime
    filter_id: str | None
    videos: int


class Pages(Database):
    """Reads for the dashboards."""

    def totals(self) -> Totals:
        return Totals(**self.all("catalog_totals")[0])

    def newest_drop_figures(self, count: int = 60) -> list[DropFigures]:
        """The newest drops, newest first."""
        return [DropFigures(**row) for row in self.all("newest_drop_figures", count=count)]

    def drop_figures(self, drop_id: str) -> DropFigures | None:
        rows = self.all("drop_figures", drop_id=drop_id)
        return DropFigures(**rows[0]) if rows else None

    def newest_drop(self) -> str | None:
        """Id of the drop registered last."""
        rows = self.all("newest_drop")
        return rows[0]["drop_id"] if rows else None

    def neighbour_drops(self, drop_id: str) -> tuple[str | None, str | None]:
        """Ids of the drops before and after this one in time."""
        rows = self.all("neighbour_drops", drop_id=drop_id)
        return (rows[0]["previous"], rows[0]["next"]) if rows else (None, None)

    def drop_reasons(self, drop_id: str, count: int = 50) -> list[Reason]:
        """Why videos were lost, the most frequent reason first."""
        return [Reason(**row) for row in self.all("drop_reasons", drop_id=drop_id, count=count)]

    def drop_failed_checks(self, drop_id: str) -> dict[str, int]:
        """Quarantined pairs by failed check; a pair that failed several counts for each."""
        rows = self.all("drop_failed_checks", drop_id=drop_id)
        return {row["check_name"]: row["pairs"] for row in rows}

    def drop_mixture(self, drop_id: str) -> list[Share]:
        """Accepted pairs by group and task type."""
        return [Share(**row) for row in self.all("drop_mixture", drop_id=drop_id)]

    def newest_validations(self, kind: Literal["drop", "dataset"], subject_id: str) -> list[Validation]:
        """The newest validation of each suite."""
        rows = self.all("newest_validations", subject_kind=kind, subject_id=subject_id)
        return [Validation(**row) for row in rows]

    def drops_of_dag_run(self, dag_run_id: str) -> list[str]:
        """Drops that an Airflow run validated or decided on."""
        return [row["drop_id"] for row in self.all("drops_of_dag_run", dag_run_id=dag_run_id)]

    def check_totals(self) -> list[CheckTotals]:
        """Every check, the one with most failures first."""
        return [CheckTotals(**row) for row in self.all("check_totals")]

    def distribution(self, check_name: str) -> Distribution | None:
        """How the values of one check are spread; None where it has none."""
        with self.transaction() as connection:
            ends = dict(execute(connection, "check_range", check_name=check_name)[0])
            if ends["low"] is None:
                return None
            low, high = _span(ends, ends.pop("top"))
            found = execute(
                connection, "check_histogram", check_name=check_name, low=low, high=high, bins=HISTOGRAM_BINS
            )
        return Distribution(
            **{**ends, "low": low, "high": high},
            objects=sum(row["objects"] for row in found),
            counts=_bins({row["bin"]: row["objects"] for row in found}),
            findings=_bins({row["bin"]: row["findings"] for row in found}),
        )

    def worst_flags(self, check_name: str, *, is_floor: bool, count: int = 12) -> list[ShownFlag]:
        """The findings of one check, the worst first; `is_floor`: low values are bad."""
        if is_floor:
            rows = self.all("worst_low_flags", check_name=check_name, count=count)
        else:
            rows = self.all("worst_high_flags", check_name=check_name, count=count)
        return [ShownFlag(**row, check_name=check_name) for row in rows]

    def shown_filter(self) -> Mapping[str, Any] | None:
        """The newest filter: filter_id, document, created_at."""
        rows = self.all("shown_filter")
        return dict(rows[0]) if rows else None

    def listed_videos(
        self,
        *,
        drop_id: str = "",
        text: str = "",
        state: str = "",
        after: tuple[str, str, str] = ("", "", ""),
        count: int = 50,
    ) -> list[ListedVideo]:
        """Videos by key. `text`: part of the key, or a video id; `after`: (key, drop_id, video_id)."""
        key, drop, video = after
        rows = self.all(
            "listed_videos", drop_id=drop_id, text=text, state=state,
            after_key=key, after_drop=drop, after_video=video, count=count,
        )  # fmt: skip
        return [ListedVideo(**row) for row in rows]

    def video_page(self, video_id: str) -> VideoPage:
        """All that is current of one video, in one transaction."""
        with self.transaction() as connection:
            facts = execute(connection, "video_facts", video_id=video_id)
            names = execute(connection, "drops_of_video", video_id=video_id)
            runs = execute(connection, "ended_runs", video_id=video_id)
            clips = execute(connection, "current_clips", video_id=video_id)
            entities = execute(connection, "current_entities", video_id=video_id)
            segments = execute(connection, "current_segments", video_id=video_id)
            pairs = execute(connection, "current_pairs", video_id=video_id)
            flags = execute(connection, "shown_flags", video_id=video_id)
            broken = execute(connection, "video_expectation_flags", video_id=video_id)
            reviews = execute(connection, "video_reviews", video_id=video_id)
            models = execute(connection, "video_models", video_id=video_id)
        return VideoPage(
            video_id=video_id,
            names=tuple((row["drop_id"], row["key"]) for row in names),
            facts=dict(facts[0]) if facts else None,
            runs=tuple(EndedRun(**row) for row in runs),
            clips=tuple(dict(row) for row in clips),
            entities=tuple(ShownEntity(**row) for row in entities),
            segments=tuple(ShownSegment(**row) for row in segments),
            pairs=tuple(Pair(**row) for row in pairs),
            flags=tuple(ShownFlag(**row, video_id=video_id) for row in flags),
            broken=tuple(ExpectationFlag(**row) for row in broken),
            reviews=tuple(read_review({**row, "video_id": video_id}) for row in reviews),
            models=tuple(ModelUse(**row) for row in models),
        )

    def find_pair(self, instruction_id: str) -> Pair | None:
        """A current pair; None where it is unknown or of an older run."""
        rows = self.all("find_pair", instruction_id=instruction_id)
        return Pair(**rows[0]) if rows else None

    def drops_of(self, video_id: str) -> list[str]:
        """Drops that brought a video; empty where it is unknown."""
        return [row["drop_id"] for row in self.all("drops_of_video", video_id=video_id)]

    def find_masks(self, video_id: str, entity_id: str) -> tuple[str, int] | None:
        """Object key of the current masklets and the entity's index; None where it has no masklet."""
        rows = self.all("find_masks", video_id=video_id, entity_id=entity_id)
        return (rows[0]["result_key"], rows[0]["index"]) if rows else None

    def review_queue(
        self, queue: Queue, *, group: str = "", task_type: str = "", after: str = "", count: int = 20
    ) -> list[QueueItem]:
        """Pairs that nobody has decided on.

        Args:
            queue: "borderline": what the filter alone stopped, nearest its threshold first, then what it let
                through; "sample": accepted pairs in an order by chance.
            group: of these pairs only; "": any.
            task_type: likewise.
            after: `QueueItem.after` of the last one seen.
            count: at most so many.

        Raises:
            ValueError: `after` is none of this queue's.
        """
        chosen = {"group_name": group, "task_type": task_type, "count": count}
        with self.transaction() as connection:
            if queue == "sample":
                places = execute(connection, "sample_queue", **chosen, after_key=after)
                order = {row["instruction_id"]: row["sample_key"] for row in places}
            else:
                rank, distance, last = _place(after)
                places = execute(
                    connection, "borderline_queue", **chosen,
                    after_rank=rank, after_distance=distance, after_id=last,
                )  # fmt: skip
                order = {row["instruction_id"]: _after(dict(row)) for row in places}
            pairs = execute(connection, "find_pairs", instruction_ids=list(order))
        found = {row["instruction_id"]: Pair(**row) for row in pairs}
        return [QueueItem(pair=found[i], after=after) for i, after in order.items() if i in found]

    def shown_datasets(self, count: int = 50) -> list[ShownDataset]:
        """Published versions, newest first."""
        return [ShownDataset(**row) for row in self.all("shown_datasets", count=count)]

    def shown_dataset(self, version: str) -> ShownDataset | None:
        rows = self.all("shown_dataset", version=version)
        return ShownDataset(**rows[0]) if rows else None

    def dataset_drops(self, version: str) -> dict[str, int]:
        """Drops behind a version, with how many of its videos each brought."""
        return {row["drop_id"]: row["videos"] for row in self.all("dataset_drops", version=version)}

    def dataset_video_page(
        self, version: str, after_video: str = "", count: int = 50
    ) -> list[Mapping[str, Any]]:
        """Videos of a version by id: video_id, fingerprint of the quality run, key."""
        rows = self.all("dataset_video_page", version=version, after_video=after_video, count=count)
        return [dict(row) for row in rows]


def _span(ends: Mapping[str, Any], top: float) -> tuple[float, float]:
    """Ends of a histogram that shows the bulk of the values and the thresholds; never empty."""
    low = min(ends["low"], ends["low_threshold"])
    high = max(top, ends["high_threshold"])
    return (low, high) if high > low else (low, low + 1.0)


def _bins(found: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(found.get(number, 0) for number in range(1, HISTOGRAM_BINS + 1))


def _after(row: Mapping[str, Any]) -> str:
    return f"{row['review_rank']}:{row['review_distance']!r}:{row['instruction_id']}"


def _place(after: str) -> tuple[int, float, str]:
    """(rank, distance, id) of the last item seen; before all where there is none. Raises ValueError."""
    if not after:
        return -1, -1.0, ""
    rank, distance, instruction_id = after.split(":", 2)
    return int(rank), float(distance), instruction_id


def turns_of(pair: Pair) -> Sequence[dm.Turn]:
    """A pair's turns as values."""
    return [dm.Turn(role="human" if t["role"] == "human" else "gpt", text=t["text"]) for t in pair.turns]
