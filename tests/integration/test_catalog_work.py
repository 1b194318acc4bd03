"""Batches, drops, datasets and the views over them, on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import psycopg2
import pytest

from strefer_core import data_model as dm
from strefer_core.errors import StreferError
from strefer_core.store.catalog import (
    BatchFailure,
    BatchOutcome,
    Catalog,
    CheckCount,
    DropObject,
    DroppedVideo,
    StageProgress,
)
from tests import sample_results as sample
from tests.postgres import rows

pytest_plugins = ["tests.integration.catalog_fixtures"]

A, B, C = (f"{digit * 16}" for digit in "abc")
PRINT = "f" * 32


@pytest.fixture
def catalog(pg_catalog: Catalog) -> Catalog:
    return pg_catalog


def run(video_id: str, status: str = "done", stage: str = "clips", **fields: object) -> dm.StageRun:
    why: dict[str, object] = {
        "done": {"result_key": "results/x.json"},
        "filtered": {"reason": "nothing moves"},
        "failed": {"reason": f"{video_id} has no bytes", "error_class": "UnreadableVideo"},
    }[status]  # type: ignore[assignment]
    return dm.StageRun(video_id=video_id, stage=stage, fingerprint=PRINT, status=status, **{**why, **fields})  # type: ignore[arg-type]


def item(key: str, video_id: str, etag: str = "e1") -> DropObject:
    return DropObject(key=key, size_bytes=3, etag=etag, video_id=video_id)


def deliver(catalog: Catalog, drop_id: str, videos: dict[str, str]) -> None:
    """Register a drop of `{key: video_id}`."""
    catalog.register_drop(drop_id, f"drops/{drop_id}/")
    catalog.add_drop_objects(drop_id, [item(key, video_id) for key, video_id in videos.items()])


# --- batches ------------------------------------------------------------------------------------------


def test_a_batch_is_finished_when_all_its_runs_are(catalog: Catalog) -> None:
    new = catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, {A, B})
    assert new == {A, B}
    catalog.finish(run(A), None)
    assert catalog.finished_batches(["one"]) == set()
    assert catalog.unfinished("one") == [(B, PRINT, False)]
    catalog.finish(run(B, "failed"), None)
    assert catalog.finished_batches(["one"]) == {"one"}
    assert catalog.batch_outcome("one") == BatchOutcome(
        done=1,
        filtered=0,
        failed=1,
        open=0,
        failures=(BatchFailure(video_id=B, error_class="UnreadableVideo", reason=f"{B} has no bytes"),),
    )


def test_a_batch_never_opened_and_an_empty_one_are_finished(catalog: Catalog) -> None:
    assert catalog.open_batch("empty", "clips", {}, ()) == set()
    assert catalog.finished_batches(["empty", "unknown"]) == {"empty", "unknown"}
    assert catalog.finished_batches([]) == set()


def test_what_is_settled_counts_at_once(catalog: Catalog) -> None:
    catalog.finish(run(A), None)
    catalog.finish(run(B, "filtered"), None)
    catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, ())
    assert catalog.finished_batches(["one"]) == {"one"}
    outcome = catalog.batch_outcome("one")
    assert (outcome.done, outcome.filtered, outcome.failed, outcome.open) == (1, 1, 0, 0)


def test_what_was_settled_while_the_batch_opened_is_closed(catalog: Catalog) -> None:
    catalog.finish(run(A), None)
    catalog.finish(run(B, "failed", is_retryable=True), None)
    catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, {A, B})
    assert catalog.unfinished("one") == [(B, PRINT, False)]


def test_opening_again_sends_nothing_twice(catalog: Catalog) -> None:
    assert catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, {A, B}) == {A, B}
    assert catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, {A, B}) == set()
    assert catalog.open_batch("two", "clips", {A: PRINT, C: PRINT}, {A, C}) == {C}
    assert catalog.open_batch("three", "entities", {A: PRINT}, {A}) == {A}


def test_one_end_closes_the_requests_of_every_batch(catalog: Catalog) -> None:
    for batch in ("one", "two"):
        catalog.open_batch(batch, "clips", {A: PRINT}, {A})
    assert catalog.is_requested(A, "clips", PRINT)
    catalog.finish_requests(A, "clips", PRINT)
    assert catalog.finished_batches(["one", "two"]) == {"one", "two"}
    assert not catalog.is_requested(A, "clips", PRINT)


def test_a_failure_for_a_while_is_opened_again_by_the_same_batch(catalog: Catalog) -> None:
    catalog.open_batch("one", "clips", {A: PRINT}, {A})
    catalog.finish(run(A, "failed", is_retryable=True), None)
    assert catalog.finished_batches(["one"]) == {"one"}
    assert catalog.open_batch("one", "clips", {A: PRINT}, {A}) == {A}
    assert catalog.finished_batches(["one"]) == set()


def test_a_cancelled_batch_waits_for_nothing(catalog: Catalog) -> None:
    catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, {A, B})
    catalog.finish(run(A), None)
    catalog.cancel_batch("one")
    assert catalog.finished_batches(["one"]) == {"one"}
    assert not catalog.is_requested(B, "clips", PRINT)
    assert catalog.batch_outcome("one").done == 1


def test_a_request_closed_without_an_outcome_counts_as_failed(catalog: Catalog) -> None:
    catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, {A, B})
    catalog.finish_requests(A, "clips", PRINT)
    outcome = catalog.batch_outcome("one")
    assert (outcome.failed, outcome.open, outcome.failures[0].error_class) == (1, 1, "NoOutcome")


def test_running_means_that_the_lock_is_held(catalog: Catalog) -> None:
    catalog.open_batch("one", "clips", {A: PRINT, B: PRINT}, {A, B})
    with catalog.lock(A, "clips", PRINT):
        assert catalog.unfinished("one") == [(A, PRINT, True), (B, PRINT, False)]
    assert catalog.unfinished("one") == [(A, PRINT, False), (B, PRINT, False)]


def test_a_run_that_ends_while_a_batch_opens_is_not_waited_for(catalog: Catalog, pg_url: str) -> None:
    """The worker's transaction has looked for requests already, and commits after ours are written."""
    catalog.start(A, "clips", PRINT)
    worker = psycopg2.connect(pg_url)
    cursor = worker.cursor()
    cursor.execute("update stage_runs set status = 'done', result_key = 'k', finished_at = now()")
    cursor.execute("update requests set finished_at = now() where finished_at is null")
    opening = threading.Thread(target=catalog.open_batch, args=("one", "clips", {A: PRINT}, {A}))
    opening.start()
    deadline = time.monotonic() + 10
    while rows(pg_url, "select from requests") == [] and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.commit()
    opening.join(timeout=10)
    worker.close()
    assert catalog.finished_batches(["one"]) == {"one"}


