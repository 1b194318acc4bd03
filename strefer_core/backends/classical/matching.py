"""How well a track answers an entity's words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical.attributes import COLOUR_NAMES, COMPACT, SHAPES
from strefer_core.backends.classical.looks import Look
from strefer_core.backends.classical.patterns import PATTERNS

_FULL_COLOUR = 0.5  # share of the thing that must have the colour; the rest is pattern, eyes, shadow
_FLOOR = 0.1  # one contradicted word makes a match bad, not impossible
_PATTERN_FLOOR = 0.3  # shadow, blur and parts of a creature look like patterns
_SIZES = ("small", "medium", "large")

Words = Mapping[str, str]  # attribute -> value


def wanted(entity: dm.Entity) -> dict[str, str]:
    """Attributes of an entity; those not given are read from its expression."""
    words = set(re.findall(r"[a-z]+", entity.expression.lower()))
    vocabulary = (("colour", COLOUR_NAMES), ("size", _SIZES), ("pattern", PATTERNS))
    read = {name: next((value for value in values if value in words), None) for name, values in vocabulary}
    return {name: value for name, value in read.items() if value} | dict(entity.attributes)


def match_scores(looks: Sequence[Look | None], entities: Sequence[dm.Entity]) -> NDArray[np.float64]:
    """(entities, looks) scores, 0..1; 0 for a track that is seen on no sampled frame."""
    scores = np.zeros((len(entities), len(looks)))
    asked = [wanted(entity) for entity in entities]
    for row, (entity, words) in enumerate(zip(entities, asked, strict=True)):
        plain = [_plain(look, entity, words) if look else 0.0 for look in looks]
        rivals = [look for look, score in zip(looks, plain, strict=True) if look and score > 0.3]
        size = _relative_size(row, entities, asked)
        for column, look in enumerate(looks):
            if look:
                scores[row, column] = plain[column] * _relative(look, rivals, words, size)
    return scores


def noun_score(noun: str, shapes: Mapping[str, float], person: float) -> float:
    """How well a thing with these findings answers to a noun or a generalized noun, 0..1.

    Args:
        noun: "person", "shape", one of SHAPES, "animal", or any other noun.
        shapes: how surely the outline is each of SHAPES, or just COMPACT.
        person: how surely it is a person.
    """
    outline = min(1.0, sum(shapes.values()))
    if noun == "person":
        return min(1.0, 3 * person)
    if noun == "shape":
        return outline
    if noun in SHAPES:
        return max(shapes.get(noun, 0.0), 0.5 * shapes.get(COMPACT, 0.0))
    if noun == "animal":
        return 1 - 0.7 * max(person, outline)
    return 1 - 0.4 * max(person, outline)  # a ball is a circle, too


def _plain(look: Look, entity: dm.Entity, words: Words) -> float:
    """What the thing shows by itself: noun, colour and pattern."""
    noun = entity.noun if entity.noun in SHAPES else entity.generalized_noun
    score = _soft(noun_score(noun, look.shapes, look.person))
    if words.get("colour") in COLOUR_NAMES:
        share = look.colours[COLOUR_NAMES.index(words["colour"])]
        score *= _soft(min(1.0, share / _FULL_COLOUR))
    if words.get("pattern") in PATTERNS:
        shows = look.patterns[PATTERNS.index(words["pattern"])] / max(look.patterns.max(), 1e-9)
        score *= _soft(shows, _PATTERN_FLOOR)
    return score


def _relative_size(row: int, entities: Sequence[dm.Entity], asked: Sequence[Words]) -> int:
    """1 where an entity should be larger than what looks like it, -1 smaller, 0 where nothing says.

    "medium" is large beside a small one of the same noun and colour, and small beside a large one.
    """
    place = _size_place(asked[row])
    alike = [
        _size_place(words)
        for other, words in enumerate(asked)
        if other != row
        and entities[other].noun == entities[row].noun
        and words.get("colour") == asked[row].get("colour")
    ]
    return int(np.sign(place - np.mean(alike))) if alike else place


def _size_place(words: Words) -> int:
    return _SIZES.index(words["size"]) - 1 if words.get("size") in _SIZES else 0


def _relative(look: Look, rivals: Sequence[Look], words: Words, size: int) -> float:
    """What only shows against the others: size, place, way."""
    score = 1.0
    if size and len(rivals) > 1:
        typical = np.exp(np.mean([np.log(rival.area_px) for rival in rivals]))
        larger = 1 / (1 + (typical / look.area_px) ** 2)
        score *= _soft(larger if size > 0 else 1 - larger)
    if words.get("side") in ("left", "right"):
        right = np.clip(look.start[0], 0, 1)
        score *= _soft(float(right if words["side"] == "right" else 1 - right))
    if "direction" in words:
        score *= 1.0 if look.direction == words["direction"] else 0.4
    return float(score)


def _soft(value: float, floor: float = _FLOOR) -> float:
    return floor + (1 - floor) * value
