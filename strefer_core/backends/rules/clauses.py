"""Sentences from actions in order: "The red square enters the picture from the left, then stops."."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from strefer_core import data_model as dm
from strefer_core.backends.rules.grammar import VISIBLE, Phrase, Voice, capital, phrase, sequence

MERGE_SHARE = 0.8  # a way towards something that takes this share of a move is told with it
MAX_CLAUSES = 5
STOPS = Phrase("stop", "stops", "stopping")


def sentence(voice: Voice, actions: Sequence[dm.Action], name_of: Callable[[str], str]) -> str:
    """One plain sentence. With no action at all it says only that the thing can be seen."""
    told = clauses(actions, name_of) or [VISIBLE]
    return capital(f"{voice.subject} {sequence([item.finite(voice.is_plural) for item in told])}.")


def clauses(actions: Sequence[dm.Action], name_of: Callable[[str], str]) -> list[Phrase]:
    """Phrases in order of start, without repetitions; a rest right after a move is a stop.

    Args:
        actions: of one thing, in order of start.
        name_of: entity id -> its name in the sentence.
    """
    kept = [action for action in actions if not _is_told_by_another(action, actions)]
    told: list[Phrase] = []
    for index, action in enumerate(kept):
        before = kept[index - 1] if index else None
        if action.kind == "stand" and before is not None and before.kind == "move":
            told.append(STOPS)
        else:
            told.append(_with_relation(action, actions, name_of))
    return [item for item, _ in groupby(told)][:MAX_CLAUSES]


def _with_relation(action: dm.Action, actions: Sequence[dm.Action], name_of: Callable[[str], str]) -> Phrase:
    """A move with what it leads to: "moves to the left towards the blue circle"."""
    if action.kind != "move":
        return phrase(action, name_of(action.other_entity_id) if action.other_entity_id else "")
    for other in actions:
        if other.kind in ("approach", "move_away") and _is_part(other, action) and other.other_entity_id:
            link = "towards" if other.kind == "approach" else "away from"
            tail = f"{link} {name_of(other.other_entity_id)}"
            own = phrase(action)
            return Phrase(*(f"{form} {tail}" for form in (own.base, own.third, own.participle)))
    return phrase(action)


def _is_told_by_another(action: dm.Action, actions: Sequence[dm.Action]) -> bool:
    if action.kind not in ("approach", "move_away"):
        return False
    return any(move.kind == "move" and _is_part(action, move) for move in actions)


def _is_part(relation: dm.Action, move: dm.Action) -> bool:
    shared = min(relation.end_s, move.end_s) - max(relation.start_s, move.start_s)
    return shared >= MERGE_SHARE * max(relation.end_s - relation.start_s, move.end_s - move.start_s)