def test_the_trigger_asks_an_index_of_open_requests_only(catalog: Catalog, pg_url: str) -> None:
    plan = "explain select 1 from requests where batch_id = 'one' and finished_at is null"
    connection = psycopg2.connect(pg_url)
    cursor = connection.cursor()
    cursor.execute("set enable_seqscan = off")
    cursor.execute(plan)
    assert "requests_open_batch_idx" in str(cursor.fetchall())
    connection.close()


# --- drops --------------------------------------------------------------------------------------------


def test_a_drop_remembers_its_objects_and_videos(catalog: Catalog) -> None:
    keys = ["drops/monday/ü 2.mp4", "drops/monday/a.mp4", "drops/monday/b.mp4"]
    deliver(catalog, "monday", dict(zip(keys, (B, A, A), strict=True)))
    assert catalog.drop_videos("monday") == [A, B]
    assert list(catalog.known_objects("drops/").items()) == [(key, "e1") for key in sorted(keys)]
    assert catalog.known_objects("drops/tuesday/") == {}
    assert [(drop.drop_id, drop.prefix) for drop in catalog.drops()] == [("monday", "drops/monday/")]


def test_a_prefix_is_taken_literally(catalog: Catalog) -> None:
    deliver(catalog, "d", {"a_b/1.mp4": A, "axb/1.mp4": A, "a%/1.mp4": A})
    assert list(catalog.known_objects("a_b")) == ["a_b/1.mp4"]
    assert list(catalog.known_objects("a%")) == ["a%/1.mp4"]


def test_registering_again_changes_only_what_is_new(catalog: Catalog) -> None:
    deliver(catalog, "monday", {"a.mp4": A, "b.mp4": B})
    before = catalog.drops()
    catalog.register_drop("monday", "elsewhere/")
    catalog.add_drop_objects("monday", [item("a.mp4", A), item("b.mp4", C, "e2")])
    assert catalog.drop_videos("monday") == [A, C]
    assert catalog.drops() == before


