"""What the expressions of a world video say, and whom they fit."""

from __future__ import annotations

from dataclasses import dataclass

from strefer_core.world.truth import WorldTruth

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Words:
    """What an expression says of a thing."""

    noun: str
    generalized_noun: str
    attributes: Attributes

    @property
    def colour(self) -> str | None:
        return dict(self.attributes).get("colour")


@dataclass(frozen=True, kw_only=True)
class Query:
    """An expression and what it is about."""

    number: int  # among all expressions of the truth: its draws are its own
    words: Words
    targets: tuple[int, ...]  # places of the entities that it fits; none for somebody absent


def is_look_alike(a: Words, b: Words) -> bool:
    """Same noun and colour."""
    return a.noun == b.noun and a.colour == b.colour


def words_of(truth: WorldTruth) -> list[Words]:
    """Of every entity, in order."""
    return [_words(one.noun, one.generalized_noun, one.attributes) for one in truth.entities]


def queries(truth: WorldTruth) -> dict[str, Query]:
    """All expressions of a video: of its entities, of the absent, and those that fit several."""
    entities = words_of(truth)
    places = {entity.entity_id: place for place, entity in enumerate(truth.entities)}
    said: list[tuple[str, Words, tuple[int, ...]]] = [
        (entity.expression, entities[place], (place,)) for place, entity in enumerate(truth.entities)
    ]
    for absent in truth.absent:
        words = _words(absent.noun, absent.generalized_noun, absent.attributes)
        said.append((absent.expression, words, ()))
    for several in truth.ambiguous:
        meant = tuple(places[one] for one in several.entity_ids)
        common = set.intersection(*(set(entities[place].attributes) for place in meant))
        words = _words(several.noun, several.generalized_noun, tuple(sorted(common)))
        said.append((several.expression, words, meant))
    return {
        text: Query(number=number, words=words, targets=targets)
        for number, (text, words, targets) in enumerate(said)
    }


def _words(noun: str, generalized_noun: str, attributes: Attributes) -> Words:
    return Words(noun=noun, generalized_noun=generalized_noun, attributes=attributes)
