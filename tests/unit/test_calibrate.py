"""Calibration from rendered videos to a filter that an audit then holds against other videos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from strefer_core import data_model as dm
from strefer_core.audit.checking import Verdict
from strefer_core.audit.filtering import figures_of
from strefer_core.audit.judging import Fault
from strefer_core.audit.running import Audited
from strefer_core.cli import main
from strefer_core.quality import calibrating
from strefer_core.quality.calibrating import CalibrateOptions, Material, fit, gather, leave_one_out
from strefer_core.quality.filters import load_filter
from strefer_core.quality.fitting import Example

NOISY = ["--perception", "world-noisy", "--noise", "x3", "--knobs", "none", "--jobs", "1"]


@pytest.fixture(autouse=True, scope="module")
def _no_stack() -> Iterator[None]:
    """The pool's processes are no part of a stack that runs beside: they would be taken down with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STREFER_HOME", raising=False)
        yield


def call(*words: str) -> Any:
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_from_videos_to_a_filter_to_an_audit_of_others(tmp_path: Path) -> None:
    path, folder = tmp_path / "mine.json", ["--videos-dir", str(tmp_path)]
    fitted = call("calibrate", "--seed", "3", "--videos", "5", *NOISY, *folder, "--out", str(path))
    made = load_filter(str(path))
    assert (fitted["data"]["videos"], fitted["data"]["wrong"]) == (5, made.data.wrong)
    assert made.data.wrong >= 20
    assert {"seed": 3, "noise": "x3"}.items() <= made.data.sources[0].items()
    found = call("audit", "--seed", "4", "--videos", "1", *NOISY, *folder, "--filter", str(path))
    assert found["raw_error_rate"] == found["error_rate"] > 0
    assert found["filtering"]["accepted"] <= found["pairs"]
    assert (
        sum(row["accepted"] for row in found["filtering"]["tasks"].values()) == found["filtering"]["accepted"]
    )


def verdict(name: str, *, is_right: bool) -> Verdict:
    pair = dm.Instruction(
        instruction_id=name, video_id="v", group="G4", task_type="verify",
        turns=(dm.Turn(role="human", text="Q"), dm.Turn(role="gpt", text="Yes.")),
    )  # fmt: skip
    faults = () if is_right else (Fault(kind="deed", why="it did not"),)
    return Verdict(pair=pair, faults=faults, leaked=())


def audited(name: str, *, knobs: tuple[str, ...] = (), right: int = 4, wrong: int = 2) -> Audited:
    """Of the right pairs all but one are accepted, of the wrong ones one."""
    pairs = [verdict(f"{name}-r{i}", is_right=True) for i in range(right)]
    pairs += [verdict(f"{name}-w{i}", is_right=False) for i in range(wrong)]
    accepted = {f"{name}-r{i}" for i in range(right - 1)} | {f"{name}-w0"}
    values = {
        one.pair.instruction_id: {"own_area_jump": 1.0 + (not one.is_right), "own_short_gaps": 0.0}
        for one in pairs
    }
    return Audited(
        name=name, knobs=knobs, verdicts=tuple(pairs), accepted_ids=frozenset(accepted), features=values
    )


def test_the_filters_figures_are_shares_of_what_it_was_given() -> None:
    found = figures_of([audited("a"), audited("b"), Audited(name="failed", failure="no bytes")], seed=0)
    assert found["raw_error_rate"] == pytest.approx(4 / 12)
    assert found["accepted_error_rate"] == pytest.approx(2 / 8)
    assert found["yield_of_right_pairs"] == pytest.approx(6 / 8)
    assert found["filtering"]["tasks"]["verify"]["accepted"] == 8
    assert figures_of([replace(audited("a"), accepted_ids=None)], seed=0)["raw_error_rate"] is None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten videos per audit, every second with the difficulty `blur`, in the place of rendered ones."""
    videos = [audited(f"v{i}", knobs=("blur",) if i % 2 else ("pan",), right=6, wrong=6) for i in range(10)]
    monkeypatch.setattr(calibrating, "results_of", lambda options, advance: videos)


def test_every_seed_meets_every_noise_and_a_difficulty_can_be_held_out(world: None) -> None:
    options = CalibrateOptions(seeds=(1, 2), noises=("x1", "x2"), videos=10)
    assert [(one.seed, one.noise) for one in options.audits()] == [(1, "x1"), (1, "x2"), (2, "x1"), (2, "x2")]
    whole, without = gather(options), gather(replace(options, without_knob="blur"))
    assert len(whole.examples) == 2 * len(without.examples) == 4 * 10 * 12
    assert {one.video for one in without.examples} == {f"v{i}" for i in range(0, 10, 2)}
    assert [source["videos"] for source in without.sources] == [5] * 4
    assert sum(one.is_wrong for one in whole.examples) == 4 * 10 * 6


def test_leaving_out_the_one_signal_that_tells_costs_all_and_an_idle_one_nothing() -> None:
    rng = np.random.default_rng(0)
    examples = []
    for place in range(1200):
        is_wrong = bool(rng.random() < 0.3)
        told = {"own_area_jump": 2.0 * is_wrong + rng.random(), "any_short_gaps": float(rng.random())}
        examples.append(Example(video=f"v{place % 60}", features=told, is_wrong=is_wrong))
    material = Material(examples=tuple(examples), sources=())
    assert material.signals() == ["area_jump", "short_gaps"]
    lost = {one.signal: one.lost for one in leave_one_out(material, fit(material), 0.02, material.signals())}
    assert lost["area_jump"] > 0.9
    assert lost["short_gaps"] == pytest.approx(0, abs=0.02)
