"""Every DAG loads fast and light, has the shape that the design asks for, and survives serialization."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from operators import flow
from strefer_core.pipeline import STAGES

DAGS = Path(__file__).parents[2] / "dags"
FILES = sorted(DAGS.glob("*.py"))
IDS = (
    "ingest_videos",
    "annotate_videos",
    "curate_dataset",
    "finetune_video_llm",
    "override_gate",
    "probe_masklets",
)
DATA_IDS = tuple(name for name in IDS if name not in ("override_gate", "finetune_video_llm"))
"""Where failed videos are rows, one task at the end says whether they are too many."""

PROBE = """
import json, runpy, sys, time
# What the DAG processor has imported anyway:
import airflow.sdk, airflow.triggers.base, airflow.dag_processing.dagbag
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, BaseOperator, CronTriggerTimetable, Param
before = set(sys.modules)
wall, cpu = time.perf_counter(), time.process_time()
runpy.run_path(sys.argv[1])
print(json.dumps({
    "cpu_s": time.process_time() - cpu,
    "wall_s": time.perf_counter() - wall,
    "modules": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
}))
"""

HEAVY = {
    "av", "boto3", "celery", "cv2", "great_expectations", "imagehash", "numpy", "pandas", "PIL", "psycopg2",
    "pycocotools", "scenedetect", "scipy", "torch", "transformers",
}  # fmt: skip


@pytest.fixture(scope="session")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_imports_fast_and_without_heavy_modules(path: Path) -> None:
    """The least of three: what the file costs, not what else the machine was doing."""
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, check=True
            ).stdout.splitlines()[-1]
        )
        for _ in range(3)
    ]
    assert not HEAVY & set(runs[0]["modules"])
    assert min(run["cpu_s"] for run in runs) < 0.5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_is_thin_wiring(path: Path) -> None:
    code = [line for line in path.read_text().split('"""')[-1].splitlines() if line.strip()]
    assert len(code) <= 50


def test_the_dags_are_these(dags: dict[str, Any]) -> None:
    assert sorted(dags) == sorted(IDS)


@pytest.mark.parametrize("dag_id", IDS)
def test_dag_is_documented_and_bounded(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert dag.doc_md
    assert all(f"`{name}`" in dag.doc_md for name in dag.params)
    assert dag.catchup is False
    assert dag.max_active_runs <= 2 or dag_id == "override_gate", "questions wait for people, not for slots"
    assert all(task.retries == 2 for task in dag.tasks)


@pytest.mark.parametrize("dag_id", DATA_IDS)
def test_the_gate_is_the_only_leaf(dags: dict[str, Any], dag_id: str) -> None:
    leaves = [task.task_id for task in dags[dag_id].tasks if not task.downstream_task_ids]
    assert leaves == ["gate"]
    assert dags[dag_id].get_task("gate").trigger_rule == "all_done"


@pytest.mark.parametrize(
    ("dag_id", "edges"),
    [
        (
            "ingest_videos",
            [
                ("find_drops", "batch.register"),
                ("batch.register", "batch.videos"),
                ("watch_arrivals", "gate"),
            ],
        ),
        (
            "annotate_videos",
            [
                ("find_videos", "batch.clips"),
                ("find_videos", "batch.entities"),
                ("batch.clips", "batch.masklets"),
                ("batch.entities", "batch.masklets"),
                ("batch.masklets", "batch.transcript"),
                ("batch.transcript", "batch.instructions"),
                ("batch.instructions", "announce_instructions"),
            ],
        ),
        (
            "curate_dataset",
            [
                ("find_videos", "batch.quality"),
                ("batch.quality", "validate_drops"),
                ("validate_drops", "ask"),
                ("validate_drops", "publish"),
                ("publish", "validate_dataset"),
                ("validate_dataset", "gate"),
                ("ask", "gate"),
            ],
        ),
        ("override_gate", [("override", "publish"), ("publish", "validate_dataset")]),
        (
            "finetune_video_llm",
            [
                ("plan", "train"),
                ("train", "to_evaluate"),
                ("to_evaluate", "evaluate"),
                ("evaluate", "compare"),
                ("train", "compare"),
                ("compare", "promote"),
                ("promote", "announce"),
                ("promote", "drop_old_models"),
            ],
        ),
        ("probe_masklets", [("probe", "gate")]),
    ],
)
def test_tasks_follow_each_other(dags: dict[str, Any], dag_id: str, edges: list[tuple[str, str]]) -> None:
    for upstream, downstream in edges:
        assert downstream in dags[dag_id].get_task(upstream).downstream_task_ids


def test_every_stage_runs_after_what_it_needs(dags: dict[str, Any]) -> None:
    order = [*flow.INGEST_STAGES, *flow.ANNOTATE_STAGES, *flow.CURATE_STAGES]
    assert sorted(order) == sorted(STAGES)
    for stage in STAGES.values():
        assert all(order.index(need) < order.index(stage.name) for need in stage.needs)


def test_assets_join_the_dags(dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    def outlets(dag_id: str) -> set[str]:
        return {asset.name for task in dags[dag_id].tasks for asset in task.outlets}

    def inlets(dag_id: str) -> set[str]:
        text = json.dumps(DagSerialization.serialize_dag(dags[dag_id])["timetable"])
        return set(re.findall(r'"name": "(\w+)", "uri"', text))

    assert inlets("ingest_videos") == {"drops"}
    assert outlets("ingest_videos") == inlets("annotate_videos") == {"videos"}
    assert outlets("annotate_videos") == inlets("curate_dataset") == {"instructions"}
    assert outlets("curate_dataset") == outlets("override_gate") == {"datasets"}
    assert inlets("finetune_video_llm") == {"datasets"}
    assert outlets("finetune_video_llm") == {"models"}


@pytest.mark.parametrize("dag_id", IDS)
def test_dag_survives_serialization(dags: dict[str, Any], dag_id: str) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags[dag_id]))
    assert {t.task_id for t in again.tasks} == {t.task_id for t in dags[dag_id].tasks}