def test_the_newest_drop_says_which_bytes_a_key_has(catalog: Catalog) -> None:
    deliver(catalog, "monday", {"a.mp4": A})
    catalog.register_drop("tuesday", "")
    catalog.add_drop_objects("tuesday", [item("a.mp4", B, "e2")])
    assert catalog.known_objects("") == {"a.mp4": "e2"}


def test_what_was_registered_but_never_looked_at_is_not_known_in_the_strict_sense(catalog: Catalog) -> None:
    deliver(catalog, "monday", {"a.mp4": A, "b.mp4": B, "c.mp4": C})
    catalog.start(A, "videos", "f")
    reason = {"status": "failed", "reason": "empty", "error_class": "UnreadableVideo"}
    catalog.finish(dm.StageRun(video_id=A, stage="videos", fingerprint="f", **reason), None)
    catalog.start(B, "videos", "f")  # its process dies
    assert catalog.known_objects("", looked_at=True) == {"a.mp4": "e1"}
    assert sorted(catalog.known_objects("")) == ["a.mp4", "b.mp4", "c.mp4"]


def test_videos_left_behind_between_two_stages_are_found(catalog: Catalog) -> None:
    for video_id, status in ((A, "done"), (B, "filtered"), (C, "done")):
        key = "results/x" if status == "done" else None
        reason = None if status == "done" else "black"
        run = dm.StageRun(
            video_id=video_id, stage="videos", fingerprint="f", status=status, result_key=key, reason=reason
        )
        catalog.finish(run, None)
    catalog.start(C, "clips", "g")
    assert catalog.left_behind("videos", "clips") == [A]


def test_objects_of_an_unknown_drop_are_refused(catalog: Catalog) -> None:
    with pytest.raises(StreferError, match="drop_objects_drop_fkey"):
        catalog.add_drop_objects("none", [item("a.mp4", A)])


def test_a_video_is_known_by_its_first_name(catalog: Catalog) -> None:
    deliver(catalog, "monday", {"z.mp4": A})
    deliver(catalog, "tuesday", {"a.mp4": A, "b.mp4": B})
    assert catalog.video_names([A, B, C]) == {A: "z.mp4", B: "b.mp4"}
    assert catalog.describe_video(A).names == (("monday", "z.mp4"), ("tuesday", "a.mp4"))


def test_hashes_come_in_order_of_registration_without_the_filtered(catalog: Catalog) -> None:
    digests = [digit * 64 for digit in "321"]
    for digest in digests:
        fields = replace(sample.video(digest), duration_s=float(digest[0]))
        catalog.finish(run(digest[:16], stage="videos"), dm.VideosResult(video=fields))
    deliver(catalog, "monday", {"b.mp4": "3" * 16})
    deliver(catalog, "tuesday", {"a.mp4": "1" * 16})  # "2" came with no drop: last
    found = catalog.video_hashes()
    assert catalog.video_ids() == [digit * 16 for digit in "123"]
    assert [(item.video_id[0], item.duration_s) for item in found] == [("3", 3.0), ("1", 1.0), ("2", 2.0)]
    assert found[0].perceptual_hashes == ("00ff00ff00ff00ff", "0123456789abcdef")
    catalog.set_filtered("1" * 16, "videos", PRINT, "near-duplicate of 3")
    assert [item.video_id[0] for item in catalog.video_hashes()] == ["3", "2"]


def test_progress_counts_the_newest_run_of_each_video(catalog: Catalog) -> None:
    deliver(catalog, "monday", {"a.mp4": A, "b.mp4": B, "c.mp4": C, "copy of a.mp4": A})
    catalog.finish(run(A, "filtered", stage="videos"), None)
    catalog.finish(run(A, compute_s=2.0), None)
    catalog.finish(run(B, "failed"), None)
    catalog.start(C, "clips", PRINT)
    clips = StageProgress(stage="clips", videos=3, done=1, filtered=0, failed=1, running=1, compute_s=2.0)
    videos = StageProgress(stage="videos", videos=3, done=0, filtered=1, failed=0, running=0, compute_s=0.0)
    assert catalog.drop_progress("monday") == [videos, clips]
    catalog.finish(replace(run(B), fingerprint="e" * 32), None)  # again, under another configuration
    assert catalog.drop_progress("monday")[1] == replace(clips, done=2, failed=0)
    assert catalog.drop_progress("tuesday") == []


