"""From a drop to a champion on the real stack: trained, evaluated, promoted, and what must not be.

The model is the preset `tiny`, trained for so few steps that it knows next to nothing: what is tested is the
loop around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strefer_core import local, worker
from strefer_core.airflow_client import DagRun
from strefer_core.learning.registry import CARD, open_model
from strefer_core.store.catalog import Model
from tests.integration import scenes
from tests.integration.platform_drops import (
    call,
    deliver,
    forget_everything,
    part_process,
    rows,
    task_states,
    wait_for,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

DAG = "finetune_video_llm"
STEPS = 12
SETTINGS = f"""
STREFER_LEARNING__MIN_NEW_PAIRS=80
STREFER_LEARNING__OPTIONS={{"steps": {STEPS}, "save_steps": 4, "align_steps": 4}}
STREFER_LEARNING__BENCH__VIDEOS=2
STREFER_LEARNING__BENCH__PER_TASK=2
STREFER_LEARNING__MARGIN=0.5
"""
"""Of two videos one is soon better by chance; by half of all answers it is not."""


@pytest.fixture(scope="module")
def learner(stack: local.StackInfo) -> Iterator[local.StackInfo]:
    """The stack with a short training; every task reads the settings anew."""
    file = stack.home / "stack.env"
    before = file.read_text()
    file.write_text(before.rstrip() + SETTINGS)
    forget_everything()
    yield stack
    file.write_text(before)


def drop(folder: Path, name: str, videos: int, seed: int) -> None:
    (folder / name).mkdir()
    for number in range(videos):
        scenes.write_scene(folder / name / f"{name}-{number}.mp4", seed + number)
    deliver(name, folder / name)


@pytest.fixture(scope="module")
def first(learner: local.StackInfo, tmp_path_factory: pytest.TempPathFactory) -> DagRun:
    """The run that the first dataset starts, at its end."""
    drop(tmp_path_factory.mktemp("drops"), "monday", 3, 700)
    return _ended(_run_of_the_newest_dataset())


def test_a_new_dataset_trains_the_first_champion(first: DagRun) -> None:
    assert first.state == "success"
    champion = _champion()
    published = worker.catalog().latest_dataset()
    assert published is not None
    assert champion.dataset_version == published.version
    manifest = open_model(worker.objects(), champion.version)
    assert any(entry.name.endswith(".safetensors") for entry in manifest.files)
    assert worker.catalog().model_drops(champion.version) == {"monday": 3}
    assert champion.job_id is not None
    losses = [one.step for one in worker.catalog().training_figures(champion.job_id) if one.name == "loss"]
    assert losses
    assert max(losses) == STEPS
    (evaluation,) = rows("select figures from evaluations")
    assert 0 <= evaluation["figures"]["overall"]["accuracy"]["value"] <= 1
    card = worker.objects().get_bytes(f"models/{champion.version}/{CARD}").decode()
    assert "| monday | 3 |" in card


def test_what_training_needs_no_more_is_gone(first: DagRun) -> None:
    assert list(worker.objects().list("trainings/")) == []


def test_the_asset_tells_of_the_champion(first: DagRun) -> None:
    events = call("GET", "/assets/events", params={"limit": 50, "source_dag_id": DAG})["asset_events"]
    assert [event["extra"]["version"] for event in events] == [_champion().version]


def test_a_drop_that_is_too_small_trains_nothing(first: DagRun, tmp_path: Path) -> None:
    drop(tmp_path, "tuesday", 1, 800)
    second = _ended(_run_of_the_newest_dataset())
    assert second.run_id != first.run_id
    assert second.state == "success"
    assert {task["state"] for task in task_states(second, "plan")} == {"skipped"}
    assert rows("select count(*) as n from models") == [{"n": 1}]


def test_a_challenger_that_is_no_better_is_not_promoted(first: DagRun) -> None:
    before = _champion()
    run = _ended(_begin(min_new_pairs=0, steps=1, seed=5))
    assert run.state == "success"
    (last,) = rows("select * from promotions order by number desc limit 1")
    assert not last["is_promoted"]
    assert (last["champion_version"], last["model_version"] != before.version) == (before.version, True)
    assert last["comparison"]["items"] > 0
    assert _champion() == before
    assert {task["state"] for task in task_states(run, "announce")} == {"skipped"}
    assert rows("select count(*) as n from evaluations") == [{"n": 2}]


def test_a_training_that_is_killed_goes_on_from_its_checkpoint(
    first: DagRun, learner: local.StackInfo
) -> None:
    run = _begin(min_new_pairs=0, steps=40, seed=9)
    wait_for("a checkpoint in the store", _checkpoints, timeout_s=400, poll_s=0.05)
    for child in part_process(learner, "worker-train").children(recursive=True):
        child.kill()
    run = _ended(run)
    assert run.state == "success"
    (job,) = rows("select * from jobs where kind = 'train' order by created_at desc limit 1")
    assert job["attempts"] == 2
    assert job["result"]["resumed_at"] > 0
    assert job["result"]["steps"] == 40
    steps = rows("select step from training_figures where job_id = :id and name = 'loss'", id=job["job_id"])
    assert len({row["step"] for row in steps}) == len(steps)


def _champion() -> Model:
    found = worker.catalog().champion()
    assert found is not None
    return found


def _checkpoints() -> list[Any]:
    return [one for one in worker.objects().list("trainings/") if one.key.endswith("/complete")]


def _begin(**conf: Any) -> DagRun:
    begun = call("POST", f"/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": conf})
    return DagRun(dag_id=DAG, run_id=begun["dag_run_id"], state="queued")


def _run_of_the_newest_dataset() -> DagRun:
    """The run that the newest version began; earlier tests on this stack began others."""
    published = worker.catalog().latest_dataset()
    assert published is not None
    found = wait_for(f"the run of {published.version}", lambda: _runs_of(published.version), timeout_s=240)
    return DagRun(dag_id=DAG, run_id=found[0], state="queued")


def _runs_of(version: str) -> list[str]:
    events = call("GET", "/assets/events", params={"limit": 100, "order_by": "-timestamp"})["asset_events"]
    told = [event for event in events if event["extra"].get("version") == version]
    return [run["run_id"] for event in told for run in event["created_dagruns"] if run["dag_id"] == DAG]


def _ended(run: DagRun) -> DagRun:
    def state() -> str:
        found = str(call("GET", f"/dags/{DAG}/dagRuns/{run.run_id}")["state"])
        return found if found in ("success", "failed") else ""

    return replace(run, state=wait_for("the run to end", state, timeout_s=600, poll_s=0.5))
