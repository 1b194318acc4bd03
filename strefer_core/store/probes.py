"""Probes of the masklet cascades: what was measured when, and every figure of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from strefer_core.store.database import Database, copy_in, execute

ALL = "all"
"""In place of a knob: over all videos."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One measurement, without its figures."""

    probe_id: str
    started_at: datetime  # with a time zone
    version: str  # of strefer
    seed: int | None  # of the world; None: own videos
    perception: str
    knobs: str  # as asked for: "plan", "default", "none" or names
    noise: dict[str, float] | None  # None for a perception that looks at the pictures
    config: dict[str, Any]  # of the masklets stage
    videos: int  # with figures
    entities: int
    failed: list[dict[str, str]]  # {video, reason}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeFigure:
    """One figure of one cascade, over all videos or those of one knob."""

    cascade: str
    knob: str  # `ALL`, "none", or the name of a knob
    metric: str
    value: float
    low: float | None  # 95 % interval over videos
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbePoint:
    """One figure at one time; `previous_value` is of the last probe of the same world, perception, noise."""

    probe_id: str
    started_at: datetime
    value: float
    low: float | None
    high: float | None
    previous_value: float | None


def figures_of(report: Mapping[str, Any]) -> Iterator[ProbeFigure]:
    """The figures in what `strefer probe --json` printed; those that are None are left out."""
    groups = [(ALL, report["cascades"], report["confidence"])]
    groups += [(knob, found, report["confidence_by_knob"][knob]) for knob, found in report["by_knob"].items()]
    for knob, cascades, confidence in groups:
        for cascade, metrics in cascades.items():
            for metric, value in metrics.items():
                if value is not None:
                    low, high = confidence[cascade][metric] or (None, None)
                    yield ProbeFigure(
                        cascade=cascade, knob=knob, metric=metric, value=value, low=low, high=high
                    )


class Probes(Database):
    """Rows of `probes` and `probe_figures`."""

    def record_probe(self, probe: Probe, figures: Sequence[ProbeFigure]) -> None:
        """Write a probe and its figures in place of what was there under its id, in one transaction."""
        row = asdict(probe)
        for column in ("noise", "config", "failed"):
            row[column] = None if row[column] is None else json.dumps(row[column])
        with self.transaction() as connection:
            execute(connection, "upsert_probe", **row)
            execute(connection, "delete_probe_figures", probe_id=probe.probe_id)
            copy_in(connection, map(asdict, figures))
            execute(connection, "insert_probe_figures", probe_id=probe.probe_id)

    def probes(self) -> list[Probe]:
        """All probes, oldest first."""
        return [Probe(**row) for row in self.all("probes")]

    def probe_figures(self, probe_id: str) -> list[ProbeFigure]:
        """The figures of one probe, by cascade, knob and metric; [] where it is unknown."""
        return [ProbeFigure(**row) for row in self.all("probe_figures", probe_id=probe_id)]

    def probe_history(self, cascade: str, metric: str, knob: str = ALL) -> list[ProbePoint]:
        """One figure through all probes, oldest first."""
        rows = self.all("probe_history", cascade=cascade, metric=metric, knob=knob)
        return [ProbePoint(**row) for row in rows]
