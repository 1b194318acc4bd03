"""Referring expressions: words that fit one thing and none of the others, as few as do, or none at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from strefer_core.backends.classical.attributes import COLOUR_NAMES, SHAPES
from strefer_core.backends.classical.looks import Look
from strefer_core.backends.interfaces import EntityDescription

_SIZE_RATIO = 1.6  # of areas: less is not seen as another size
_OBJECTS_RATIO = 2.5  # likewise, of unknown kinds: of one size, a snail is larger than a bird
_SIDE_GAP = 0.12  # of the frame's width
_CLEAR_PATTERN = 0.6  # of 1; clothes and shadows show half a pattern
_MAYBE_SHAPE = 0.2  # share of the looks
_MAYBE_COLOUR = 0.25  # share of the thing
_EXTENT = 0.06  # frame widths: who says that it moves must be sure
_GOES = {"left": "moves left", "right": "moves right", "up": "moves up", "down": "moves down"}

Qualifiers = dict[int, tuple[str, str]]  # place -> attribute (name, value)


def noun_of(look: Look) -> tuple[str, str]:
    """(noun, generalized noun) of a thing."""
    if look.is_person:
        return "person", "person"
    if look.shape in SHAPES:
        return look.shape, "shape"
    return "object", "object"


def describe(looks: Sequence[Look], doubled: Sequence[bool] | None = None) -> list[EntityDescription | None]:
    """Words for each thing, in order; None where they would fit another one, too.

    Args:
        looks: of all things that were found; these move.
        doubled: whether each has a look-alike that was not found, which stands still then: "the red fish"
            would fit both, "the moving red fish" one. None: no one has.
    """
    return [_described(looks, place, doubled is not None and doubled[place]) for place in range(len(looks))]


def _described(looks: Sequence[Look], place: int, is_doubled: bool) -> EntityDescription | None:
    words = _telling(looks, place)
    if words is None:
        return None
    if is_doubled and "direction" not in words and looks[place].extent >= _EXTENT:
        words["motion"] = "moving"
    noun, generalized = noun_of(looks[place])
    return EntityDescription(
        expression=_expression(looks[place], words),
        noun=noun,
        generalized_noun=generalized,
        attributes=tuple(sorted(words.items())),
    )


def _telling(looks: Sequence[Look], place: int) -> dict[str, str] | None:
    """The colour, and one attribute more where that fits others; None where none tells it from them."""
    words = {"colour": looks[place].colour}
    group = [place, *(other for other in range(len(looks)) if other != place and _fits(looks, place, other))]
    if len(group) == 1:
        return words
    for qualify in (_sizes, _patterns, _directions, _sides):
        if (found := qualify(looks, sorted(group)).get(place)) is not None:
            return words | {found[0]: found[1]}
    return None


def _fits(looks: Sequence[Look], place: int, other: int) -> bool:
    """Whether colour and noun of one thing may fit another: a yellow circle is a yellow object, too, and what
    looked like a hexagon on every fifth look may be one."""
    noun, others = noun_of(looks[place])[0], noun_of(looks[other])[0]
    is_kind = (
        noun == others
        or (noun == "object" and others != "person")
        or looks[other].shapes.get(noun, 0.0) >= _MAYBE_SHAPE
    )
    return is_kind and looks[other].colours[COLOUR_NAMES.index(looks[place].colour)] >= _MAYBE_COLOUR


def _expression(look: Look, words: dict[str, str]) -> str:
    noun = noun_of(look)[0]
    before = "".join(f"{words[name]} " for name in ("size", "motion", "pattern") if name in words)
    name = (
        f"the {before}person in {words['colour']}"
        if noun == "person"
        else f"the {before}{words['colour']} {noun}"
    )
    side = f" on the {words['side']}" if "side" in words else ""
    goes = f" that {_GOES[words['direction']]}" if "direction" in words else ""
    return name + side + goes


def _sizes(looks: Sequence[Look], group: list[int]) -> Qualifiers:
    order = sorted(group, key=lambda place: looks[place].area_px)
    areas = [looks[place].area_px for place in order]
    is_known = all(noun_of(looks[place])[0] != "object" for place in group)
    ratio = _SIZE_RATIO if is_known else _OBJECTS_RATIO
    found: Qualifiers = {}
    if areas[1] >= ratio * areas[0]:
        found[order[0]] = ("size", "small")
    if areas[-1] >= ratio * areas[-2]:
        found[order[-1]] = ("size", "large")
    return found


def _patterns(looks: Sequence[Look], group: list[int]) -> Qualifiers:
    """For all of them or none: beside "the plain red object", "the red object" might be either."""
    found = _single(group, "pattern", lambda place: _clear_pattern(looks[place]))
    return found if len(found) == len(group) else {}


def _clear_pattern(look: Look) -> str | None:
    """The pattern, where it is sure: limbs of creatures look like stripes and checks, clothes like all."""
    sure = look.patterns.max() >= _CLEAR_PATTERN and not look.is_person
    return look.pattern if sure and (look.shape or look.pattern in ("plain", "spotted")) else None


def _directions(looks: Sequence[Look], group: list[int]) -> Qualifiers:
    """Of things that go where no other one of the group ever goes, not for a moment."""
    found: Qualifiers = {}
    for place in group:
        goes = looks[place].direction
        if goes and not any(goes in looks[other].moves for other in group if other != place):
            found[place] = ("direction", goes)
    return found


def _sides(looks: Sequence[Look], group: list[int]) -> Qualifiers:
    if len(group) != 2:
        return {}
    left, right = sorted(group, key=lambda place: looks[place].start[0])
    if looks[right].start[0] - looks[left].start[0] < _SIDE_GAP:
        return {}
    return {left: ("side", "left"), right: ("side", "right")}


def _single(group: list[int], name: str, value_of: Callable[[int], str | None]) -> Qualifiers:
    """The values that exactly one thing of the group has."""
    values = {place: value for place in group if (value := value_of(place))}
    counts = Counter(values.values())
    return {place: (name, value) for place, value in values.items() if counts[value] == 1}
