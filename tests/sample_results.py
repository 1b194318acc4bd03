"""One small, complete chain of results, written by hand: what the stages could have made of one video."""

from __future__ import annotations

import hashlib
from fractions import Fraction

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.pipeline import fingerprints

SHA256 = hashlib.sha256(b"a video").hexdigest()
VIDEO_ID = SHA256[:16]
CHAIN = fingerprints(VIDEO_ID, PipelineConfig())

NASTY = "tab\there, line\nbreak, back\\slash, \\. \\N \"quotes\" {braces} 'é' 😀"
"""Text that breaks COPY, arrays or JSON when it is encoded carelessly."""


def video(sha256: str = SHA256) -> dm.Video:
    return dm.Video(
        video_id=sha256[:16],
        sha256=sha256,
        size_bytes=7,
        container="mov,mp4",
        codec="h264",
        pixel_format="yuv420p",
        width_px=320,
        height_px=240,
        rotation_deg=0,
        fps=Fraction(30000, 1001),
        frame_count=60,
        duration_s=2.002,
        is_variable_rate=False,
        has_audio=True,
        figures=dm.Figures(
            motion_px=None,
            black_share=0.0,
            frozen_share=0.25,
            sharpness=12.5,
            perceptual_hashes=("00ff00ff00ff00ff", "0123456789abcdef"),
        ),
    )


def clips(video_id: str = VIDEO_ID, name: str = "clip") -> dm.ClipsResult:
    return dm.ClipsResult(
        clips=(
            dm.Clip(clip_id=f"{name}-0", video_id=video_id, index=0, start_s=0.0, end_s=1.25),
            dm.Clip(clip_id=f"{name}-1", video_id=video_id, index=1, start_s=1.25, end_s=2.002),
        )
    )


def entity(index: int, colour: str) -> dm.Entity:
    return dm.Entity(
        entity_id=f"ent-{index}",
        video_id=VIDEO_ID,
        index=index,
        expression=f"the {colour} square",
        noun="square",
        generalized_noun="object",
        attributes=(("colour", colour),),
    )


def masklet(index: int) -> dm.Masklet:
    """The first was measured in every way, the others in none."""
    return dm.Masklet(
        masklet_id=f"msk-{index}",
        video_id=VIDEO_ID,
        entity_id=f"ent-{index}",
        frames_pts_s=(0.0, 0.1, 1 / 3),
        masks=(None, dm.Rle(size=[240, 320], counts="0123"), dm.Rle(size=[240, 320], counts="4567")),
        boxes_px=(None, (1.0, 2.0, 3.5, 4.0), (5.0, 6.0, 7.0, 8.0)),
        areas_px=(0, 5, 4),
        detector_score=0.75,
        assignment_margin=None,
        start_frame_index=1,
        forward_backward_iou=0.5,
        assignment_score=None if index else 0.875,
        redetection_share=None if index else 1.0,
        area_jump=None if index else 1.25,
        position_jump=None if index else 0.0,
        loss_sharpness=None if index else 1.5,
    )


def instruction(index: int, sources: tuple[str, ...], regions: tuple[str, ...] = ()) -> dm.Instruction:
    return dm.Instruction(
        instruction_id=f"ins-{index}",
        video_id=VIDEO_ID,
        group="G5" if regions else "G1",
        task_type="describe_entity" if regions else "describe_video",
        turns=(dm.Turn(role="human", text=f"What? {NASTY}"), dm.Turn(role="gpt", text="A square.")),
        region_entity_ids=regions,
        source_ids=sources,
    )


def flag(object_id: str, kind: str, severity: str, check: str = "some_check") -> dm.Flag:
    return dm.Flag(
        object_id=object_id,
        object_kind=kind,  # type: ignore[arg-type]
        check=check,
        value=0.25,
        threshold=0.5,
        severity=severity,  # type: ignore[arg-type]
    )


RESULTS: dict[str, dm.Result] = {
    "videos": dm.VideosResult(video=video()),
    "clips": clips(),
    "entities": dm.EntitiesResult(entities=(entity(0, "red"), entity(1, "blue"))),
    "masklets": dm.MaskletsResult(masklets=(masklet(0), masklet(1))),
    "transcript": dm.TranscriptResult(
        segments=(
            dm.TranscriptSegment(
                segment_id="seg-0",
                video_id=VIDEO_ID,
                clip_id="clip-0",
                entity_id="ent-0",
                start_s=0.0,
                end_s=1.25,
                text=NASTY,
                actions=(dm.Action(kind="move", start_s=0.0, end_s=1.0, direction="left"),),
            ),
            dm.TranscriptSegment(
                segment_id="seg-1",
                video_id=VIDEO_ID,
                clip_id="clip-1",
                entity_id="ent-0",
                start_s=1.25,
                end_s=2.002,
                text=None,
                samples=("It rolls.", None),
                agreement=0.5,
            ),
        )
    ),
    "instructions": dm.InstructionsResult(
        instructions=(
            instruction(0, ("clip-0",)),
            instruction(1, ("seg-0",), ("ent-0",)),
            instruction(2, ("clip-1",), ("ent-1",)),
        )
    ),
    "quality": dm.QualityResult(
        flags=(
            flag("ins-0", "instruction", "info"),
            flag("ins-1", "instruction", "info"),
            flag("ins-2", "instruction", "warn"),
            flag("msk-1", "masklet", "fail", "area_jump"),
        ),
        accepted_ids=("ins-0", "ins-1"),
        quarantined_ids=("ins-2",),
    ),
}
"""By stage. The masklet of `ent-1` failed a check, so `ins-2`, which points at it, is quarantined."""


def call(name: str, outcome: dm.Outcome = "used", **changes: object) -> dm.ModelCall:
    """A call of a served model; `name` makes its id."""
    known: dict[str, object] = {
        "call_id": hashlib.sha256(name.encode()).hexdigest()[:32],
        "question": "0123456789abcdef",
        "prompt": "recognize.v1",
        "server": "vlm",
        "model": "a-model",
        "sample": 0,
        "outcome": outcome,
        "reason": None if outcome == "used" else "not of the schema",
        "raw_text": None if outcome == "used" else "I think",
        "elapsed_s": 1.25,
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "cost": 0.002,
    }
    return dm.ModelCall(**(known | changes))  # type: ignore[arg-type]


def done(stage: str, *, video_id: str = VIDEO_ID, fingerprint: str | None = None) -> dm.StageRun:
    return dm.StageRun(
        video_id=video_id,
        stage=stage,
        fingerprint=fingerprint or CHAIN[stage],
        status="done",
        result_key=f"results/{stage}.json",
        compute_s=1.5,
    )


def failed(stage: str, *, video_id: str = VIDEO_ID, is_retryable: bool = False) -> dm.StageRun:
    return dm.StageRun(
        video_id=video_id,
        stage=stage,
        fingerprint=CHAIN[stage],
        status="failed",
        reason="the file has no bytes",
        error_class="UnreadableVideo",
        is_retryable=is_retryable,
    )
