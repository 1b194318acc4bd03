"""Drift, bars and gates on a real catalog of several drops: what lets a drop through, what keeps it out."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log
from pathlib import Path

import pytest

from strefer_core.config import GateConfig, PipelineConfig
from strefer_core.publish import AllHeld, publish_dataset
from strefer_core.store.catalog import Catalog, DropObject, Gate, Subject, Validation
from strefer_core.store.objects import FolderObjects
from strefer_core.validation import bars, running
from strefer_core.validation.suites import suite
from strefer_core.validation.validating import decide
from tests import sample_results as sample
from tests.postgres import rows, statement

pytest_plugins = ["tests.integration.catalog_fixtures"]

CONFIG = GateConfig()


@dataclass(frozen=True)
class Shape:
    """The pairs of each video of a drop, by task; and the first check that stops some of them."""

    pairs: Mapping[str, int]  # "G1 describe_video" -> pairs per video
    stopped: int = 0  # of these pairs, per video
    check: str = "area_jump"
    estimate: float | None = None  # of the accepted
    failed: int = 0  # videos without results


EVEN = {"G1 describe_video": 4, "G3 event_at_time": 4, "G5 describe_entity": 4}
SHIFTED = {"G1 describe_video": 10, "G3 event_at_time": 1, "G5 describe_entity": 1}


def fill(url: str, drop_id: str, videos: int, shape: Shape) -> list[str]:
    """A drop with its pairs and their status, written past the code under test; its video ids."""
    ids = [f"{zlib.crc32(f'{drop_id} {index}'.encode()):016x}" for index in range(videos)]
    objects = ", ".join(
        f"('{drop_id}', '{drop_id}/{index:03d}', 'e', 1, '{video_id}')" for index, video_id in enumerate(ids)
    )
    statement(
        url,
        f"""
        insert into drops (drop_id, prefix) values ('{drop_id}', 'p');
        insert into drop_objects (drop_id, key, etag, size_bytes, video_id) values {objects};
        """,
    )
    for index, video_id in enumerate(ids):
        statement(url, _failed(video_id) if index < shape.failed else _pairs(video_id, index, shape))
    return ids


def _failed(video_id: str) -> str:
    return f"""
        insert into stage_runs (video_id, stage, fingerprint, status, reason, error_class, finished_at)
        values ('{video_id}', 'videos', 'f', 'failed', 'no bytes', 'UnreadableVideo', now())
    """


def _pairs(video_id: str, index: int, shape: Shape) -> str:
    tasks = [task.split() for task, count in shape.pairs.items() for _ in range(count)]
    tasks += tasks[: index % 2]  # not every video is the same
    text = f"""
        insert into stage_runs (video_id, stage, fingerprint, status, result_key, finished_at)
        select '{video_id}', stage, 'f', 'done', 'k', now()
        from unnest(array['instructions', 'quality']) stage;
    """
    return text + "".join(_pair(video_id, place, task, shape) for place, task in enumerate(tasks))


def _pair(video_id: str, place: int, task: list[str], shape: Shape) -> str:
    (group, task_type), pair_id, is_stopped = task, f"{video_id}-{place}", place < shape.stopped
    status = "quarantined" if is_stopped else "accepted"
    checks = f"'{{{shape.check}}}'" if is_stopped else "null"
    estimate = "null" if shape.estimate is None or is_stopped else shape.estimate
    return f"""
        insert into instructions (
            instruction_id, video_id, fingerprint, group_name, task_type, turns, region_entity_ids,
            is_negative, template_id, source_ids, pair_key
        ) values (
            '{pair_id}', '{video_id}', 'f', '{group}', '{task_type}', '[]', '{{}}',
            false, '', '{{}}', '{place}'
        );
        insert into pair_status (
            instruction_id, video_id, pair_key, group_name, task_type, status, verdict, failed_checks,
            error_estimate, review_distance
        ) values (
            '{pair_id}', '{video_id}', '{place}', '{group}', '{task_type}', '{status}', '{status}', {checks},
            {estimate}, 2
        );
    """


def validation(drop_id: str, results: list[dict[str, object]] | None = None) -> Validation:
    return Validation(
        validation_id="v", suite="drop", subject_kind="drop", subject_id=drop_id, dag_run_id="",
        is_success=True, results=results or [], docs_key=None,
    )  # fmt: skip


def gate_of(catalog: Catalog, drop_id: str, config: GateConfig = CONFIG, name: str = "") -> Gate:
    return decide(
        catalog, validation(drop_id), config, gate_id=name or f"gate of {drop_id}", dag_run_id="run"
    )


def unmet(gate: Gate) -> list[str]:
    return [bar["bar"] for bar in gate.bars if not bar["is_met"]]


def test_a_drop_above_its_bars_is_open_and_shows_its_figures(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_url, "monday", 4, Shape(EVEN, stopped=2, estimate=0.01, failed=1))
    gate = gate_of(pg_catalog, "monday")
    assert gate.is_open
    values = {bar["bar"]: bar["value"] for bar in gate.bars}
    # Three videos with 12, 13 and 12 pairs (the second one more), two of each stopped; one of four failed.
    assert values == {
        "failed_share": 0.25,
        "accepted_share": pytest.approx((13 + 12 + 13 - 6) / (13 + 12 + 13)),
        "estimated_error": pytest.approx(0.01),
        "check_share": pytest.approx(6 / (13 + 12 + 13)),
        "drift": None,
        "broken_expectations": 0.0,
    }
    assert not any(bar["rows"] for bar in gate.bars)
    assert bars.told(gate) == ""


@pytest.mark.parametrize(
    ("shape", "bar", "witness"),
    [
        (Shape(EVEN, failed=3), "failed_share", "videos: no bytes"),
        (Shape(EVEN, stopped=11), "accepted_share", "area_jump"),
        (Shape(EVEN, stopped=11), "check_share", "area_jump"),
        (Shape(EVEN, estimate=0.06), "estimated_error", "estimated error 0.060"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_a_drop_below_a_bar_is_closed_and_names_it_and_rows(
    pg_catalog: Catalog, pg_url: str, shape: Shape, bar: str, witness: str
) -> None:
    ids = fill(pg_url, "monday", 4, shape)
    gate = gate_of(pg_catalog, "monday")
    assert not gate.is_open
    assert bar in unmet(gate)
    found = next(one for one in gate.bars if one["bar"] == bar)
    assert found["rows"]
    assert all(row["id"].split("-")[0] in ids and row["why"] == witness for row in found["rows"])
    message = bars.told(gate)
    assert f"{bar} is " in message
    assert f"{found['rows'][0]['id']} ({witness})" in message


def test_of_a_small_drop_shares_keep_nothing_out(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_url, "monday", 2, Shape(EVEN, stopped=12, failed=1))
    assert gate_of(pg_catalog, "monday").is_open
    assert not gate_of(pg_catalog, "monday", GateConfig(min_videos=2), name="again").is_open


def test_a_broken_critical_expectation_closes_any_drop_and_a_warning_none(
    pg_catalog: Catalog, pg_url: str
) -> None:
    fill(pg_url, "monday", 1, Shape(EVEN))
    result = {
        "name": "n", "view": "validated_videos", "column": "c", "expects": "it holds", "severity": "warning",
        "is_success": False, "rows": 1, "unexpected": 1, "ids": [{"id": "x", "value": 3}], "error": None,
    }  # fmt: skip
    for severity, is_open in (("warning", True), ("critical", False)):
        given = validation("monday", [{**result, "severity": severity}])
        gate = decide(pg_catalog, given, CONFIG, gate_id=severity)
        assert gate.is_open is is_open
    assert "broken_expectations is 1, the bar is 0" in bars.told(gate)
    assert "x (not so: it holds; c is 3)" in bars.told(gate)


def test_another_mixture_than_the_last_open_drop_is_drift(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_url, "monday", 12, Shape(EVEN))
    assert gate_of(pg_catalog, "monday").is_open
    fill(pg_url, "tuesday", 12, Shape(EVEN))
    assert gate_of(pg_catalog, "tuesday").bars[4]["value"] == 0
    fill(pg_url, "wednesday", 12, Shape(SHIFTED))
    closed = gate_of(pg_catalog, "wednesday")
    assert unmet(closed) == ["drift"]
    rows_by_name = {row["id"]: row["why"] for row in closed.bars[4]["rows"]}
    assert set(rows_by_name) >= {"G1", "describe_video", "G3", "event_at_time"}
    assert "of tuesday" in rows_by_name["G1"]
    # A closed drop is nobody's baseline.
    fill(pg_url, "thursday", 12, Shape(EVEN))
    assert gate_of(pg_catalog, "thursday").is_open
    assert rows(pg_url, "select previous_drop_id from drop_baselines where drop_id = 'thursday'") == [
        ("tuesday",)
    ]
    seen = running.frames(pg_catalog, Subject(kind="drop", id="wednesday"))
    broken = [one for one in running.evaluate(seen, suite("drop", CONFIG)) if not one["is_success"]]
    drift = next(one for one in broken if one["name"] == "mixtures.drift")
    assert {row["id"] for row in drift["ids"]} == {"group", "task_type"}


def test_the_drift_is_the_stability_index_of_the_shares(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_url, "monday", 12, Shape(EVEN))
    gate_of(pg_catalog, "monday")
    fill(pg_url, "tuesday", 12, Shape(SHIFTED))
    # Per 12 videos 144 pairs and 6 more of the first group.
    before = {"G1": 54 / 150, "G3": 48 / 150, "G5": 48 / 150}
    now = {"G1": 126 / 150, "G3": 12 / 150, "G5": 12 / 150}
    expected = sum((now[g] - before[g]) * log(now[g] / before[g]) for g in before)
    found = pg_catalog.gate_figures("tuesday")
    assert found is not None
    assert found.drift == pytest.approx(expected)


def test_few_videos_show_no_drift(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_url, "monday", 12, Shape(EVEN))
    gate_of(pg_catalog, "monday")
    fill(pg_url, "tuesday", 9, Shape(SHIFTED))
    assert gate_of(pg_catalog, "tuesday").is_open


def test_videos_of_closed_drops_are_held_and_the_newest_decision_holds(
    pg_catalog: Catalog, pg_url: str
) -> None:
    old = fill(pg_url, "old", 2, Shape(EVEN))
    assert pg_catalog.held_video_ids() == set(), "before the first decision all drops are open"
    fill(pg_url, "good", 3, Shape(EVEN))
    bad = fill(pg_url, "bad", 3, Shape(EVEN, stopped=12))
    gate_of(pg_catalog, "good")
    gate_of(pg_catalog, "bad")
    assert pg_catalog.held_video_ids() == set(bad)
    shared = DropObject(key="k", etag="e", size_bytes=1, video_id=bad[0])
    pg_catalog.add_drop_objects("good", [shared])
    assert pg_catalog.held_video_ids() == set(bad[1:]), "an open drop brought it too"
    assert pg_catalog.undecided_drops() == [], "older than the first decision, or decided on"
    later = fill(pg_url, "later", 1, Shape(EVEN))
    assert pg_catalog.held_video_ids() == {*bad[1:], *later}, "a newer drop waits for its decision"
    assert pg_catalog.undecided_drops() == ["later"]
    pg_catalog.register_drop("on its way", "p")
    pg_catalog.add_drop_objects("on its way", [replace(shared, video_id="0" * 16)])
    assert pg_catalog.undecided_drops() == ["later"], "no run has touched its video yet"
    assert pg_catalog.unfinished_drops(["later", "on its way", "unknown"]) == {"on its way"}
    override = Gate(gate_id="o", drop_id="bad", dag_run_id="run", is_open=True, bars=[], overridden_by="ada")
    pg_catalog.record_gate(override)
    assert pg_catalog.held_video_ids() == {*later, "0" * 16}
    gate_of(pg_catalog, "bad", name="decided again")
    assert pg_catalog.held_video_ids() == {*bad[1:], *later, "0" * 16}
    assert [gate.overridden_by for gate in pg_catalog.gates("bad")] == [None, "ada", None]
    of_run = {gate.drop_id: gate.is_open for gate in pg_catalog.gates_of_run("run")}
    assert of_run == {"good": True, "bad": False}
    assert not set(old) & pg_catalog.held_video_ids()


def test_a_decision_of_the_same_try_takes_its_own_place(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_url, "monday", 3, Shape(EVEN, stopped=12))
    first = gate_of(pg_catalog, "monday")
    (kept,) = pg_catalog.gates("monday")
    assert json.loads(json.dumps(first.bars)) == kept.bars
    statement(pg_url, "update pair_status set status = 'accepted', failed_checks = null")
    assert gate_of(pg_catalog, "monday").is_open, "decided anew"
    (kept,) = pg_catalog.gates("monday")
    assert kept.is_open
    assert pg_catalog.newest_gates(["monday", "never"]) == {"monday": kept}


def test_where_gates_leave_nothing_nothing_is_published(pg_catalog: Catalog, tmp_path: Path) -> None:
    pg_catalog.register_drop("monday", "drops/monday/")
    delivered = DropObject(key="drops/monday/a.mp4", etag="e", size_bytes=7, video_id=sample.VIDEO_ID)
    pg_catalog.add_drop_objects("monday", [delivered])
    for stage, result in sample.RESULTS.items():
        pg_catalog.finish(sample.done(stage), result)
    pg_catalog.record_gate(Gate(gate_id="g", drop_id="monday", dag_run_id="", is_open=False, bars=[]))
    with pytest.raises(AllHeld, match="all 1 videos"):
        publish_dataset(pg_catalog, FolderObjects(tmp_path), PipelineConfig())
