"""What is varied: studies as lists of variants, each a few changes of one training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from strefer_core.errors import ConfigError
from strefer_core.video_llm.processing import REGION_MODES
from strefer_core.video_llm.times import TIME_MODES

StudyName = Literal["groups", "leave-one-out", "time-tokens", "region", "dataset", "mixture"]
STUDIES: tuple[StudyName, ...] = get_args(StudyName)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train: changes of `TrainingOptions`, by field."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def variants(
    study: StudyName,
    parts: Mapping[str, float],
    *,
    datasets: Mapping[str, Path] | None = None,
    draws: int = 16,
    seed: int = 0,
) -> list[Variant]:
    """The variants of a study; the first is what the others are compared with.

    Args:
        study: its name.
        parts: share of each part of the data: groups G1, G2, ... and other sets, as they come.
        datasets: of the study "dataset": what is trained on, by the variant's name.
        draws: of the study "mixture": so many mixtures are tried.
        seed: of the draws.

    Raises:
        ConfigError: an unknown study, or one that lacks what it compares.
    """
    groups, base = _groups(parts), {name: share for name, share in parts.items() if not _is_group(name)}
    match study:
        case "groups":
            return _cumulated(groups, parts, base)
        case "leave-one-out":
            whole = [Variant(name="all", changes={"weights": dict(parts)})]
            return whole + [_without(group, parts) for group in groups]
        case "time-tokens":
            return [Variant(name=mode, changes={"time_mode": mode}) for mode in TIME_MODES]
        case "region":
            return [Variant(name=mode, changes={"region_mode": mode}) for mode in REGION_MODES]
        case "dataset":
            return _datasets(datasets or {})
        case "mixture":
            return drawn_mixtures(list(parts), draws, seed)
    raise ConfigError(f"there is no study {study!r}; known: {', '.join(STUDIES)}")


def _is_group(name: str) -> bool:
    return name[:1] == "G" and name[1:].isdigit()


def _groups(parts: Mapping[str, float]) -> list[str]:
    return sorted((name for name in parts if _is_group(name)), key=lambda name: int(name[1:]))


def _cumulated(groups: Sequence[str], parts: Mapping[str, float], base: Mapping[str, float]) -> list[Variant]:
    """The base, then one group more at a time, each with its share of the whole."""
    found = [Variant(name="base", changes={"weights": dict(base)})] if base else []
    for count, group in enumerate(groups, start=1):
        kept = {name: parts[name] for name in groups[:count]}
        name = group if count == 1 else f"{groups[0]} to {group}"
        found.append(Variant(name=name, changes={"weights": {**base, **kept}}))
    return found


def _without(group: str, parts: Mapping[str, float]) -> Variant:
    kept = {name: share for name, share in parts.items() if name != group}
    return Variant(name=f"without {group}", changes={"weights": kept})


def _datasets(datasets: Mapping[str, Path]) -> list[Variant]:
    if len(datasets) < 2:
        raise ConfigError("two datasets or more are compared: --variant NAME=FOLDER, twice")
    return [Variant(name=name, changes={"dataset": path}) for name, path in datasets.items()]


def drawn_mixtures(parts: Sequence[str], draws: int, seed: int) -> list[Variant]:
    """Mixtures drawn evenly from all there are (a flat Dirichlet distribution), the even one first."""
    rng = np.random.default_rng(seed)
    even = np.full((1, len(parts)), 1 / len(parts))
    rows = np.vstack([even, rng.dirichlet(np.ones(len(parts)), size=max(draws - 1, 0))])
    return [
        Variant(
            name=f"mixture {number}",
            changes={"weights": {name: round(float(w), 4) for name, w in zip(parts, row, strict=True)}},
        )
        for number, row in enumerate(rows)
    ]
