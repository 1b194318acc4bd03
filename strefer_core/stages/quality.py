"""Stage `quality`: every check on every object of a video, as flags; what is accepted follows from them.

Consumes all earlier results and no pixels. A flag is stored also where a check passes, so that a
threshold can be moved later without computing anything again. A check that has no value (a thing without
a rival has no assignment margin) has no flag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from strefer_core import data_model as dm
from strefer_core.config import QualityConfig
from strefer_core.pipeline import StageTask
from strefer_core.stages.choosing import question_key
from strefer_core.stages.leaks import pairs, turn_leaks, words
from strefer_core.stages.task_table import task_row

Kind = Literal["entity", "masklet", "transcript_segment", "instruction"]
EDGE_SHARE = 0.01  # of the picture's width: a box closer to its edge is cut by it


@dataclass(frozen=True, kw_only=True)
class Check:
    """One named check. `is_floor`: values below the threshold are findings; else values above it."""

    object_kind: Kind
    severity: dm.Severity  # of a finding
    is_floor: bool
    means: str  # the value, with its unit

    def flag(self, name: str, object_id: str, value: float, threshold: float) -> dm.Flag:
        is_bad = value < threshold if self.is_floor else value > threshold
        return dm.Flag(
            object_id=object_id,
            object_kind=self.object_kind,
            check=name,
            value=float(value),
            threshold=float(threshold),
            severity=self.severity if is_bad else "info",
        )


def _check(object_kind: Kind, severity: dm.Severity, is_floor: bool, means: str) -> Check:
    return Check(object_kind=object_kind, severity=severity, is_floor=is_floor, means=means)


CHECKS: dict[str, Check] = {
    "shared_expression": _check("entity", "fail", False, "other entities that have the same expression"),
    "masklets": _check("entity", "warn", True, "masklets of the entity"),
    "visible_frames": _check("masklet", "fail", True, "sampled frames with a mask"),
    "area_jump": _check("masklet", "fail", False, "largest ratio of areas of neighbouring whole masks"),
    "fragments": _check("masklet", "warn", False, "stretches of visible frames"),
    "forward_backward_iou": _check("masklet", "fail", True, "mean IoU with the reverse track"),
    "assignment_margin": _check("masklet", "warn", True, "score minus that of the next best track"),
    "text_without_mask": _check("transcript_segment", "fail", False, "1: told, but no frame shows it"),
    "mask_without_text": _check("transcript_segment", "warn", False, "share of frames that show it untold"),
    "leak": _check("instruction", "fail", False, "words that a mask-referring question gives away"),
    "format": _check("instruction", "fail", False, "broken rules of the format"),
    "answer_words": _check("instruction", "fail", True, "words of the shortest answer"),
    "duplicate": _check("instruction", "fail", False, "earlier instructions with the same question"),
}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything of one video that the checks look at."""

    video: dm.Video
    clips: Sequence[dm.Clip]
    entities: Mapping[str, dm.Entity]
    masklets: Mapping[str, dm.Masklet]  # by entity id
    segments: Sequence[dm.TranscriptSegment]
    instructions: Sequence[dm.Instruction]


def run(task: StageTask) -> dm.QualityResult:
    """Check everything; accept what rests on nothing that fails."""
    clips, entities = task.inputs["clips"], task.inputs["entities"]
    masklets, transcript = task.inputs["masklets"], task.inputs["transcript"]
    instructions = task.inputs["instructions"]
    assert isinstance(clips, dm.ClipsResult)
    assert isinstance(entities, dm.EntitiesResult)
    assert isinstance(masklets, dm.MaskletsResult)
    assert isinstance(transcript, dm.TranscriptResult)
    assert isinstance(instructions, dm.InstructionsResult)
    given = Findings(
        video=task.video,
        clips=clips.clips,
        entities={entity.entity_id: entity for entity in entities.entities},
        masklets={masklet.entity_id: masklet for masklet in masklets.masklets},
        segments=transcript.segments,
        instructions=instructions.instructions,
    )
    flags = tuple(_flags(given, task.config))
    accepted, quarantined = derive(flags, given.instructions, masklets.masklets)
    return dm.QualityResult(flags=flags, accepted_ids=accepted, quarantined_ids=quarantined)


