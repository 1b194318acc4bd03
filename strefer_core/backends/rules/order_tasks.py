"""Questions of order: which of two comes first, what comes next, who is seen before or after whom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from strefer_core import data_model as dm
from strefer_core.backends.rules.asking import Asker, Case, region
from strefer_core.backends.rules.facts import Fact, Thing
from strefer_core.backends.rules.open_tasks import evened, some
from strefer_core.backends.rules.scene import Scene
from strefer_core.backends.rules.telling import clause, fact_sources, names_of

Pairs = Iterator[dm.Instruction]
ORDER_GAPS = 2  # sampling gaps between two beginnings whose order is sure
_STEPS = ("move", "stand")  # what a thing does after another: it moves already as it comes and goes


def event_order(ask: Asker) -> Pairs:
    yield from _which_first(ask)
    for one, two in some(ask, _ordered_things(ask.scene)):
        texts = dict(zip(("one", "two"), ask.rng.sample([names_of([one]), names_of([two])], 2), strict=True))
        yield ask.one(Case(form="seen_first", entity=one.entity, texts=texts, sources=(two.id,)))
    for thing in ask.scene.things:
        yield from (ask.one(case) for case in next_cases(ask.scene, thing))


def _which_first(ask: Asker) -> Pairs:
    once = [
        (window, thing, fact)
        for thing in ask.scene.things
        for fact in thing.facts
        if (window := ask.scene.once(thing, fact)) is not None
    ]
    pairs = combinations(sorted(once, key=lambda item: item[0]), 2)
    sure = [
        (thing, early, late)
        for (first, thing, early), (second, _, late) in pairs
        if second[0] >= max(first[1], first[0] + ORDER_GAPS * thing.gap_s)
    ]
    for thing, early, late in some(ask, sure):
        variant = ask.variant()
        first = clause(ask.scene, early, variant)
        one, two = ask.rng.sample([first, clause(ask.scene, late, variant)], 2)
        yield ask.one(
            Case(
                form="which_first",
                entity=thing.entity,
                actions={"act": early.action},
                texts={"one": one, "two": two, "first": first},
                sources=fact_sources([early, late]),
            )
        )


def _ordered_things(scene: Scene) -> list[tuple[Thing, Thing]]:
    """Pairs of which the first is surely seen before the second."""
    ordered = sorted(scene.things, key=lambda thing: thing.first_frame)
    return [
        (one, two) for one, two in combinations(ordered, 2) if two.first_frame - one.first_frame >= ORDER_GAPS
    ]


def next_cases(scene: Scene, thing: Thing) -> Iterator[Case]:
    """What comes right after something that the thing does once."""
    steps = [fact for fact in thing.facts if fact.action.kind in _STEPS]
    for fact, after in pairwise(steps):
        if _comes_next(scene, thing, fact, after):
            yield Case(
                form="next",
                entity=thing.entity,
                actions={"act": fact.action, "next": after.action},
                sources=fact_sources([fact, after]),
            )


def _comes_next(scene: Scene, thing: Thing, fact: Fact, after: Fact) -> bool:
    """Right after it, both but once, and begun clearly later, wherever one sees them begin."""
    first, second = scene.once(thing, fact), scene.once(thing, after)
    if first is None or second is None:
        return False
    apart_s = ORDER_GAPS * thing.gap_s
    return second[0] - first[0] >= apart_s and abs(second[0] - first[1]) <= apart_s


def entity_order(ask: Asker) -> Pairs:
    if len(ask.scene.things) == len(ask.scene.entities):  # else nobody knows when the others are seen
        for form, sign in (("before", -1), ("after", 1)):
            cases = [case for thing in ask.scene.things for case in _others(ask.scene, thing, form, sign)]
            yield from (ask.one(case) for case in evened(ask, cases, lambda case: case.answers))
    for one, two in some(ask, _ordered_things(ask.scene)):
        asked = ask.rng.sample([one, two], 2)
        texts = {key: f"the {region(thing.id)}" for key, thing in zip(("one", "two"), asked, strict=True)}
        texts["ordinal"] = "first" if asked[0] is one else "second"
        yield ask.one(Case(form="pair", entity=one.entity, texts=texts, sources=(two.id,)))


def _others(scene: Scene, thing: Thing, form: str, sign: int) -> Iterator[Case]:
    """All things seen before (sign -1) or only after (+1), or that there is none; not where it is close."""
    others = [other for other in scene.things if other is not thing]
    gaps = [sign * (other.first_frame - thing.first_frame) for other in others]
    if any(
        abs(gap) < ORDER_GAPS and not _both_at_start(thing, other)
        for other, gap in zip(others, gaps, strict=True)
    ):
        return
    found = [other for other, gap in zip(others, gaps, strict=True) if gap >= ORDER_GAPS]
    if others:
        yield Case(
            form=form,
            entity=thing.entity,
            texts={"others": names_of(found)},
            answers="answers" if found else "none",
            sources=[other.id for other in others],
        )


def _both_at_start(one: Thing, other: Thing) -> bool:
    return one.first_frame == other.first_frame == 0
