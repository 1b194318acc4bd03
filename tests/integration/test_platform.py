"""A drop of videos becomes a dataset through Airflow, Celery, Postgres and S3, whatever happens."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from strefer_core import local, worker
from strefer_core.airflow_client import DagRun
from strefer_core.cli import main
from strefer_core.config import settings
from strefer_core.data_model import FRAME_COUNT
from strefer_core.drop import DropReport
from strefer_core.ingest import video_id_of
from strefer_core.masks import decode
from strefer_core.pipeline import STAGES
from strefer_core.regions import mask_from_value
from strefer_core.released_format import read_records
from strefer_core.stages.dataset import open_dataset
from tests.integration import scenes
from tests.integration.platform_drops import (
    Stopped,
    begin,
    call,
    content,
    deliver,
    differences,
    follow,
    forget_everything,
    part_process,
    rows,
    task_states,
    wait_for,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

GOOD = 8


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos and four files that are bad in different ways."""
    folder = tmp_path_factory.mktemp("twelve")
    for seed in range(GOOD):
        scenes.write_scene(folder / f"good-{seed}.mp4", seed)
    (folder / "bad-empty.mp4").write_bytes(b"")
    whole = scenes.write_scene(folder / "bad-cut.mp4", 99).read_bytes()
    (folder / "bad-cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "bad-page.mp4").write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")
    scenes.write_audio_only(folder / "bad-sound.mp4")
    return folder


@dataclass(frozen=True)
class Delivered:
    """The drop, taken once and undisturbed: its folder, its report, what it left by content."""

    folder: Path
    report: DropReport
    content: dict[str, Any]


@pytest.fixture(scope="module")
def delivered(stack: local.StackInfo, twelve: Path) -> Delivered:
    forget_everything()
    report = deliver("twelve", twelve)
    return Delivered(twelve, report, content())


def test_twelve_videos_end_as_eight_done_and_four_failed_with_reasons(delivered: Delivered) -> None:
    report = delivered.report
    assert report.is_success, report
    assert report.states["videos"] == {"done": GOOD, "filtered": 0, "failed": 4}
    for stage in list(STAGES)[1:]:
        assert report.states[stage] == {"done": GOOD, "filtered": 0, "failed": 0}
    reasons = {Path(f["key"]).name: f for f in report.failures}
    assert sorted(reasons) == ["bad-cut.mp4", "bad-empty.mp4", "bad-page.mp4", "bad-sound.mp4"]
    assert all(f["error_class"] == "UnreadableVideo" for f in reasons.values())
    for name, word in [("empty", "empty"), ("page", "HTML"), ("sound", "audio"), ("cut", "truncated")]:
        assert word.lower() in reasons[f"bad-{name}.mp4"]["reason"].lower()


def test_a_bad_file_leaves_a_failed_row_and_no_other_trace(delivered: Delivered) -> None:
    folder = delivered.folder
    for path in folder.glob("bad-*"):
        video_id = video_id_of(path)
        runs = rows("select stage, status from stage_runs where video_id = :v", v=video_id)
        assert runs == [{"stage": "videos", "status": "failed"}]
        for table in ("videos", "clips", "entities", "masklets", "instructions", "flags"):
            assert rows(f"select 1 from {table} where video_id = :v", v=video_id) == []


def test_every_dag_ran_once_and_green(delivered: Delivered) -> None:
    report = delivered.report
    assert [(run["dag_id"], run["state"]) for run in report.runs] == [
        ("ingest_videos", "success"),
        ("annotate_videos", "success"),
        ("curate_dataset", "success"),
    ]


def test_the_published_dataset_is_whole_and_about_these_videos(delivered: Delivered) -> None:
    folder, report = delivered.folder, delivered.report
    dataset = open_dataset(worker.objects(), report.dataset, verify=True)
    assert dataset.manifest.counts["videos"] == GOOD
    data = json.loads(worker.objects().get_bytes(f"datasets/{report.dataset}/instructions.json"))
    assert len(data) == dataset.manifest.counts["instructions"] > 0
    assert {Path(record["path"]).name for record in data} <= {p.name for p in folder.glob("good-*")}
    frames = {int(i) for record in data for region in record.get("annotation", []) for i in region}
    assert frames
    assert frames <= set(range(FRAME_COUNT))


