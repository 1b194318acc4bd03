"""Champion against challenger, and intervals over videos, held against SciPy and against known variances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from strefer_core.errors import ConfigError, InputError
from strefer_core.evaluation.comparing import Rule, compare, compare_runs
from strefer_core.evaluation.figures import mean
from strefer_core.evaluation.results import Result, ResultsFile


def results(
    flags: list[bool | None], per_video: int = 1, condition: str = "regions=right,times=right"
) -> list[Result]:
    return [
        Result(
            item_id=f"i{place}",
            video=f"v{place // per_video:04d}",
            group="G1",
            condition=condition,
            answer="",
            right=flag,
        )
        for place, flag in enumerate(flags)
    ]


def drawn(share: float, count: int, seed: int) -> list[bool]:
    return [bool(one) for one in np.random.default_rng(seed).random(count) < share]


def test_a_mean_s_interval_is_scipy_s_percentile_bootstrap() -> None:
    values = np.random.default_rng(1).random(200)
    found = mean(values.tolist(), [f"v{i}" for i in range(200)], seed=3)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.low, abs=0.004)
    assert found.high == pytest.approx(expected.high, abs=0.004)


def test_items_of_one_video_are_not_independent() -> None:
    """Ten equal items per video say no more than one: the interval is that of the videos."""
    flags = drawn(0.5, 100, seed=4)
    alone = mean([float(one) for one in flags], [f"v{i}" for i in range(100)], seed=0)
    often = mean(
        [float(one) for one in flags for _ in range(10)], [f"v{i}" for i in range(100) for _ in range(10)], 0
    )
    assert (often.low, often.high) == (alone.low, alone.high)
    apart = mean([float(one) for one in flags for _ in range(10)], [f"v{i}" for i in range(1000)], seed=0)
    assert apart.low is not None
    assert apart.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert apart.high - apart.low < 0.5 * (alone.high - alone.low)


def test_one_video_has_no_interval_and_none_has_no_mean() -> None:
    assert mean([1.0, 0.0], ["a", "a"], 0).low is None
    assert mean([], [], 0).value is None


def test_probability_and_interval_are_those_of_a_normal_of_the_known_variance() -> None:
    count, old, new = 900, drawn(0.60, 900, seed=5), drawn(0.63, 900, seed=6)
    found = compare(results(list(old)), results(list(new)), Rule(confidence=0.95))
    differences = np.array(new, float) - np.array(old, float)
    error = differences.std() / np.sqrt(count)
    assert found.difference == pytest.approx(differences.mean())
    assert found.probability == pytest.approx(stats.norm.cdf(differences.mean() / error), abs=0.02)
    assert found.low == pytest.approx(differences.mean() - stats.norm.ppf(0.95) * error, abs=0.005)
    assert found.high == pytest.approx(differences.mean() + stats.norm.ppf(0.95) * error, abs=0.005)


def test_pairing_sees_what_two_separate_means_would_not() -> None:
    """The challenger is right wherever the champion is, and on a few more: a gain small but sure."""
    old = drawn(0.5, 400, seed=7)
    new = [one or place % 40 == 0 for place, one in enumerate(old)]
    found = compare(results(list(old)), results(list(new)))
    assert 0 < found.difference < 0.03
    assert found.decision == "promote"
    shuffled = [bool(one) for one in np.random.default_rng(0).permutation(new)]
    assert compare(results(list(old)), results(list(shuffled))).decision == "keep"


@pytest.mark.parametrize(
    ("gain", "margin", "decision"),
    [
        (0.10, 0.0, "promote"),
        (0.10, 0.05, "promote"),
        (0.10, 0.12, "keep"),
        (0.0, 0.0, "keep"),
        (-0.1, 0.0, "keep"),
    ],
)
def test_decisions(gain: float, margin: float, decision: str) -> None:
    draws = np.random.default_rng(8).random(1000)
    old = [bool(one) for one in draws < 0.5]
    new = [bool(one) for one in draws < 0.5 + gain]
    found = compare(results(list(old)), results(list(new)), Rule(margin=margin))
    assert found.decision == decision
    assert decision in found.reason


def test_equals_are_kept_with_even_odds() -> None:
    flags = drawn(0.5, 50, seed=9)
    found = compare(results(list(flags)), results(list(flags)))
    assert (found.difference, found.probability, found.decision) == (0.0, 0.5, "keep")


def test_false_promotions_are_about_as_rare_as_asked() -> None:
    """Of pairs of models that are equally good, about one in twenty is promoted at a confidence of 0.95."""
    rng = np.random.default_rng(10)
    promoted = 0
    for _ in range(200):
        old, new = (rng.random(150) < 0.5 for _ in range(2))
        found = compare(results(old.tolist()), results(new.tolist()))
        promoted += found.decision == "promote"
    assert 2 <= promoted <= 22  # binomial(200, 0.05): beyond these once in a thousand


def test_an_unusable_answer_counts_as_wrong() -> None:
    found = compare(results([True, None, None, None]), results([True, True, False, None]))
    assert (found.champion_accuracy, found.challenger_accuracy) == (0.25, 0.5)


def test_the_order_of_results_is_nothing() -> None:
    old, new = results(list(drawn(0.5, 60, 1)), 3), results(list(drawn(0.7, 60, 2)), 3)
    assert compare(old, new) == compare(old[::-1], new)


def test_what_was_not_asked_alike_is_not_compared() -> None:
    with pytest.raises(InputError, match="only one of the two models"):
        compare(results([True, False]), results([True]))
    with pytest.raises(InputError, match="two videos or more"):
        compare(results([True, False], 2), results([True, False], 2))
    with pytest.raises(InputError, match="different videos"):
        compare(results([True, False]), results([True, False], 2))
    with pytest.raises(ConfigError):
        Rule(confidence=1.0)


def test_answers_with_other_masks_do_not_count() -> None:
    old, new = results([True, False]), results([True, True])
    misled = results([True, True], condition="regions=shuffled,times=right")
    assert compare([*old, *misled], new) == compare(old, new)


def test_runs_are_compared_by_their_folders(tmp_path: Path) -> None:
    old, new = results(list(drawn(0.5, 80, 1))), results(list(drawn(0.8, 80, 2)))
    for name, found in (("old", old), ("new", new)):
        ResultsFile(tmp_path / name, {"model": name}).add(found)
    assert compare_runs(tmp_path / "old", tmp_path / "new") == compare(old, new)
    with pytest.raises(InputError, match="holds no results"):
        compare_runs(tmp_path / "old", tmp_path / "nowhere")


def test_only_what_is_wanted_counts() -> None:
    old, new = results([True, False, False, False]), results([True, True, False, False])
    found = compare(old, new, wanted=lambda one: one.video != "v0001")
    assert (found.items, found.difference) == (3, 0.0)
