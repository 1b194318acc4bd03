"""Longer texts about things: a story of the video, a thing in its own words, lists of names."""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.clauses import sentence
from strefer_core.backends.rules.facts import FRAME_S, Fact, Thing, Window, says_same, shared_s
from strefer_core.backends.rules.grammar import Voice, bare, indefinite, listing, name
from strefer_core.backends.rules.scene import Scene

MAX_THINGS = 4
_MAIN = ("move", "stand", "enter", "leave", "appear", "disappear")
_WAYS = ("approach", "move_away")  # told with the move that they are a part of
_PART_SHARE = 0.8
_APART_GAPS = 1.5  # sampling gaps between two beginnings whose order is sure


def _tellable(thing: Thing, facts: Sequence[Fact]) -> list[Fact]:
    """Facts of a story: those of which the order is sure. Motion first, the rest where it begins apart."""
    main = [fact for fact in facts if fact.action.kind in _MAIN]
    told = list(main)
    for fact in facts:
        if fact in main:
            continue
        is_part = fact.action.kind in _WAYS and any(_is_part(fact, move) for move in main)
        begins = fact.window[0]
        is_apart = all(abs(begins - other.window[0]) >= _APART_GAPS * thing.gap_s for other in told)
        if is_part or is_apart:
            told.append(fact)
    return sorted(told, key=lambda fact: fact.window)


def _is_part(way: Fact, move: Fact) -> bool:
    longest = max(w[1] - w[0] for w in (way.window, move.window))
    return move.action.kind == "move" and shared_s(way.window, move.window) >= _PART_SHARE * longest


def own_story(scene: Scene, thing: Thing, voice: Voice) -> str | None:
    """What the thing does in the video: from its facts, or from the transcript's words, if that is all.

    None where nothing is known but that it is there; of a video of which no more is known, that is told.
    """
    texts = [segment.text for segment in thing.segments if segment.text and not segment.actions]
    if texts and not thing.facts:
        return " ".join(dict.fromkeys(texts))
    told = in_order(scene, thing, thing.facts, scene.whole)
    return told_as(scene, voice, told) if told or scene.is_silent else None


def told_as(scene: Scene, voice: Voice, facts: Sequence[Fact]) -> str:
    """A sentence of facts in order."""
    return sentence(voice, [fact.action for fact in facts], lambda other: scene.names[other])


def in_order(scene: Scene, thing: Thing, facts: Sequence[Fact], window: Window) -> list[Fact]:
    """Those of the facts that surely begin one after the other in the window, whenever one sees them begin.

    What goes on is not told twice, out of sight for a while or not.
    """
    told: list[Fact] = []
    after_s = window[0]
    for fact in _tellable(thing, facts):
        goes_on = [other for other in told if other.is_lasting or not fact.is_lasting][-1:]
        least_s = after_s + (FRAME_S if goes_on and fact.is_lasting else -FRAME_S)
        times = _beginnings(scene, thing, fact, window)
        later = [start for start, end in times if end > after_s and start >= least_s]
        if later and not any(says_same(other.action, fact.action) for other in goes_on):
            told.append(fact)
            after_s = min(later)
    return told


def _beginnings(scene: Scene, thing: Thing, fact: Fact, window: Window) -> list[Window]:
    """A way towards another thing begins many times, as both may move: only a lone way is told."""
    if fact.action.kind in _WAYS:
        only = scene.once(thing, fact)
        return [only] if only else []
    return scene.times_of(thing, fact, window)


def video_story(scene: Scene, things: Sequence[Thing]) -> str:
    stories = (own_story(scene, thing, grammar.named(thing.entity)) for thing in things)
    return " ".join(story for story in stories if story)


def this_is(entity: dm.Entity) -> str:
    """ "This is a red square", "These are two men", "This is Bello"."""
    if grammar.is_plural(entity.noun):
        return f"These are {bare(entity.expression)}"
    return f"This is {introduced(entity)}"


def introduced(entity: dm.Entity) -> str:
    """The thing as one names it for the first time: "a red square"."""
    told = name(entity.expression)
    if grammar.is_plural(entity.noun):
        return bare(entity.expression)
    return indefinite(entity.expression) if told.startswith("the ") else told


def names_of(things: Sequence[Thing], last: str = "and") -> str:
    return listing([name(thing.entity.expression) for thing in things], last)


def sources(things: Sequence[Thing]) -> list[str]:
    """Ids behind all that is told of these things."""
    ids: list[str] = []
    for thing in things:
        ids.append(thing.id)
        for fact in thing.facts:
            ids += fact.source_ids
        if not thing.facts:
            ids += [s.segment_id for s in thing.segments if s.text]
    return list(dict.fromkeys(ids))


def fact_sources(facts: Sequence[Fact]) -> list[str]:
    """Ids behind these facts, second parties included."""
    ids = [item for fact in facts for item in fact.source_ids]
    ids += [fact.action.other_entity_id for fact in facts if fact.action.other_entity_id]
    return list(dict.fromkeys(ids))


def clause(scene: Scene, fact: Fact, variant: int) -> str:
    """A fact as a noun phrase: "the red square moving to the left"."""
    other = scene.names.get(fact.action.other_entity_id or "", "")
    return f"{scene.names[fact.entity_id]} {grammar.phrase(fact.action, other, variant).participle}"


def statement(scene: Scene, thing: Thing, action: dm.Action, variant: int = 0) -> str:
    """The finite phrase that agrees with the thing: "moves to the left"."""
    other = scene.names.get(action.other_entity_id or "", "")
    return grammar.phrase(action, other, variant).finite(grammar.is_plural(thing.entity.noun))
