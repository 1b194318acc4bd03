"""Studies: what is varied, that runs are kept, what is said of them, and what a regression proposes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from strefer_core.errors import ConfigError, InputError
from strefer_core.experiments import report
from strefer_core.experiments.mixture import propose
from strefer_core.experiments.running import RUNS, Run, Study, read_runs, run_study
from strefer_core.experiments.studies import STUDIES, Variant, variants
from strefer_core.training.options import Trained, TrainingOptions

PARTS = {"G1": 0.2, "G2": 0.3, "G10": 0.4, "released": 0.1}


def test_groups_come_one_after_another_on_the_base() -> None:
    found = variants("groups", PARTS)
    assert [one.name for one in found] == ["base", "G1", "G1 to G2", "G1 to G10"]
    assert found[0].changes == {"weights": {"released": 0.1}}
    assert found[2].changes == {"weights": {"released": 0.1, "G1": 0.2, "G2": 0.3}}
    assert [one.name for one in variants("groups", {"G1": 0.5, "G2": 0.5})] == ["G1", "G1 to G2"]


def test_each_group_is_left_out_once() -> None:
    found = variants("leave-one-out", PARTS)
    assert [one.name for one in found] == ["all", "without G1", "without G2", "without G10"]
    assert found[2].changes == {"weights": {"G1": 0.2, "G10": 0.4, "released": 0.1}}


def test_modes_and_datasets_are_compared(tmp_path: Path) -> None:
    assert {one.changes["time_mode"] for one in variants("time-tokens", PARTS)} >= {"31", "ours", "text"}
    assert {one.changes["region_mode"] for one in variants("region", PARTS)} == {"connector", "som", "none"}
    datasets = {"filtered": tmp_path / "a", "raw": tmp_path / "b"}
    assert [one.changes["dataset"] for one in variants("dataset", PARTS, datasets=datasets)] == [
        tmp_path / "a", tmp_path / "b",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="two datasets"):
        variants("dataset", PARTS)
    with pytest.raises(ConfigError, match="no study 'magic'"):
        variants("magic", PARTS)  # type: ignore[arg-type]
    assert set(STUDIES) == {"groups", "leave-one-out", "time-tokens", "region", "dataset", "mixture"}


def test_mixtures_are_drawn_from_all_there_are() -> None:
    found = variants("mixture", PARTS, draws=8, seed=3)
    rows = np.array([[one.changes["weights"][name] for name in PARTS] for one in found])
    assert np.allclose(rows.sum(1), 1, atol=1e-3)
    assert rows[0].tolist() == [0.25] * 4
    assert len(np.unique(rows, axis=0)) == 8
    assert found == variants("mixture", PARTS, draws=8, seed=3)


# --- running ---


class Trainer:
    """Counts what is trained; the model is a folder."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.trained: list[tuple[str, int]] = []
        self.fails_at = fails_at

    def __call__(self, options: TrainingOptions) -> Trained:
        if len(self.trained) == self.fails_at:
            raise KeyboardInterrupt
        self.trained.append((options.time_mode, options.seed))
        model = options.out / "model"
        model.mkdir(parents=True)
        (model / "name").write_text(options.time_mode)
        return Trained(
            model=model, steps=1, samples=1, loss=1.0, seconds=2.0, resumed_at=0, shares={}, skipped={}
        )


def evaluated(model: Path, folder: Path) -> dict[str, Any]:
    accuracy = {"31": 0.5, "text": 0.4}[(model / "name").read_text()]
    return {"overall": {"accuracy": {"value": accuracy}}, "groups": {}}


def study(out: Path, **changes: Any) -> Study:
    given = {
        "variants": [Variant(name=mode, changes={"time_mode": mode}) for mode in ("31", "text")],
        "seeds": (0, 1),
        "options": TrainingOptions(dataset=out, out=out),
        "out": out,
        "named": {"study": "time-tokens"},
    }
    return Study(**{**given, **changes})


def test_a_study_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(study(tmp_path), Trainer(fails_at=3), evaluated)
    with (tmp_path / RUNS).open("a") as file:
        file.write('{"variant": "te')  # a line that a kill cut off
    assert [one.key for one in read_runs(tmp_path / RUNS)] == [("31", 0), ("text", 0), ("31", 1)]
    again = Trainer()
    assert len(run_study(study(tmp_path), again, evaluated)) == 4
    assert again.trained == [("text", 1)]


def test_several_at_once_are_the_same_study(tmp_path: Path) -> None:
    shown: list[tuple[int, int]] = []
    runs = run_study(study(tmp_path), trained, evaluated, lambda *now: shown.append(now), jobs=2)
    assert [one.key for one in runs] == [("31", 0), ("text", 0), ("31", 1), ("text", 1)]
    assert shown == [(done, 4) for done in range(5)]
    assert len(read_runs(tmp_path / RUNS)) == 4


