"""Longer texts about things: a story of the video, a thing in its own words, lists of names."""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.clauses import sentence
from strefer_core.backends.rules.facts import Fact, Thing
from strefer_core.backends.rules.grammar import Voice, bare, indefinite, listing, name
from strefer_core.backends.rules.scene import Scene

MAX_THINGS = 4


def own_story(scene: Scene, thing: Thing, voice: Voice, facts: Sequence[Fact] | None = None) -> str:
    """What the thing does: from its facts, or from the transcript's words where these are all there is."""
    told = thing.facts if facts is None else facts
    if not told and facts is None:
        texts = [segment.text for segment in thing.segments if segment.text and not segment.actions]
        if texts:
            return " ".join(dict.fromkeys(texts))
    return sentence(voice, [fact.action for fact in told], lambda other: scene.names[other])


def video_story(scene: Scene, things: Sequence[Thing]) -> str:
    return " ".join(own_story(scene, thing, grammar.named(thing.entity)) for thing in things)


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


def clause(scene: Scene, fact: Fact) -> str:
    """A fact as a noun phrase: "the red square moving to the left"."""
    return f"{scene.names[fact.entity_id]} {scene.words(fact.action)}"


def statement(scene: Scene, thing: Thing, action: dm.Action) -> str:
    """The finite phrase that agrees with the thing: "moves to the left"."""
    other = scene.names.get(action.other_entity_id or "", "")
    return grammar.phrase(action, other).finite(grammar.is_plural(thing.entity.noun))
