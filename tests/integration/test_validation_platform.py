"""A drop with wrong tracks is stopped by its gate on the real stack; a clean one beside it is published.

The tracks are made wrong after the masklets stage and before quality: of every track each second mask shrinks
to a few pixels, as a tracker does that falls off its object and on again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from strefer_core import data_model as dm
from strefer_core import drop, local, masks, worker
from strefer_core.airflow_client import DagRun
from strefer_core.config import settings
from strefer_core.ingest import video_id_of
from strefer_core.pipeline import StageRequest, dump_document, fingerprints, load_result
from strefer_core.stages.dataset import open_dataset
from tests.integration import scenes
from tests.integration.platform_drops import call, forget_everything, rows, task_states, wait_for
from tests.webhook import Posted, listening

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

VIDEOS = 3  # as many as a drop needs for its shares to count
SIDE_PX = 4  # of what is left of a wrong mask


@pytest.fixture(scope="module")
def webhook(stack: local.StackInfo) -> Iterator[Posted]:
    """Alerts of the stack's tasks go here; each task reads the settings anew.

    And no filter weighs the checks: their own thresholds decide, whatever filter is shipped.
    """
    file = stack.home / "stack.env"
    before = file.read_text()
    with listening() as posted:
        file.write_text(
            f"{before.rstrip()}\nSTREFER_ALERTS__WEBHOOK_URL={posted.url}/secret-token\n"
            "STREFER_PIPELINE__QUALITY__FILTER=\n"
        )
        yield posted
        file.write_text(before)


@pytest.fixture(scope="module")
def drops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Video ids by drop; every file was written to `<tmp>/<drop>`."""
    made = {}
    for number, name in enumerate(("clean", "poisoned")):
        folder = tmp_path_factory.getbasetemp() / "gated" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        paths = [scenes.write_scene(folder / f"{name}-{n}.mp4", 500 + 10 * number + n) for n in range(VIDEOS)]
        made[name] = [video_id_of(path) for path in paths]
    return made


