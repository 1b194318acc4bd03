"""Fingerprints, and what becomes of one video in one stage, whatever happens on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from strefer_core import data_model as dm
from strefer_core import pipeline
from strefer_core.config import ClipsConfig, PipelineConfig, QualityConfig
from strefer_core.errors import BackendError, MismatchError, UnreadableVideo
from strefer_core.pipeline import STAGES, Filtered, Stage, StageRequest, StageTask, fingerprints, run_stage
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.masklet_object import MaskletObject
from strefer_core.store.objects import FolderObjects
from tests import sample_results

VIDEO_ID = "0123456789abcdef"
CONFIG = PipelineConfig()


@dataclass(frozen=True, kw_only=True)
class Scripted(Stage):
    """A stage whose function the test gives."""

    function: Callable[[StageTask], dm.Result] = field(compare=False)

    @property
    def run(self) -> Callable[[StageTask], dm.Result]:  # type: ignore[override]
        return self.function


@dataclass
class Bench:
    """A ledger, a blob store and a stage under test."""

    ledger: FolderLedger
    blobs: FolderObjects
    install: Callable[[str, Callable[[StageTask], dm.Result]], None]

    def run(self, stage: str = "videos", config: PipelineConfig = CONFIG, **options: Any) -> dm.StageRun:
        return run_stage(
            options.pop("request", None) or StageRequest.make(VIDEO_ID, stage, config),
            ledger=self.ledger,
            blobs=self.blobs,
            fetch_video=lambda video_id: Path("/nowhere") / video_id,
            **options,
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(pipeline, "RETRY_WAITS", wait_none())

    def install(name: str, function: Callable[[StageTask], dm.Result]) -> None:
        old = STAGES[name]
        fields = {k: getattr(old, k) for k in ("name", "version", "queue", "needs", "result_type")}
        monkeypatch.setitem(STAGES, name, Scripted(**fields, function=function))

    return Bench(FolderLedger(tmp_path / "runs"), FolderObjects(tmp_path / "objects"), install)


def a_video(video_id: str = VIDEO_ID) -> dm.VideosResult:
    figures = dm.Figures(
        motion_px=1.0, black_share=0.0, frozen_share=0.0, sharpness=99.0, perceptual_hashes=("0" * 16,)
    )
    video = dm.Video(
        video_id=video_id,
        sha256=video_id * 4,
        size_bytes=1,
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width_px=640,
        height_px=360,
        rotation_deg=0,
        fps=dm.Fraction(30000, 1001),
        frame_count=300,
        duration_s=10.01,
        is_variable_rate=False,
        has_audio=False,
        figures=figures,
    )
    return dm.VideosResult(video=video)


def one_clip(task: StageTask) -> dm.ClipsResult:
    clip = dm.Clip(
        clip_id=task.new_id("clip", 0),
        video_id=task.video_id,
        index=0,
        start_s=0.0,
        end_s=task.video.duration_s,
    )
    return dm.ClipsResult(clips=(clip,))


def raising(*errors: Exception) -> Callable[[StageTask], dm.Result]:
    """A stage function that raises these in turn and then succeeds."""
    left = list(errors)

    def function(_: StageTask) -> dm.Result:
        if left:
            raise left.pop(0)
        return a_video()

    return function


def changed(config: PipelineConfig) -> set[str]:
    before, after = fingerprints(VIDEO_ID, CONFIG), fingerprints(VIDEO_ID, config)
    return {stage for stage in STAGES if before[stage] != after[stage]}


def test_fingerprints_follow_from_video_and_configuration_alone() -> None:
    assert fingerprints(VIDEO_ID, CONFIG) == fingerprints(VIDEO_ID, PipelineConfig())
    other = fingerprints("f" * 16, CONFIG)
    assert not set(other.values()) & set(fingerprints(VIDEO_ID, CONFIG).values())


def test_changing_a_section_changes_its_stage_and_what_follows_it() -> None:
    clips = CONFIG.model_copy(update={"clips": ClipsConfig(max_s=5.0)})
    assert changed(clips) == {"clips", "transcript", "instructions", "quality"}
    quality = CONFIG.model_copy(update={"quality": QualityConfig(min_visible_frames=9)})
    assert changed(quality) == {"quality"}


def test_a_new_version_of_a_stage_changes_it_and_what_follows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprints(VIDEO_ID, CONFIG)
    monkeypatch.setitem(
        STAGES, "masklets", replace(STAGES["masklets"], version=STAGES["masklets"].version + 1)
    )
    after = fingerprints(VIDEO_ID, CONFIG)
    moved = {s for s in STAGES if before[s] != after[s]}
    assert moved == {"masklets", "transcript", "instructions", "quality"}


def test_every_stage_comes_after_what_it_needs() -> None:
    order = list(STAGES)
    assert all(order.index(need) < order.index(s.name) for s in STAGES.values() for need in s.needs)


def test_a_result_is_stored_with_the_request_that_it_answers(bench: Bench) -> None:
    bench.install("videos", lambda _: a_video())
    run = bench.run()
    assert (run.status, run.attempts) == ("done", 1)
    assert run.result_key is not None
    document = json.loads(bench.blobs.get_bytes(run.result_key))
    assert document["request"] == {"fingerprint": run.fingerprint, "stage": "videos", "video_id": VIDEO_ID}
    assert document["result"]["video"]["fps"] == "30000/1001"
    again = pipeline.load_result(bench.ledger, bench.blobs, VIDEO_ID, "videos", run.fingerprint)
    assert again == a_video()


def test_masklets_are_stored_as_an_object_that_is_read_in_parts(bench: Bench) -> None:
    result = dm.MaskletsResult(
        masklets=tuple(replace(sample_results.masklet(i), video_id=VIDEO_ID) for i in range(2))
    )
    bench.install("videos", lambda _: a_video())
    bench.install("entities", lambda _: dm.EntitiesResult(entities=()))
    bench.install("masklets", lambda _: result)
    run = [bench.run(stage) for stage in ("videos", "entities", "masklets")][-1]
    assert run.result_key is not None
    assert run.result_key.endswith(".masklets.parquet")
    assert pipeline.load_result(bench.ledger, bench.blobs, VIDEO_ID, "masklets", run.fingerprint) == result
    part = MaskletObject(bench.blobs.open(run.result_key))
    assert part.request == {"fingerprint": run.fingerprint, "stage": "masklets", "video_id": VIDEO_ID}
    assert part.masklet("ent-1") == result.masklets[1]


def test_documents_of_one_format_are_refused_as_the_other(bench: Bench) -> None:
    masklets = pipeline.dump_document(
        StageRequest.make(VIDEO_ID, "masklets", CONFIG), sample_results.RESULTS["masklets"]
    )
    clips = pipeline.dump_document(StageRequest.make(VIDEO_ID, "clips", CONFIG), sample_results.clips())
    for data, stage in ((masklets, "clips"), (clips, "masklets"), (b"[]", "clips"), (b"{}", "clips")):
        fingerprint = fingerprints(VIDEO_ID, CONFIG)[stage]
        with pytest.raises(MismatchError):
            pipeline.load_document(data, video_id=VIDEO_ID, stage=stage, fingerprint=fingerprint)


def test_masklets_that_answer_another_request_are_refused() -> None:
    data = pipeline.dump_document(
        StageRequest.make(VIDEO_ID, "masklets", CONFIG), sample_results.RESULTS["masklets"]
    )
    with pytest.raises(MismatchError, match="answers"):
        pipeline.load_document(data, video_id=VIDEO_ID, stage="masklets", fingerprint="0" * 32)


def test_done_before_is_one_look_up(bench: Bench) -> None:
    calls: list[str] = []
    bench.install("videos", lambda task: calls.append(task.video_id) or a_video())  # type: ignore[func-returns-value]
    assert bench.run() == bench.run()
    assert calls == [VIDEO_ID]


def test_inputs_reach_the_stage_and_ids_are_the_same_on_every_run(bench: Bench) -> None:
    bench.install("videos", lambda _: a_video())
    bench.install("clips", one_clip)
    bench.run()
    run = bench.run("clips")
    result = pipeline.load_result(bench.ledger, bench.blobs, VIDEO_ID, "clips", run.fingerprint)
    assert isinstance(result, dm.ClipsResult)
    assert result.clips[0].clip_id == f"clip-{run.fingerprint[:12]}-0000"
    assert result.clips[0].end_s == 10.01


@pytest.mark.parametrize(
    ("error", "error_class", "is_retryable"),
    [
        (UnreadableVideo("no video stream in it"), "UnreadableVideo", False),
        (ZeroDivisionError("bug"), "ZeroDivisionError", True),
        (BackendError("server says 503"), "BackendError", True),
    ],
)
def test_a_failure_becomes_a_row(
    bench: Bench, error: Exception, error_class: str, is_retryable: bool
) -> None:
    bench.install("videos", raising(*[error] * 9))
    run = bench.run()
    assert (run.status, run.error_class, run.is_retryable) == ("failed", error_class, is_retryable)
    assert run.reason == str(error)
    assert bench.ledger.find(VIDEO_ID, "videos", run.fingerprint) == run


def test_a_failure_that_a_retry_can_help_is_tried_again_at_once_and_later(bench: Bench) -> None:
    bench.install("videos", raising(BackendError("503"), BackendError("503")))
    assert bench.run(max_attempts=3).status == "done"


def test_a_bad_input_is_not_computed_again(bench: Bench) -> None:
    bench.install("videos", raising(UnreadableVideo("zero bytes")))
    first = bench.run()
    assert bench.run() == first


def test_filtered_keeps_its_reason(bench: Bench) -> None:
    bench.install("videos", raising(Filtered("too dark", a_video())))
    run = bench.run()
    assert (run.status, run.reason, run.result_key) == ("filtered", "too dark", None)


def test_a_stage_whose_input_is_missing_fails_and_can_be_asked_for_later(bench: Bench) -> None:
    bench.install("clips", one_clip)
    run = bench.run("clips")
    assert (run.status, run.error_class, run.is_retryable) == ("failed", "MissingInput", True)
    bench.install("videos", lambda _: a_video())
    bench.run()
    assert bench.run("clips").status == "done"


def test_a_worker_of_another_version_refuses(bench: Bench) -> None:
    bench.install("videos", lambda _: a_video())
    stale = replace(StageRequest.make(VIDEO_ID, "videos", CONFIG), fingerprint="0" * 32)
    run = bench.run(request=stale)
    assert (run.status, run.error_class) == ("failed", "MismatchError")
    assert "deploy the same" in str(run.reason)


def test_a_document_that_answers_another_request_is_refused(bench: Bench) -> None:
    bench.install("videos", lambda _: a_video())
    run = bench.run()
    assert run.result_key is not None
    data = bench.blobs.get_bytes(run.result_key)
    with pytest.raises(MismatchError, match="answers"):
        pipeline.load_document(data, video_id="f" * 16, stage="videos", fingerprint=run.fingerprint)


def test_a_result_about_another_video_is_refused(bench: Bench) -> None:
    """One video's words must never be attached to another."""
    bench.install("videos", lambda _: a_video("f" * 16))
    run = bench.run()
    assert (run.status, run.error_class) == ("failed", "MismatchError")


def test_a_computation_that_kills_its_process_ends_as_failed(bench: Bench) -> None:
    request = StageRequest.make(VIDEO_ID, "videos", CONFIG)
    for _ in range(2):
        bench.ledger.start(VIDEO_ID, "videos", request.fingerprint)  # began, and its process died
    bench.install("videos", lambda _: pytest.fail("must not be computed a third time"))
    run = bench.run(max_attempts=2)
    assert (run.status, run.error_class, run.attempts) == ("failed", "WorkerLost", 3)
    bench.install("videos", lambda _: a_video())
    assert bench.run(max_attempts=2).status == "done", "asked for again, it has a new budget"


def test_two_at_once_compute_once(bench: Bench) -> None:
    request = StageRequest.make(VIDEO_ID, "videos", CONFIG)
    bench.install("videos", lambda _: pytest.fail("the holder of the lock computes"))
    with bench.ledger.lock(VIDEO_ID, "videos", request.fingerprint) as is_ours:
        assert is_ours
        with pytest.raises(pipeline.Busy):
            bench.run()
