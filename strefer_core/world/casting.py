"""Who may play where: places, nouns and colours that can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from strefer_core.world.backgrounds import CLASHING_COLOURS, IS_DARK, KINDS
from strefer_core.world.figures import CREATURES, SHAPES
from strefer_core.world.script import COLOURS, PATTERNS, RADIUS_PX, Background, Character

Places = tuple[Background, Background]  # one dark and one light: a hard cut between them is seen as one
NEAR_COLOURS = (  # never two of one set in one video
    {"red", "orange", "pink"},
    {"orange", "yellow"},
    {"pink", "purple", "blue"},
    {"blue", "turquoise", "green"},
)


def places(rng: np.random.Generator, seed: int, index: int) -> Places:
    """Two backgrounds; the videos of one seed go round all kinds before one comes back."""
    deck = np.random.default_rng([seed])
    dark, light = deck.permutation(sorted(IS_DARK)), deck.permutation(sorted(set(KINDS) - IS_DARK))
    kinds = [str(kind) for pair in zip(dark, light, strict=True) for kind in pair]
    one, other = (
        Background(kind=kinds[(3 * index + step) % len(kinds)], seed=int(rng.integers(2**31)))
        for step in (0, 1)
    )
    return one, other


def cast(
    rng: np.random.Generator, places: Sequence[Background], sizes: Sequence[str]
) -> tuple[Character, ...]:
    """Characters of different nouns and clearly different colours, shapes and creatures in turn."""
    shapes, creatures = rng.permutation(sorted(SHAPES)), rng.permutation(sorted(CREATURES))
    nouns = [str(noun) for pair in zip(creatures, shapes, strict=False) for noun in pair]
    colours = _colours(rng, places, len(sizes))
    return tuple(
        Character(
            entity_id="",  # given by `write_script`
            noun=nouns[i],
            colour=colours[i],
            size=size,
            pattern=str(rng.choice(PATTERNS, p=(0.4, 0.2, 0.2, 0.2))),
            radius_px=RADIUS_PX[size] * float(rng.uniform(0.95, 1.05)),
        )
        for i, size in enumerate(sizes)
    )


def _colours(rng: np.random.Generator, places: Sequence[Background], count: int) -> Sequence[str]:
    """Colours far from one another and, where that leaves enough, from those of the places."""
    clashing = {colour for place in places for colour in CLASHING_COLOURS[place.kind]}
    shuffled = [str(colour) for colour in rng.permutation(sorted(COLOURS))]
    for pool in ([colour for colour in shuffled if colour not in clashing], shuffled):
        for chosen in combinations(pool, count):
            if not any(len(near & set(chosen)) > 1 for near in NEAR_COLOURS):
                return chosen
    raise ValueError(f"there are no {count} colours far from one another")


def look_alike(rng: np.random.Generator, one: Character) -> Character:
    """Another of the same noun and colour, set apart by its size or by its pattern."""
    if rng.random() < 0.5:
        size = "small" if one.size == "large" else "large"
        return replace(one, size=size, radius_px=RADIUS_PX[size])
    return replace(one, pattern=str(rng.choice([p for p in PATTERNS if p != one.pattern])))
