"""A probe from videos to report: rendered videos, cascades with known faults, and honest failures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.backends.world import Noise
from strefer_core.cascades import Found, Outcome
from strefer_core.cli import main
from strefer_core.errors import ConfigError, WorkerLost
from strefer_core.probe import ProbeOptions, probe, running
from strefer_core.probe.figures import METRICS
from strefer_core.probe.pictures import draw_worst, worst_cases
from strefer_core.probe.pool import run_all
from strefer_core.probe.questions import ask
from strefer_core.probe.running import Job, Probed, run_job
from strefer_core.probe.videos import OwnVideo, WorldVideo, knobs_of
from strefer_core.video_io import sample_positions
from strefer_core.world import load_truth, truth_path
from strefer_core.world.knobs import KNOBS, plan
from strefer_core.world.render import render_video
from strefer_core.world.truth import AbsentEntity, AmbiguousExpression, WorldTruth, expected_masks, save_truth

ABSENT = AbsentEntity(
    expression="the golden whale", noun="whale", generalized_noun="animal", attributes=(("colour", "gold"),)
)


@pytest.fixture(autouse=True, scope="module")
def _no_stack() -> Iterator[None]:
    """The pool's processes are no part of a stack that runs beside: they would be taken down with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STREFER_HOME", raising=False)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two videos of default difficulty; of the first one, names that nobody and that two answer to."""
    folder = tmp_path_factory.mktemp("world")
    paths = [render_video(3, index, folder) for index in (0, 1)]
    truth = load_truth(truth_path(paths[0]))
    two = tuple(one.entity_id for one in truth.entities[:2])
    fits_two = AmbiguousExpression(
        expression="the thing", noun="thing", generalized_noun="thing", entity_ids=two
    )
    save_truth(replace(truth, absent=(ABSENT,), ambiguous=(fits_two,)), truth_path(paths[0]))
    return paths


@pytest.fixture
def videos(world: list[Path], tmp_path: Path) -> list[Path]:
    """Copies that a test may spoil."""
    copies = []
    for path in world:
        copies.append(Path(shutil.copy(path, tmp_path)))
        shutil.copy(truth_path(path), tmp_path)
    return copies


def truth_of(path: Path) -> WorldTruth:
    return load_truth(truth_path(path))


def knowing_cascade(truths: Sequence[WorldTruth], lie: Callable[[dm.Entity], str | None]) -> Any:
    """A cascade that gives each entity the true masks of the one whose expression `lie` names."""
    by_id = {truth.video_sha256[:16]: truth for truth in truths}

    def cascade(_: str, __: object, footage: Footage, entities: Sequence[dm.Entity], ___: object) -> Outcome:
        truth = by_id[entities[0].video_id]
        positions = sample_positions(len(truth.frames_pts_s)).tolist()
        masks = expected_masks(truth, positions)
        ids = {one.expression: one.entity_id for one in truth.entities}
        given = [(place, lie(entity)) for place, entity in enumerate(entities)]
        start = Detection(frame_index=0, box=(0, 0, 1, 1), score=1, noun_scores=(1,))
        return Outcome(
            found=tuple(
                Found(
                    entity=place,
                    track=Track(detection=start, masks=np.stack(masks[ids[name]]), forward_backward_iou=None),
                    score=1,
                    margin=None,
                )
                for place, name in given
                if name
            ),
            detector_calls=3,
            tracked_frames=32,
            assigner_calls=5,
            nouns=(),
            boxes={},
        )

    return cascade


def options(paths: Sequence[Path], **changes: Any) -> ProbeOptions:
    plain = {"paths": tuple(paths), "perception": "world-exact", "cascades": ("strefer",), "jobs": 1}
    return ProbeOptions(**{**plain, **changes})


# --- questions ----------------------------------------------------------------------------------------


def test_every_name_is_asked_for_in_an_order_of_the_seed(world: list[Path]) -> None:
    truth = truth_of(world[0])
    positions = range(len(truth.frames_pts_s))
    questions = ask(truth, positions, seed=1)
    assert [one.entity.index for one in questions] == list(range(len(truth.entities) + 2))
    assert {one.true_id for one in questions if one.kind == "present"} == {
        e.entity_id for e in truth.entities
    }
    assert [one.entity.expression for one in questions if one.kind == "absent"] == ["the golden whale"]
    assert len({one.entity.entity_id for one in questions}) == len(questions)
    assert questions == ask(truth, positions, seed=1)
    orders = {tuple(one.entity.expression for one in ask(truth, positions, seed=seed)) for seed in range(8)}
    assert len(orders) > 1


