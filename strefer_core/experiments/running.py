"""Runs a study: every variant by every seed is trained and asked the same bench; what is done stays done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from strefer_core.errors import ConfigError
from strefer_core.experiments.studies import Variant
from strefer_core.probe.pool import run_all
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
    study: Study, train: Train, evaluate: Evaluate, advance: Advance = lambda *_: None, jobs: int = 1
) -> list[Run]:
    """Run what is not there yet, seed by seed, so that an early look compares all variants.

    A training that was cut off goes on where it stopped; models are dropped once they are evaluated. With
    more `jobs` than one so many run at once, each with its share of the cores.

    Raises as `train` and `evaluate` do, WorkerLost where a process died, and ConfigError where the folder
    holds another study.
    """
    _claim(study)
    _mend(study.out / RUNS)
    done = {one.key for one in read_runs(study.out / RUNS)}
    wanted = [(variant, seed) for seed in study.seeds for variant in study.variants]
    left = [(variant, seed) for variant, seed in wanted if (variant.name, seed) not in done]
    before, work = len(wanted) - len(left), partial(_kept, study, train, evaluate, jobs)
    advance(before, len(wanted))
    run_all(work, left, jobs, lambda now, _: advance(before + now, len(wanted)))
    found = {one.key: one for one in read_runs(study.out / RUNS)}
    return [found[variant.name, seed] for variant, seed in wanted]


def _kept(study: Study, train: Train, evaluate: Evaluate, jobs: int, wanted: tuple[Variant, int]) -> None:
    if jobs > 1:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    _append(study.out / RUNS, _run(study, *wanted, train, evaluate))


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
    """In one write: the lines of several processes do not mix."""
    line = (json.dumps(vars(run), ensure_ascii=False) + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def _mend(path: Path) -> None:
    """Drop a last line that was cut off, so that the next one is not written behind it."""
    if path.exists():
        text = path.read_bytes()
        path.write_bytes(text[: text.rfind(b"\n") + 1])


def read_runs(path: Path) -> list[Run]:
    """Runs that are kept; a last line that was cut off is none."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").split("\n")[:-1]
    return [Run(**json.loads(line)) for line in lines]
