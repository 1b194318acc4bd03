"""Multiple choice in rotation: the same options asked about as often as there are options, each right once.

All options are things, places or actions of the same video, so nothing but looking tells which one holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from strefer_core import data_model as dm
from strefer_core.backends.rules.asking import Asker, Case, region
from strefer_core.backends.rules.facts import Fact, Thing, Window, distinct, meaning
from strefer_core.backends.rules.grammar import capital, name
from strefer_core.backends.rules.open_tasks import some
from strefer_core.backends.rules.places import Place, places, surely_not_at
from strefer_core.backends.rules.telling import fact_sources

Pairs = Iterator[dm.Instruction]
LETTERS = "ABCD"
_MOST = 8  # sets per form
_RELATIONS = ("approach", "move_away", "follow", "occlude")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One question of a rotation before its options are laid out: which option is the right one."""

    case: Case
    right: str  # text of the option


def choices_at_times(ask: Asker) -> Pairs:
    """What a thing does, where it is, and which thing does something, in an interval."""
    for thing in ask.scene.things:
        yield from _rotation(ask, _actions_of(ask, thing))
        yield from _rotation(ask, _places_of(ask, thing))
    doings = {meaning(f.action): f.action for t in ask.scene.things for f in t.facts if f.is_lasting}
    for action in some(ask, list(doings.values()), _MOST):
        yield from _rotation(ask, _doers_of(ask, action))


def choices_on_regions(ask: Asker) -> Pairs:
    """What the thing at a region ever does, and which of several regions ever does something."""
    for _ in range(2):
        yield from _rotation(ask, _one_each(ask))
    yield from _which_regions(ask)


def _rotation(ask: Asker, turns: Sequence[Turn]) -> Pairs:
    """Lay out the options: every place of the right one as often as any other."""
    if len(turns) < 2:
        return
    texts = [turn.right for turn in turns]
    places_of_right = ask.rng.sample(range(len(turns)), len(turns))
    cases = [
        replace(turn.case, texts={**turn.case.texts, **layout(ask, texts, turn.right, place)})
        for turn, place in zip(turns, places_of_right, strict=True)
    ]
    yield from ask.together(cases)


def layout(ask: Asker, texts: Sequence[str], right: str, place: int) -> dict[str, str]:
    """Fields `options` and `chosen`, with the right text at a place and the others in any order."""
    listed = ask.rng.sample([text for text in texts if text != right], len(texts) - 1)
    listed.insert(place, right)
    lines = [f"({letter}) {capital(text)}." for letter, text in zip(LETTERS, listed, strict=False)]
    return {"options": "\n".join(lines), "chosen": lines[place]}


def _grown(ask: Asker, items: Sequence[Item], fits: Callable[[Item, Item], bool]) -> list[Item]:
    """Up to four items, drawn, every two of which fit each other both ways."""
    grown: list[Item] = []
    for item in some(ask, items, len(items)):
        if len(grown) < len(LETTERS) and all(fits(item, other) and fits(other, item) for other in grown):
            grown.append(item)
    return grown


Item = tuple[Thing, Window, Fact | Place]


def _actions_of(ask: Asker, thing: Thing) -> list[Turn]:
    """Intervals of one thing, in each of which it does what it does in none of the others."""
    items: list[Item] = [(thing, fact.window, fact) for fact in thing.facts if fact.is_lasting]

    def fits(one: Item, other: Item) -> bool:
        return isinstance(other[2], Fact) and ask.scene.never(thing, other[2].action, one[1])

    variant = ask.variant()
    return [
        Turn(
            case=Case(form="choice_time", entity=thing.entity, window=window, sources=fact_sources([fact])),
            right=ask.say(fact.action, variant).participle,
        )
        for _, window, fact in _grown(ask, items, fits)
        if isinstance(fact, Fact)
    ]