def test_who_is_on_no_sampled_frame_is_not_asked_for(world: list[Path]) -> None:
    truth = truth_of(world[1])
    hidden = replace(truth.entities[0], masks=(None,) * len(truth.frames_pts_s))
    truth = replace(truth, entities=(hidden, *truth.entities[1:]))
    asked = ask(truth, range(len(truth.frames_pts_s)), seed=1)
    assert hidden.entity_id not in {one.true_id for one in asked}
    assert len(asked) == len(truth.entities) - 1


# --- figures of cascades whose faults are known ----------------------------------------------------------


def test_a_cascade_that_knows_the_truth_is_perfect(
    world: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    truths = [truth_of(path) for path in world]
    names = {one.expression for truth in truths for one in truth.entities}
    honest = knowing_cascade(truths, lambda e: e.expression if e.expression in names else None)
    monkeypatch.setattr(running, "run_cascade", honest)
    report = probe(options(world))
    assert (report.videos, report.failed, report.is_success) == (2, [], True)
    assert report.entities == sum(len(truth.entities) for truth in truths)
    found = report.cascades["strefer"]
    assert found["entities_tracked"] == found["presence_accuracy"] == found["assignment_accuracy"] == 1
    assert found["absent_false_tracks"] == found["ambiguous_tracks"] == 0
    assert found["identity_switches_per_video"] == 0
    assert (found["detector_calls_median"], found["assigner_calls_median"]) == (3, 5)
    assert found["j"] == pytest.approx(1)
    assert found["f"] == pytest.approx(1)


def test_lies_show_in_the_figures_that_they_belong_to(
    world: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first video everybody gets the masks of the first entity, the absent and ambiguous ones too."""
    truth = truth_of(world[0])
    first = truth.entities[0].expression
    monkeypatch.setattr(running, "run_cascade", knowing_cascade([truth], lambda _: first))
    found = probe(options(world[:1])).cascades["strefer"]
    count = len(truth.entities)
    assert found["assignment_accuracy"] == found["entities_tracked"] == pytest.approx(1 / count)
    assert found["absent_false_tracks"] == found["ambiguous_tracks"] == 1
    assert found["identity_switches_per_video"] == 0


# --- what the world's perception gives ------------------------------------------------------------------


def test_truth_without_errors_leaves_little_to_miss(world: list[Path]) -> None:
    report = probe(options(world, cascades=("first_frame", "strefer")))
    assert report.noise == asdict(Noise.none())
    assert report.cascades["strefer"]["j"] > 0.8  # type: ignore[operator]
    assert report.cascades["strefer"]["detector_calls_median"] >= 1  # type: ignore[operator]
    assert report.cascades["first_frame"]["detector_calls_median"] == 1


def without_seconds(report: dict[str, Any]) -> str:
    """All of a report but for what a clock measured."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(item) for key, item in value.items() if key != "seconds_median"}
        return [cleaned(item) for item in value] if isinstance(value, list) else value

    return json.dumps(cleaned(report), sort_keys=True)


def test_the_report_does_not_hang_on_how_many_processes(world: list[Path]) -> None:
    noisy = options(world, perception="world-noisy", cascades=("first_frame", "paper"))
    alone = without_seconds(probe(noisy).plain())
    assert without_seconds(probe(replace(noisy, jobs=2)).plain()) == alone


def test_cascades_meet_the_same_errors_in_any_order(world: list[Path]) -> None:
    noisy = options(world[1:], perception="world-noisy", cascades=("paper", "strefer"))
    first = without_seconds(probe(noisy).plain())
    assert without_seconds(probe(replace(noisy, cascades=("strefer", "paper"))).plain()) == first
    assert without_seconds(probe(replace(noisy, seed=8)).plain()) != first


def test_a_sweep_compares_once_per_factor(world: list[Path]) -> None:
    report = probe(
        options(world[:1], perception="world-noisy", cascades=("paper",), noise="miss=0.3", sweep=(0, 1))
    )
    nothing, once = report.sweep
    assert (nothing.factor, once.factor) == (0, 1)
    assert report.noise is not None
    assert once.noise == report.noise
    assert (report.noise["miss"], nothing.noise["miss"]) == (0.3, 0)
    plain = report.plain()
    for part in ("cascades", "by_knob"):
        assert without_seconds({part: plain["sweep"][1][part]}) == without_seconds({part: plain[part]})
    exact = probe(options(world[:1], cascades=("paper",)))
    assert without_seconds({"c": nothing.cascades}) == without_seconds({"c": exact.cascades})


def test_the_report_has_the_documented_shape(world: list[Path]) -> None:
    report = probe(options(world, perception="world-noisy", cascades=("paper", "strefer"))).plain()
    assert set(report["cascades"]) == {"paper", "strefer"}
    for name in ("paper", "strefer"):
        assert set(report["cascades"][name]) == set(report["by_knob"]["none"][name]) == set(METRICS)
        low, high = report["confidence"][name]["j"]
        assert low <= report["cascades"][name]["j"] <= high
    assert set(report["against_paper"]["j"]) == {"difference", "low", "high"}
    assert report["videos_by_knob"] == {"none": 2}
    assert report["seed"] is None
    json.dumps(report, allow_nan=False)


def test_a_video_counts_under_each_of_its_knobs(videos: list[Path]) -> None:
    for path, knobs in zip(videos, (("cuts",), ("clutter", "cuts")), strict=True):
        save_truth(replace(truth_of(path), knobs=knobs), truth_path(path))
    report = probe(options(videos, cascades=("first_frame",)))
    assert report.videos_by_knob == {"clutter": 1, "cuts": 2}
    assert set(report.by_knob) == {"clutter", "cuts"}
    assert report.by_knob["cuts"] == report.cascades


def test_a_video_without_anybody_has_calls_but_no_shares(videos: list[Path]) -> None:
    truth = truth_of(videos[1])
    save_truth(replace(truth, entities=(), events=()), truth_path(videos[1]))
    report = probe(options(videos[1:], cascades=("first_frame", "paper", "strefer")))
    assert (report.videos, report.entities, report.failed) == (1, 0, [])
    for found in report.cascades.values():
        assert (found["j"], found["assignment_accuracy"]) == (None, None)
        assert found["identity_switches_per_video"] == 0
        assert found["detector_calls_median"] is not None


# --- failures ---------------------------------------------------------------------------------------------


def spoil_truth(path: Path) -> None:
    truth_path(path).write_text("{}")


def swap_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def drop_frames(path: Path) -> None:
    truth = truth_of(path)
    save_truth(replace(truth, frames_pts_s=truth.frames_pts_s[:-1]), truth_path(path))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: truth_path(path).unlink(), "no truth at"),
        (spoil_truth, "is no world truth"),
        (swap_bytes, "is not the truth of this"),
        (lambda path: path.unlink(), "cannot read"),
        (drop_frames, "frames, its truth"),
    ],
)
def test_a_broken_video_is_named_and_the_others_go_on(
    videos: list[Path], spoil: Callable[[Path], None], said: str
) -> None:
    spoil(videos[0])
    report = probe(options(videos, cascades=("first_frame",)))
    assert (report.videos, report.is_success) == (1, False)
    (failure,) = report.failed
    assert failure["video"] == videos[0].name
    assert said in failure["reason"]
    assert report.cascades["first_frame"]["j"] is not None


