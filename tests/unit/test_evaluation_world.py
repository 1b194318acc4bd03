"""The world's bench: items against the truth, conditions that change what is right, runs that go on."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from strefer_core.cli import main
from strefer_core.errors import ConfigError, InputError
from strefer_core.evaluation import world_bench
from strefer_core.evaluation.answerers import SaysYes, WorldOracle
from strefer_core.evaluation.asking import FREE, ask_closed, ask_free, free
from strefer_core.evaluation.items import NONE, RIGHT, SHIFTED, SHUFFLED, Item, WorldBench
from strefer_core.evaluation.results import RESULTS_FILE, Result, ResultsFile
from strefer_core.evaluation.running import REPORT_FILE, EvalOptions, evaluate
from strefer_core.evaluation.world_bench import WorldBenchOptions
from strefer_core.evaluation.world_judging import VideoJudge
from strefer_core.evaluation.world_report import make_report
from strefer_core.video_llm.samples import Sample
from strefer_core.world.truth import TrueEntity, WorldTruth, load_truth, truth_path

OPTIONS = WorldBenchOptions(seed=11, first_index=22, videos=2, per_task=10)


@pytest.fixture(autouse=True, scope="module")
def _no_stack() -> Iterator[None]:
    """The pool's processes are no part of a stack that runs beside: they would be taken down with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STREFER_HOME", raising=False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def bench(folder: Path) -> WorldBench:
    return world_bench.build(OPTIONS, folder, jobs=1)


