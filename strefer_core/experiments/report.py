"""What came of a study: figures per variant over seeds, against the first one, as JSON, Markdown and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from strefer_core.experiments.running import Run

FIGURES = {
    "accuracy": ("overall", "accuracy"),
    "mask_effect_points": ("mask_effect_points",),
    "time_effect_points": ("time_effect_points",),
}
"""Name -> where it is in the bench's report."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean over seeds with its 95 % interval (Student's t); None for fewer than two seeds."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant."""

    variant: str
    figures: dict[str, Estimate]
    groups: dict[str, Estimate]
    against_first: dict[str, Estimate]  # differences, paired by seed; empty for the first


def estimate(values: Sequence[float]) -> Estimate:
    """Of one value per seed, at least one."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean=mean, low=None, high=None, seeds=len(values))
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Estimate(mean=mean, low=mean - half, high=mean + half, seeds=len(values))


def rows(runs: Sequence[Run]) -> list[Row]:
    """One row per variant, in the order in which they come first."""
    names = list(dict.fromkeys(run.variant for run in runs))
    own = {name: {run.seed: run for run in runs if run.variant == name} for name in names}
    return [_row(name, own[name], own[names[0]] if name != names[0] else None) for name in names]


def _row(name: str, own: dict[int, Run], first: dict[int, Run] | None) -> Row:
    groups = sorted({group for run in own.values() for group in run.report.get("groups", {})})
    figures = {figure: _over(own, *path) for figure, path in FIGURES.items()}
    by_group = {group: _over(own, "groups", group, "accuracy") for group in groups}
    against = {figure: _paired(own, first, *path) for figure, path in FIGURES.items()} if first else {}
    return Row(
        variant=name,
        figures={key: found for key, found in figures.items() if found},
        groups={key: found for key, found in by_group.items() if found},
        against_first={key: found for key, found in against.items() if found},
    )


def value(report: dict[str, Any], *path: str) -> float | None:
    """One figure of a report; None where it is not there."""
    found: Any = report
    for name in (*path, "value"):
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else float(found)


def _over(own: dict[int, Run], *path: str) -> Estimate | None:
    values = [found for run in own.values() if (found := value(run.report, *path)) is not None]
    return estimate(values) if values else None


def _paired(own: dict[int, Run], first: dict[int, Run], *path: str) -> Estimate | None:
    pairs = [
        (value(run.report, *path), value(first[seed].report, *path))
        for seed, run in own.items()
        if seed in first
    ]
    values = [one - other for one, other in pairs if one is not None and other is not None]
    return estimate(values) if values else None


def plain(found: Sequence[Row]) -> list[dict[str, Any]]:
    """As JSON has it."""
    return [asdict(row) for row in found]


def markdown(title: str, command: str, found: Sequence[Row], more: Sequence[str] = ()) -> str:
    """A page: what was run, and a table."""
    groups = sorted({group for row in found for group in row.groups})
    head = ["variant", "right answers", "against the first", "mask effect", "time effect", *groups]
    lines = [
        f"# {title}", "", f"`{command}`", "",
        "Means over seeds with 95 % intervals (Student's t); effects in points.", "",
        "| " + " | ".join(head) + " |", "|" + "---|" * len(head),
    ]  # fmt: skip
    for row in found:
        cells = [
            row.variant,
            _told(row.figures.get("accuracy")),
            _told(row.against_first.get("accuracy"), sign=True),
            _told(row.figures.get("mask_effect_points"), digits=1),
            _told(row.figures.get("time_effect_points"), digits=1),
            *(_told(row.groups.get(group)) for group in groups),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *more]).rstrip() + "\n"


def _told(found: Estimate | None, digits: int = 3, *, sign: bool = False) -> str:
    if found is None:
        return ""
    mean = f"{found.mean:{'+' if sign else ''}.{digits}f}"
    return mean if found.low is None else f"{mean} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def draw(found: Sequence[Row], path: Path) -> None:
    """Right answers and effects per variant, with intervals, as SVG; the same rows give the same file."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "strefer", "font.size": 9}):
        figure, axes = plt.subplots(1, len(FIGURES), figsize=(11, 0.4 * len(found) + 1.4), sharey=True)
        places = np.arange(len(found))[::-1]
        for axis, name in zip(axes, FIGURES, strict=True):
            for place, row in zip(places, found, strict=True):
                if one := row.figures.get(name):
                    low, high = (one.mean if end is None else end for end in (one.low, one.high))
                    error = [[one.mean - low], [high - one.mean]]
                    axis.errorbar(one.mean, place, xerr=error, fmt="o", color="#1f6feb", capsize=3)
            axis.set_xlabel(name.replace("_", " "))
            axis.grid(axis="x", alpha=0.3)
        axes[0].set_yticks(places, [row.variant for row in found])
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