def test_a_bug_that_one_video_brings_out_is_a_failure_with_its_place(
    world: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Outcome:
        raise IndexError("no such track")

    monkeypatch.setattr(running, "run_cascade", broken)
    report = probe(options(world))
    assert (report.videos, report.cascades, report.is_success) == (0, {}, False)
    assert all("IndexError: no such track (test_probe.py:" in one["reason"] for one in report.failed)


class Killer(OwnVideo):
    """Takes its process along, as a machine without memory does."""

    def fetch(self) -> Path:
        os._exit(1)


def test_a_process_that_dies_ends_the_probe_with_the_reason(world: list[Path]) -> None:
    jobs = [
        Job(
            video=Killer(path=path), perception="world-exact", cascades=("paper",), noises=(Noise.none(),),
            seed=1, config=options(world).config,
        )
        for path in world
    ]  # fmt: skip
    with pytest.raises(WorkerLost, match="--jobs"):
        run_all(run_job, jobs, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": -1}, "seed >= 0"),
        ({"videos": 0}, "at least one video"),
        ({"perception": "psychic"}, "world-noisy, world-exact, classical"),
        ({"cascades": ("ours",)}, "first_frame, paper, strefer"),
        ({"cascades": ("paper", "paper")}, "only once"),
        ({"perception": "classical", "noise": "miss=0.2"}, "no error model"),
        ({"sweep": (-1.0,)}, "from 0 up"),
        ({"sweep": (float("nan"),)}, "from 0 up"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ProbeOptions(**changes)


def test_unknown_noise_and_knobs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="telepathy"):
        probe(ProbeOptions(noise="telepathy=1", videos=1, videos_dir=tmp_path))
    with pytest.raises(ConfigError, match=r"'foggy'.*look_alikes"):
        probe(ProbeOptions(knobs="cuts,foggy", videos=1, videos_dir=tmp_path))


# --- videos ------------------------------------------------------------------------------------------------


def test_knobs_of_a_video() -> None:
    assert knobs_of("default", 7, 0) is None
    assert knobs_of("none", 7, 0) == frozenset()
    assert knobs_of("cuts, clutter", 7, 5) == {"cuts", "clutter"}
    planned = [knobs_of("plan", 7, index) for index in range(60)]
    assert planned == [plan(7, index) for index in range(60)]
    assert set().union(*(one or () for one in planned)) == set(KNOBS)


def test_kept_videos_are_used_again_only_where_they_are_these_very_ones(tmp_path: Path) -> None:
    video = WorldVideo(seed=3, index=0, knobs=None, folder=tmp_path)
    path = video.fetch()
    first = path.read_bytes()
    mark = path.stat().st_mtime_ns

    def is_kept(one: WorldVideo) -> bool:
        return one.fetch().stat().st_mtime_ns == mark

    assert is_kept(video)
    path.write_bytes(first[:-1] + b"?")
    assert not is_kept(video)
    assert path.read_bytes() == first, "the same seed gives the same bytes"
    mark = path.stat().st_mtime_ns
    assert not is_kept(replace(video, knobs=frozenset())), "a plain video is none of default difficulty"


def test_rendered_videos_are_probed_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = probe(
        ProbeOptions(seed=3, videos=1, knobs="default", perception="world-exact", cascades=("paper",), jobs=1)
    )
    assert (report.seed, report.videos) == (3, 1)
    assert not list(tmp_path.iterdir())


# --- pictures ----------------------------------------------------------------------------------------------


def probed(path: Path, cascade: Any, monkeypatch: pytest.MonkeyPatch) -> Probed:
    monkeypatch.setattr(running, "run_cascade", cascade)
    job = Job(
        video=OwnVideo(path=path), perception="world-exact", cascades=("strefer",), noises=(Noise.none(),),
        seed=1, config=options([path]).config, keeps_masks=True,
    )  # fmt: skip
    return run_job(job)


def test_worst_cases_say_what_happened(
    world: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = truth_of(world[0])
    first, second, *_ = (one.expression for one in truth.entities)
    answers = {first: None, second: first, "the golden whale": second}
    cascade = knowing_cascade([truth], lambda e: answers.get(e.expression, e.expression))
    monkeypatch.setattr(
        "strefer_core.probe.questions._is_seen", lambda entity, _: entity.expression in (first, second)
    )
    truth = replace(truth, ambiguous=())
    save_truth(truth, truth_path(Path(shutil.copy(world[0], tmp_path))))
    result = probed(tmp_path / world[0].name, cascade, monkeypatch)
    cases = worst_cases([result], "strefer", 9)
    assert {(case.question.entity.expression, case.kind) for case in cases} == {
        (first, "missed"),
        (second, "on another"),
        ("the golden whale", "absent"),
    }
    assert any(first in case.what for case in cases if case.kind == "on another")
    files = draw_worst([result], ["strefer"], 2, tmp_path / "pictures")
    assert [file.name.split("-")[0] for file in files] == ["strefer", "strefer"]
    assert sorted((tmp_path / "pictures").iterdir()) == files
    shown = np.asarray(Image.open(files[0]))
    assert shown.shape[1] > 8 * 200
    assert shown.std() > 10


def test_a_probe_without_pictures_keeps_no_masks(world: list[Path], tmp_path: Path) -> None:
    assert probe(options(world[1:], cascades=("first_frame",))).pictures == []
    report = probe(options(world[1:], cascades=("first_frame",), out_dir=tmp_path / "out", worst=1))
    assert [Path(picture).exists() for picture in report.pictures] == [True]


# --- the command --------------------------------------------------------------------------------------------


def call(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["probe", *map(str, arguments)], catch_exceptions=False)


def test_the_command_prints_one_object(world: list[Path]) -> None:
    result = call(world[1], "--perception", "world-noisy", "--noise", "miss=0.5", "--jobs", 1, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert set(report["cascades"]) == {"first_frame", "paper", "strefer"}
    assert report["noise"]["miss"] == 0.5


def test_the_command_shows_tables(world: list[Path]) -> None:
    result = call(world[1], "--cascade", "paper", "--cascade", "strefer", "--sweep", "2", "--jobs", 1)
    assert result.exit_code == 0, result.stderr
    for words in ("1 video,", "identity switches per video", "strefer - paper", "By knob", "x 2"):
        assert words in result.stdout


def test_the_command_ends_with_1_where_a_video_failed(videos: list[Path]) -> None:
    truth_path(videos[0]).unlink()
    result = call(*videos, "--cascade", "paper", "--jobs", 1, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["videos"] == 1
    assert f"{videos[0].name} failed" in result.stderr
    truth_path(videos[1]).unlink()
    result = call(*videos, "--jobs", 1)
    assert result.exit_code == 1
    assert "no video gave figures" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sweep", "much"], "--sweep takes numbers"),
        (["--knobs", "foggy"], "no knob 'foggy'"),
        (["--noise", "foggy=1"], "foggy"),
        (["--perception", "world-exact", "--noise", "miss=1"], "no error model"),
    ],
)
def test_a_wrong_call_ends_with_2_and_one_line(arguments: list[str], said: str) -> None:
    result = call(*arguments, "--videos", 1)
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