def test_the_dropped_are_listed_with_names_and_reasons(catalog: Catalog) -> None:
    deliver(catalog, "monday", {"a.mp4": A, "b.mp4": B, "c.mp4": C})
    catalog.finish(run(A, "failed", attempts=2, is_retryable=True), None)
    catalog.finish(run(B, "filtered"), None)
    catalog.finish(run(C), None)
    failure = DroppedVideo(
        video_id=A,
        key="a.mp4",
        stage="clips",
        status="failed",
        error_class="UnreadableVideo",
        reason=f"{A} has no bytes",
        is_retryable=True,
        attempts=2,
    )
    assert catalog.failures("monday") == [failure]
    filtered = catalog.dropped("monday")[1]
    assert catalog.dropped("monday") == [failure, filtered]
    assert (filtered.key, filtered.status, filtered.error_class) == ("b.mp4", "filtered", None)
    assert filtered.reason == "nothing moves"


def test_computed_since_a_drop_counts_what_began_later(catalog: Catalog) -> None:
    catalog.finish(run(A), None)
    deliver(catalog, "monday", {"a.mp4": A, "b.mp4": B})
    catalog.finish(run(A), None)  # again, without a start: still the old run
    catalog.finish(run(B), None)
    catalog.finish(run(C), None)  # of no drop
    assert catalog.computed_since_drop("monday") == {"clips": 1}


# --- verdicts, cost and datasets ----------------------------------------------------------------------


def annotate(catalog: Catalog, stages: int = len(sample.RESULTS)) -> None:
    for stage, result in list(sample.RESULTS.items())[:stages]:
        catalog.start(sample.VIDEO_ID, stage, sample.CHAIN[stage])
        catalog.finish(sample.done(stage), result)


STATUS = "select instruction_id, status, failed_checks from instruction_status order by 1"


def test_instructions_are_unchecked_until_the_quality_run(catalog: Catalog, pg_url: str) -> None:
    annotate(catalog, stages=6)
    assert rows(pg_url, STATUS) == [(f"ins-{index}", "unchecked", None) for index in range(3)]


def test_instruction_status_agrees_with_the_quality_result(catalog: Catalog, pg_url: str) -> None:
    annotate(catalog)
    expected = sample.RESULTS["quality"]
    assert isinstance(expected, dm.QualityResult)
    found = rows(pg_url, STATUS)
    assert tuple(row[0] for row in found if row[1] == "accepted") == expected.accepted_ids
    assert [row for row in found if row[1] == "quarantined"] == [("ins-2", "quarantined", ["area_jump"])]


@pytest.mark.parametrize(
    ("flag", "quarantined"),
    [
        (sample.flag("ins-0", "instruction", "fail"), ["ins-0"]),
        (sample.flag("clip-1", "entity", "fail"), ["ins-2"]),  # any source id
        (sample.flag("ent-0", "entity", "fail"), ["ins-1"]),
        (sample.flag("seg-0", "transcript_segment", "fail"), ["ins-1"]),
        (sample.flag("msk-0", "masklet", "fail"), ["ins-1"]),
        (sample.flag("msk-0", "masklet", "warn"), []),
    ],
)
def test_a_failed_check_quarantines_what_was_made_from_the_object(
    catalog: Catalog, pg_url: str, flag: dm.Flag, quarantined: list[str]
) -> None:
    annotate(catalog, stages=6)
    catalog.finish(
        sample.done("quality"), dm.QualityResult(flags=(flag,), accepted_ids=(), quarantined_ids=())
    )
    assert [row[0] for row in rows(pg_url, STATUS) if row[1] == "quarantined"] == quarantined


def test_new_instructions_are_unchecked_again(catalog: Catalog, pg_url: str) -> None:
    annotate(catalog)
    catalog.start(sample.VIDEO_ID, "instructions", PRINT)
    one = replace(sample.instruction(9, ("clip-0",)))
    catalog.finish(sample.done("instructions", fingerprint=PRINT), dm.InstructionsResult(instructions=(one,)))
    assert rows(pg_url, STATUS) == [("ins-9", "unchecked", None)]