def test_show_and_export_tell_what_is_there(delivered: Delivered, tmp_path: Path) -> None:
    path = delivered.folder / "good-1.mp4"
    shown = _cli(
        "show",
        path,
        "--out",
        tmp_path / "pictures",
        "--animate",
        "--regions",
        "polygon",
        "--prompt",
        "som",
        "--json",
    )
    assert shown["video_id"] == video_id_of(path)
    assert [run["stage"] for run in shown["runs"]] == list(STAGES)
    assert shown["results"]["masklets"]["masklets"]
    assert [Path(p).suffix for p in shown["overlays"]] == [".png", ".webp"]
    assert all(Path(p).stat().st_size > 1000 for p in [*shown["overlays"], *shown["prompts"]])
    regions = json.loads(Path(shown["regions"][0]).read_text())
    for masklet, stored in zip(regions, shown["results"]["masklets"]["masklets"], strict=True):
        assert masklet["entity_id"] == stored["entity_id"]
        for frame, rle in zip(masklet["frames"], stored["masks"], strict=True):
            size = rle["size"] if rle else [4, 4]
            mask = mask_from_value(frame["region"], "polygon", *size)
            assert np.array_equal(mask, decode(rle) if rle else np.zeros(size, bool))
    exported = _cli("export", "--out", tmp_path / "data", "--json")
    assert exported["version"] == delivered.report.dataset
    counts = json.loads((tmp_path / "data" / "manifest.json").read_text())["counts"]
    assert len(list(read_records(tmp_path / "data" / "instructions.json"))) == counts["instructions"]
    _cli("export", "--no-filter", "--out", tmp_path / "all", "--json")
    every = list(read_records(tmp_path / "all" / "instructions.json"))
    assert len(every) == counts["instructions"] + counts["quarantined"]


