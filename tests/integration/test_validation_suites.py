"""Every expectation holds for sound rows and is broken by a row that breaks it, on a real catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strefer_core import data_model as dm
from strefer_core.config import GateConfig
from strefer_core.store.catalog import Catalog, DropObject, Subject, Validation
from strefer_core.store.objects import FolderObjects
from strefer_core.validation import running
from strefer_core.validation.suites import Expected, suite
from strefer_core.validation.validating import validate
from tests import sample_results as sample
from tests.postgres import rows, statement

pytest_plugins = ["tests.integration.catalog_fixtures"]

CONFIG = GateConfig()
DROP = Subject(kind="drop", id="monday")
DATASET = Subject(kind="dataset", id="v1")


def sound() -> dict[str, dm.Result]:
    """The sample's results as a run without faults: pairs with words of their own, a known task, a place."""
    made = sample.RESULTS["instructions"]
    assert isinstance(made, dm.InstructionsResult)
    pairs = tuple(
        sample.dm.Instruction(
            instruction_id=item.instruction_id,
            video_id=item.video_id,
            group=item.group,
            task_type=item.task_type,
            turns=item.turns,
            region_entity_ids=item.region_entity_ids,
            source_ids=item.source_ids,
            pair_key=f"key-{item.instruction_id}",
        )
        for item in made.instructions
    )
    return {**sample.RESULTS, "instructions": dm.InstructionsResult(instructions=pairs)}


@pytest.fixture
def filled(pg_catalog: Catalog) -> Catalog:
    pg_catalog.register_drop("monday", "drops/monday/")
    delivered = DropObject(key="drops/monday/a.mp4", etag="e", size_bytes=7, video_id=sample.VIDEO_ID)
    pg_catalog.add_drop_objects("monday", [delivered])
    for stage, result in sound().items():
        pg_catalog.finish(sample.done(stage), result)
    pg_catalog.record_dataset("v1", "m", {}, {sample.VIDEO_ID: sample.CHAIN["quality"]})
    return pg_catalog


def broken(catalog: Catalog, subject: Subject, config: GateConfig = CONFIG) -> dict[str, dict[str, Any]]:
    """What is broken, by name."""
    found = running.evaluate(running.frames(catalog, subject), suite(subject.kind, config))
    assert [one["error"] for one in found if one["error"]] == []
    return {one["name"]: one for one in found if not one["is_success"]}


LENIENT = GateConfig(max_largest_share=1.0)


@pytest.mark.parametrize("subject", [DROP, DATASET], ids=lambda subject: subject.kind)
def test_sound_rows_break_nothing(filled: Catalog, subject: Subject) -> None:
    assert broken(filled, subject, LENIENT) == {}
    counts = {view: len(frame) for view, frame in running.frames(filled, subject).items()}
    assert counts == {
        "validated_videos": 1,
        "validated_masklets": 2,
        "validated_segments": 2,
        "validated_instructions": 2,  # the third one is quarantined
        "validated_mixtures": 2,
    }


def test_of_an_unknown_subject_there_is_nothing_to_break(filled: Catalog) -> None:
    assert broken(filled, Subject(kind="drop", id="never")) == {}


