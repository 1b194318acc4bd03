"""The cast of a video with knobs: which parts there are to play, and who plays them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from strefer_core.world.casting import NEAR_COLOURS
from strefer_core.world.figures import CREATURES, SHAPES
from strefer_core.world.script import COLOURS, PATTERNS, RADIUS_PX, Character

Role = Literal["roam", "twin", "early", "late", "return", "hide", "half", "cover", "race", "dash"]

_TINY_PX = (9.0, 12.5)  # radius: under 0.3 % of the frame also for a full circle
_BROAD = ("circle", "square", "hexagon")  # somebody small can hide behind one of these
_MOST_PARTS = 5
_CROWD = (7, 10)
_WHIM = 4.0  # costs of likeness below this are paid now and then: the cast varies
_CLASH = 3.0  # of a colour near to the place's own


@dataclass(frozen=True, kw_only=True)
class Part:
    """One character and what it has to do."""

    character: Character
    role: Role


def parts(rng: np.random.Generator, knobs: frozenset[str], clashing: set[str]) -> tuple[Part, ...]:
    """Everybody who plays; `clashing` colours are those of the places.

    The two of a pair stand beside each other: twins; one who leaves early, one who comes late; one who
    hides, the one who covers it.
    """
    roles = _roles(rng, knobs)
    nouns = _nouns(rng, roles, knobs)
    sizes = _sizes(rng, roles, knobs)
    cast: list[Character] = []
    for i, role in enumerate(roles):
        if role == "twin" and i and roles[i - 1] == "twin":
            cast.append(_twin(rng, cast[-1], knobs))
            continue
        pool = nouns[i]
        if "ambiguous_expressions" in knobs and "twin" not in roles and i == len(roles) - 1:
            pool = [str(rng.choice([one.noun for one in cast]))]  # two of a noun: "the fish" is either
        noun, colour = _look(rng, pool, cast, clashing)
        pattern = str(rng.choice(PATTERNS, p=(0.4, 0.2, 0.2, 0.2)))
        cast.append(
            Character(
                entity_id=f"e{i}",
                noun=noun,
                colour=colour,
                size=sizes[i],
                pattern=pattern,
                radius_px=_radius(rng, sizes[i], knobs),
            )
        )
    named = [replace(one, entity_id=f"e{i}") for i, one in enumerate(cast)]
    return tuple(Part(character=one, role=role) for one, role in zip(named, roles, strict=True))


def _roles(rng: np.random.Generator, knobs: frozenset[str]) -> list[Role]:
    found: list[Role] = []
    pairs = "ambiguous_expressions" in knobs and (len(knobs) > 1 or rng.random() < 0.6)
    if "look_alikes" in knobs or pairs:
        found += ["twin", "twin"]
    if "never_together" in knobs:
        found += ["early", "late"]
    elif "late_entry" in knobs:
        found += ["late"]
    if "re_entry" in knobs:
        found += ["return"]
    if "fast_motion" in knobs:
        found += ["race"] * int(rng.integers(1, 3))
    elif "motion_blur" in knobs:
        found += ["dash"]
    for knob, role in (("full_occlusion", "hide"), ("partial_occlusion", "half")):
        if knob in knobs:
            found += [role]  # type: ignore[list-item]
            if len(found) < _MOST_PARTS - 1 and rng.random() < 0.4:
                found += ["cover"]
    wanted = int(rng.integers(*_CROWD)) if "crowding" in knobs else int(rng.integers(3, _MOST_PARTS + 1))
    # With a cut, somebody has to be free to play in the other place.
    wanted = max(wanted, len(found) + ("cuts" in knobs))
    return [*found, *(["roam"] * (wanted - len(found)))]  # type: ignore[list-item]


def _nouns(rng: np.random.Generator, roles: Sequence[Role], knobs: frozenset[str]) -> list[list[str]]:
    """What each may be: animals or shapes by a share that differs from video to video."""
    kinds = {True: sorted(CREATURES), False: sorted(SHAPES)}
    share = float(rng.choice((0.0, 0.35, 0.5, 0.65, 1.0)))
    found: list[list[str]] = []
    for i, role in enumerate(roles):
        pool = kinds[bool(rng.random() < share)]
        if role == "late" and i and roles[i - 1] == "early":
            pool = kinds[found[-1][0] in CREATURES]  # the two of one category
        if role == "cover" and roles[i - 1] == "hide":
            pool = sorted(_BROAD)
        found.append(pool)
    return found


def _sizes(rng: np.random.Generator, roles: Sequence[Role], knobs: frozenset[str]) -> list[str]:
    """Words for sizes. With small objects, only tiny ones are called small."""
    weights = {"crowding": (0.55, 0.45, 0.0), "camera_zoom": (0.3, 0.6, 0.1)}
    shares = next((weights[knob] for knob in weights if knob in knobs), (0.25, 0.5, 0.25))
    sizes = [str(rng.choice(("small", "medium", "large"), p=shares)) for _ in roles]
    if "small_objects" in knobs:
        tiny = max(2, round(len(roles) * rng.uniform(0.4, 0.8)))
        chosen = set(rng.permutation(len(roles))[:tiny].tolist())
        sizes = ["small" if i in chosen else size.replace("small", "medium") for i, size in enumerate(sizes)]
    for i, role in enumerate(roles):
        if role in ("race", "dash") and sizes[i] == "large":
            sizes[i] = "medium"
        if role == "cover":
            sizes[i] = "large"
            if roles[i - 1] == "hide":
                sizes[i - 1] = "small"
    return sizes


def _radius(rng: np.random.Generator, size: str, knobs: frozenset[str]) -> float:
    if "small_objects" in knobs and size == "small":
        return float(rng.uniform(*_TINY_PX)) * (0.75 if "camera_zoom" in knobs else 1.0)
    return RADIUS_PX[size] * float(rng.uniform(0.95, 1.05)) * (0.85 if "crowding" in knobs else 1.0)


def _look(
    rng: np.random.Generator, nouns: list[str], cast: Sequence[Character], clashing: set[str]
) -> tuple[str, str]:
    """A noun and a colour as far as possible from those of the others, and never the same two."""
    best: tuple[float, str, str] | None = None
    for noun in rng.permutation(nouns):
        for colour in rng.permutation(sorted(COLOURS)):
            cost = rng.uniform(0, _WHIM) + _CLASH * (str(colour) in clashing)
            cost += sum(_likeness(str(noun), str(colour), other) for other in cast)
            if best is None or cost < best[0]:
                best = cost, str(noun), str(colour)
    assert best is not None  # there are nouns
    return best[1], best[2]


def _likeness(noun: str, colour: str, other: Character) -> float:
    """What it costs to stand beside `other`: two of a noun in clear colours, or two nouns in near ones, is
    little; two of a noun in near colours is much; two that one expression fits is out of the question."""
    near = any({colour, other.colour} <= group for group in NEAR_COLOURS)
    if noun == other.noun:
        return 1000.0 if colour == other.colour else 40.0 if near else 2.0
    return 4.0 if colour == other.colour else 2.5 if near else 0.0


def _twin(rng: np.random.Generator, one: Character, knobs: frozenset[str]) -> Character:
    """Another of the same noun and colour, set apart by its size or by its pattern."""
    if rng.random() < 0.5:
        size = str(
            rng.choice([s for s in RADIUS_PX if s != one.size and {s, one.size} != {"small", "medium"}])
        )
        return replace(one, size=size, radius_px=_radius(rng, size, knobs))
    return replace(one, pattern=str(rng.choice([p for p in PATTERNS if p != one.pattern])))
