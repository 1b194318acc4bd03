"""Every check finds its fault and is silent without it; a failing source quarantines what rests on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.rules import RulesTranscriber, RulesWriter
from strefer_core.config import PipelineConfig, QualityConfig
from strefer_core.quality.checks import CHECKS, ESTIMATE
from strefer_core.quality.measured import Measured
from strefer_core.quality.tracks import area_jump
from strefer_core.stages import instructions, quality, transcript
from tests.samples import TIMES_S, Sample, between, path, red, rich, sample, task

WHEN = "between <start_time> and <end_time>"
Parts = tuple[Sample, dm.TranscriptResult, dm.InstructionsResult]


@cache
def sound() -> Parts:
    given = rich()
    told = transcript.run(task("transcript", given, RulesTranscriber()))
    return given, told, instructions.run(task("instructions", given, RulesWriter(), transcript=told))


def check(parts: Parts, config: PipelineConfig | None = None) -> dm.QualityResult:
    """By single checks alone; for the filter see `test_quality_filter`."""
    given, told, made = parts
    return quality.run(task("quality", given, None, config, transcript=told, instructions=made))


def findings(result: dm.QualityResult) -> set[tuple[str, str]]:
    return {(flag.check, flag.severity) for flag in result.flags if flag.severity != "info"}


def test_sound_results_pass_whole() -> None:
    result = check(sound())
    assert "fail" not in {severity for _, severity in findings(result)}
    assert result.quarantined_ids == ()
    assert list(result.accepted_ids) == [item.instruction_id for item in sound()[2].instructions]


SOMETIMES = {
    # No rival, no look of a detector, no loss, no pixels; no action, no move; asked once.
    "assignment_margin", "assignment_score", "redetection_share", "loss_sharpness", "appearance_similarity",
    "colour_agreement", "colour_margin", "alike_share", "strewn_patches",
    "action_unseen_share", "direction_agreement", "sample_agreement",
    # No interval is asked about; no thing comes or goes.
    "window_frames", "window_hidden_share", "border_gap_s",
}  # fmt: skip


def test_every_object_has_every_check_of_its_kind() -> None:
    given, told, made = sound()
    seen = {(flag.object_id, flag.check) for flag in check(sound()).flags}
    ids = {
        "entity": [e.entity_id for e in given.entities],
        "masklet": [m.masklet_id for m in given.masklets],
        "transcript_segment": [s.segment_id for s in told.segments],
        "instruction": [i.instruction_id for i in made.instructions],
    }
    possible = {(i, name) for name, check in CHECKS.items() for i in ids[check.object_kind]}
    assert seen <= possible
    assert {(i, name) for i, name in possible if name not in SOMETIMES | {ESTIMATE}} <= seen


def edit_masklet(change: Callable[[dm.Masklet], dm.Masklet]) -> Parts:
    given, told, made = sound()
    first, *rest = given.masklets
    return replace(given, masklets=(change(first), *rest)), told, made


def edit_instruction(change: Callable[[dm.Instruction], dm.Instruction]) -> Parts:
    given, told, made = sound()
    square = given.entity_id("square")
    index = next(
        i
        for i, item in enumerate(made.instructions)
        if item.group == "G7" and item.region_entity_ids == (square,)
    )
    items = list(made.instructions)
    items[index] = change(items[index])
    return given, told, dm.InstructionsResult(instructions=tuple(items))


def with_values(**values: Any) -> Callable[[dm.Instruction], dm.Instruction]:
    return lambda item: replace(item, **values)


def asking(text: str) -> Callable[[dm.Instruction], dm.Instruction]:
    return lambda item: replace(item, turns=(dm.Turn(role="human", text=text), item.turns[1]))


def answering(text: str) -> Callable[[dm.Instruction], dm.Instruction]:
    return lambda item: replace(item, turns=(item.turns[0], dm.Turn(role="gpt", text=text)))


def only_frames(keep: set[int]) -> Callable[[dm.Masklet], dm.Masklet]:
    def change(masklet: dm.Masklet) -> dm.Masklet:
        kept = [i in keep for i in range(len(masklet.masks))]
        return replace(
            masklet,
            masks=tuple(m if k else None for m, k in zip(masklet.masks, kept, strict=True)),
            boxes_px=tuple(b if k else None for b, k in zip(masklet.boxes_px, kept, strict=True)),
            areas_px=tuple(a if k else 0 for a, k in zip(masklet.areas_px, kept, strict=True)),
        )

    return change


CASES: list[tuple[str, Callable[[], Parts], tuple[str, str]]] = [
    ("few frames", lambda: edit_masklet(only_frames({4, 5})), ("visible_frames", "fail")),
    ("empty", lambda: edit_masklet(only_frames(set())), ("visible_frames", "fail")),
    ("fragments", lambda: edit_masklet(only_frames(set(range(0, 32, 3)))), ("fragments", "warn")),
    (
        "area jump",
        lambda: edit_masklet(lambda m: replace(m, areas_px=(*m.areas_px[:9], 300, *m.areas_px[10:]))),
        ("area_jump", "fail"),
    ),
    (
        "lost on the way back",
        lambda: edit_masklet(lambda m: replace(m, forward_backward_iou=0.1)),
        ("forward_backward_iou", "fail"),
    ),
    (
        "a better rival",
        lambda: edit_masklet(lambda m: replace(m, assignment_margin=-0.1)),
        ("assignment_margin", "warn"),
    ),
    ("leak", lambda: edit_instruction(asking(f"What is the red <region> doing {WHEN}?")), ("leak", "fail")),
    ("region lost", lambda: edit_instruction(asking(f"What is it doing {WHEN}?")), ("format", "fail")),
    ("time late", lambda: edit_instruction(with_values(end_s=99.0)), ("format", "fail")),
    ("time reversed", lambda: edit_instruction(with_values(start_s=3.0, end_s=2.0)), ("format", "fail")),
    ("group unknown", lambda: edit_instruction(with_values(group="G9")), ("format", "fail")),
    (
        "type without a mask",
        lambda: edit_instruction(with_values(group="G3", task_type="event_at_time")),
        ("format", "fail"),
    ),
    ("one turn", lambda: edit_instruction(lambda i: replace(i, turns=i.turns[:1])), ("format", "fail")),
    ("field left over", lambda: edit_instruction(answering("It is {place}.")), ("format", "fail")),
    ("only a full stop", lambda: edit_instruction(answering(".")), ("answer_words", "fail")),
]


@pytest.mark.parametrize(("name", "parts", "expected"), CASES, ids=[case[0] for case in CASES])
def test_each_fault_is_found(name: str, parts: Callable[[], Parts], expected: tuple[str, str]) -> None:
    result = check(parts())
    assert expected in findings(result)
    assert bool(result.quarantined_ids) == ("fail" in {severity for _, severity in findings(result)})


def test_a_failing_masklet_quarantines_what_its_entity_is_in() -> None:
    parts = edit_masklet(lambda m: replace(m, forward_backward_iou=0.1))
    entity_id = parts[0].masklets[0].entity_id
    result = check(parts)
    rests = {i.instruction_id for i in parts[2].instructions if entity_id in i.source_ids}
    assert 0 < len(rests) < len(parts[2].instructions)
    assert set(result.quarantined_ids) == rests
    assert set(result.accepted_ids) | rests == {i.instruction_id for i in parts[2].instructions}


def test_text_that_contradicts_the_masks() -> None:
    given = sample(
        [red(between(5, 9, path((0, 100, 100))))], cuts_s=(4.0, TIMES_S[20] + 0.01, TIMES_S[20] + 0.02)
    )
    told = transcript.run(task("transcript", given, RulesTranscriber()))
    swapped = [
        replace(segment, text=None if segment.text else "The red square dances.") for segment in told.segments
    ]
    none = dm.InstructionsResult(instructions=())
    result = check((given, dm.TranscriptResult(segments=tuple(swapped)), none))
    by_segment = {
        segment.segment_id: {
            flag.check: flag.severity
            for flag in result.flags
            if flag.object_id == segment.segment_id and flag.check.endswith(("_mask", "_text"))
        }
        for segment in told.segments
    }
    first, second, between_frames, last = by_segment.values()
    assert first == {"text_without_mask": "fail", "mask_without_text": "info"}
    assert second == {"text_without_mask": "info", "mask_without_text": "warn"}
    assert between_frames == {}  # no frame inside: nothing can be said
    assert last == second


def test_two_entities_of_one_name() -> None:
    given, told, made = sound()
    twin = replace(given.entities[1], expression=given.entities[0].expression.upper())
    result = check((replace(given, entities=(given.entities[0], twin, *given.entities[2:])), told, made))
    failed = {flag.object_id for flag in result.flags if flag.severity == "fail"}
    assert {given.entities[0].entity_id, twin.entity_id} <= failed


def test_an_entity_without_masklet_is_a_warning() -> None:
    given, told, _ = sound()
    alone = replace(given, masklets=given.masklets[1:])
    result = check((alone, told, dm.InstructionsResult(instructions=())))
    assert ("masklets", "warn") in findings(result)


def test_the_second_of_two_same_questions_is_quarantined() -> None:
    given, told, made = sound()
    twice = (*made.instructions, replace(made.instructions[0], instruction_id="again"))
    result = check((given, told, dm.InstructionsResult(instructions=twice)))
    assert result.quarantined_ids == ("again",)


def test_coming_in_over_the_edge_is_no_area_jump() -> None:
    given = sample([red(path((0, -39, 100), (8, 200, 100)))])
    told = dm.TranscriptResult(segments=())
    none = dm.InstructionsResult(instructions=())
    inputs = task("quality", given, transcript=told, instructions=none).inputs
    tracks = Measured.of(given.video, dict(inputs)).tracks
    (trail,) = tracks.trails.values()
    assert area_jump(trail, tracks.steps) == pytest.approx(1.0, abs=0.2)


def test_thresholds_come_from_the_configuration() -> None:
    strict = PipelineConfig(quality=QualityConfig(filter="", min_forward_backward_iou=0.95))
    result = check(sound(), strict)
    assert result.accepted_ids == ()
    assert {flag.threshold for flag in result.flags if flag.check == "forward_backward_iou"} == {0.95}
