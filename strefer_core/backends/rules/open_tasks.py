"""Open questions about the video and about things in it: what, where, when. All that hold are offered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.asking import Asker, Case
from strefer_core.backends.rules.facts import Fact, Thing, Window, length, shared_s
from strefer_core.backends.rules.places import places
from strefer_core.backends.rules.scene import Scene
from strefer_core.backends.rules.telling import (
    MAX_THINGS,
    fact_sources,
    in_order,
    introduced,
    names_of,
    own_story,
    sources,
    statement,
    this_is,
    told_as,
    video_story,
)

Pairs = Iterator[dm.Instruction]
MAX_PAIRS = 24  # that one video is offered per form and, of two things or events, per way to combine them
_STORY_FACTS = 3  # most actions in a story of an interval
_SHARED = 0.9  # share of an event through which what goes on at the same time lasts

T = TypeVar("T")


def some(ask: Asker, items: Sequence[T], at_most: int = MAX_PAIRS) -> list[T]:
    """Not more than so many of them, drawn, in an order that is drawn too."""
    return ask.rng.sample(items, min(len(items), at_most))


def describe_video(ask: Asker) -> Pairs:
    shown = ask.scene.things
    first = [thing for thing in shown if thing.facts or ask.scene.is_silent][:MAX_THINGS]
    if story := video_story(ask.scene, first):
        texts = {"story": story}
        yield ask.one(Case(form="story", entity=first[0].entity, texts=texts, sources=sources(first)))
    texts = {"things": names_of(shown)}
    ids = [thing.id for thing in shown]
    yield ask.one(Case(form="things", entity=shown[0].entity, texts=texts, sources=ids))


def evened(ask: Asker, cases: Sequence[Case], label: Callable[[Case], object]) -> list[Case]:
    """Of each answer no more than of the second most common: no answer is the one to guess."""
    drawn: dict[object, list[Case]] = defaultdict(list)
    for case in some(ask, cases, len(cases)):
        drawn[label(case)].append(case)
    counts = sorted((len(found) for found in drawn.values()), reverse=True)
    most = counts[1] if len(counts) > 1 else 0
    return [case for found in drawn.values() for case in found[:most]]


def coarse_when(ask: Asker) -> Pairs:
    cases = [case for thing in ask.scene.things for case in _parts(ask, thing)]
    yield from (ask.one(case) for case in evened(ask, cases, lambda case: case.texts.get("part")))


def _parts(ask: Asker, thing: Thing) -> list[Case]:
    found = [visible_part(ask, thing), *(action_part(ask, thing, fact) for fact in thing.facts)]
    return [case for case in found if case is not None]


def visible_part(ask: Asker, thing: Thing) -> Case | None:
    """In which third it is seen, or throughout; None where that is not clear-cut."""
    if thing.is_always_visible:
        return Case(form="always", entity=thing.entity)
    if not thing.seen or thing.stretches(True) > 1:
        return None
    part = ask.scene.part_of(thing.seen[0], 2 * thing.gap_s)
    return Case(form="visible", entity=thing.entity, texts=_part(part)) if part else None


def action_part(ask: Asker, thing: Thing, fact: Fact) -> Case | None:
    """In which third it does something; None where that is not clear-cut."""
    window = ask.scene.once(thing, fact)
    part = ask.scene.part_of(window, 2 * thing.gap_s) if window else None
    if part is None:
        return None
    return Case(
        form="action",
        entity=thing.entity,
        actions={"act": fact.action},
        texts=_part(part),
        sources=fact_sources([fact]),
    )


def _part(part: str) -> dict[str, str]:
    return {"part": part, "at_part": f"{'in' if part == 'middle' else 'at'} the {part}"}


def concurrent_action(ask: Asker) -> Pairs:
    cases = [case for thing in ask.scene.things for case in while_cases(ask, thing)]
    yield from (ask.one(case) for case in some(ask, cases))


def while_cases(ask: Asker, thing: Thing) -> Iterator[Case]:
    """What the thing does while each of the others does something."""
    for other in ask.scene.things:
        for fact, event in _at_once(ask, thing, other):
            yield Case(
                form="while",
                entity=thing.entity,
                actions={"act": fact.action},
                texts=while_texts(ask, other, event),
                sources=fact_sources([fact, event]),
            )


def while_texts(ask: Asker, other: Thing, event: Fact) -> dict[str, str]:
    phrase = ask.say(event.action, variant := ask.variant())
    return {
        "other": ask.scene.names[other.id],
        "other_acts": statement(ask.scene, other, event.action, variant),
        "other_acting": phrase.participle,
        "other_is": "are" if grammar.is_plural(other.entity.noun) else "is",
    }


def _at_once(ask: Asker, thing: Thing, other: Thing) -> list[tuple[Fact, Fact]]:
    """Facts of the thing that last through a move of the other, which happens once only.

    Of rests, comings and goings nobody can tell to the frame how long they take.
    """
    if thing is other:
        return []
    return [
        (fact, event)
        for event in other.facts
        for fact in thing.facts
        if fact.is_lasting
        and event.action.kind == "move"
        and fact.action.other_entity_id != other.id
        and (window := ask.scene.once(other, event)) is not None
        and shared_s(fact.window, window) >= _SHARED * length(window)
        and ask.scene.shows(thing, fact, window)
    ]


def event_at_time(ask: Asker) -> Pairs:
    yield from _told_at_times(ask, by_name=True)
    for window in some(ask, _all_windows(ask), MAX_PAIRS):
        active = [(t, fact) for t in ask.scene.things if (fact := ask.scene.doing(t, window))][:MAX_THINGS]
        if len(active) > 1:  # else the question about the thing itself is the better one
            told = [told_as(ask.scene, grammar.named(t.entity), [fact]) for t, fact in active]
            yield ask.one(
                Case(
                    form="scene",
                    entity=active[0][0].entity,
                    texts={"story": " ".join(told)},
                    window=window,
                    sources=fact_sources([fact for _, fact in active]),
                )
            )


def _all_windows(ask: Asker) -> list[Window]:
    return list(dict.fromkeys(window for thing in ask.scene.things for window in thing.windows))


def entity_at_time(ask: Asker) -> Pairs:
    yield from _told_at_times(ask, by_name=False)


def _told_at_times(ask: Asker, *, by_name: bool) -> Pairs:
    for thing in ask.scene.things:
        cases = [
            *doing_cases(ask.scene, thing),
            *_story_cases(ask, thing, by_name=by_name),
            *where_cases(ask, thing),
        ]
        yield from (ask.one(case) for case in some(ask, cases, MAX_PAIRS // 2))


def doing_cases(scene: Scene, thing: Thing) -> Iterator[Case]:
    """One thing that it does all through an interval, for each interval that is worth asking about."""
    for window in thing.windows:
        if (fact := scene.doing(thing, window)) is not None:
            yield Case(
                form="doing",
                entity=thing.entity,
                actions={"act": fact.action},
                window=window,
                sources=fact_sources([fact]),
            )


def _story_cases(ask: Asker, thing: Thing, *, by_name: bool) -> Iterator[Case]:
    """Two or three actions that follow one another, over all of them; a thing of no known action is seen."""
    voice = grammar.named(thing.entity) if by_name else grammar.pronoun(thing.entity)
    steps = [fact for fact in thing.facts if fact.action.kind in ("move", "stand")]
    spans = [steps[i : i + n] for n in range(2, _STORY_FACTS + 1) for i in range(len(steps) - n + 1)]
    for span in spans:
        window = span[0].window[0], span[-1].window[1]
        inner = [fact for fact in thing.facts if _is_inside(fact, window)]
        told = in_order(ask.scene, thing, inner, window) if thing.is_visible_in(window) else []
        if set(span) <= set(told):
            yield _story_case(ask, thing, voice, window, told)
    if ask.scene.is_silent:
        yield from (_story_case(ask, thing, voice, window, []) for window in thing.parts_seen)


def _is_inside(fact: Fact, window: Window) -> bool:
    return shared_s(fact.window, window) >= 0.99 * length(fact.window)


def _story_case(
    ask: Asker, thing: Thing, voice: grammar.Voice, window: Window, facts: Sequence[Fact]
) -> Case:
    return Case(
        form="story",
        entity=thing.entity,
        texts={"story": told_as(ask.scene, voice, facts)},
        window=window,
        sources=fact_sources(facts),
    )


def where_cases(ask: Asker, thing: Thing) -> Iterator[Case]:
    """Where it is, for each interval in which that is one place all through."""
    for window in thing.windows:
        if found := places(thing, window):
            place = ask.rng.choice(ask.rng.choice(found).ways)
            yield Case(form="where", entity=thing.entity, texts={"place": place}, window=window)


def describe_entity(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        entity = thing.entity
        texts = {"indefinite": introduced(entity), "name": grammar.name(entity.expression)}
        texts["this"] = this_is(entity)
        yield ask.one(Case(form="what", entity=entity, texts=texts))
        if story := own_story(ask.scene, thing, grammar.pronoun(entity)):
            texts["story"] = story
            for form in ("look", "action"):
                yield ask.one(Case(form=form, entity=entity, texts=texts, sources=sources([thing])))
        if colour := dict(entity.attributes).get("colour"):
            yield ask.one(Case(form="colour", entity=entity, texts={"colour": colour}))


def when_entity(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        for fact in thing.facts:
            if (case := when_case(ask, thing, fact)) is not None:
                yield ask.one(case)
        for form, stretches, state in (("visible", thing.seen, True), ("hidden", thing.hidden, False)):
            if len(stretches) == 1 and thing.stretches(state) == 1 and not thing.is_always_visible:
                window = _seen_to_end(thing) if state else stretches[0]
                yield ask.one(Case(form=form, entity=thing.entity, window=window))


def _seen_to_end(thing: Thing) -> Window:
    """From the first frame in view to the first one out of view again, or to the video's end."""
    first, last = thing.seen[0]
    later = thing.trail.times_s[thing.trail.times_s > last + 1e-6]
    return first, float(later[0]) if len(later) else thing.duration_s


def when_case(ask: Asker, thing: Thing, fact: Fact) -> Case | None:
    """When it does something that lasts and happens once; None where that is not sure."""
    if fact.action.kind not in ("move", "stand") or not ask.scene.is_timed(thing, fact):
        return None
    return Case(
        form="action",
        entity=thing.entity,
        actions={"act": fact.action},
        window=fact.window,
        sources=fact_sources([fact]),
    )
