"""Stored probes: written whole, written again without a trace, compared with the one before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from strefer_core.store.catalog import Catalog, Probe, ProbeFigure
from strefer_core.store.probes import ALL, figures_of
from tests.postgres import rows

pytest_plugins = ["tests.integration.catalog_fixtures"]

MONDAY = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)

PROBE = Probe(
    probe_id="p1",
    started_at=MONDAY,
    version="0.1.0",
    seed=7,
    perception="world-noisy",
    knobs="plan",
    noise={"miss": 0.12, "switch": 0.15},
    config={"max_anchors": 3},
    videos=24,
    entities=90,
    failed=[{"video": "world-7-03.mp4", "reason": "InputError: no truth"}],
)


def figure(value: float, metric: str = "j_and_f", cascade: str = "strefer", knob: str = ALL) -> ProbeFigure:
    return ProbeFigure(
        cascade=cascade, knob=knob, metric=metric, value=value, low=value - 0.1, high=value + 0.1
    )


def test_a_probe_comes_back_as_it_was_written(pg_catalog: Catalog) -> None:
    own = replace(PROBE, probe_id="p0", seed=None, noise=None, failed=[], perception="classical")
    alone = ProbeFigure(cascade="paper", knob="cuts", metric="j", value=0.25, low=None, high=None)
    pg_catalog.record_probe(PROBE, [figure(0.5), alone])
    pg_catalog.record_probe(replace(own, started_at=MONDAY - timedelta(days=7)), [])
    assert pg_catalog.probes() == [replace(own, started_at=MONDAY - timedelta(days=7)), PROBE]
    assert pg_catalog.probe_figures("p1") == [alone, figure(0.5)]
    assert pg_catalog.probe_figures("p0") == pg_catalog.probe_figures("unknown") == []


def test_writing_again_leaves_what_one_writing_leaves(pg_catalog: Catalog, pg_url: str) -> None:
    tables = ("select * from probes", "select * from probe_figures order by 1, 2, 3, 4")
    pg_catalog.record_probe(PROBE, [figure(0.5), figure(0.9, "j")])
    once = [rows(pg_url, query) for query in tables]
    pg_catalog.record_probe(
        replace(PROBE, videos=3), [figure(0.1), figure(0.2, "f"), figure(0.3, knob="cuts")]
    )
    pg_catalog.record_probe(PROBE, [figure(0.5), figure(0.9, "j")])
    assert [rows(pg_url, query) for query in tables] == once


def test_figures_that_are_refused_leave_the_old_ones(pg_catalog: Catalog) -> None:
    pg_catalog.record_probe(PROBE, [figure(0.5)])
    wrong = replace(figure(0.5), low=0.9, high=0.1)
    with pytest.raises(Exception, match="probe_figures_interval"):
        pg_catalog.record_probe(replace(PROBE, videos=1), [wrong])
    assert pg_catalog.probes() == [PROBE]
    assert pg_catalog.probe_figures("p1") == [figure(0.5)]


def test_history_compares_only_what_is_comparable(pg_catalog: Catalog) -> None:
    def at(week: int, value: float, **other: object) -> None:
        probe = replace(PROBE, probe_id=f"w{week}", started_at=MONDAY + timedelta(weeks=week), **other)  # type: ignore[arg-type]
        pg_catalog.record_probe(
            probe, [figure(value), figure(0.0, cascade="paper"), figure(1.0, knob="cuts")]
        )

    at(2, 0.6)
    at(0, 0.5)
    at(1, 0.9, perception="world-exact", noise={"miss": 0.0, "switch": 0.0})
    at(3, 0.7, videos=200)
    at(4, 0.4)
    found = [
        (point.probe_id, point.value, point.previous_value)
        for point in pg_catalog.probe_history("strefer", "j_and_f")
    ]
    assert found == [
        ("w0", 0.5, None),
        ("w1", 0.9, None),
        ("w2", 0.6, 0.5),
        ("w3", 0.7, None),
        ("w4", 0.4, 0.6),
    ]
    assert len(pg_catalog.probe_history("strefer", "j_and_f", knob="cuts")) == 5
    assert pg_catalog.probe_history("strefer", "unknown") == []


def test_deleting_a_probe_takes_its_figures(pg_catalog: Catalog, pg_url: str) -> None:
    from tests.postgres import statement

    pg_catalog.record_probe(PROBE, [figure(0.5)])
    statement(pg_url, "delete from probes")
    assert rows(pg_url, "select * from probe_figures") == []


def test_a_report_is_taken_apart_into_figures() -> None:
    report = {
        "cascades": {"strefer": {"j": 0.5, "absent_false_tracks": None}},
        "confidence": {"strefer": {"j": [0.4, 0.6], "absent_false_tracks": None}},
        "by_knob": {"cuts": {"strefer": {"j": 0.25, "absent_false_tracks": 0.0}}},
        "confidence_by_knob": {"cuts": {"strefer": {"j": None, "absent_false_tracks": [0.0, 0.0]}}},
    }
    assert list(figures_of(report)) == [
        ProbeFigure(cascade="strefer", knob=ALL, metric="j", value=0.5, low=0.4, high=0.6),
        ProbeFigure(cascade="strefer", knob="cuts", metric="j", value=0.25, low=None, high=None),
        ProbeFigure(
            cascade="strefer", knob="cuts", metric="absent_false_tracks", value=0.0, low=0.0, high=0.0
        ),
    ]