def test_the_probe_is_weekly_and_takes_its_parameters_from_the_form(dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = dags["probe_masklets"]
    timetable = DagSerialization.serialize_dag(dag)["timetable"]
    assert timetable["__var"]["expression"] == "0 4 * * 0"
    assert dag.start_date is None
    probe = dag.get_task("probe")
    for name in ("seed", "videos", "perception", "knobs", "noise"):
        assert getattr(probe, name) == f"{{{{ params.{name} }}}}"
        assert name in probe.template_fields
    assert set(dag.params) == {"seed", "videos", "perception", "knobs", "noise", "min_j_and_f"}


def test_a_person_is_asked_once_per_held_drop_and_for_no_other(dags: dict[str, Any]) -> None:
    ask = dags["curate_dataset"].get_task("ask")
    assert ask.is_mapped
    assert ask.upstream_task_ids == {"validate_drops"}
    assert ask.partial_kwargs["trigger_dag_id"] == "override_gate"
    assert set(dags["override_gate"].params) == {"drop_id"}


def test_nothing_waits_for_a_person(dags: dict[str, Any]) -> None:
    """One run at a time curates: were the question in it, everybody's drops would wait for the answer."""
    assert dags["curate_dataset"].max_active_runs == 1
    assert not dags["curate_dataset"].get_task("publish").upstream_task_ids & {"ask"}
    assert not [task for task in dags["curate_dataset"].tasks if task.task_type == "OverrideOperator"]


@pytest.mark.parametrize("dag_id", ["ingest_videos", "annotate_videos", "curate_dataset"])
def test_failures_and_late_runs_alert(dags: dict[str, Any], dag_id: str) -> None:
    from operators.alerts import Alert

    (alert,) = dags[dag_id].get_task("gate").on_failure_callback
    assert isinstance(alert, Alert)
    (deadline,) = dags[dag_id].deadline
    assert (deadline.callback.path, deadline.callback.kwargs) == ("operators.alerts.Alert", {"kind": "late"})
    assert deadline.reference.reference_name == "AverageRuntimeDeadline", "with others no run can be cleared"


@pytest.mark.parametrize("dag_id", ["ingest_videos", "probe_masklets", "finetune_video_llm"])
def test_a_new_stack_begins_with_no_run_of_the_past(dags: dict[str, Any], dag_id: str) -> None:
    """Airflow's default runs the last time of a cron at once within a tenth of its gap."""
    from airflow.serialization.serialized_objects import DagSerialization

    text = json.dumps(DagSerialization.serialize_dag(dags[dag_id])["timetable"])
    found = re.findall(r'"run_immediately": ("?[^,}]+)', text)
    assert found
    assert all(one.strip('"') in ("0", "0.0") for one in found), text