def trained(options: TrainingOptions) -> Trained:
    return Trainer()(options)


def test_runs_are_kept_and_models_are_not(tmp_path: Path) -> None:
    first, again = Trainer(), Trainer()
    runs = run_study(study(tmp_path), first, evaluated)
    assert first.trained == [("31", 0), ("text", 0), ("31", 1), ("text", 1)]
    assert run_study(study(tmp_path), again, evaluated) == runs
    assert again.trained == []
    assert not list((tmp_path / "work").iterdir())
    with pytest.raises(ConfigError, match="holds another study"):
        run_study(study(tmp_path, named={"study": "region"}), again, evaluated)


def test_a_study_needs_something_to_compare(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="variants and seeds"):
        study(tmp_path, seeds=())
    with pytest.raises(ConfigError, match="one name"):
        study(tmp_path, variants=[Variant(name="a"), Variant(name="a")])


# --- the report ---


def run(variant: str, seed: int, accuracy: float, **groups: float) -> Run:
    found = {"overall": {"accuracy": {"value": accuracy}}, "mask_effect_points": {"value": 30.0 + seed}}
    rows = {name: {"accuracy": {"value": value}} for name, value in groups.items()}
    return Run(
        variant=variant, seed=seed, weights={}, loss=1.0, seconds=1.0, report={**found, "groups": rows}
    )


RUNS_OF_TWO = [
    *(run("all", seed, value, G5=value) for seed, value in enumerate((0.5, 0.6, 0.58))),
    *(run("less", seed, value, G5=value / 2) for seed, value in enumerate((0.45, 0.5, 0.5))),
]


def test_intervals_are_students(tmp_path: Path) -> None:
    first, second = report.rows(RUNS_OF_TWO)
    values, others = np.array([0.5, 0.6, 0.58]), np.array([0.45, 0.5, 0.5])
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    found = first.figures["accuracy"]
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    paired = ttest_rel(others, values).confidence_interval(0.95)
    against = second.against_first["accuracy"]
    assert (against.low, against.high) == pytest.approx((paired.low, paired.high))
    assert first.against_first == {}
    assert second.groups["G5"].mean == pytest.approx((others / 2).mean())
    alone = report.rows(RUNS_OF_TWO[:1])[0].figures["accuracy"]
    assert (alone.mean, alone.low, alone.seeds) == (0.5, None, 1)


def test_the_page_has_the_command_and_every_variant(tmp_path: Path) -> None:
    found = report.rows(RUNS_OF_TWO)
    page = report.markdown("Study: groups", "strefer ablate groups", found, ["More."])
    assert "`strefer ablate groups`" in page
    (line,) = (line for line in page.splitlines() if line.startswith("| less "))
    assert "-0.077" in line
    assert json.loads(json.dumps(report.plain(found)))[0]["variant"] == "all"
    for name in ("a.svg", "b.svg"):
        report.draw(found, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text(), "the same rows, the same file"
    assert "<svg" in text


# --- mixtures ---


def scored(weights: dict[str, float]) -> float:
    """Best at 0.6, 0.3, 0.1."""
    best = {"G1": 0.6, "G2": 0.3, "G3": 0.1}
    return 1 - sum((weights[name] - best[name]) ** 2 for name in best)


def test_the_best_mixture_is_found_between_those_tried() -> None:
    tried = [one.changes["weights"] for one in variants("mixture", {"G1": 1, "G2": 1, "G3": 1}, draws=24)]
    rng = np.random.default_rng(0)
    found = propose(tried, [scored(one) + float(rng.normal(0, 0.005)) for one in tried])
    assert found.weights == pytest.approx({"G1": 0.6, "G2": 0.3, "G3": 0.1}, abs=0.1)
    assert sum(found.weights.values()) == pytest.approx(1, abs=1e-3)
    assert found.rank_correlation > 0.9


def test_a_regression_over_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="teach nothing"):
        propose([{"G1": 1.0}] * 3, [0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="teach nothing"):
        propose([{"G1": 1.0}] * 9, [0.5] * 9)


def test_noise_is_told_by_the_rank_correlation() -> None:
    tried = [one.changes["weights"] for one in variants("mixture", {"G1": 1, "G2": 1}, draws=24)]
    noise = np.random.default_rng(1).normal(size=24)
    assert propose(tried, noise.tolist()).rank_correlation < 0.5


def test_a_row_without_figures_is_empty() -> None:
    (row,) = report.rows([replace(RUNS_OF_TWO[0], report={})])
    assert row.figures == {}
    assert "| all |" in report.markdown("t", "c", [row])
