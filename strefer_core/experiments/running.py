"""Runs a study: every variant by every seed is trained and asked the same bench; what is done stays done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from strefer_core.errors import ConfigError
from strefer_core.experiments.studies import Variant
from strefer_core.training.options import Trained, TrainingOptions

RUNS = "runs.jsonl"
Advance = Callable[[int, int], None]
Train = Callable[[TrainingOptions], Trained]
Evaluate = Callable[[Path, Path], dict[str, Any]]
"""(folder of a model, folder for its answers) -> the bench's report."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What to run. Raises ConfigError where it is nothing."""

    variants: Sequence[Variant]
    seeds: Sequence[int]
    options: TrainingOptions  # of every run, but for the variant's changes and the seed
    out: Path
    named: Mapping[str, Any] = field(default_factory=dict)  # what a kept run must agree with, for people

    def __post_init__(self) -> None:
        if not self.variants or not self.seeds:
            raise ConfigError("a study needs variants and seeds")
        if len({one.name for one in self.variants}) != len(self.variants):
            raise ConfigError("two variants have one name")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One variant by one seed."""

    variant: str
    seed: int
    weights: dict[str, float]
    loss: float
    seconds: float
    report: dict[str, Any]

    @property
    def key(self) -> tuple[str, int]:
        return self.variant, self.seed


def run_study(
    study: Study, train: Train, evaluate: Evaluate, advance: Advance = lambda *_: None
) -> list[Run]:
    """Run what is not there yet, seed by seed, so that an early look compares all variants.

    A training that was cut off goes on where it stopped; models are dropped once they are evaluated.

    Raises as `train` and `evaluate` do, and ConfigError where the folder holds another study.
    """
    _claim(study)
    done = {one.key: one for one in read_runs(study.out / RUNS)}
    wanted = [(variant, seed) for seed in study.seeds for variant in study.variants]
    for number, (variant, seed) in enumerate(wanted, start=1):
        if (variant.name, seed) not in done:
            run = _run(study, variant, seed, train, evaluate)
            done[run.key] = run
            _append(study.out / RUNS, run)
        advance(number, len(wanted))
    return [done[variant.name, seed] for variant, seed in wanted]


def _run(study: Study, variant: Variant, seed: int, train: Train, evaluate: Evaluate) -> Run:
    folder = study.out / "work" / f"{variant.name.replace(' ', '-')}-{seed}"
    options = replace(study.options, **variant.changes, seed=seed, out=folder)
    trained = train(options)
    report = evaluate(trained.model, folder / "answers")
    shutil.rmtree(folder)
    return Run(
        variant=variant.name,
        seed=seed,
        weights=dict(options.weights),
        loss=trained.loss,
        seconds=trained.seconds,
        report=report,
    )


def _claim(study: Study) -> None:
    study.out.mkdir(parents=True, exist_ok=True)
    path, text = (
        study.out / "study.json",
        json.dumps(dict(study.named), indent=1, sort_keys=True, default=str),
    )
    if path.exists() and path.read_text("utf-8") != text:
        raise ConfigError(f"{study.out} holds another study: name another --out, or remove it")
    path.write_text(text, "utf-8")


def _append(path: Path, run: Run) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(vars(run), ensure_ascii=False) + "\n")


def read_runs(path: Path) -> list[Run]:
    """Runs that are kept; a last line that was cut off is none."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").split("\n")[:-1]
    return [Run(**json.loads(line)) for line in lines]
