"""Sentences from actions in order: "The red square enters the picture from the left, then stops."."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from strefer_core import data_model as dm
from strefer_core.backends.rules.grammar import VISIBLE, Phrase, Voice, capital, phrase, sequence

MERGE_SHARE = 0.8  # a way towards something that takes this share of a move is told with it
ORDER_S = 0.35  # what begins within this time of something else begins neither before nor after it
MAX_CLAUSES = 5
STOPS = Phrase("stop", "stops", "stopping")
_LINKS = {"approach": "towards", "move_away": "away from"}
_COMINGS = ("enter", "appear")  # what begins with them comes after them all the same


def sentence(voice: Voice, actions: Sequence[dm.Action], name_of: Callable[[str], str]) -> str:
    """One plain sentence. With no action at all it says only that the thing can be seen."""
    told = clauses(actions, name_of) or [VISIBLE]
    return capital(f"{voice.subject} {sequence([item.finite(voice.is_plural) for item in told])}.")


def clauses(actions: Sequence[dm.Action], name_of: Callable[[str], str]) -> list[Phrase]:
    """Phrases in order of start, without repetitions; a rest right after a move is a stop.

    Of things that begin together only the first is told, as "then" would be wrong between them.

    Args:
        actions: of one thing, in order of start.
        name_of: entity id -> its name in the sentence.
    """
    kept = _one_after_the_other([action for action in actions if not _is_told_by_another(action, actions)])
    told: list[Phrase] = []
    for index, action in enumerate(kept):
        before = kept[index - 1] if index else None
        if action.kind == "stand" and before is not None and before.kind == "move":
            told.append(STOPS)
        else:
            told.append(_with_relation(action, actions, name_of))
    return [item for item, _ in groupby(told)][:MAX_CLAUSES]


def _one_after_the_other(actions: Sequence[dm.Action]) -> list[dm.Action]:
    kept: list[dm.Action] = []
    for action in actions:
        is_later = not kept or action.start_s - kept[-1].start_s > ORDER_S or kept[-1].kind in _COMINGS
        if is_later:
            kept.append(action)
        elif action.kind == "move":
            kept[-1] = action  # the plainest of what begins together
    return kept


def _with_relation(action: dm.Action, actions: Sequence[dm.Action], name_of: Callable[[str], str]) -> Phrase:
    """A move with what it leads to: "moves to the left towards the blue circle"."""
    own = phrase(action, name_of(action.other_entity_id) if action.other_entity_id else "")
    other = next((one for one in actions if action.kind == "move" and _is_way_of(one, action)), None)
    if other is None or other.other_entity_id is None:
        return own
    tail = f"{_LINKS[other.kind]} {name_of(other.other_entity_id)}"
    return Phrase(*(f"{form} {tail}" for form in (own.base, own.third, own.participle)))


def _is_told_by_another(action: dm.Action, actions: Sequence[dm.Action]) -> bool:
    return any(move.kind == "move" and _is_way_of(action, move) for move in actions)


def _is_way_of(relation: dm.Action, move: dm.Action) -> bool:
    """Whether a way towards or away from something is the move itself."""
    shared = min(relation.end_s, move.end_s) - max(relation.start_s, move.start_s)
    longest = max(relation.end_s - relation.start_s, move.end_s - move.start_s)
    return relation.kind in _LINKS and shared >= MERGE_SHARE * longest
