"""Gates: which drops may be published, by which bars, and who let one through all the same."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from strefer_core.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One decision on one drop; the newest holds. `bars` has one object per bar:

    bar, means (the sentence), value (None: nothing to measure it by), limit, is_met, rows ([{"id", "why"}],
    the first that speak against the drop).
    """

    gate_id: str
    drop_id: str
    dag_run_id: str
    is_open: bool
    bars: list[dict[str, Any]]
    overridden_by: str | None = None  # who opened it although a bar was not met
    decided_at: datetime | None = None  # None: not stored yet


@dataclass(frozen=True, kw_only=True, slots=True)
class GateFigures:
    """What a drop is measured by. Shares are 0..1; None: nothing to measure it by."""

    videos: int
    failed_videos: int
    failed_share: float | None  # of the drop's videos
    pairs: int  # that quality has looked at
    accepted: int
    accepted_share: float | None  # of `pairs`
    estimated_error: float | None  # mean chance that an accepted pair is wrong
    drift: float | None  # population stability index to the last open drop, beyond chance


@dataclass(frozen=True, kw_only=True, slots=True)
class StoppedBy:
    """How many pairs of a drop one check stops."""

    check: str
    pairs: int
    examples: tuple[str, ...]  # instruction ids, 20 at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """One row that speaks against a drop."""

    id: str  # of a video, a pair, or a group or task type
    why: str


class Gates(Database):
    """Rows of `gates`, and the figures that they are decided by."""

    def record_gate(self, gate: Gate) -> None:
        """Append a decision; again under the same id it takes the place of what was there."""
        row = asdict(gate)
        del row["decided_at"]
        self.all("add_gate", **{**row, "bars": json.dumps(row["bars"])})

    def gates(self, drop_id: str) -> list[Gate]:
        """All decisions on a drop, oldest first."""
        return [Gate(**row) for row in self.all("gates", drop_id=drop_id)]

    def newest_gates(self, drop_ids: Collection[str]) -> dict[str, Gate]:
        """The decision that holds for each drop; drops without one are left out."""
        rows = self.all("newest_gates", drop_ids=list(drop_ids))
        return {row["drop_id"]: Gate(**row) for row in rows}

    def gates_of_run(self, dag_run_id: str) -> list[Gate]:
        """The last decision of one Airflow run on each drop that it decided on."""
        return [Gate(**row) for row in self.all("gates_of_run", dag_run_id=dag_run_id)]

    def undecided_drops(self) -> list[str]:
        """Drops that wait for a decision though all their videos ended, oldest first."""
        return [row["drop_id"] for row in self.all("undecided_drops")]

    def unfinished_drops(self, drop_ids: Collection[str]) -> set[str]:
        """Those of the drops of which a video has not ended: nothing can be decided about them yet."""
        return {row["drop_id"] for row in self.all("unfinished_drops", drop_ids=list(drop_ids))}

    def held_video_ids(self) -> set[str]:
        """Videos that may not be published: every drop that brought them is closed, or waits for a decision.

        A drop from before the first decision of all counts as open.
        """
        return {row["video_id"] for row in self.all("held_video_ids")}

    def gate_figures(self, drop_id: str) -> GateFigures | None:
        """What a drop is measured by, or None where it is unknown."""
        rows = self.all("gate_figures", drop_id=drop_id)
        return GateFigures(**rows[0]) if rows else None

    def stopped_by_check(self, drop_id: str) -> list[StoppedBy]:
        """The checks that stop pairs of a drop, those that stop most first."""
        return [
            StoppedBy(check=row["check_name"], pairs=row["pairs"], examples=tuple(row["examples"]))
            for row in self.all("stopped_by_check", drop_id=drop_id)
        ]

    def failed_videos(self, drop_id: str, count: int) -> list[Witness]:
        """The first `count` failed videos of a drop, by id."""
        return _witnesses(self.all("failed_videos", drop_id=drop_id, count=count))

    def stopped_pairs(self, drop_id: str, count: int) -> list[Witness]:
        """The first `count` pairs of a drop that quality stopped, with the checks."""
        return _witnesses(self.all("stopped_pairs", drop_id=drop_id, count=count))

    def doubtful_pairs(self, drop_id: str, count: int) -> list[Witness]:
        """The accepted pairs of a drop that are most likely to be wrong."""
        return _witnesses(self.all("doubtful_pairs", drop_id=drop_id, count=count))

    def drifted_names(self, drop_id: str, count: int) -> list[Witness]:
        """Groups and task types whose share changed beyond chance, most changed first."""
        return _witnesses(self.all("drifted_names", drop_id=drop_id, count=count))


def _witnesses(rows: Sequence[RowMapping]) -> list[Witness]:
    return [Witness(**row) for row in rows]
