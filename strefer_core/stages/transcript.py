"""Stage `transcript`: what each entity does in each clip, as facts and as a plain sentence.

Consumes clips, entities and masklets; writes one segment per clip and entity with a masklet. `text` is
None where no sampled frame inside the clip shows the entity. A clip between two sampled frames holds
none of them: there `text` is None too, and means "not seen", which is no proof of absence.
"""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.errors import BackendError
from strefer_core.pipeline import StageTask

ACTION_KINDS = (
    "move",  # `direction` in the picture
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
"""What `Action.kind` can be. Motion is motion in the picture, see `backends.rules.actions` for its limits."""


def run(task: StageTask) -> dm.TranscriptResult:
    """Transcribe every clip. Raises BackendError where an answer does not fit what was asked."""
    clips, entities, masklets = _inputs(task)
    segments: list[dm.TranscriptSegment] = []
    for clip in clips:
        told = task.backend.transcribe(task.video, clip, entities, masklets)
        if len(told) != len(masklets):
            raise BackendError(
                f"transcript of {clip.clip_id}: {len(told)} answers for {len(masklets)} masklets"
            )
        for masklet, (text, actions) in zip(masklets, told, strict=True):
            check_actions(clip, actions)
            segments.append(
                dm.TranscriptSegment(
                    segment_id=task.new_id("seg", len(segments)),
                    video_id=task.video_id,
                    clip_id=clip.clip_id,
                    entity_id=masklet.entity_id,
                    start_s=clip.start_s,
                    end_s=clip.end_s,
                    text=text,
                    actions=tuple(actions),
                )
            )
    return dm.TranscriptResult(segments=tuple(segments))


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


def _inputs(
    task: StageTask,
) -> tuple[tuple[dm.Clip, ...], tuple[dm.Entity, ...], tuple[dm.Masklet, ...]]:
    clips, entities, masklets = (task.inputs[name] for name in ("clips", "entities", "masklets"))
    assert isinstance(clips, dm.ClipsResult)
    assert isinstance(entities, dm.EntitiesResult)
    assert isinstance(masklets, dm.MaskletsResult)
    return clips.clips, entities.entities, masklets.masklets