def derive(
    flags: Sequence[dm.Flag], instructions: Sequence[dm.Instruction], masklets: Sequence[dm.Masklet]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of accepted and of quarantined instructions.

    One is quarantined by a "fail" on itself, on any id that it was made from, or on the masklet of an
    entity that it was made from.
    """
    failed = {flag.object_id for flag in flags if flag.severity == "fail"}
    failed |= {masklet.entity_id for masklet in masklets if masklet.masklet_id in failed}
    accepted: list[str] = []
    quarantined: list[str] = []
    for item in instructions:
        rests_on = {item.instruction_id, *item.source_ids, *item.region_entity_ids}
        (quarantined if rests_on & failed else accepted).append(item.instruction_id)
    return tuple(accepted), tuple(quarantined)


def _flags(given: Findings, config: QualityConfig) -> Iterator[dm.Flag]:
    yield from _entity_flags(given)
    for masklet in given.masklets.values():
        for name, value, threshold in masklet_values(masklet, given.video, config):
            if value is not None:
                yield CHECKS[name].flag(name, masklet.masklet_id, value, threshold)
    for segment in given.segments:
        yield from _segment_flags(segment, given)
    yield from _instruction_flags(given)


def _entity_flags(given: Findings) -> Iterator[dm.Flag]:
    told = Counter(" ".join(words(entity.expression)) for entity in given.entities.values())
    for entity_id, entity in given.entities.items():
        others = told[" ".join(words(entity.expression))] - 1
        yield CHECKS["shared_expression"].flag("shared_expression", entity_id, others, 0)
        yield CHECKS["masklets"].flag("masklets", entity_id, entity_id in given.masklets, 1)


def masklet_values(
    masklet: dm.Masklet, video: dm.Video, config: QualityConfig
) -> list[tuple[str, float | None, float]]:
    """(check, value or None where there is none, threshold) of one masklet."""
    visible = [mask is not None for mask in masklet.masks]
    starts = sum(now and not before for before, now in zip([False, *visible], visible, strict=False))
    return [
        ("visible_frames", sum(visible), min(config.min_visible_frames, len(visible))),
        ("area_jump", area_jump(masklet, video), config.max_area_jump),
        ("fragments", starts, config.max_fragments),
        ("forward_backward_iou", masklet.forward_backward_iou, config.min_forward_backward_iou),
        ("assignment_margin", masklet.assignment_margin, config.min_assignment_margin),
    ]


def area_jump(masklet: dm.Masklet, video: dm.Video) -> float | None:
    """Largest ratio of areas of neighbouring frames, of masks that the picture's edge does not cut.

    None where no two neighbouring frames have such masks: something that comes in over the edge grows
    by any factor, and rightly.
    """
    whole = [
        float(area) if box is not None and _is_inside(box, video) else 0.0
        for area, box in zip(masklet.areas_px, masklet.boxes_px, strict=True)
    ]
    pairs = [(a, b) for a, b in pairwise(whole) if a and b]
    return max((max(a, b) / min(a, b) for a, b in pairs), default=None)


def _is_inside(box: dm.Box, video: dm.Video) -> bool:
    margin = EDGE_SHARE * video.width_px
    x0, y0, x1, y1 = box
    return x0 > margin and y0 > margin and x1 < video.width_px - margin and y1 < video.height_px - margin


def _segment_flags(segment: dm.TranscriptSegment, given: Findings) -> Iterator[dm.Flag]:
    masklet = given.masklets.get(segment.entity_id)
    if masklet is None:
        return
    shown = [
        mask is not None
        for time_s, mask in zip(masklet.frames_pts_s, masklet.masks, strict=True)
        if segment.start_s <= time_s < segment.end_s
    ]
    if not shown:  # no sampled frame inside: nothing is known, so nothing contradicts
        return
    is_told = bool(segment.text)
    for name, value in (
        ("text_without_mask", float(is_told and not any(shown))),
        ("mask_without_text", 0.0 if is_told else sum(shown) / len(shown)),
    ):
        yield CHECKS[name].flag(name, segment.segment_id, value, 0)


def _instruction_flags(given: Findings) -> Iterator[dm.Flag]:
    asked: Counter[tuple[object, ...]] = Counter()
    for item in given.instructions:
        answers = [answer.text for _, answer in pairs(item)]
        shortest = min((len(words(answer)) for answer in answers), default=0)
        is_timed = any("<start_time>" in answer for answer in answers)
        for name, value, threshold in (
            ("leak", len(turn_leaks(item, given.entities)), 0),
            ("format", len(format_faults(item, given)), 0),
            ("answer_words", max(shortest, is_timed), 1),
            ("duplicate", asked[question_key(item)], 0),
        ):
            yield CHECKS[name].flag(name, item.instruction_id, value, threshold)
        asked[question_key(item)] += 1


def format_faults(item: dm.Instruction, given: Findings) -> list[str]:
    """What keeps an instruction from being a sound record; empty where it is one."""
    text = "\n".join(turn.text for turn in item.turns)
    roles = [turn.role for turn in item.turns]
    row = task_row(item.group, item.task_type)
    faults = {
        "turns do not alternate, human first": not roles or roles != ["human", "gpt"] * (len(roles) // 2),
        "an empty turn": any(not turn.text.strip() for turn in item.turns),
        "a stray placeholder": "<image>" in text or "{" in text or "}" in text or "<region:" in text,
        "regions and placeholders differ": text.count("<region>") != len(item.region_entity_ids),
        "a region without a visible mask": any(
            not _is_shown(given.masklets.get(entity_id)) for entity_id in item.region_entity_ids
        ),
        "times and placeholders differ": _times_differ(item, text),
        "a time outside the video": _is_outside(item, given.video),
        "no such task type": row is None,
    }
    if row is not None:
        points = {"<region>" in turn.text for turn in item.turns if turn.role == "human"}
        faults["mask against the task table"] = row.mask != "any" and points != {row.mask == "yes"}
        faults["time against the task table"] = row.time != "any" and (item.start_s is not None) != (
            row.time == "yes"
        )
    return [fault for fault, is_there in faults.items() if is_there]


def _is_shown(masklet: dm.Masklet | None) -> bool:
    return masklet is not None and any(mask is not None for mask in masklet.masks)


def _times_differ(item: dm.Instruction, text: str) -> bool:
    return ("<start_time>" in text, "<end_time>" in text) != (
        item.start_s is not None,
        item.end_s is not None,
    )


def _is_outside(item: dm.Instruction, video: dm.Video) -> bool:
    start_s = 0.0 if item.start_s is None else item.start_s
    end_s = video.duration_s if item.end_s is None else item.end_s
    return not 0 <= start_s < end_s <= video.duration_s
