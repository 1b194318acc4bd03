"""What is expected of a drop and of a dataset: one entry per expectation, evaluated by Great Expectations.

Severity "critical" keeps a drop out (see `bars`), "warning" is shown. Every expectation is of rows and names
those that break it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from strefer_core.config import GateConfig
from strefer_core.stages.task_table import task_rows

Severity = Literal["critical", "warning", "info"]
SLACK_S = 0.001  # of times: what rounding may add
MAX_FPS = 1000.0

VIEWS: dict[str, str] = {
    "validated_videos": "video_id",
    "validated_masklets": "masklet_id",
    "validated_segments": "segment_id",
    "validated_instructions": "instruction_id",
    "validated_mixtures": "mixture",
}
"""Each view that a suite looks at, and the column that names its rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """One expectation: `kind` is the class in `great_expectations.expectations`, without its "Expect"."""

    name: str
    view: str
    kind: str
    severity: Severity
    means: str  # as a sentence, for people
    options: Mapping[str, Any]

    @property
    def column(self) -> str:
        return str(self.options["column"])


def _all(view: str, column: str, kind: str, severity: Severity, means: str, **options: Any) -> Expected:
    return Expected(
        name=f"{view.removeprefix('validated_')}.{column}",
        view=view,
        kind=kind,
        severity=severity,
        means=means,
        options={"column": column, **options},
    )


def _range(
    view: str,
    column: str,
    means: str,
    low: float | None,
    high: float | None,
    severity: Severity = "critical",
    **options: Any,
) -> Expected:
    given = {"min_value": low, "max_value": high, **options}
    return _all(view, column, "ColumnValuesToBeBetween", severity, means, **given)


def _in_set(
    view: str, column: str, means: str, values: list[Any], severity: Severity = "critical"
) -> Expected:
    return _all(view, column, "ColumnValuesToBeInSet", severity, means, value_set=values)


def _unique(view: str, column: str, means: str) -> Expected:
    return _all(view, column, "ColumnValuesToBeUnique", "critical", means)


def _present(view: str, column: str, means: str, severity: Severity = "critical") -> Expected:
    return _all(view, column, "ColumnValuesToNotBeNull", severity, means)


def suite(name: str, config: GateConfig) -> tuple[Expected, ...]:
    """The suite for a "drop" or a "dataset"."""
    own = _of_drop(config) if name == "drop" else _of_dataset()
    return (*own, *_of_results(), *_of_mixtures(config))


def _of_drop(config: GateConfig) -> Iterator[Expected]:
    videos = "validated_videos"
    ended = ["through", "filtered", "failed"]
    yield _in_set(videos, "state", "every video ended: through, filtered or failed", ended)
    yield _range(videos, "unchecked_pairs", "quality looked at every pair", 0, 0)
    drift = "groups and task types are as in the last drop that was let through"
    yield _range("validated_mixtures", "drift", drift, 0, config.max_drift, "warning")


def _of_dataset() -> Iterator[Expected]:
    yield _in_set("validated_videos", "state", "every video is through", ["through"])


def _of_results() -> Iterator[Expected]:
    yield from _of_videos()
    yield from _of_masklets()
    yield from _of_segments()
    yield from _of_instructions()


def _of_videos() -> Iterator[Expected]:
    view = "validated_videos"
    yield _unique(view, "video_id", "no video is there twice")
    yield _range(view, "duration_s", "a video lasts some time", 0, None, strict_min=True)
    yield _range(view, "fps", "a frame rate is above 0 and believable", 0, MAX_FPS, strict_min=True)
    yield _range(view, "uncovered_s", "clips cover the whole video and nothing twice", -SLACK_S, SLACK_S)


def _of_masklets() -> Iterator[Expected]:
    view = "validated_masklets"
    yield _unique(view, "masklet_id", "no masklet is there twice")
    yield _range(view, "visible_frames", "a masklet is seen on some frame", 1, None, "warning")
    yield _in_set(view, "is_start_visible", "a track is seen where it began", [True], "warning")
    yield _range(view, "unlike_frames", "a frame has a box where it has a mask", 0, 0)
    yield _range(view, "largest_area_share", "a mask is not larger than the picture", 0, 1)
    yield _range(view, "box_overhang_px", "boxes are inside the picture", 0, 1)
    yield _range(view, "time_overhang_s", "frames are inside the video", 0, SLACK_S)
    yield _range(view, "detector_score", "a score is between 0 and 1", 0, 1)
    yield _range(view, "forward_backward_iou", "an overlap is between 0 and 1", 0, 1)


def _of_segments() -> Iterator[Expected]:
    view = "validated_segments"
    yield _unique(view, "segment_id", "no transcript segment is there twice")
    yield _range(view, "time_overhang_s", "transcript segments are inside the video", 0, SLACK_S)
    yield _range(view, "clip_overhang_s", "transcript segments are inside their clips", 0, SLACK_S)
    yield _in_set(view, "has_masklet", "what is told of has a masklet", [True])


def _of_instructions() -> Iterator[Expected]:
    view = "validated_instructions"
    yield _unique(view, "instruction_id", "no pair has the id of another")
    yield _unique(view, "pair", "no pair of a video is there twice")
    yield _present(view, "pair_key", "a pair can be found again after a re-run", "warning")
    known = sorted(f"{row.group} {row.task_type}" for row in task_rows())
    yield _in_set(view, "task", "group and task type belong together", known)
    yield _range(view, "turns", "a pair asks and answers", 2, None)
    yield _range(view, "faulty_turns", "turns have words and alternate, human first", 0, 0)
    yield _in_set(view, "is_interval", "times have an end after their start", [True])
    yield _range(view, "time_overhang_s", "times are inside the video", 0, SLACK_S)
    yield _range(view, "blind_regions", "every region is of an entity that some frame shows", 0, 0)
    yield _range(view, "unknown_sources", "what a pair was made from is in the catalog", 0, 0)
    yield _range(view, "error_estimate", "an estimated chance is between 0 and 1", 0, 1)


def _of_mixtures(config: GateConfig) -> Iterator[Expected]:
    largest = "no group and no task type makes up most of the pairs"
    yield _range("validated_mixtures", "largest_share", largest, 0, config.max_largest_share, "warning")