@pytest.fixture(scope="module")
def run(webhook: Posted, drops: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> DagRun:
    """The run of `curate_dataset` that both drops start, one of them poisoned before it; it asks a person."""
    forget_everything()
    before = _run_ids("curate_dataset")
    _pause("curate_dataset", True)
    for name in drops:  # the watcher takes both in, with one run
        paths = sorted((tmp_path_factory.getbasetemp() / "gated" / name).iterdir())
        drop.upload(worker.objects(), f"{settings().drop_prefix}{name}/", paths, lambda: None)
    every = [video_id for ids in drops.values() for video_id in ids]
    wait_for("pairs of all videos", lambda: _through(every, "instructions"), timeout_s=400, poll_s=0.5)
    for video_id in drops["poisoned"]:
        poison(video_id)
    _pause("curate_dataset", False)
    (run_id,) = wait_for("its run", lambda: _run_ids("curate_dataset") - before, timeout_s=240)
    return DagRun(dag_id="curate_dataset", run_id=run_id, state="queued")


def poison(video_id: str) -> None:
    """Put wrong tracks in the place of a video's masklets, as another tracker would have written them."""
    catalog, objects, config = worker.catalog(), worker.objects(), settings().pipeline
    fingerprint = fingerprints(video_id, config)["masklets"]
    found = load_result(catalog, objects, video_id, "masklets", fingerprint)
    state = catalog.find(video_id, "masklets", fingerprint)
    assert isinstance(found, dm.MaskletsResult)
    assert state is not None
    result = dm.MaskletsResult(masklets=tuple(wrong(masklet) for masklet in found.masklets))
    assert result.masklets
    request = StageRequest.make(video_id, "masklets", config)
    key = objects.put_content(dump_document(request, result), "results", ".parquet")
    catalog.finish(replace(state, result_key=key), result)


def wrong(masklet: dm.Masklet) -> dm.Masklet:
    """The track with every second visible mask shrunk to its middle."""
    visible = [index for index, mask in enumerate(masklet.masks) if mask is not None]
    kept = list(masklet.masks)
    for index in visible[::2]:
        height, width = masklet.masks[index]["size"]  # type: ignore[index]
        x0, y0, x1, y1 = masklet.boxes_px[index]  # type: ignore[misc]
        small = np.zeros((height, width), bool)
        x, y = int((x0 + x1 - SIDE_PX) / 2), int((y0 + y1 - SIDE_PX) / 2)
        small[y : y + SIDE_PX, x : x + SIDE_PX] = True
        kept[index] = masks.encode(small)
    decoded = [None if mask is None else masks.decode(mask) for mask in kept]
    return replace(
        masklet,
        masks=tuple(kept),
        boxes_px=tuple(None if mask is None else masks.tight_box(mask) for mask in decoded),
        areas_px=tuple(0 if mask is None else int(mask.sum()) for mask in decoded),
    )


@pytest.fixture(scope="module")
def question(run: DagRun) -> DagRun:
    """The run of `override_gate` that the held drop started."""
    (run_id,) = wait_for("the question's run", lambda: _run_ids("override_gate"), timeout_s=240, poll_s=0.5)
    return DagRun(dag_id="override_gate", run_id=run_id, state="queued")


def test_the_drop_with_wrong_tracks_is_held_and_a_person_asked(
    run: DagRun, question: DagRun, webhook: Posted, drops: dict[str, list[str]]
) -> None:
    (asked,) = wait_for("the question", lambda: _asked(question), timeout_s=240, poll_s=0.5)
    assert asked["subject"] == "Publish drop poisoned below its bars?"
    assert asked["defaults"] == ["Reject"]
    assert "accepted_share is " in asked["body"]
    assert "check_share is " in asked["body"]
    assert "area_jump" in asked["body"]
    gates = worker.catalog().newest_gates(drops)
    assert {name: gate.is_open for name, gate in gates.items()} == {"clean": True, "poisoned": False}
    below = [bar["bar"] for bar in gates["poisoned"].bars if not bar["is_met"]]
    assert below == ["accepted_share", "check_share"]
    named = {row["id"] for bar in gates["poisoned"].bars for row in bar["rows"]}
    of_drop = rows(
        "select instruction_id from instructions where video_id = any(:ids)", ids=drops["poisoned"]
    )
    assert named
    assert named <= {row["instruction_id"] for row in of_drop}
    (told,) = wait_for("the alert", lambda: [one for one in webhook.documents if one["kind"] == "held"])
    assert "area_jump" in told["text"]


def test_while_the_question_is_open_the_clean_drop_is_published_and_the_run_names_the_bars(
    run: DagRun, question: DagRun, webhook: Posted, drops: dict[str, list[str]]
) -> None:
    wait_for("the run to end", lambda: _state(run) == "failed", timeout_s=240, poll_s=0.5)
    assert _waits(question)
    assert _published() == set(drops["clean"])
    states = {task["task_id"]: task["state"] for task in _tasks(run)}
    assert states["ask"] == states["publish"] == states["validate_dataset"] == "success"
    assert states["gate"] == "failed"
    last = wait_for("the alert", lambda: [one for one in webhook.documents if one["kind"] == "failed"])[-1]
    assert "drop poisoned is below its bars" in last["text"]
    assert "accepted_share is " in last["text"]
    assert last["url"].endswith(
        f"/dags/curate_dataset/runs/{last['run_id'].replace(':', '%3A').replace('+', '%2B')}"
    )


def test_after_a_no_nothing_more_is_published(question: DagRun, drops: dict[str, list[str]]) -> None:
    _answer(question, "Reject")
    wait_for("the run to end", lambda: _state(question) == "success", timeout_s=240, poll_s=0.5)
    states = {task["task_id"]: task["state"] for task in _tasks(question)}
    assert states == {"override": "success", "publish": "skipped", "validate_dataset": "skipped"}
    assert _published() == set(drops["clean"])


def test_asked_again_a_yes_publishes_the_drop(question: DagRun, drops: dict[str, list[str]]) -> None:
    conf = {"drop_id": "poisoned"}
    begun = call("POST", "/dags/override_gate/dagRuns", json={"logical_date": None, "conf": conf})
    again = replace(question, run_id=begun["dag_run_id"])
    _answer(again, "Approve")
    wait_for("the run to end", lambda: _state(again) == "success", timeout_s=240, poll_s=0.5)
    assert _published() == {video_id for ids in drops.values() for video_id in ids}
    decisions = worker.catalog().gates("poisoned")
    assert [(gate.is_open, gate.overridden_by) for gate in decisions] == [(False, None), (True, "admin")]
    assert decisions[0].bars == decisions[1].bars, "the override says which bars it goes against"


def test_about_a_drop_above_its_bars_nobody_is_asked(run: DagRun, webhook: Posted) -> None:
    told, questions = len(webhook.documents), _run_ids("override_gate")
    begun = call(
        "POST", "/dags/curate_dataset/dagRuns", json={"logical_date": None, "conf": {"drop_ids": ["clean"]}}
    )
    again = DagRun(dag_id="curate_dataset", run_id=begun["dag_run_id"], state="queued")
    wait_for("the run to end", lambda: _state(again) == "success", timeout_s=240, poll_s=0.5)
    states = {task["task_id"]: task["state"] for task in _tasks(again)}
    assert states["ask"] == "skipped"
    assert states["publish"] == "success"
    assert _run_ids("override_gate") == questions
    assert len(webhook.documents) == told
    assert [gate.is_open for gate in worker.catalog().gates("clean")] == [True, True]


def test_every_validation_is_kept_with_its_page(run: DagRun, drops: dict[str, list[str]]) -> None:
    kept = rows("select subject_kind, subject_id, docs_key, dag_run_id from validations")
    assert {row["subject_id"] for row in kept if row["subject_kind"] == "drop"} >= set(drops)
    assert [row for row in kept if row["subject_kind"] == "dataset"]
    secret = settings().database_url.get_secret_value()
    for row in kept:
        if row["dag_run_id"] == run.run_id:
            page = worker.objects().get_bytes(row["docs_key"]).decode()
            assert row["subject_id"] in page
            assert secret not in page


def test_neither_the_webhook_nor_the_database_stands_in_a_log(run: DagRun, stack: local.StackInfo) -> None:
    folder = stack.home / "airflow" / "logs" / "dag_id=curate_dataset" / f"run_id={run.run_id}"
    texts = [path.read_text() for path in folder.rglob("*.log")]
    assert any("great expectations" in text or "is below its bars" in text for text in texts)
    for text in texts:
        assert "secret-token" not in text
        assert settings().database_url.get_secret_value() not in text
        assert text.count('"logger":"great_expectations') == 0


def _run_ids(dag_id: str) -> set[str]:
    page = call("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "-run_after"})
    return {run["dag_run_id"] for run in page["dag_runs"]}


def _pause(dag_id: str, is_paused: bool) -> None:
    call("PATCH", f"/dags/{dag_id}", json={"is_paused": is_paused})


def _through(video_ids: list[str], stage: str) -> bool:
    found = rows(
        "select video_id from stage_runs where stage = :s and status = 'done' and video_id = any(:ids)",
        s=stage, ids=video_ids,
    )  # fmt: skip
    return len(found) == len(video_ids)


def _asked(run: DagRun) -> list[dict[str, Any]]:
    page = call("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}/hitlDetails")
    return list(page["hitl_details"])


def _waits(run: DagRun) -> bool:
    return any(task["state"] == "awaiting_input" for task in task_states(run, "override"))


def _answer(run: DagRun, option: str) -> None:
    """As a person does, not in the same second: Airflow 3.3.2 asks again where the scheduler has not yet seen
    that the task began to wait."""
    wait_for("the task to wait", lambda: _waits(run), timeout_s=120)
    time.sleep(5)
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/override/-1/hitlDetails"
    call("PATCH", path, json={"chosen_options": [option], "params_input": {}})


def _state(run: DagRun) -> str:
    state: str = call("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}")["state"]
    return state


def _tasks(run: DagRun) -> list[dict[str, Any]]:
    page = call("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances", params={"limit": 100})
    return list(page["task_instances"])


def _published() -> set[str]:
    """Videos of the version that was published last."""
    latest = worker.catalog().latest_dataset()
    assert latest is not None
    open_dataset(worker.objects(), latest.version, verify=True)
    return set(worker.catalog().dataset_lineage(latest.version))


def test_a_run_that_is_late_alerts(stack: local.StackInfo) -> None:
    """From the triggerer, whose settings are older than this module's webhook: its log tells of it."""
    first = _begin_late_run(0)
    wait_for("a run in time", lambda: _state(first) == "success", timeout_s=120, poll_s=0.5)
    late = _begin_late_run(30)
    log = stack.home / "logs" / "triggerer.log"
    says = f"of late_run {late.run_id}: the run is not finished in the expected time"
    wait_for("the alert", lambda: says in log.read_text(), timeout_s=120, poll_s=0.5)
    assert f"of late_run {first.run_id}" not in log.read_text()


def _begin_late_run(lasts_s: float) -> DagRun:
    begun = call("POST", "/dags/late_run/dagRuns", json={"logical_date": None, "conf": {"lasts_s": lasts_s}})
    return DagRun(dag_id="late_run", run_id=begun["dag_run_id"], state="queued")
