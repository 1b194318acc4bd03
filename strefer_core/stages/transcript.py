"""Stage `transcript`: what each entity does in each clip, as facts and as a plain sentence.

Consumes clips, entities and masklets; writes one segment per clip and entity with a masklet. `text` is
None where no sampled frame inside the clip shows the entity. A clip between two sampled frames holds
none of them: there `text` is None too, and means "not seen", which is no proof of absence.
"""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed, Told
from strefer_core.errors import BackendError
from strefer_core.pipeline import StageTask

ACTION_KINDS = (
    "move",  # over the ground; `direction` as the picture shows it
    "stand",  # stays in place
    "enter",  # over the picture's edge; `direction` is the side that it comes from
    "leave",  # over the picture's edge; `direction` is the side that it goes to
    "appear",  # not at the edge: from behind something, or all at once
    "disappear",
    "approach",  # moves towards the other entity
    "move_away",  # moves away from the other entity
    "follow",  # moves behind the other entity, in the same direction
    "occlude",  # passes in front of the other entity
    "grow",  # gets larger in the picture
    "shrink",
)
"""What `Action.kind` can be; `strefer_core.claims` says what each means."""


def run(task: StageTask) -> dm.TranscriptResult:
    """Transcribe every clip. Raises BackendError where an answer does not fit what was asked."""
    seen = observed(task)
    answers = task.backend.transcribe(seen, task.config)
    check_answers(seen, answers)
    told = [
        (clip, masklet, answer)
        for clip, in_clip in zip(seen.clips, answers, strict=True)
        for masklet, answer in zip(seen.masklets, in_clip, strict=True)
    ]
    segments = (_segment(task, index, *item) for index, item in enumerate(told))
    return dm.TranscriptResult(segments=tuple(segments))


def observed(task: StageTask) -> Observed:
    """What earlier stages know of the video, gathered for a backend."""
    videos, clips, entities, masklets = (
        task.inputs[name] for name in ("videos", "clips", "entities", "masklets")
    )
    assert isinstance(videos, dm.VideosResult)
    assert isinstance(clips, dm.ClipsResult)
    assert isinstance(entities, dm.EntitiesResult)
    assert isinstance(masklets, dm.MaskletsResult)
    return Observed(
        video=videos.video,
        video_path=task.video_path,
        clips=clips.clips,
        camera=clips.camera,
        entities=entities.entities,
        masklets=masklets.masklets,
    )


def _segment(
    task: StageTask, index: int, clip: dm.Clip, masklet: dm.Masklet, told: Told
) -> dm.TranscriptSegment:
    return dm.TranscriptSegment(
        segment_id=task.new_id("seg", index),
        video_id=task.video_id,
        clip_id=clip.clip_id,
        entity_id=masklet.entity_id,
        start_s=clip.start_s,
        end_s=clip.end_s,
        text=told.text,
        actions=tuple(told.actions),
        samples=tuple(told.samples),
        agreement=told.agreement,
    )


def check_answers(seen: Observed, answers: Sequence[Sequence[Told]]) -> None:
    """Raises BackendError unless there is one sound answer per clip and masklet."""
    if len(answers) != len(seen.clips):
        raise BackendError(f"transcript: answers for {len(answers)} clips where {len(seen.clips)} were asked")
    for clip, in_clip in zip(seen.clips, answers, strict=True):
        if len(in_clip) != len(seen.masklets):
            raise BackendError(
                f"transcript of {clip.clip_id}: {len(in_clip)} answers for {len(seen.masklets)} masklets"
            )
        for told in in_clip:
            check_actions(clip, told.actions)


def check_actions(clip: dm.Clip, actions: Sequence[dm.Action]) -> None:
    """Raises BackendError for an unknown kind or an interval that is empty or outside the clip."""
    for action in actions:
        if action.kind not in ACTION_KINDS:
            raise BackendError(f"transcript of {clip.clip_id}: unknown action kind {action.kind!r}")
        if not clip.start_s <= action.start_s < action.end_s <= clip.end_s:
            raise BackendError(
                f"transcript of {clip.clip_id}: {action.kind} over [{action.start_s}, {action.end_s}) "
                f"is not inside [{clip.start_s}, {clip.end_s})"
            )
