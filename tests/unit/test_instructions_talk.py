"""Conversations: pairs of one type joined in order, on one interval, giving nothing away."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.rules import RulesTranscriber, RulesWriter
from strefer_core.config import InstructionsConfig, PipelineConfig
from strefer_core.released_format import to_record
from strefer_core.stages import instructions, quality, transcript
from strefer_core.stages.conversations import converse, join
from strefer_core.stages.leaks import turn_leaks
from tests.samples import rich, task

TURNS = (1, 2, 3, 5)


@cache
def told() -> dm.TranscriptResult:
    return transcript.run(task("transcript", rich(), RulesTranscriber()))


@cache
def written(turns: int) -> dm.InstructionsResult:
    config = PipelineConfig(instructions=InstructionsConfig(turns=turns))
    return instructions.run(task("instructions", rich(), RulesWriter(), config, transcript=told()))


def questions(result: dm.InstructionsResult) -> Counter[str]:
    return Counter(turn.text for item in result.instructions for turn in item.turns[::2])


@pytest.mark.parametrize("turns", TURNS)
def test_the_same_pairs_whatever_the_number_of_turns(turns: int) -> None:
    assert questions(written(turns)) == questions(written(1))
    lengths = {len(item.turns) // 2 for item in written(turns).instructions}
    assert max(lengths) <= turns
    assert turns == 1 or max(lengths) > 1


@pytest.mark.parametrize("turns", TURNS)
def test_conversations_are_sound(turns: int) -> None:
    result = quality.run(task("quality", rich(), None, transcript=told(), instructions=written(turns)))
    failed = [flag for flag in result.flags if flag.object_kind == "instruction" and flag.severity == "fail"]
    assert failed == []
    entities = {entity.entity_id: entity for entity in rich().entities}
    masklets = {masklet.entity_id: masklet for masklet in rich().masklets}
    for item in written(turns).instructions:
        assert turn_leaks(item, entities) == []
        to_record(item, "videos/v.mp4", masklets)  # raises where the released format cannot hold it


def pair(
    question: str, answer: str, regions: tuple[str, ...] = (), window: float | None = None
) -> dm.Instruction:
    return dm.Instruction(
        instruction_id="",
        video_id="v",
        group="G7",
        task_type="entity_at_time",
        turns=(dm.Turn(role="human", text=question), dm.Turn(role="gpt", text=answer)),
        region_entity_ids=regions,
        start_s=window,
        end_s=None if window is None else window + 1,
        template_id=question,
        source_ids=regions,
    )


ENTITIES = {
    name: dm.Entity(
        entity_id=name, video_id="v", index=0, expression=f"the {name}", noun=name, generalized_noun="animal"
    )
    for name in ("cat", "dog")
}


def test_regions_and_sources_keep_their_order() -> None:
    one = pair("Where is <region>?", "Near <region>.", ("cat", "dog"))
    both = join(one, pair("And <region>?", "Far.", ("dog",)))
    assert both.region_entity_ids == ("cat", "dog", "dog")
    assert both.source_ids == ("cat", "dog")
    assert [turn.role for turn in both.turns] == ["human", "gpt"] * 2


def test_two_intervals_are_two_conversations() -> None:
    items = [pair("What now?", "This.", window=1.0), pair("What then?", "That.", window=2.0)]
    assert converse(items, 5, ENTITIES) == items


def test_what_gives_away_a_later_question_is_not_said_before_it() -> None:
    telling = pair("What is <region>?", "It is the cat.", ("cat",))
    asking = pair("Where does <region> go?", "Home.", ("cat",))
    assert len(converse([telling, asking], 5, ENTITIES)) == 2
    assert len(converse([asking, telling], 5, ENTITIES)) == 1


def test_the_same_words_are_not_asked_twice_in_one_conversation() -> None:
    items = [pair("Where is <region>?", "Here.", ("cat",)), pair("Where is <region>?", "There.", ("dog",))]
    assert len(converse(items, 5, ENTITIES)) == 2
