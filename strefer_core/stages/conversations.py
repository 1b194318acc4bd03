"""Chosen pairs joined into instructions of several turns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from strefer_core import data_model as dm
from strefer_core.stages.leaks import turn_leaks


def converse(
    chosen: Sequence[dm.Instruction], turns: int, entities: Mapping[str, dm.Entity]
) -> list[dm.Instruction]:
    """Join pairs of one task type, as many as `turns` in one conversation.

    A conversation has one interval at most, as a record of the released format has, and nothing that is said
    in it gives away what is asked later. Pairs that fit nowhere stay alone.

    Args:
        chosen: single pairs.
        turns: most questions in a conversation, at least 1.
        entities: by id, of all regions.
    """
    talks: dict[tuple[object, ...], list[dm.Instruction]] = defaultdict(list)
    for item in chosen:
        known = talks[item.group, item.task_type, item.start_s, item.end_s]
        for place, talk in enumerate(known):
            if _fits(talk, item, turns, entities):
                known[place] = join(talk, item)
                break
        else:
            known.append(item)
    return [talk for known in talks.values() for talk in known]


def _fits(talk: dm.Instruction, item: dm.Instruction, turns: int, entities: Mapping[str, dm.Entity]) -> bool:
    """Whether there is room, nothing is asked again, and nothing is given away."""
    questions = [turn.text for turn in talk.turns[::2]]
    if len(questions) >= turns or item.turns[0].text in questions:
        return False
    return not turn_leaks(join(talk, item), entities)


def join(talk: dm.Instruction, item: dm.Instruction) -> dm.Instruction:
    """The conversation with one pair more: regions in order, negative where any of its questions is."""
    return replace(
        talk,
        turns=talk.turns + item.turns,
        region_entity_ids=talk.region_entity_ids + item.region_entity_ids,
        is_negative=talk.is_negative or item.is_negative,
        template_id=f"{talk.template_id}+{item.template_id}",
        source_ids=tuple(dict.fromkeys(talk.source_ids + item.source_ids)),
        set_key="+".join(dict.fromkeys(key for key in (talk.set_key, item.set_key) if key)),
    )
