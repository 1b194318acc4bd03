"""How well a track answers an entity's words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical.attributes import COLOUR_NAMES, SHAPES
from strefer_core.backends.classical.looks import Look

_FULL_COLOUR = 0.5  # share of the thing that must have the colour; the rest is pattern, eyes, shadow
_FLOOR = 0.1  # one contradicted word makes a match bad, not impossible


def wanted(entity: dm.Entity) -> dict[str, str]:
    """Attributes of an entity; those not given are read from its expression."""
    words = set(re.findall(r"[a-z]+", entity.expression.lower()))
    read = {
        name: next((value for value in values if value in words), None)
        for name, values in (("colour", COLOUR_NAMES), ("size", ("small", "large")))
    }
    return {name: value for name, value in read.items() if value} | dict(entity.attributes)


def match_scores(looks: Sequence[Look | None], entities: Sequence[dm.Entity]) -> NDArray[np.float64]:
    """(entities, looks) scores, 0..1; 0 for a track that is seen on no sampled frame."""
    scores = np.zeros((len(entities), len(looks)))
    for row, entity in enumerate(entities):
        words = wanted(entity)
        plain = [_plain(look, entity.noun, words) if look else 0.0 for look in looks]
        rivals = [look for look, score in zip(looks, plain, strict=True) if look and score > 0.3]
        for column, look in enumerate(looks):
            if look:
                scores[row, column] = plain[column] * _relative(look, rivals, words)
    return scores


def noun_score(noun: str, shapes: dict[str, float], person: float) -> float:
    """How well a thing with these findings answers to a noun, 0..1."""
    if noun == "person":
        return min(1.0, 3 * person)
    if noun in SHAPES:
        return shapes.get(noun, 0.0)
    return 1 - 0.5 * max([person, *shapes.values()])


def _plain(look: Look, noun: str, words: dict[str, str]) -> float:
    """What the thing shows by itself: noun and colour."""
    score = _soft(noun_score(noun, look.shapes, look.person))
    colour = words.get("colour")
    if colour in COLOUR_NAMES:
        score *= _soft(min(1.0, look.colours[COLOUR_NAMES.index(colour)] / _FULL_COLOUR))
    return score


def _relative(look: Look, rivals: Sequence[Look], words: dict[str, str]) -> float:
    """What only shows against the others: size, place, way."""
    score = 1.0
    if words.get("size") in ("small", "large") and len(rivals) > 1:
        typical = np.exp(np.mean([np.log(rival.area_px) for rival in rivals]))
        larger = 1 / (1 + (typical / look.area_px) ** 2)
        score *= _soft(larger if words["size"] == "large" else 1 - larger)
    if words.get("side") in ("left", "right"):
        right = np.clip(look.start[0], 0, 1)
        score *= _soft(float(right if words["side"] == "right" else 1 - right))
    if "direction" in words:
        score *= 1.0 if look.direction == words["direction"] else 0.4
    return float(score)


def _soft(value: float) -> float:
    return _FLOOR + (1 - _FLOOR) * value
