"""Words for who is not there, and words that fit several: never by accident, always on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from strefer_core.world.figures import CREATURES, SHAPES, generalized_noun
from strefer_core.world.script import COLOURS, Character, expressions
from strefer_core.world.truth import AbsentEntity, AmbiguousExpression

Rng = np.random.Generator


def words(expression: str) -> frozenset[str]:
    """The telling words of "the small red fish": small, red, fish."""
    return frozenset(expression.removeprefix("the ").split())


def fits(wanted: frozenset[str], one: Character) -> bool:
    """Whether all the words are true of a character."""
    return wanted <= {one.noun, one.colour, one.size, one.pattern}


def absent(rng: Rng, cast: Sequence[Character]) -> tuple[AbsentEntity, ...]:
    """One or two near misses of those who are there: the noun of one in another colour, or the reverse."""
    wanted = int(rng.integers(1, 3))
    found: list[AbsentEntity] = []
    there = {(one.noun, one.colour) for one in cast}
    for _ in range(200):
        one = cast[int(rng.integers(len(cast)))]
        noun, colour = _near_miss(rng, one)
        if len(found) == wanted:
            break
        if (noun, colour) in there:
            continue
        there.add((noun, colour))
        found.append(
            AbsentEntity(
                expression=f"the {colour} {noun}",
                noun=noun,
                generalized_noun=generalized_noun(noun),
                attributes=(("colour", colour),),
            )
        )
    return tuple(found)


def _near_miss(rng: Rng, one: Character) -> tuple[str, str]:
    kind = CREATURES if one.noun in CREATURES else SHAPES
    if rng.random() < 0.5:
        return one.noun, str(rng.choice(sorted(COLOURS)))
    return str(rng.choice(sorted(kind))), one.colour


def ambiguous(rng: Rng, cast: tuple[Character, ...]) -> tuple[AmbiguousExpression, ...]:
    """One or two expressions that fit several of the cast; empty where nobody is like another."""
    nouns = {one.noun for one in cast}
    candidates = {f"the {noun}": noun for noun in sorted(nouns)}
    for one, other in combinations(cast, 2):
        if (one.noun, one.colour) == (other.noun, other.colour):
            candidates[f"the {one.colour} {one.noun}"] = one.noun
    found = []
    for expression in rng.permutation(sorted(candidates)):
        who = tuple(one.entity_id for one in cast if fits(words(str(expression)), one))
        if len(who) > 1:
            noun = candidates[str(expression)]
            found.append(
                AmbiguousExpression(
                    expression=str(expression),
                    noun=noun,
                    generalized_noun=generalized_noun(noun),
                    entity_ids=who,
                )
            )
    return tuple(found[:2])


def spoken_of(cast: tuple[Character, ...], missing: Sequence[AbsentEntity]) -> list[frozenset[str]]:
    """The words of every expression that means somebody, there or not."""
    return [words(text) for text in (*expressions(cast), *(one.expression for one in missing))]
