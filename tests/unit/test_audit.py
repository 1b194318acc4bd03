"""An audit from rendered videos to its report; whether its judge notices what is made wrong on purpose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from strefer_core import data_model as dm
from strefer_core.audit import AuditOptions, audit, figures
from strefer_core.audit.auditing import results_of
from strefer_core.audit.checking import Checker, Verdict
from strefer_core.audit.judging import Fault, Judge
from strefer_core.audit.perceiving import Running, perceive
from strefer_core.audit.report import make_report
from strefer_core.audit.running import Audited
from strefer_core.backends.world import Noise
from strefer_core.cli import main
from strefer_core.config import PipelineConfig
from strefer_core.errors import ConfigError
from strefer_core.probe.videos import load_checked
from strefer_core.stages.task_table import task_rows
from strefer_core.world.render import render_video
from tests.corrupted import corrupted

SEED, VIDEOS = 5, 2


@pytest.fixture(autouse=True, scope="module")
def _no_stack() -> Iterator[None]:
    """The pool's processes are no part of a stack that runs beside: they would be taken down with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STREFER_HOME", raising=False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("world")
    for index in range(VIDEOS):
        render_video(SEED, index, made)
    return made


@pytest.fixture(scope="module")
def options(folder: Path) -> AuditOptions:
    return AuditOptions(seed=SEED, videos=VIDEOS, knobs="default", videos_dir=folder, jobs=1)


@pytest.fixture(scope="module")
def results(options: AuditOptions) -> list[Audited]:
    return list(results_of(options))


def test_with_perfect_perception_no_pair_says_anything_false(results: list[Audited]) -> None:
    assert [one.failure or one.filtered for one in results] == [None] * VIDEOS
    faults = [fault for video in results for verdict in video.verdicts for fault in verdict.faults]
    assert not [fault for fault in faults if fault.kind != "unreadable"]
    assert sum(len(one.verdicts) for one in results) >= 40


def test_the_report_has_what_was_promised_and_adds_up(results: list[Audited], options: AuditOptions) -> None:
    report = make_report(results, options.plain(), SEED)
    plain = json.loads(json.dumps(report.plain()))
    assert plain["pairs"] == sum(len(one.verdicts) for one in results)
    assert set(plain["tasks"]) == {row.task_type for row in task_rows()}
    assert set(plain["groups"]) == {f"G{i}" for i in range(1, 9)}
    for part in ("groups", "tasks"):
        for name in ("pairs", "wrong"):
            assert sum(row[name] for row in plain[part].values()) == plain[name], (part, name)
    assert all({"chance", "text_only_accuracy"} <= set(row) for row in plain["tasks"].values())
    assert plain["blocks_of_50_complete"] is None, "two videos are no fifty"
    assert plain["duplicates"] == 0
    assert plain["leak_rate"] == 0
    assert plain["options"]["perception"] == "world"


def test_what_is_made_wrong_is_found(folder: Path) -> None:
    """Of claims of right pairs, corrupted in ways that make them surely false, nearly all are caught."""
    caught = [flag for path in sorted(folder.glob("*.mp4")) for flag in _caught(path)]
    assert len(caught) >= 150
    assert sum(caught) / len(caught) >= 0.95


def _caught(path: Path) -> Iterator[bool]:
    truth = load_checked(path)
    running = Running.of(path, truth, PipelineConfig(), Noise.none(), 0)
    perceive(running, "world")
    running.run("transcript", dm.TranscriptResult)
    pairs = running.run("instructions", dm.InstructionsResult).instructions
    judge = Judge(truth)
    entities = running.result("entities", dm.EntitiesResult).entities
    checker = Checker(judge, entities, running.result("masklets", dm.MaskletsResult).masklets)
    names = [one.expression.removeprefix("the ") for one in truth.entities]
    for pair in pairs:
        verdict = checker.check(pair)
        given = checker.reference(pair)
        for claim in (claim for reading in verdict.readings for claim in reading.claims if verdict.is_right):
            for _, wrong, reference in corrupted(claim, given, names, truth.duration_s):
                yield judge.fault(wrong, reference) is not None