UPDATES: dict[str, tuple[str, str]] = {
    # name of the expectation: (statement that breaks it, id of the row)
    "videos.unchecked_pairs": ("update pair_status set status = 'unchecked'", sample.VIDEO_ID),
    "videos.duration_s": ("update videos set duration_s = 0", sample.VIDEO_ID),
    "videos.fps": ("update videos set fps_numerator = 3000000", sample.VIDEO_ID),
    "videos.uncovered_s": ("delete from clips where clip_id = 'clip-1'", sample.VIDEO_ID),
    "masklets.visible_frames": ("update masklets set visible = '{f,f,f}'", "msk-1"),
    "masklets.is_start_visible": (
        "update masklets set start_frame_index = 0 where masklet_id = 'msk-0'", "msk-0"
    ),
    "masklets.unlike_frames": (
        "update masklets set boxes_px = '[[0,0,1,1],null,null]' where masklet_id = 'msk-0'", "msk-0"
    ),
    "masklets.largest_area_share": (
        "update masklets set areas_px = '{0,5,76801}' where masklet_id = 'msk-1'", "msk-1"
    ),
    "masklets.box_overhang_px": (
        "update masklets set boxes_px = '[null,[1,2,3,4],[-1.5,0,2,2]]' where masklet_id = 'msk-1'", "msk-1"
    ),
    "masklets.time_overhang_s": (
        "update masklets set frames_pts_s = '{0,0.1,2.1}' where masklet_id = 'msk-0'", "msk-0"
    ),
    "masklets.detector_score": ("update masklets set detector_score = 1.2", "msk-0"),
    "masklets.forward_backward_iou": (
        "update masklets set forward_backward_iou = -0.1 where masklet_id = 'msk-0'", "msk-0"
    ),
    "segments.time_overhang_s": (
        "update transcript_segments set end_s = 2.01 where segment_id = 'seg-1'", "seg-1"
    ),
    "segments.clip_overhang_s": (
        "update transcript_segments set end_s = 1.3 where segment_id = 'seg-0'", "seg-0"
    ),
    "segments.has_masklet": ("delete from masklets where entity_id = 'ent-0'", "seg-0"),
    "instructions.pair": ("update instructions set pair_key = 'the same'", "ins-0"),
    "instructions.task": ("update instructions set task_type = 'verify'", "ins-1"),
    "instructions.turns": (
        "update instructions set turns = '[{\"role\": \"human\", \"text\": \"?\"}]'", "ins-0"
    ),
    "instructions.faulty_turns": (
        "update instructions set turns = jsonb_set(turns, '{1,text}', '\" \"')", "ins-0"
    ),
    "instructions.is_interval": (
        "update instructions set start_s = 1, end_s = 1 where instruction_id = 'ins-0'", "ins-0"
    ),
    "instructions.time_overhang_s": (
        "update instructions set start_s = 1, end_s = 2.01 where instruction_id = 'ins-0'", "ins-0"
    ),
    "instructions.blind_regions": (
        "update masklets set visible = '{f,f,f}' where masklet_id = 'msk-0'", "ins-1"
    ),
    "instructions.unknown_sources": (
        "update instructions set source_ids = '{clip-0,clip-7}' where instruction_id = 'ins-0'", "ins-0"
    ),
    "instructions.error_estimate": (
        "update pair_status set error_estimate = 1.5 where instruction_id = 'ins-0'", "ins-0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UPDATES)
def test_a_row_that_breaks_an_expectation_is_named(filled: Catalog, pg_url: str, name: str) -> None:
    change, row_id = UPDATES[name]
    statement(pg_url, change)
    found = broken(filled, DROP, LENIENT)
    assert row_id in [row["id"] for row in found[name]["ids"]]
    assert found[name]["unexpected"] == len(found[name]["ids"])


def test_a_pair_that_cannot_be_found_again_is_a_warning(filled: Catalog, pg_url: str) -> None:
    statement(pg_url, "update instructions set pair_key = '' where instruction_id = 'ins-0'")
    (found,) = broken(filled, DROP, LENIENT).values()
    assert (found["name"], found["severity"]) == ("instructions.pair_key", "warning")
    assert [row["id"] for row in found["ids"]] == ["ins-0"]


@pytest.mark.parametrize(
    ("status", "subject", "is_expected"),
    [("failed", DROP, True), ("failed", DATASET, False), ("running", DROP, False)],
)
def test_a_video_that_did_not_end_is_named(
    filled: Catalog, pg_url: str, status: str, subject: Subject, is_expected: bool
) -> None:
    change = {
        "failed": "status = 'failed', result_key = null, reason = 'r', error_class = 'E'",
        "running": "status = 'running', result_key = null, finished_at = null",
    }[status]
    statement(pg_url, f"update stage_runs set {change} where stage = 'quality'")
    found = broken(filled, subject, LENIENT)
    assert ("videos.state" not in found) is is_expected
    if not is_expected:
        assert found["videos.state"]["ids"][0]["id"] == sample.VIDEO_ID


@pytest.mark.parametrize("name", ["videos.video_id", "masklets.masklet_id", "segments.segment_id"])
def test_a_row_that_is_there_twice_is_named(filled: Catalog, name: str) -> None:
    """The catalog's keys do not let one in; a view that joins too much would."""
    _twice(filled, name)


def test_an_instruction_that_is_there_twice_is_named(filled: Catalog) -> None:
    _twice(filled, "instructions.instruction_id")


def _twice(catalog: Catalog, name: str) -> None:
    import pandas as pd

    view, column = f"validated_{name.split('.')[0]}", name.split(".")[1]
    seen = running.frames(catalog, DROP)
    seen[view] = pd.concat([seen[view], seen[view].head(1)], ignore_index=True)
    found = {one["name"]: one for one in running.evaluate(seen, suite("drop", LENIENT))}
    assert [row["id"] for row in found[name]["ids"]] == [seen[view][column][0]] * 2


def test_one_group_that_makes_up_most_is_a_warning(filled: Catalog) -> None:
    found = broken(filled, DROP, GateConfig(max_largest_share=0.4))
    assert list(found) == ["mixtures.largest_share"]
    assert {row["id"]: row["value"] for row in found["mixtures.largest_share"]["ids"]} == {
        "group": 0.5, "task_type": 0.5
    }  # fmt: skip
    assert found["mixtures.largest_share"]["severity"] == "warning"


def test_every_expectation_was_broken_once() -> None:
    """Those of this file and, for drift, of `test_validation_drift.py`."""
    here = {*UPDATES, "videos.state", "videos.video_id", "masklets.masklet_id", "segments.segment_id"}
    here |= {
        "instructions.instruction_id",
        "instructions.pair_key",
        "mixtures.largest_share",
        "mixtures.drift",
    }
    assert {one.name for kind in ("drop", "dataset") for one in suite(kind, CONFIG)} == here


def test_an_expectation_that_cannot_be_evaluated_counts_as_broken(filled: Catalog) -> None:
    absent = Expected(
        name="videos.absent", view="validated_videos", kind="ColumnValuesToNotBeNull", severity="critical",
        means="there is such a column", options={"column": "absent"},
    )  # fmt: skip
    (found,) = running.evaluate(running.frames(filled, DROP), [absent])
    assert not found["is_success"]
    assert "absent" in found["error"]


def test_a_validation_is_kept_with_its_page(filled: Catalog, pg_url: str, tmp_path: Path) -> None:
    statement(
        pg_url, "update instructions set source_ids = '{<script>x</script>}' where instruction_id = 'ins-0'"
    )
    objects = FolderObjects(tmp_path)
    given = validate(filled, objects, DROP, CONFIG, validation_id="val-1", dag_run_id="run-1")
    (kept,) = filled.validations(DROP)
    assert isinstance(kept, Validation)
    assert (kept.results, kept.is_success, kept.dag_run_id) == (given.results, False, "run-1")
    page = objects.get_bytes("validations/val-1.html").decode()
    assert kept.docs_key == "validations/val-1.html"
    assert "what a pair was made from is in the catalog" in page
    assert "ins-0" in page
    for foreign in ("<script", "http://", "https://", "src="):
        assert foreign not in page
    beside = json.loads(objects.get_bytes("validations/val-1.json"))
    assert beside["results"] == kept.results
    again = validate(filled, objects, DROP, CONFIG, validation_id="val-1")
    assert [one.dag_run_id for one in filled.validations(DROP)] == ["run-1"]
    assert again.results == kept.results


def test_the_library_says_little_and_never_sees_the_password(
    filled: Catalog, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    broken(filled, DROP)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""
    assert [record for record in caplog.records if record.name.startswith("great_expectations")] == []


def test_views_do_not_mix_subjects(filled: Catalog, pg_url: str) -> None:
    filled.register_drop("tuesday", "drops/tuesday/")
    assert all(
        len(frame) == 0 for frame in running.frames(filled, Subject(kind="drop", id="tuesday")).values()
    )
    kinds = rows(pg_url, "select distinct subject_kind, subject_id from validated_instructions order by 1, 2")
    assert kinds == [("dataset", "v1"), ("drop", "monday")]
