"""Bars from plain figures: which side of a limit is met, and what a closed gate says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strefer_core.config import GateConfig
from strefer_core.store.gates import GateFigures, StoppedBy
from strefer_core.validation import bars

CONFIG = GateConfig(
    max_failed_share=0.2, min_accepted_share=0.5, max_estimated_error=0.02, max_check_share=0.3,
    max_drift=0.1, min_videos=5,
)  # fmt: skip
FIGURES = GateFigures(
    videos=10, failed_videos=2, failed_share=0.2, pairs=100, accepted=50, accepted_share=0.5,
    estimated_error=0.02, drift=0.1,
)  # fmt: skip
STOPPED = [
    StoppedBy(check="leak", pairs=30, examples=("p1", "p2")),
    StoppedBy(check="x", pairs=1, examples=()),
]


def unmet(figures: GateFigures, stopped: list[StoppedBy] = STOPPED, results: Any = ()) -> list[str]:
    return [bar.bar for bar in bars.bars_of(figures, stopped, results, CONFIG) if not bar.is_met]


def test_at_the_bar_is_met() -> None:
    assert unmet(FIGURES) == []


@pytest.mark.parametrize(
    ("change", "bar"),
    [
        ({"failed_share": 0.21}, "failed_share"),
        ({"accepted_share": 0.49}, "accepted_share"),
        ({"estimated_error": 0.021}, "estimated_error"),
        ({"pairs": 99}, "check_share"),
        ({"drift": 0.11}, "drift"),
    ],
)
def test_past_the_bar_is_not(change: dict[str, Any], bar: str) -> None:
    assert unmet(replace(FIGURES, **change)) == [bar]
    assert unmet(replace(FIGURES, **change, videos=4)) == [], "of a small drop shares say little"


def test_what_cannot_be_measured_is_met() -> None:
    nothing = GateFigures(
        videos=10, failed_videos=0, failed_share=None, pairs=0, accepted=0, accepted_share=None,
        estimated_error=None, drift=None,
    )  # fmt: skip
    assert unmet(nothing, []) == []
    assert [bar.value for bar in bars.bars_of(nothing, [], (), CONFIG)] == [None] * 5 + [0.0]


def test_a_closed_gate_says_which_bars_and_which_rows_and_is_read_back() -> None:
    figures = replace(FIGURES, pairs=60)
    found = list(bars.bars_of(figures, STOPPED, (), CONFIG))
    gate = bars.decision("monday", found, gate_id="g", dag_run_id="r")
    assert not gate.is_open
    assert bars.told(gate).splitlines() == [
        "drop monday is below its bars and stays unpublished:",
        "check_share is 0.5, the bar is 0.3 (share of its pairs that one check stops, here leak): "
        "p1 (leak); p2 (leak)",
    ]