def test_show_is_for_people_too(delivered: Delivered, tmp_path: Path) -> None:
    path = delivered.folder / "good-1.mp4"
    result = CliRunner().invoke(main, ["show", str(path), "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    for word in ("Entities", "Transcript", "Instructions", "masklets", "overlay:"):
        assert word in result.stdout


def _cli(*arguments: object) -> Any:
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_same_videos_again_compute_nothing(delivered: Delivered) -> None:
    folder, first, before = delivered.folder, delivered.report, delivered.content
    report = deliver("twelve-again", folder)
    assert report.is_success
    assert report.computed == {}
    assert sum(report.already.values()) == GOOD * len(STAGES) + 4
    assert (report.dataset, report.dataset_is_new) == (first.dataset, False)
    assert differences(content(), before) == []


def test_clearing_a_task_computes_only_what_is_missing(delivered: Delivered) -> None:
    annotate = next(run for run in delivered.report.runs if run["dag_id"] == "annotate_videos")
    victim = video_id_of(delivered.folder / "good-3.mp4")
    _delete_runs(victim, ("instructions", "quality"))
    before = rows("select now() as t")[0]["t"]
    _clear("annotate_videos", annotate["run_id"], "batch.instructions")
    wait_for("the cleared run", lambda: _state("annotate_videos", annotate["run_id"]) == "success")
    wait_for("quality after it", lambda: _is_done(victim, "quality"))
    begun = rows("select video_id, stage from stage_runs where started_at > :t order by stage", t=before)
    assert begun == [{"video_id": victim, "stage": stage} for stage in ("instructions", "quality")]
    wait_for("the same dataset with its lineage", lambda: content() == delivered.content, timeout_s=60)


def test_workers_killed_in_mid_stage_change_nothing(delivered: Delivered, stack: local.StackInfo) -> None:
    """One child process, then one worker whole, by SIGKILL, while each is computing masklets."""
    folder, undisturbed = delivered.folder, delivered.content
    forget_everything()
    run = begin("twelve", folder)  # the same name, because a record's path holds it
    _kill_in("masklets", stack, whole=False)
    _kill_in("masklets", stack, whole=True)
    assert {r.state for r in follow(run)} == {"success"}
    attempts = rows("select attempts from stage_runs where stage = 'masklets' order by attempts desc")
    assert attempts[0]["attempts"] > 1, "a stage was cut off and begun again"
    assert differences(content(), undisturbed) == []


def test_a_broker_killed_in_mid_stage_changes_nothing(delivered: Delivered, stack: local.StackInfo) -> None:
    """Redis by SIGKILL, twice: while videos are computed and while messages wait."""
    folder, undisturbed = delivered.folder, delivered.content
    forget_everything()
    run = begin("twelve", folder)  # the same name, because a record's path holds it
    for stage in ("videos", "masklets"):
        wait_for(stage, lambda stage=stage: _runs_now(stage), poll_s=0.02)
        part_process(stack, "redis").kill()
    assert {r.state for r in follow(run)} == {"success"}
    assert differences(content(), undisturbed) == []
    assert rows("select 1 from requests where finished_at is null") == []


def test_cancelling_a_task_drops_what_is_queued(stack: local.StackInfo, tmp_path: Path) -> None:
    for seed in range(6):
        scenes.write_tiny(tmp_path / f"cancel-{seed}.mp4", 1000 + seed)
    ids = [video_id_of(path) for path in tmp_path.iterdir()]
    with Stopped(part_process(stack, "worker-cpu")):
        run = begin("cancelled", tmp_path)
        wait_for("the trigger to run", lambda: _trigger_runs(run))
        assert len(_open_requests(ids)) == 6
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/batch.videos/0"
        call("PATCH", path, json={"new_state": "failed"})
        wait_for("the requests to go", lambda: not _open_requests(ids))
    wait_for("the queue to empty", lambda: worker.queue_length("cpu") == 0)
    time.sleep(2)
    assert rows("select video_id from stage_runs where video_id = any(:ids)", ids=ids) == []


def test_a_worse_copy_of_a_video_is_filtered(stack: local.StackInfo, tmp_path: Path) -> None:
    first = scenes.write_scene(tmp_path / "1-original.mp4", 777)
    scenes.write_scene(tmp_path / "2-copy.mp4", 777, crf=32)
    report = deliver("copies", tmp_path)
    assert report.states["videos"] == {"done": 1, "filtered": 1, "failed": 0}
    assert report.states["quality"] == {"done": 1, "filtered": 0, "failed": 0}
    (dropped,) = report.failures
    assert dropped["key"] == "drops/copies/2-copy.mp4"
    assert dropped["reason"] == f"near-duplicate of {video_id_of(first)}"


def test_an_object_put_under_the_prefix_starts_one_ingest(stack: local.StackInfo, tmp_path: Path) -> None:
    path = scenes.write_scene(tmp_path / "watched.mp4", 4321)
    video_id = video_id_of(path)
    worker.objects().put_file(f"{settings().drop_prefix}by-hand/a b ü.mp4", path)
    found = wait_for("the watcher's run", lambda: _drops_of(video_id))
    wait_for("the video to be through", lambda: _is_done(video_id, "quality"), timeout_s=180)
    time.sleep(3 * settings().drop_poll_s)  # the watcher looks again
    assert _drops_of(video_id) == found


def _drops_of(video_id: str) -> list[dict[str, Any]]:
    return rows("select drop_id from drop_objects where video_id = :v", v=video_id)


def _is_done(video_id: str, stage: str) -> bool:
    found = rows(
        "select 1 from stage_runs where video_id = :v and stage = :s and status = 'done'", v=video_id, s=stage
    )
    return bool(found)


def _kill_in(stage: str, stack: local.StackInfo, *, whole: bool) -> None:
    wait_for(stage, lambda: _runs_now(stage), poll_s=0.02)
    main = part_process(stack, "worker-gpu")
    for process in [*main.children(recursive=True), *([main] if whole else [])]:
        process.kill()


def _runs_now(stage: str) -> bool:
    return bool(rows("select 1 from stage_runs where stage = :s and status = 'running'", s=stage))


def _trigger_runs(run: DagRun) -> bool:
    """Deferred, and a triggerer has taken it: only then does a cancel reach the trigger."""
    return any(t["state"] == "deferred" and t["triggerer_job"] for t in task_states(run, "batch.videos"))


def _open_requests(video_ids: list[str]) -> list[dict[str, object]]:
    return rows(
        "select video_id from requests where finished_at is null and video_id = any(:ids)", ids=video_ids
    )


def _delete_runs(video_id: str, stages: tuple[str, ...]) -> None:
    import sqlalchemy as sa

    from tests.integration.platform_drops import engine

    with engine().begin() as connection:
        connection.execute(sa.text("delete from dataset_videos where video_id = :v"), {"v": video_id})
        for stage in reversed(stages):
            connection.execute(
                sa.text("delete from stage_runs where video_id = :v and stage = :s"),
                {"v": video_id, "s": stage},
            )


def _clear(dag_id: str, run_id: str, task_id: str) -> None:
    body = {
        "dry_run": False,
        "dag_run_id": run_id,
        "task_ids": [task_id],
        "only_failed": False,
        "include_downstream": True,
    }
    call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
    wait_for("the clear", lambda: _state(dag_id, run_id) != "success")


def _state(dag_id: str, run_id: str) -> str:
    state: str = call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
    return state
