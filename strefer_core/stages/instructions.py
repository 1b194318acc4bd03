"""Stage `instructions`: instruction-response pairs from entities, masklets and transcript.

A writer backend offers all pairs that it can stand for; `choosing` takes of them what makes a balanced whole,
`conversations` joins them where several turns are wanted, and the writer puts what is left into its final
words. Same seed, same pairs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed, Writer
from strefer_core.errors import BackendError
from strefer_core.pipeline import StageTask
from strefer_core.stages.choosing import choose
from strefer_core.stages.conversations import converse
from strefer_core.stages.task_table import task_row


def run(task: StageTask) -> dm.InstructionsResult:
    """Write, choose, join.

    Raises:
        BackendError: a pair is of no known task type or about another video, or was changed in more than
            its words when it was rendered.
    """
    seen, segments = _inputs(task)
    writer: Writer = task.backend
    seed = f"{task.config.seed} {task.video_id}"
    offered = writer.offer(seen, segments, task.config, seed)
    for item in offered:
        _check_asked_for(item, task.video_id)
    chosen = choose(offered, task.config.max_per_video, task.config.negative_share, seed)
    joined = converse(chosen, task.config.turns, {entity.entity_id: entity for entity in seen.entities})
    rendered = writer.render(seen, joined, task.config, seed)
    _check_same(joined, rendered)
    masklets = {masklet.entity_id: masklet for masklet in seen.masklets}
    named = [
        replace(item, instruction_id=task.new_id("ins", i), pair_key=pair_key(item, masklets))
        for i, item in enumerate(rendered)
    ]
    return dm.InstructionsResult(instructions=tuple(named))


def pair_key(item: dm.Instruction, masklets: Mapping[str, dm.Masklet]) -> str:
    """Hash of what a pair says and shows, 16 hex digits; nothing in it hangs on ids or fingerprints.

    Args:
        item: the pair in its final words.
        masklets: by entity id, one for every region of the pair that has any.
    """
    shown = [masklets[entity_id] for entity_id in item.region_entity_ids if entity_id in masklets]
    content = [
        [[turn.role, turn.text] for turn in item.turns],
        [item.start_s, item.end_s],
        [[mask and mask["counts"] for mask in masklet.masks] for masklet in shown],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _inputs(task: StageTask) -> tuple[Observed, tuple[dm.TranscriptSegment, ...]]:
    entities, clips = task.inputs["entities"], task.inputs["clips"]
    masklets, transcript = task.inputs["masklets"], task.inputs["transcript"]
    assert isinstance(entities, dm.EntitiesResult)
    assert isinstance(clips, dm.ClipsResult)
    assert isinstance(masklets, dm.MaskletsResult)
    assert isinstance(transcript, dm.TranscriptResult)
    seen = Observed(
        video=task.video,
        video_path=task.video_path,
        clips=clips.clips,
        camera=clips.camera,
        entities=entities.entities,
        masklets=masklets.masklets,
    )
    return seen, transcript.segments


def _check_asked_for(item: dm.Instruction, video_id: str) -> None:
    if task_row(item.group, item.task_type) is None or item.video_id != video_id:
        kind = f"{item.group}/{item.task_type} of video {item.video_id}"
        raise BackendError(f"{item.template_id}: {kind} was not asked for")


def _check_same(chosen: Sequence[dm.Instruction], rendered: Sequence[dm.Instruction]) -> None:
    """Rendering may change words and the template; never what a pair is about."""
    if len(rendered) != len(chosen):
        raise BackendError(f"the writer rendered {len(rendered)} of {len(chosen)} chosen pairs")
    for before, after in zip(chosen, rendered, strict=True):
        if replace(after, turns=before.turns, template_id=before.template_id) != before:
            raise BackendError(f"{before.template_id}: rendering changed more than the words of the pair")
