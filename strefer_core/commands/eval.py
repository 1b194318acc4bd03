"""`strefer eval`: what the person sees of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from strefer_core.console import emit, progress, say, table
from strefer_core.evaluation.prompting import EvaluationModes
from strefer_core.evaluation.running import REPORT_FILE, BenchName, EvalOptions, evaluate
from strefer_core.evaluation.world_bench import WorldBenchOptions

_COLUMNS = ["items", "accuracy, 95 % interval"]


def options(
    *,
    model: str,
    bench: BenchName,
    out_dir: Path,
    region_mode: Any,
    time_mode: Any,
    world_seed: int,
    first_index: int,
    videos: int,
    per_task: int,
    **given: Any,
) -> EvalOptions:
    """Options as typed. Raises ConfigError where they make no sense."""
    return EvalOptions(
        model=model,
        bench=bench,
        out_dir=out_dir,
        modes=EvaluationModes(region_mode=region_mode, time_mode=time_mode),
        world=WorldBenchOptions(seed=world_seed, first_index=first_index, videos=videos, per_task=per_task),
        **given,
    )


def run(options: EvalOptions, *, as_json: bool) -> bool:
    """Evaluate and report; True where every question could be asked."""
    with progress() as bars:
        task = bars.add_task(f"eval {options.bench}", total=None)
        report = evaluate(options, lambda done, of: bars.update(task, completed=done, total=of))
    emit(report, as_json=as_json, human=_world(report) if options.bench == "world" else _published(report))
    for video in report.get("missing", []):
        say(f"  {video} is missing")
    for item, why in report.get("skipped", {}).items():
        say(f"  {item} was not asked: {why}")
    say(f"  report: {options.out_dir / REPORT_FILE}")
    return not report.get("missing") and not report.get("skipped")


def _world(report: dict[str, Any]) -> Group:
    rows = [
        [name, *_figure(row["accuracy"]), _share(row["chance"]), _interval(row["text_only"])]
        for name, row in {**report["groups"], **report["tasks"], "all": report["overall"]}.items()
    ]
    title = f"{report['model']}: {report['items']} items of {report['videos']} videos"
    parts: list[Any] = [table(title, ["", *_COLUMNS, "chance", "text alone"], rows), Text()]
    effects = {
        "right masks over other ones": report["mask_effect_points"],
        "right masks over none": report["no_mask_effect_points"],
        "right times over other ones": report["time_effect_points"],
    }
    told = [[name, one["items"], _interval(one, 1, "{:.1f}")] for name, one in effects.items()]
    parts += [table("Effects, in points", ["", "items", "difference, 95 % interval"], told)]
    parts += [Text(f"\nyes, of the answers to yes/no questions: {_share(report['yes_share'])}")]
    if (free := report["free"]) is not None:
        row = [free["items"], _interval(free["right"]), free["unreadable"]]
        parts += [Text(), table("In its own words", ["items", "right", "unreadable"], [row])]
    return Group(*parts)


def _published(report: dict[str, Any]) -> Group:
    rows = [
        ["all", *_figure(report["accuracy"])],
        ["readable ones", *_figure(report["accuracy_of_readable"])],
    ]
    for label, values in report["by"].items():
        rows += [[f"{label}: {name}", *_figure(figure)] for name, figure in values.items()]
    title = f"{report['model']} on {report['bench']}: {report['answered']} of {report['questions']} answered"
    parts: list[Any] = [table(title, ["", *_COLUMNS], rows)]
    if grades := report["more"].get("grades"):
        told = [[name, one["items"], _interval(one, 1, "{:.2f}")] for name, one in grades.items()]
        parts += [Text(), table("Grades, 0 to 5", ["", "items", "mean, 95 % interval"], told)]
    more = [f"{name}: {value}" for name, value in report["more"].items() if name != "grades"]
    counts = f"unreadable: {report['unreadable']}; missing videos: {len(report['missing'])}"
    return Group(*parts, Text("\n".join([counts, *more, report["note"]])))


def _figure(figure: dict[str, Any]) -> list[Any]:
    return [figure["items"], _interval(figure)]


def _interval(figure: dict[str, Any], scale: float = 1, form: str = "{:.3f}") -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "-"
    told = form.format(scale * value)
    return told if low is None else f"{told}  ({form.format(scale * low)} to {form.format(scale * high)})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