def _places_of(ask: Asker, thing: Thing) -> list[Turn]:
    """Intervals of one thing in each of which it is at another place, of one direction across."""
    axis = ask.rng.choice((0, 0, 1))
    items: list[Item] = [
        (thing, window, place)
        for window in thing.windows
        for place in places(thing, window)
        if place.axis == axis
    ]

    def fits(one: Item, other: Item) -> bool:
        return isinstance(other[2], Place) and surely_not_at(thing, one[1], other[2])

    return [
        Turn(
            case=Case(form="choice_place_time", entity=thing.entity, window=window),
            right=place.ways[0],
        )
        for _, window, place in _grown(ask, items, fits)
        if isinstance(place, Place)
    ]


def _doers_of(ask: Asker, action: dm.Action) -> list[Turn]:
    """Things that do the same in different intervals, in each of which the others do not."""
    items: list[Item] = [
        (thing, fact.window, fact)
        for thing in ask.scene.things
        for fact in thing.facts
        if meaning(fact.action) == meaning(action)
    ]

    def fits(one: Item, other: Item) -> bool:
        return (
            one[0] is not other[0]
            and other[0].id != action.other_entity_id
            and ask.scene.never(other[0], action, one[1])
        )

    acts = ask.say(action, ask.variant()).third
    return [
        Turn(
            case=Case(
                form="choice_who_time",
                entity=thing.entity,
                texts={"acts": acts},
                window=window,
                sources=fact_sources([fact]) if isinstance(fact, Fact) else (),
            ),
            right=name(thing.entity.expression),
        )
        for thing, window, fact in _grown(ask, items, fits)
    ]


def _one_each(ask: Asker) -> list[Turn]:
    """Things each of which ever does what none of the others ever does."""
    items: list[Item] = [
        (thing, fact.window, fact)
        for thing in ask.scene.things
        for fact in distinct(thing.facts)
        if fact.action.kind not in _RELATIONS
    ]

    def fits(one: Item, other: Item) -> bool:
        return (
            one[0] is not other[0]
            and isinstance(other[2], Fact)
            and ask.scene.never(one[0], other[2].action, ask.scene.whole)
        )

    variant = ask.variant()
    return [
        Turn(
            case=Case(form="choice", entity=thing.entity, sources=fact_sources([fact])),
            right=ask.say(fact.action, variant).participle,
        )
        for thing, _, fact in _grown(ask, items, fits)
        if isinstance(fact, Fact)
    ]


def _which_regions(ask: Asker) -> Pairs:
    """Options that are regions, as many questions in a set as options: each place is right once."""
    left = some(ask, _deeds(ask), len(LETTERS) * _MOST)
    for size in range(len(LETTERS), 1, -1):
        fit = [deed for deed in left if len(deed[2]) >= size - 1]
        for first in range(0, len(fit) - size + 1, size):
            batch = fit[first : first + size]
            left = [deed for deed in left if deed not in batch]
            places_of_right = ask.rng.sample(range(size), size)
            yield from ask.together(
                [
                    _region_case(ask, *deed, size, place)
                    for deed, place in zip(batch, places_of_right, strict=True)
                ]
            )


def _deeds(ask: Asker) -> list[tuple[Thing, Fact, list[Thing]]]:
    """What each thing does, with the things that never do it; without what all the others may do too."""
    found = []
    for thing in ask.scene.things:
        for fact in distinct(thing.facts):
            never = [t for t in ask.scene.things if ask.scene.never(t, fact.action, ask.scene.whole)]
            if never and fact.action.kind not in _RELATIONS:
                found.append((thing, fact, [other for other in never if other is not thing]))
    return found


def _region_case(ask: Asker, thing: Thing, fact: Fact, never: list[Thing], size: int, place: int) -> Case:
    shown = [f"the {region(t.id)}" for t in (thing, *some(ask, never, size - 1))]
    texts = layout(ask, shown, shown[0], place)
    texts["acts"] = ask.say(fact.action, ask.variant()).third
    return Case(form="choice_region", entity=thing.entity, texts=texts, sources=fact_sources([fact]))
