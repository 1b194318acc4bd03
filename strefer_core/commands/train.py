"""`strefer train`: what the person sees of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from strefer_core.console import emit, progress, table
from strefer_core.errors import ConfigError
from strefer_core.training.options import Trained, TrainingOptions
from strefer_core.training.training import rank, train


def options(
    dataset: str,
    weights: Sequence[str] = (),
    first: Sequence[str] = (),
    others: Sequence[str] = (),
    arguments: Sequence[str] = (),
    **given: Any,
) -> TrainingOptions:
    """Options as typed. Raises ConfigError where they make no sense, InputError for an unknown version."""
    out = Path(given["out"])
    folder = given.get("cache") or out / "cache"
    source = Path(dataset) if Path(dataset).exists() else _exported(dataset, folder)
    return TrainingOptions(
        dataset=source,
        weights={name: number(name, text) for name, text in _named(weights, "--weight").items()},
        first_weights={name: number(name, text) for name, text in _named(first, "--first").items()} or None,
        others={name: Path(text) for name, text in _named(others, "--add").items()},
        arguments={name: _value(text) for name, text in _named(arguments, "--argument").items()},
        **given,
    )


def run(asked: TrainingOptions, *, as_json: bool) -> None:
    """Train and report; of several processes one does."""
    with progress() as bars:
        task = bars.add_task("train", total=asked.steps)
        trained = train(asked, lambda done, total: bars.update(task, completed=done, total=total))
    if rank() == 0:
        emit(asdict(trained), as_json=as_json, human=_told(trained))


def _told(trained: Trained) -> Any:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in trained.shares.items() if share)
    skipped = "; ".join(f"{reason}: {count}" for reason, count in trained.skipped.items()) or "none"
    rows: list[list[Any]] = [
        ["model", trained.model],
        ["steps", f"{trained.steps}, from step {trained.resumed_at}"],
        ["samples", trained.samples],
        ["mixture", shares],
        ["loss at the end", f"{trained.loss:.3f}"],
        ["records skipped", skipped],
        ["seconds", f"{trained.seconds:.0f}"],
    ]
    return table("Trained", ["", ""], rows)


def _exported(version: str, folder: Path) -> Path:
    """A published version and its videos, from the object store."""
    from strefer_core import worker
    from strefer_core.training.fetching import fetch_dataset

    return fetch_dataset(worker.objects(), version, folder / "datasets" / version)


def _named(given: Sequence[str], option: str) -> Mapping[str, str]:
    pairs = [one.partition("=") for one in given]
    if bad := [
        one for one, (name, sign, text) in zip(given, pairs, strict=True) if not (name and sign and text)
    ]:
        raise ConfigError(f"{option} takes NAME=VALUE, not {bad[0]!r}")
    return {name: text for name, _, text in pairs}


def number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"the weight of {name} is a number, not {text!r}") from None


def _value(text: str) -> Any:
    """A value of TrainingArguments as JSON has it; what is no JSON is a word."""
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
