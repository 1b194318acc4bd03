"""`strefer ablate`: variants of one training side by side."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from strefer_core.commands.train import number
from strefer_core.console import emit, progress, say, table
from strefer_core.errors import ConfigError
from strefer_core.evaluation.running import EvalOptions, evaluate
from strefer_core.experiments import report
from strefer_core.experiments.mixture import propose
from strefer_core.experiments.running import Run, Study, run_study
from strefer_core.experiments.studies import StudyName, variants
from strefer_core.training.mixing import Mixture
from strefer_core.training.options import TrainingOptions
from strefer_core.training.reading import prepare
from strefer_core.training.training import train


def study(
    name: StudyName,
    *,
    dataset: Path,
    named: Sequence[str],
    others: Sequence[str],
    weights: Sequence[str],
    seeds: int,
    draws: int,
    out: Path,
    bench: Path,
    **given: Any,
) -> Study:
    """The study as typed. Raises ConfigError where it makes no sense."""
    added = {key: Path(text) for key, text in _pairs(others, "--add").items()}
    weighed = {key: number(key, text) for key, text in _pairs(weights, "--weight").items()}
    options = TrainingOptions(
        dataset=dataset, others=added, weights=weighed, out=out, cache=out / "cache", **given
    )
    datasets = {key: Path(text) for key, text in _pairs(named, "--variant").items()}
    found = variants(name, shares(options), datasets=datasets, draws=draws)
    told = {"study": name, "bench": bench, "options": asdict(options), "variants": [asdict(v) for v in found]}
    return Study(variants=found, seeds=range(seeds), options=options, out=out, named=told)


def shares(options: TrainingOptions) -> dict[str, float]:
    """Share of each part of the data, as it comes or is weighed."""
    sources = [("", options.dataset), *sorted(options.others.items())]
    lines = [prepare(path, options.out / "cache" / "records", part) for part, path in sources]
    mixture = Mixture(
        groups=[group for one in lines for group in one.groups],
        videos=[video for one in lines for video in one.videos],
        words=lines[0].words,
        weights=options.weights,
    )
    return mixture.shares()


def run(asked: Study, bench: Path, *, name: StudyName, jobs: int, as_json: bool) -> None:
    """Run, write the page with its table and figure, and report."""
    with progress() as bars:
        task = bars.add_task(f"ablate {name}", total=len(asked.variants) * len(asked.seeds))
        runs = run_study(
            asked,
            train,
            partial(_evaluated, bench),
            lambda done, total: bars.update(task, completed=done, total=total),
            jobs,
        )
    found = report.rows(runs)
    more = proposal(runs) if name == "mixture" else []
    write(asked.out, name, found, more)
    emit({"rows": report.plain(found), "more": more}, as_json=as_json, human=_table(found))
    say(f"  page: {asked.out / 'README.md'}")


def _evaluated(bench: Path, model: Path, folder: Path) -> dict[str, Any]:
    return evaluate(EvalOptions(model=str(model), bench="world", data=bench, out_dir=folder))


def proposal(runs: Sequence[Run]) -> list[str]:
    """What the regression makes of the mixtures, in words."""
    scores = [report.value(run.report, "overall", "accuracy") or 0.0 for run in runs]
    found = propose([run.weights for run in runs], scores)
    weights = ", ".join(f"{part} {weight:.2f}" for part, weight in found.weights.items())
    return [
        f"Proposed: {weights}; predicted {found.predicted:.3f}, best tried {found.best_tried:.3f}. Rank "
        f"correlation of what was left out with its prediction: {found.rank_correlation:.2f}."
    ]


def write(out: Path, name: str, found: Sequence[report.Row], more: Sequence[str]) -> None:
    """`README.md`, `summary.json` and `figure.svg`."""
    command = shlex.join(["strefer", *sys.argv[1:]])
    page = report.markdown(f"Study: {name}", command, found, ["![figure](figure.svg)", "", *more])
    (out / "README.md").write_text(page, "utf-8")
    (out / "summary.json").write_text(json.dumps(report.plain(found), indent=1) + "\n", "utf-8")
    report.draw(found, out / "figure.svg")


def _pairs(given: Sequence[str], option: str) -> Mapping[str, str]:
    found = [one.partition("=") for one in given]
    if bad := [one for one, (name, _, text) in zip(given, found, strict=True) if not (name and text)]:
        raise ConfigError(f"{option} takes NAME=PATH, not {bad[0]!r}")
    return {name: text for name, _, text in found}


def _table(found: Sequence[report.Row]) -> Any:
    names = list(report.FIGURES)
    rows = [[row.variant, *(_told(row.figures.get(name)) for name in names)] for row in found]
    return table("Study", ["variant", *(name.replace("_", " ") for name in names)], rows)


def _told(one: report.Estimate | None) -> str:
    if one is None:
        return ""
    return f"{one.mean:.3f}" if one.low is None else f"{one.mean:.3f}  ({one.low:.3f} to {one.high:.3f})"
