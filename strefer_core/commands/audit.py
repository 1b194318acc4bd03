"""`strefer audit`: what the person sees of it."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from strefer_core.audit import AuditOptions, AuditReport, audit
from strefer_core.config import settings
from strefer_core.console import emit, progress, say, table


def options(*, filter: str | None, **given: Any) -> AuditOptions:
    """Options as typed; an empty filter stands for the perception's. Raises ConfigError where they make no
    sense."""
    own = "classical" if given["perception"] == "classical" else "world-noisy"
    chosen = own if filter == "" else filter
    return AuditOptions(config=settings().pipeline, filter=chosen, **given)


def run(options: AuditOptions, *, as_json: bool) -> bool:
    """Audit and report; True where every video gave a verdict."""
    with progress() as bars:
        task = bars.add_task("audit", total=options.videos)
        report = audit(options, lambda done, _: bars.update(task, completed=done))
    emit(report.plain(), as_json=as_json, human=tables(report))
    for failure in report.failed:
        say(f"  {failure['video']} failed: {failure['reason']}")
    if options.out_dir is not None:
        say(f"  wrong pairs: {options.out_dir / 'wrong.jsonl'}")
    return report.is_success


def tables(report: AuditReport) -> Group:
    """The report for people."""
    if not report.pairs:
        return Group(Text("no video gave a pair"))
    parts = [_tasks(report), _groups(report), _kinds(report), _looks(report)]
    if report.filtering is not None:
        parts.append(_filtering(report, report.filtering))
    return Group(*(item for part in parts for item in (part, Text())))


def _tasks(report: AuditReport) -> Table:
    rows = [
        [name, *_errors(row), _share(row["chance"]), _share(row["text_only_accuracy"])]
        for name, row in report.tasks.items()
    ]
    title = f"{report.pairs} pairs of {report.videos} videos, perception {report.options['perception']}"
    columns = ["task type", "pairs", "wrong", "error rate, 95 % interval", "chance", "text alone"]
    total = ["all", *_errors(vars(report)), "", ""]
    return table(title, columns, [*rows, total])


def _groups(report: AuditReport) -> Table:
    rows = [[name, *_errors(row)] for name, row in report.groups.items()]
    return table("By group", ["group", "pairs", "wrong", "error rate, 95 % interval"], rows)


def _kinds(report: AuditReport) -> Table:
    return table(
        "Wrong pairs by kind of fault", ["kind", "pairs"], [[*item] for item in report.kinds.items()]
    )


def _filtering(report: AuditReport, found: dict[str, Any]) -> Table:
    rows = [
        [name, row["accepted"], *map(_share, (row["raw_error_rate"], row["accepted_error_rate"])),
         _share(row["yield_of_right_pairs"])]
        for name, row in found["tasks"].items()
    ]  # fmt: skip
    low, high = found["accepted_error_rate_low"], found["accepted_error_rate_high"]
    after = f"{_share(report.accepted_error_rate)}  ({_share(low)} to {_share(high)})"
    rows.append(
        ["all", found["accepted"], _share(report.raw_error_rate), after, _share(report.yield_of_right_pairs)]
    )
    columns = ["task type", "accepted", "error rate before", "and after", "right pairs accepted"]
    return table(f"Filter {report.options['filter']}", columns, rows)


def _looks(report: AuditReport) -> Table:
    rows = [
        ["questions that leak", _share(report.leak_rate)],
        ["asked twice of one video; said word for word before", f"{report.duplicates}; {report.repeats}"],
        ["every 50 videos show all task types and groups", _told(report.blocks_of_50_complete)],
        *(
            [f"text alone on {name}: chance, accuracy", f"{_share(row['chance'])}, {_share(row['accuracy'])}"]
            for name, row in report.text_only.items()
        ),
        *([name.replace("_", " "), _told(value)] for name, value in report.balance.items()),
        *([name.replace("_", " "), _told(value)] for name, value in report.diversity.items()),
        ["videos filtered; failed", f"{len(report.filtered)}; {len(report.failed)}"],
        ["seconds", f"{report.seconds:g}"],
    ]
    return table("Looks", ["", ""], rows)


def _errors(row: dict[str, Any]) -> list[Any]:
    return [row["pairs"], row["wrong"], _rate(row)]


def _rate(row: dict[str, Any]) -> str:
    if row["error_rate_low"] is None:
        return _share(row["error_rate"])
    low, high = _share(row["error_rate_low"]), _share(row["error_rate_high"])
    return f"{_share(row['error_rate'])}  ({low} to {high})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _told(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(f"{item:g}" for item in value)
    if isinstance(value, dict):
        return "; ".join(f"of {name}: {_told(item)}" for name, item in value.items())
    return str(value)
