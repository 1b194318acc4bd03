"""What people decided about pairs, in what is published."""

from __future__ import annotations

from dataclasses import replace

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.pipeline import fingerprints
from strefer_core.publish import reviewed
from strefer_core.stages.dataset import VideoBundle
from strefer_core.store.reviews import Decision, Review
from tests import sample_results as sample

MENDED = (dm.Turn(role="human", text="What is it?"), dm.Turn(role="gpt", text="A red square."))


def pairs() -> tuple[dm.Instruction, ...]:
    first = sample.RESULTS["instructions"]
    assert isinstance(first, dm.InstructionsResult)
    one = first.instructions[0]
    return tuple(replace(one, instruction_id=f"ins-{i}", pair_key=f"key-{i}") for i in range(5))


def bundle(accepted: set[str]) -> VideoBundle:
    return VideoBundle(
        video=sample.video(),
        entities=(),
        masklets=(),
        instructions=pairs(),
        flags=(),
        accepted_ids=frozenset(accepted),
        fingerprints=fingerprints(sample.VIDEO_ID, PipelineConfig()),
    )


def review(place: int, decision: Decision) -> tuple[tuple[str, str], Review]:
    turns = MENDED if decision == "fix" else None
    found = Review(
        review_id=f"r{place}",
        video_id=sample.VIDEO_ID,
        pair_key=f"key-{place}",
        instruction_id="of an earlier run",
        decision=decision,
        reviewer="ann",
        turns=turns,
    )
    return (sample.VIDEO_ID, found.pair_key), found


def test_decisions_hold_against_the_checks() -> None:
    before = bundle({"ins-0", "ins-1"})
    after = reviewed(before, dict([review(0, "reject"), review(2, "accept"), review(3, "fix")]))
    assert after.accepted_ids == {"ins-1", "ins-2", "ins-3"}
    turns = {item.instruction_id: item.turns for item in after.instructions}
    assert turns.pop("ins-3") == MENDED
    assert set(turns.values()) == {before.instructions[0].turns}


def test_a_decision_about_another_video_or_content_changes_nothing() -> None:
    before = bundle({"ins-0"})
    (_, key), found = review(0, "reject")
    assert reviewed(before, {("f" * 16, key): found, (sample.VIDEO_ID, "key-9"): found}) == before
