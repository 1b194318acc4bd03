"""The gate of a drop: its figures and its validation against the bars of `GateConfig`.

A bar without a value is met: where no filter estimated an error, or nothing came before, there is nothing to
hold against the drop. Of a drop with fewer than `min_videos` videos shares say little, so they keep nothing
out; a broken expectation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from strefer_core.config import GateConfig
from strefer_core.errors import InputError
from strefer_core.store.gates import Gate, GateFigures, StoppedBy, Witness

if TYPE_CHECKING:
    from strefer_core.store.catalog import Catalog, Validation

SHOWN_ROWS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar and how a drop stands to it."""

    bar: str
    means: str
    value: float | None
    limit: float
    is_met: bool
    rows: tuple[Witness, ...] = ()  # where it is not met: the first that speak against the drop

    def told(self) -> str:
        """In one line: `accepted_share 0.083, the bar is 0.2: pair-1 (area_jump), ...`."""
        line = f"{self.bar} is {_number(self.value)}, the bar is {self.limit:g} ({self.means})"
        shown = "; ".join(f"{row.id} ({row.why})" for row in self.rows)
        return f"{line}: {shown}" if shown else line


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def judge(catalog: Catalog, drop_id: str, validation: Validation, config: GateConfig) -> list[Bar]:
    """All bars of a drop, in a fixed order. Raises InputError where the drop is unknown."""
    figures = catalog.gate_figures(drop_id)
    if figures is None:
        raise InputError(f"there is no drop {drop_id!r}")
    bars = list(bars_of(figures, catalog.stopped_by_check(drop_id), validation.results, config))
    known = _witnesses(catalog, drop_id)
    return [
        replace(bar, rows=known[bar.bar]()) if bar.bar in known and not bar.is_met else bar for bar in bars
    ]


def bars_of(
    figures: GateFigures, stopped: Sequence[StoppedBy], results: Sequence[dict[str, Any]], config: GateConfig
) -> Iterator[Bar]:
    """The bars, from plain figures. Rows are given where they are at hand; the catalog has the others."""
    enough = figures.videos >= config.min_videos
    most = stopped[0] if stopped else None
    yield _at_most(
        "failed_share",
        "share of its videos that failed",
        figures.failed_share,
        config.max_failed_share,
        enough,
    )
    accepted, limit = figures.accepted_share, config.min_accepted_share
    yield Bar(
        bar="accepted_share",
        means="smallest share of its pairs that quality accepts",
        value=accepted,
        limit=limit,
        is_met=accepted is None or accepted >= limit or not enough,
    )
    yield _at_most(
        "estimated_error",
        "mean chance that an accepted pair is wrong",
        figures.estimated_error,
        config.max_estimated_error,
        enough,
    )
    yield _at_most(
        "check_share",
        f"share of its pairs that one check stops{f', here {most.check}' if most else ''}",
        most.pairs / figures.pairs if most and figures.pairs else None,
        config.max_check_share,
        enough,
        tuple(Witness(id=one, why=most.check) for one in most.examples) if most else (),
    )
    yield _at_most(
        "drift",
        "population stability index of groups or task types to the last drop that was let through",
        figures.drift,
        config.max_drift,
        enough,
    )
    yield _broken(results)


def _at_most(
    bar: str, means: str, value: float | None, limit: float, enough: bool, rows: tuple[Witness, ...] = ()
) -> Bar:
    is_met = value is None or value <= limit or not enough
    return Bar(bar=bar, means=means, value=value, limit=limit, is_met=is_met, rows=() if is_met else rows)


def _broken(results: Sequence[dict[str, Any]]) -> Bar:
    """Critical expectations that the drop breaks; not one may be."""
    broken = [one for one in results if one["severity"] == "critical" and not one["is_success"]]
    return Bar(
        bar="broken_expectations",
        means="critical expectations that it breaks",
        value=float(len(broken)),
        limit=0.0,
        is_met=not broken,
        rows=tuple(row for one in broken for row in _rows_of(one))[:SHOWN_ROWS],
    )


def _rows_of(result: dict[str, Any]) -> Iterator[Witness]:
    why = f"not so: {result['expects']}"
    if result["error"]:
        yield Witness(id=result["name"], why=f"{why}; {result['error']}")
    for row in result["ids"]:
        yield Witness(id=str(row["id"]), why=f"{why}; {result['column']} is {row['value']}")


def _witnesses(catalog: Catalog, drop_id: str) -> dict[str, Callable[[], tuple[Witness, ...]]]:
    """Who knows the rows behind the bars that come without."""
    return {
        "failed_share": lambda: tuple(catalog.failed_videos(drop_id, SHOWN_ROWS)),
        "accepted_share": lambda: tuple(catalog.stopped_pairs(drop_id, SHOWN_ROWS)),
        "estimated_error": lambda: tuple(catalog.doubtful_pairs(drop_id, SHOWN_ROWS)),
        "drift": lambda: tuple(catalog.drifted_names(drop_id, SHOWN_ROWS)),
    }


def decision(drop_id: str, bars: Sequence[Bar], *, gate_id: str, dag_run_id: str) -> Gate:
    """The gate's row: open where every bar is met."""
    return Gate(
        gate_id=gate_id,
        drop_id=drop_id,
        dag_run_id=dag_run_id,
        is_open=all(bar.is_met for bar in bars),
        bars=[asdict(bar) for bar in bars],
    )


def told(gate: Gate) -> str:
    """A closed gate in words: which bars, with their rows; "" where all are met."""
    bars = [Bar(**{**bar, "rows": tuple(Witness(**row) for row in bar["rows"])}) for bar in gate.bars]
    lines = [bar.told() for bar in bars if not bar.is_met]
    head = f"drop {gate.drop_id} is below its bars and stays unpublished:"
    return "\n".join([head, *lines]) if lines else ""