@pytest.fixture(scope="module")
def oracle_results(bench: WorldBench, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    file = ResultsFile(tmp_path_factory.mktemp("oracle"), {"model": "oracle"})
    ask_closed(bench, WorldOracle(bench), file)
    ask_free(bench, WorldOracle(bench), file)
    return file.results


def truth_of(bench: WorldBench, item: Item) -> WorldTruth:
    return load_truth(truth_path(bench.folder / item.video))


def entity_of(bench: WorldBench, item: Item, entity_id: str) -> TrueEntity:
    """The true entity whose masks lie behind a region, found by its masks on the sampled frames."""
    truth = truth_of(bench, item)
    positions = np.linspace(0, len(truth.frames_pts_s) - 1, 32).astype(int)
    wanted = bench.videos[item.video].regions[entity_id]
    (found,) = (
        one
        for one in truth.entities
        if {i: one.masks[p] for i, p in enumerate(positions) if one.masks[p] is not None} == wanted
    )
    return found


def of_template(bench: WorldBench, start: str) -> list[Item]:
    return [item for item in bench.items if item.template.startswith(start) and item.form != "premise"]


# --- items against the truth --------------------------------------------------------------------------------


def test_a_region_s_colour_is_the_right_option_and_no_other_one_names_it(bench: WorldBench) -> None:
    items = of_template(bench, "describe_entity.colour")
    assert items
    for item in items:
        colour = dict(entity_of(bench, item, item.region_ids[0]).attributes)["colour"]
        assert [colour in option.lower() for option in item.options] == [
            place == item.right for place in range(len(item.options))
        ]


def test_a_shuffle_points_at_another_entity_and_changes_the_colour_that_is_right(bench: WorldBench) -> None:
    shuffled = [item for item in of_template(bench, "describe_entity.colour") if item.shuffle_changes]
    assert shuffled
    for item in shuffled:
        assert item.shuffled_ids is not None
        one, other = (entity_of(bench, item, ids[0]) for ids in (item.region_ids, item.shuffled_ids))
        assert one.entity_id != other.entity_id
        assert dict(one.attributes)["colour"] != dict(other.attributes)["colour"]


def test_who_is_seen_first_is_so_by_the_masks(bench: WorldBench) -> None:
    items = of_template(bench, "event_order.seen_first")
    assert items
    for item in items:
        truth = truth_of(bench, item)
        first = {
            one.expression.removeprefix("the "): next(i for i, mask in enumerate(one.masks) if mask)
            for one in truth.entities
            if any(one.masks) and one.expression.removeprefix("the ") in item.question
        }
        assert min(first, key=first.__getitem__) in item.options[item.right]


def seen(bench: WorldBench, item: Item, interval_s: tuple[float, float]) -> NDArray[np.bool_]:
    """Per frame of an interval, whether whom the question names is seen."""
    truth = truth_of(bench, item)
    (one,) = (one for one in truth.entities if one.expression.removeprefix("the ") in item.question)
    times = np.asarray(truth.frames_pts_s)
    inside = (times >= interval_s[0]) & (times < interval_s[1])
    return np.array([mask is not None for mask in one.masks])[inside]


def test_visibility_in_an_interval_is_so_by_the_masks_and_no_longer_in_a_moved_one(bench: WorldBench) -> None:
    items = of_template(bench, "verify.visible_time")
    assert {item.options[item.right] for item in items} == {"Yes", "No"}
    for item in items:
        assert item.interval_s is not None
        is_yes = item.options[item.right] == "Yes"
        share = seen(bench, item, item.interval_s).mean()
        assert share > 0.7 if is_yes else share < 0.3
        if item.shift_changes:
            assert item.shifted_s is not None
            moved = seen(bench, item, item.shifted_s)
            assert not moved.all() if is_yes else moved.any()


def test_a_moved_interval_lies_in_the_video_and_mostly_beside_the_right_one(bench: WorldBench) -> None:
    shifted = [item for item in bench.items if item.shifted_s is not None]
    assert shifted
    for item in shifted:
        assert item.shifted_s is not None
        assert item.interval_s is not None
        (a, b), (c, d) = item.shifted_s, item.interval_s
        assert 0 <= a < b <= bench.videos[item.video].duration_s + 1e-3
        assert max(min(b, d) - max(a, c), 0) < 0.5 * min(b - a, d - c)


def test_masks_are_shuffled_only_where_a_question_has_regions(bench: WorldBench) -> None:
    for item in bench.items:
        assert len(item.region_ids) == item.question.count("<region>")
        assert item.region_ids or not item.shuffle_changes
        assert "<start_time>" in item.question or not item.shift_changes


def test_options_differ_and_false_premises_are_half_of_their_kind(bench: WorldBench) -> None:
    for item in bench.items:
        told = item.option_intervals_s or item.options
        assert len(set(told)) == len(told) >= 2
    premises = [item.template.startswith("false_premise") for item in bench.items if item.form == "premise"]
    assert len(premises) >= 2
    assert sum(premises) * 2 == len(premises)


def test_yes_and_no_are_as_often_right(bench: WorldBench) -> None:
    counts = Counter(item.options[item.right] for item in bench.items if item.form == "yes_no")
    assert counts["Yes"] == counts["No"] > 0


def test_all_groups_are_there(bench: WorldBench) -> None:
    assert {item.group for item in bench.items} == {f"G{i}" for i in range(1, 9)}


# --- asked --------------------------------------------------------------------------------------------------


def test_samples_have_the_masks_and_times_of_their_condition(bench: WorldBench) -> None:
    (item, *_) = (one for one in bench.items if one.shuffle_changes and one.shift_changes)
    known = bench.videos[item.video].regions
    assert item.shuffled_ids is not None
    assert item.shifted_s is not None
    right, shuffled, none, shifted = (bench.sample(item, one) for one in (RIGHT, SHUFFLED, NONE, SHIFTED))
    assert right.regions == shifted.regions == tuple(known[one] for one in item.region_ids)
    assert shuffled.regions == tuple(known[one] for one in item.shuffled_ids)
    assert none.regions == ({},) * len(item.region_ids)
    assert (right.start_s, right.end_s) == (shuffled.start_s, shuffled.end_s) == item.interval_s
    assert (shifted.start_s, shifted.end_s) == item.shifted_s
    assert right.turns == ((item.question, ""),)


def test_a_condition_that_an_item_lacks_is_refused(bench: WorldBench) -> None:
    item = next(one for one in bench.items if one.interval_s is not None)
    with pytest.raises(ValueError, match="cannot be asked"):
        bench.sample(replace(item, shifted_s=None), SHIFTED)


def test_who_looks_and_knows_is_right_and_wrong_with_other_masks_and_times(
    bench: WorldBench, oracle_results: list[Result]
) -> None:
    report = make_report(bench, oracle_results)
    assert report.answered == report.items == len(bench.items)
    assert report.overall.accuracy.value == 1.0
    assert report.mask_effect_points.value == report.time_effect_points.value == 100.0
    assert report.mask_effect_points.items == sum(item.shuffle_changes for item in bench.items)
    assert report.time_effect_points.items == sum(item.shift_changes for item in bench.items)
    assert report.overall.chance == pytest.approx(np.mean([1 / len(item.options) for item in bench.items]))


def test_answers_in_own_words_are_read_and_judged(bench: WorldBench, oracle_results: list[Result]) -> None:
    report = make_report(bench, oracle_results)
    assert report.free is not None
    assert report.free.items >= 30
    assert report.yes_share == 0.5
    assert report.free.right.value == 1.0
    assert report.free.unreadable == 0


def test_what_is_not_so_is_wrong_and_what_nobody_can_read_is_neither(bench: WorldBench) -> None:
    item = next(iter(of_template(bench, "describe_entity.colour")))
    judge = VideoJudge.of(bench.folder / item.video)
    wrong = next(option for place, option in enumerate(item.options) if place != item.right)
    assert free(judge, item, item.options[item.right]).right is True
    assert free(judge, item, wrong).right is False
    assert free(judge, item, "Colourless green ideas sleep furiously.").right is None


def test_times_in_figures_are_read(bench: WorldBench) -> None:
    item = next(one for one in bench.items if one.form == "when")
    judge = VideoJudge.of(bench.folder / item.video)
    intervals = item.option_intervals_s
    start_s, end_s = intervals[item.right]
    other = intervals[(item.right + 1) % len(intervals)]
    assert free(judge, item, f"From 00:00:0{start_s:.3f} to 00:00:0{end_s:.3f}.").right is True
    assert free(judge, item, f"From {start_s:.3f} s to {end_s:.3f} s.").right is True
    assert free(judge, item, f"From {other[0]:.3f} s to {other[1]:.3f} s.").right is False
    assert free(judge, item, f"From {end_s:.3f} s to {start_s:.3f} s.").right is None


def test_who_always_says_yes_is_right_where_it_is_and_no_mask_matters(
    bench: WorldBench, tmp_path: Path
) -> None:
    file = ResultsFile(tmp_path, {})
    ask_closed(bench, SaysYes(), file)
    report = make_report(bench, file.results)
    yes = sum(item.options[item.right] == "Yes" for item in bench.items)
    assert report.overall.accuracy.value == pytest.approx(yes / len(bench.items))
    assert report.mask_effect_points.value == 0
    assert report.time_effect_points.value == 0
    assert report.yes_share == 1.0
    assert report.groups["G5"].accuracy.value == 0, "equally likely options are no answer"


class Batched(WorldOracle):
    """Scores many questions at once, and writes times in tokens of its own."""

    def log_likelihoods_of(self, asked: Sequence[tuple[Sample, Sequence[str]]]) -> list[list[float]]:
        assert len(asked) > 1
        return [self.log_likelihoods(sample, options) for sample, options in asked]

    def answer(self, samples: Sequence[Sample], *, max_new_tokens: int = 64) -> list[str]:
        return [one.replace(":", "!") for one in super().answer(samples)]

    def in_seconds(self, sample: Sample, answer: str) -> str:
        return answer.replace("!", ":")


def test_batches_and_times_in_tokens_come_to_the_same(
    bench: WorldBench, oracle_results: list[Result], tmp_path: Path
) -> None:
    file = ResultsFile(tmp_path, {})
    ask_closed(bench, Batched(bench), file)
    ask_free(bench, Batched(bench), file)
    assert file.results == oracle_results


def test_times_of_the_question_may_be_said_again(bench: WorldBench) -> None:
    item = next(iter(of_template(bench, "event_at_time.doing")))
    judge = VideoJudge.of(bench.folder / item.video)
    assert item.interval_s is not None
    start_s, end_s = item.interval_s
    text = item.options[item.right].rstrip(".") + " from <start_time> to <end_time>."
    again = text.replace("<start_time>", f"{start_s + 0.05:.1f} s").replace("<end_time>", f"{end_s:.1f} s")
    assert free(judge, item, again).right is True
    assert free(judge, item, again.replace(f"{end_s:.1f}", f"{end_s + 9:.1f}")).right is None


class Letters(SaysYes):
    """Chooses options and gives no likelihoods, as served models do."""

    def __init__(self, bench: WorldBench) -> None:
        self.right = {item.item_id: item.right for item in bench.items}

    def choose(self, questions: Sequence[tuple[Sample, Sequence[str]]]) -> list[int | None]:
        for _, options in questions:
            assert len(set(options)) == len(options), "options that are one text are no choice"
        return [self.right[sample.sample_id] if sample.regions else None for sample, _ in questions]


def test_who_chooses_is_asked_all_options_at_once(bench: WorldBench, tmp_path: Path) -> None:
    file = ResultsFile(tmp_path, {})
    ask_closed(bench, Letters(bench), file)
    for one in file.results:
        item = next(item for item in bench.items if item.item_id == one.item_id)
        assert one.right is (True if item.region_ids else None)
        assert one.answer == (item.options[item.right] if item.region_ids else "")


def test_an_evaluation_writes_its_results_and_its_report(bench: WorldBench, tmp_path: Path) -> None:
    data = bench.folder / world_bench.BENCH_FILE
    world_bench.save(bench, data)
    options = EvalOptions(model="oracle", bench="world", data=data, out_dir=tmp_path / "out")
    found = evaluate(options, load=lambda _: WorldOracle(bench))
    assert found["overall"]["accuracy"]["value"] == 1.0
    assert json.loads((tmp_path / "out" / REPORT_FILE).read_text()) == found
    kept = [json.loads(line) for line in (tmp_path / "out" / RESULTS_FILE).read_text().splitlines()]
    assert {"item_id", "video", "group", "condition", "answer", "right"} <= set(kept[0])
    assert len(kept) == len(list(questions(bench)))
    assert evaluate(options, load=lambda _: Dies(after=0)) == found, "nothing is asked again"


def test_the_command_evaluates_a_model_s_folder(
    bench: WorldBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[Path, str | None, str | None]] = []

    def load_answerer(path: Path, *, region_mode: str | None, time_mode: str | None) -> WorldOracle:
        loaded.append((path, region_mode, time_mode))
        return WorldOracle(bench)

    answering = SimpleNamespace(load_answerer=load_answerer)
    monkeypatch.setitem(sys.modules, "strefer_core.video_llm.answering", answering)  # type: ignore[arg-type]
    world_bench.save(bench, tmp_path / "bench.json")
    paths = {"--data": tmp_path / "bench.json", "--videos-dir": bench.folder, "--out": tmp_path / "out"}
    modes = ["--region", "som", "--time-tokens", "number", "--free"]
    given = [str(part) for pair in paths.items() for part in pair]
    arguments = ["eval", str(tmp_path), "--bench", "world", *given, *modes]
    told = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert told.exit_code == 0
    assert loaded == [(tmp_path, "som", "number")]
    assert "right masks over other ones" in told.stdout
    assert "100.0" in told.stdout
    found = json.loads(CliRunner().invoke(main, [*arguments, "--json"], catch_exceptions=False).stdout)
    assert found["mask_effect_points"]["value"] == found["time_effect_points"]["value"] == 100.0
    assert found["free"]["right"]["value"] == 1.0


# --- kept and gone on with ----------------------------------------------------------------------------------


def test_the_same_options_give_the_same_bytes_in_any_number_of_processes(
    bench: WorldBench, folder: Path, tmp_path: Path
) -> None:
    world_bench.save(bench, tmp_path / "one.json")
    world_bench.save(world_bench.build(OPTIONS, folder, jobs=2), tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert world_bench.load(tmp_path / "one.json", folder) == bench


def test_videos_that_a_model_was_trained_on_are_named(bench: WorldBench) -> None:
    first, second = (bench.folder / name for name in bench.videos)
    ids = {hashlib.sha256(first.read_bytes()).hexdigest()[:16], "0" * 16}
    assert world_bench.trained_on(bench, ids) == [first.name]
    assert world_bench.trained_on(bench, ()) == []
    assert second.name not in world_bench.trained_on(bench, ids)


def test_other_videos_than_the_items_are_about_are_refused(bench: WorldBench, tmp_path: Path) -> None:
    world_bench.check_videos(bench)
    with pytest.raises(InputError, match="is missing"):
        world_bench.check_videos(replace(bench, folder=tmp_path))
    for name in bench.videos:
        (tmp_path / name).write_bytes(b"another")
    with pytest.raises(InputError, match="is another video"):
        world_bench.check_videos(replace(bench, folder=tmp_path))


def test_a_file_that_is_no_bench_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text('{"format": 1}')
    with pytest.raises(InputError, match="no bench of the world"):
        world_bench.load(tmp_path / "bench.json")
    with pytest.raises(InputError, match="no bench at"):
        world_bench.load(tmp_path / "missing.json")


class Dies(SaysYes):
    """Dies after some questions."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.asked: list[str] = []

    def log_likelihoods(self, sample: Sample, options: Sequence[str]) -> list[float]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.asked.append(sample.sample_id)
        return super().log_likelihoods(sample, options)


def questions(bench: WorldBench) -> Iterator[tuple[str, str]]:
    return ((item.item_id, one.name) for item in bench.items for one in item.conditions())


def test_a_run_that_died_goes_on_where_it_stopped(bench: WorldBench, tmp_path: Path) -> None:
    whole = ResultsFile(tmp_path / "whole", {"model": 1})
    ask_closed(bench, SaysYes(), whole)
    first = Dies(after=40)
    with pytest.raises(KeyboardInterrupt):
        ask_closed(bench, first, ResultsFile(tmp_path / "part", {"model": 1}))
    with (tmp_path / "part" / RESULTS_FILE).open("a") as file:
        file.write('{"item_id": "half a li')
    part = ResultsFile(tmp_path / "part", {"model": 1})
    kept = {one.key for one in part.results}
    assert kept
    second = Dies(after=10_000)
    ask_closed(bench, second, part)
    assert part.results == whole.results
    by_item = defaultdict(list)
    for item_id, condition in questions(bench):
        by_item[item_id].append(condition)
    again = [(i, c) for i in dict.fromkeys(second.asked) for c in by_item[i] if (i, c) not in kept]
    assert len(again) == len(whole.results) - len(kept), "what was kept is not asked again"


def test_results_of_another_run_are_not_mixed_in(tmp_path: Path) -> None:
    ResultsFile(tmp_path, {"model": "a", "bench": "world"})
    with pytest.raises(ConfigError, match="other model"):
        ResultsFile(tmp_path, {"model": "b", "bench": "world"})


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    ResultsFile(tmp_path, {})
    (tmp_path / RESULTS_FILE).write_text('{"item_id": 3}\n')
    with pytest.raises(InputError, match="line 1"):
        ResultsFile(tmp_path, {})


def test_the_report_is_plain(bench: WorldBench, oracle_results: list[Result]) -> None:
    report = make_report(bench, oracle_results).plain()
    assert set(report["groups"]) == {f"G{i}" for i in range(1, 9)}
    assert {"G4 verify", "G6 verify"} <= set(report["tasks"])
    for row in report["groups"].values():
        assert set(row) == {"accuracy", "chance", "text_only"}
        assert row["accuracy"]["low"] is not None
    free_items = sum(one.condition == FREE for one in oracle_results)
    assert sum(row["items"] for row in report["free_tasks"].values()) == report["free"]["items"] == free_items