def test_the_funnel_and_the_cost(catalog: Catalog, pg_url: str) -> None:
    deliver(
        catalog, "monday", {"a.mp4": sample.VIDEO_ID, "again.mp4": sample.VIDEO_ID, "b.mp4": B, "c.mp4": C}
    )
    annotate(catalog)
    catalog.finish(run(B, "failed", stage="videos", compute_s=0.5), None)
    catalog.finish(run(C, "filtered", stage="videos"), None)
    videos = "objects, videos, usable_videos, filtered_videos, unreadable_videos"
    assert rows(pg_url, f"select {videos} from drop_funnel") == [(4, 3, 1, 1, 1)]
    assert rows(pg_url, "select instructions, accepted, quarantined from drop_funnel") == [(3, 2, 1)]
    # Seven stages of 1.5 s and one failure of 0.5 s, over two accepted pairs.
    assert rows(pg_url, "select compute_s, compute_s_per_accepted from drop_funnel") == [(11.0, 5.5)]
    assert rows(pg_url, "select runs, videos, compute_s from stage_cost where stage = 'videos'") == [
        (3, 3, 2.0)
    ]


def test_calls_of_served_models_are_counted_and_priced_once(catalog: Catalog, pg_url: str) -> None:
    """By hand: three calls of 1000 + 50 tokens at 0.002, one that never came; two runs of one stage."""
    deliver(catalog, "monday", {"a.mp4": sample.VIDEO_ID})
    annotate(catalog)
    entities, silent = sample.done("entities"), sample.call("d", "failed", prompt_tokens=None, cost=None)
    calls = [sample.call("a", "rejected"), sample.call("b"), replace(silent, completion_tokens=None)]
    catalog.finish(entities, sample.RESULTS["entities"], calls)
    catalog.finish(replace(entities, fingerprint=PRINT), None, [sample.call("c", "used_in_part")])
    counted = "runs, compute_s, model_calls, rejected_calls, failed_calls, prompt_tokens, completion_tokens"
    assert rows(pg_url, f"select {counted} from stage_cost where stage = 'entities'") == [
        (2, 3.0, 4, 1, 1, 3000, 150)
    ]
    assert rows(pg_url, "select stage from stage_cost where cost is not null") == [("entities",)]
    (cost,) = rows(pg_url, "select cost from stage_cost where stage = 'entities'")[0]
    assert cost == pytest.approx(0.006)
    (funnel,) = rows(pg_url, "select cost, cost_per_accepted from drop_funnel")
    assert funnel == pytest.approx((0.006, 0.003))


def test_a_video_is_described(catalog: Catalog) -> None:
    deliver(catalog, "monday", {"a.mp4": sample.VIDEO_ID})
    annotate(catalog)
    known = catalog.describe_video(sample.VIDEO_ID)
    assert known.names == (("monday", "a.mp4"),)
    assert [run.stage for run in known.runs] == list(sample.RESULTS)
    assert known.instructions == {"accepted": 2, "quarantined": 1}
    assert known.checks == (
        CheckCount(check="area_jump", severity="fail", objects=1),
        CheckCount(check="some_check", severity="warn", objects=1),
    )
    unknown = catalog.describe_video(A)
    assert (unknown.names, unknown.runs, unknown.instructions, unknown.checks) == ((), (), {}, ())


def test_datasets_are_versions_with_a_lineage(catalog: Catalog) -> None:
    annotate(catalog)
    lineage = {sample.VIDEO_ID: sample.CHAIN["quality"]}
    assert catalog.latest_dataset() is None
    assert not catalog.dataset_exists("v1")
    catalog.record_dataset("v1", "datasets/v1/manifest.json", {"G1": 2}, lineage)
    catalog.record_dataset("v2", "datasets/v2/manifest.json", {}, {})
    catalog.record_dataset("v1", "datasets/v1/other.json", {}, {})
    assert catalog.dataset_exists("v1")
    assert [(d.version, d.manifest_key, d.counts) for d in catalog.datasets()] == [
        ("v1", "datasets/v1/manifest.json", {"G1": 2}),
        ("v2", "datasets/v2/manifest.json", {}),
    ]
    latest = catalog.latest_dataset()
    assert latest is not None
    assert latest.version == "v2"
    assert catalog.dataset_lineage("v1") == lineage


def test_a_filter_is_kept_once_as_it_was_first(catalog: Catalog, pg_url: str) -> None:
    catalog.record_filter("f1", '{"made_by": "first"}')
    catalog.record_filter("f1", '{"made_by": "again"}')
    assert rows(pg_url, "select filter_id, document->>'made_by' from filters") == [("f1", "first")]


def test_a_dataset_of_unknown_runs_is_refused_whole(catalog: Catalog) -> None:
    with pytest.raises(StreferError, match="dataset_videos_run_fkey"):
        catalog.record_dataset("v1", "datasets/v1/manifest.json", {}, {A: PRINT})
    assert catalog.datasets() == []