def test_every_wrong_pair_is_written_with_its_reason(
    folder: Path, options: AuditOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Checker.check

    def strict(self: Checker, pair: dm.Instruction) -> Verdict:
        found = honest(self, pair)
        fault = Fault(kind="wrong_time", why="for a test", claim="c")
        return replace(found, faults=(fault,)) if pair.group == "G3" else replace(found, faults=())

    monkeypatch.setattr(Checker, "check", strict)
    report = audit(replace(options, videos=1, out_dir=tmp_path / "out", filter=""))
    lines = [json.loads(line) for line in (tmp_path / "out" / "wrong.jsonl").read_text("utf-8").splitlines()]
    assert report.wrong == report.groups["G3"]["pairs"] == len(lines) > 0
    assert report.kinds == {"wrong_time": report.wrong}
    assert {line["group"] for line in lines} == {"G3"}
    assert {"video", "kind", "text", "claim", "why"} <= set(lines[0])
    assert report.filtering is not None
    assert sum(line["is_accepted"] for line in lines) == report.filtering["accepted_wrong"] > 0
    assert report.error_rate == pytest.approx(report.wrong / report.pairs)


def test_a_video_that_fails_is_counted_and_the_others_go_on(
    folder: Path, options: AuditOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(running: Running, perception: str) -> None:
        if running.truth.index == 0:
            raise IndexError("no such frame")
        perceive(running, "world")

    monkeypatch.setattr("strefer_core.audit.running.perceive", broken)
    report = audit(options)
    assert [one["video"] for one in report.failed] == ["world-5-00.mp4"]
    assert "IndexError: no such frame (test_audit.py:" in report.failed[0]["reason"]
    assert report.videos == 1
    assert not report.is_success


@pytest.mark.parametrize("perception", ["world-noisy", "classical"])
def test_other_perceptions_come_to_verdicts_too(options: AuditOptions, perception: str) -> None:
    report = audit(replace(options, perception=perception, videos=1))  # type: ignore[arg-type]
    assert not report.failed
    assert report.pairs + len(report.filtered) > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": -1}, "seed >= 0"),
        ({"videos": 0}, "at least one video"),
        ({"perception": "psychic"}, "world, world-noisy, classical"),
        ({"noise": "miss=0.2"}, "no error model"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AuditOptions(**changes)  # type: ignore[arg-type]


def test_the_command_prints_one_object_and_its_exit_code_tells_of_failures(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "videos")
    call = ["audit", "--seed", str(SEED), "--videos", "1", "--knobs", "default", "--jobs", "1"]
    done = CliRunner().invoke(main, [*call, "--videos-dir", str(tmp_path / "videos"), "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"pairs", "wrong", "error_rate", "leak_rate", "duplicates", "groups", "tasks"} <= set(found)
    human = CliRunner().invoke(main, [*call, "--videos-dir", str(tmp_path / "videos")])
    assert "false_premise" in human.stdout
    assert CliRunner().invoke(main, ["audit", "--knobs", "magic"]).exit_code == 2


# --- figures ---


def verdict(*faults: str, leaked: bool = False, text: str = "Q", start_s: float | None = None) -> Verdict:
    pair = dm.Instruction(
        instruction_id="i",
        video_id="v",
        group="G1",
        task_type="describe_video",
        turns=(dm.Turn(role="human", text=text), dm.Turn(role="gpt", text="A b.")),
        start_s=start_s,
        template_id="t.f.0.answers.0",
    )
    return Verdict(
        pair=pair,
        faults=tuple(Fault(kind=kind, why="") for kind in faults),  # type: ignore[arg-type]
        leaked=("red",) if leaked else (),
    )


def test_rates_count_pairs_and_not_faults() -> None:
    videos = [
        Audited(name="a", verdicts=(verdict("wrong_time", "wrong_time", "leak"), verdict())),
        Audited(name="b", verdicts=(verdict(), verdict())),
    ]
    rate = figures.error_rate(videos, 1)
    assert (rate["pairs"], rate["wrong"], rate["error_rate"]) == (4, 1, 0.25)
    assert (rate["error_rate_low"], rate["error_rate_high"]) == (0.0, 0.5), "both videos, or either twice"
    assert figures.kinds([one for video in videos for one in video.verdicts]) == {"wrong_time": 1, "leak": 1}


def test_questions_asked_twice_of_one_video_are_duplicates_and_of_two_are_not() -> None:
    twice = Audited(name="a", verdicts=(verdict(text="Q"), verdict(text="Q"), verdict(text="Q", start_s=1.0)))
    other = Audited(name="b", verdicts=(verdict(text="Q"),))
    assert figures.duplicates([twice, other]) == 1
    assert figures.repeats([twice, other]) == 3


def test_leaks_balance_and_diversity() -> None:
    verdicts = [verdict(leaked=True, text="one two two"), verdict(text="one two"), verdict(text="one")]
    assert figures.leak_rate(verdicts) == pytest.approx(1 / 3)
    assert figures.leak_rate([]) is None
    found = figures.diversity(verdicts)
    assert found["distinct_questions"] == 3
    assert found["distinct_templates"] == 1
    assert found["template_entropy_bits"] == 0
    assert found["type_token_ratio"] == pytest.approx(
        4 / 12
    )  # one, two, a, b in six and three times two words
    assert found["question_words"] == [1, 1.5, 2, 2.5, 3]


def test_every_fifty_videos_must_show_everything() -> None:
    def video(rows: list[tuple[str, str]]) -> Audited:
        found = [verdict() for _ in rows]
        return Audited(
            name="v",
            verdicts=tuple(
                replace(one, pair=replace(one.pair, group=group, task_type=task))
                for one, (group, task) in zip(found, rows, strict=True)
            ),
        )

    rows = [(row.group, row.task_type) for row in task_rows()]
    full, none = video(rows), video([])
    assert figures.is_complete([full] + [none] * 49) is True
    assert figures.is_complete([video(rows[:-1])] * 50) is False
    assert figures.is_complete([full] + [none] * 99) is False
    assert figures.is_complete([full] * 49) is None
