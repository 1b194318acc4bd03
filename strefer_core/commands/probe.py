"""`strefer probe`: what the person sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from strefer_core.cascades import CASCADES
from strefer_core.config import settings
from strefer_core.console import emit, progress, say, table
from strefer_core.errors import ConfigError
from strefer_core.probe import ProbeOptions, ProbeReport, probe
from strefer_core.probe.figures import Figures, Interval
from strefer_core.probe.report import Difference

METRICS = {
    "j_and_f": "J&F",
    "j": "J, region similarity",
    "f": "F, boundary measure",
    "entities_tracked": "entities tracked",
    "presence_accuracy": "presence accuracy",
    "assignment_accuracy": "assignment accuracy",
    "absent_false_tracks": "false tracks on absent names",
    "ambiguous_tracks": "tracks on ambiguous names",
    "identity_switches_per_video": "identity switches per video",
    "fragments_per_entity": "fragments per entity",
    "detector_calls_median": "detector calls, median",
    "tracked_frames_median": "tracked frames, median",
    "assigner_calls_median": "assigner calls, median",
    "seconds_median": "seconds, median",
}
KNOB_METRICS = {
    "j_and_f": "J&F",
    "entities_tracked": "tracked",
    "assignment_accuracy": "assigned right",
    "absent_false_tracks": "absent tracked",
    "identity_switches_per_video": "switches/video",
    "detector_calls_median": "detector calls",
}
_COUNTS = {"detector_calls_median", "tracked_frames_median", "assigner_calls_median"}


def options(paths: Sequence[Path], cascades: Sequence[str], sweep: str, **given: Any) -> ProbeOptions:
    """Options as typed. Raises ConfigError where they make no sense."""
    try:
        factors = tuple(float(factor) for factor in sweep.split(",") if factor.strip())
    except ValueError:
        raise ConfigError(f"--sweep takes numbers with commas between them, not {sweep!r}") from None
    return ProbeOptions(
        paths=tuple(paths),
        cascades=tuple(cascades) or CASCADES,
        sweep=factors,
        config=settings().pipeline.masklets,
        **given,
    )


def run(options: ProbeOptions, *, as_json: bool) -> bool:
    """Probe and report; True where every video gave figures."""
    with progress() as bars:
        task = bars.add_task("probe", total=len(options.paths) or options.videos)
        report = probe(options, lambda done, _: bars.update(task, completed=done))
    emit(report.plain(), as_json=as_json, human=tables(report))
    for failure in report.failed:
        say(f"  {failure['video']} failed: {failure['reason']}")
    for picture in report.pictures:
        say(f"  {picture}")
    return report.is_success


def tables(report: ProbeReport) -> Group:
    """The report for people."""
    if not report.videos:
        return Group(Text("no video gave figures"))
    parts = [_overall(report), _by_knob(report)]
    if report.sweep:
        parts.append(_sweep(report))
    return Group(*(item for part in parts for item in (part, Text())))


def _overall(report: ProbeReport) -> Table:
    """Cascades side by side, with their intervals."""
    columns = [*report.cascades, *(["strefer - paper"] if report.against_paper else [])]
    rows = [
        [
            label,
            *(
                _within(metric, report.cascades[name][metric], report.confidence[name][metric])
                for name in report.cascades
            ),
            *([_difference(metric, report.against_paper[metric])] if report.against_paper else []),
        ]
        for metric, label in METRICS.items()
    ]
    count = f"{report.videos} video{'s' if report.videos != 1 else ''}"
    title = f"{count}, {report.entities} entities, {report.perception}; 95 % intervals"
    return table(title, ["", *columns], rows)


def _by_knob(report: ProbeReport) -> Table:
    rows = [
        [knob, report.videos_by_knob[knob], *row]
        for knob, cascades in report.by_knob.items()
        for row in _rows(cascades)
    ]
    title = "By knob; a video with several counts under each"
    return table(title, ["knob", "videos", "cascade", *KNOB_METRICS.values()], rows)


def _sweep(report: ProbeReport) -> Table:
    rows = [[f"x {step.factor:g}", *row] for step in report.sweep for row in _rows(step.cascades)]
    return table("With all error rates times", ["", "cascade", *KNOB_METRICS.values()], rows)


def _rows(cascades: dict[str, Figures]) -> list[list[str]]:
    return [
        [name, *(_number(metric, found[metric]) for metric in KNOB_METRICS)]
        for name, found in cascades.items()
    ]


def _difference(metric: str, found: Difference) -> str:
    low, high = found["low"], found["high"]
    interval = None if low is None or high is None else (low, high)
    return _within(metric, found["difference"], interval)


def _within(metric: str, value: float | None, interval: Interval | None) -> str:
    if interval is None:
        return _number(metric, value)
    low, high = (_number(metric, side) for side in interval)
    return f"{_number(metric, value)}  ({low} to {high})"


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if metric in _COUNTS else f"{value:.3f}"
