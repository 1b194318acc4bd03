"""Open questions: what, who, where, when, in which order. Each function offers all pairs that hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.asking import Asker, region
from strefer_core.backends.rules.facts import ORDER_GAP_FRAMES, Fact, Thing, Window, shared_s
from strefer_core.backends.rules.scene import Scene
from strefer_core.backends.rules.telling import (
    MAX_THINGS,
    clause,
    fact_sources,
    introduced,
    names_of,
    own_story,
    sources,
    statement,
    this_is,
    video_story,
)

Pairs = Iterator[dm.Instruction]
MAX_PAIRS = 24  # of two things or events that one video is asked about per form
LASTING = ("move", "stand", "follow", "approach", "move_away", "grow", "shrink")


def describe_video(ask: Asker) -> Pairs:
    shown = ask.scene.things
    some = shown[:MAX_THINGS]
    yield ask.ask("story", some[0], texts={"story": video_story(ask.scene, some)}, sources=sources(some))
    ids = [thing.id for thing in shown]
    yield ask.ask("things", shown[0], texts={"things": names_of(shown)}, sources=ids)


def event_order(ask: Asker) -> Pairs:
    yield from _which_first(ask)
    for one, two in _ordered_things(ask.scene):
        both = ask.rng.sample([one, two], 2)
        texts = dict(zip(("one", "two"), (names_of([thing]) for thing in both), strict=True))
        yield ask.ask("seen_first", one, texts=texts, sources=(two.id,))
    for thing in ask.scene.things:
        for fact, after in pairwise(thing.facts):
            gap_s = after.window[0] - fact.window[1]
            if thing.is_unique(fact) and -1e-9 <= gap_s <= 2 * thing.trail.frame_gap_s:
                yield ask.ask(
                    "next", thing,
                    actions={"act": fact.action, "next": after.action},
                    sources=fact_sources([fact, after]),
                )  # fmt: skip


def _which_first(ask: Asker) -> Pairs:
    unique = [(thing, fact) for thing in ask.scene.things for fact in thing.facts if thing.is_unique(fact)]
    pairs = list(combinations(sorted(unique, key=lambda item: item[1].window), 2))
    for (thing, early), (_, late) in ask.rng.sample(pairs, min(len(pairs), MAX_PAIRS)):
        if early.window[1] > late.window[0]:
            continue
        one, two = ask.rng.sample([clause(ask.scene, early), clause(ask.scene, late)], 2)
        yield ask.ask(
            "which_first", thing,
            actions={"act": early.action},
            texts={"one": one, "two": two, "first": clause(ask.scene, early)},
            sources=fact_sources([early, late]),
        )  # fmt: skip


def _ordered_things(scene: Scene) -> list[tuple[Thing, Thing]]:
    """Pairs of which the first is surely seen before the second."""
    ordered = sorted(scene.things, key=lambda thing: thing.first_frame)
    return [
        (one, two)
        for one, two in combinations(ordered, 2)
        if two.first_frame - one.first_frame >= ORDER_GAP_FRAMES
    ][:MAX_PAIRS]


def coarse_when(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        part = ask.scene.part_of(_seen_extent(thing))
        if thing.is_always_visible:
            yield ask.ask("always", thing)
        elif part:
            yield ask.ask("visible", thing, texts=_part(part))
        for fact in thing.facts:
            part = ask.scene.part_of(fact.window)
            if part and thing.is_unique(fact):
                yield ask.ask(
                    "action", thing,
                    actions={"act": fact.action}, texts=_part(part), sources=fact_sources([fact]),
                )  # fmt: skip


def _part(part: str) -> dict[str, str]:
    return {"part": part, "at_part": f"{'in' if part == 'middle' else 'at'} the {part}"}


def _seen_extent(thing: Thing) -> Window:
    """From the first frame with a mask to the first frame after the last one."""
    times, shown = thing.trail.times_s, thing.trail.visible.nonzero()[0]
    end = int(shown[-1]) + 1
    return float(times[shown[0]]), float(times[end]) if end < len(times) else thing.duration_s


def concurrent_action(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        for other in ask.scene.things:
            if thing is other:
                continue
            for fact, while_fact in _at_once(thing, other):
                yield ask.ask(
                    "while", thing,
                    actions={"act": fact.action},
                    texts={
                        "other": ask.scene.names[other.id],
                        "other_acts": statement(ask.scene, other, while_fact.action),
                    },
                    sources=fact_sources([fact, while_fact]),
                )  # fmt: skip


def _at_once(thing: Thing, other: Thing) -> list[tuple[Fact, Fact]]:
    """Facts of the thing that last through an event of the other, which happens once only."""
    return [
        (fact, event)
        for event in other.facts
        for fact in thing.facts
        if fact.action.kind in LASTING
        and (fact.action.kind, event.action.kind) != ("stand", "stand")
        and other.is_unique(event)
        and shared_s(fact.window, event.window) >= 0.8 * (event.window[1] - event.window[0])
        and event.action.other_entity_id != thing.id
        and fact.action.other_entity_id != other.id
    ]


def windows(thing: Thing) -> list[Window]:
    """Intervals worth asking about: each fact's, else the thirds of the stretches in which it is seen."""
    found = [fact.window for fact in thing.facts if fact.action.kind in LASTING]
    return list(dict.fromkeys(found)) or seen_thirds(thing)


def seen_thirds(thing: Thing) -> list[Window]:
    """Each visible stretch in up to three parts, cut at frame times; only parts with two frames or more."""
    times, found = thing.trail.times_s, []
    for first, end in thing.seen:
        inner = [float(t) for t in times if first <= t <= end]
        count = min(3, len(inner) - 1)
        cuts = [inner[round(i * (len(inner) - 1) / count)] for i in range(count + 1)] if count > 0 else []
        found += [part for part in pairwise(cuts) if thing.is_visible_in(part)]
    return found


def event_at_time(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        for window in windows(thing):
            yield _story_at(ask, "thing", thing, window, grammar.named(thing.entity))
            active = [t for t in ask.scene.things if t.done_in(window, 0.8)][:MAX_THINGS]
            if len(active) > 1:  # else the question about the thing itself is the better one
                facts = [(t, t.done_in(window, 0.8)) for t in active]
                story = " ".join(own_story(ask.scene, t, grammar.named(t.entity), f) for t, f in facts)
                ids = fact_sources([fact for _, told in facts for fact in told])
                yield ask.ask("scene", active[0], texts={"story": story}, window=window, sources=ids)
        yield from _where(ask, thing)


def entity_at_time(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        for window in windows(thing):
            told = thing.told_in(window)
            if len(told) == 1:
                yield ask.ask(
                    "fragment", thing,
                    actions={"act": told[0].action}, window=window, sources=fact_sources(told),
                )  # fmt: skip
            else:
                yield _story_at(ask, "action", thing, window, grammar.pronoun(thing.entity))
        yield from _where(ask, thing)


def _story_at(ask: Asker, form: str, thing: Thing, window: Window, voice: grammar.Voice) -> dm.Instruction:
    told = thing.told_in(window)
    story = own_story(ask.scene, thing, voice, told)
    return ask.ask(form, thing, texts={"story": story}, window=window, sources=fact_sources(told))


def _where(ask: Asker, thing: Thing) -> Pairs:
    for window in seen_thirds(thing):
        if places := thing.places(window):
            yield ask.ask("where", thing, texts={"place": ask.rng.choice(places)}, window=window)


def describe_entity(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        entity, voice = thing.entity, grammar.pronoun(thing.entity)
        story = own_story(ask.scene, thing, voice)
        told = sources([thing])
        yield ask.ask("look", thing, texts={"this": this_is(entity), "story": story}, sources=told)
        yield ask.ask("action", thing, texts={"story": story}, sources=told)
        yield ask.ask("what", thing, texts={"this": this_is(entity), "indefinite": introduced(entity)})
        colour = dict(entity.attributes).get("colour")
        if colour:
            yield ask.ask("colour", thing, texts={"colour": colour})


def entity_order(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        if thing.trail.visible[0]:
            yield ask.ask("before", thing, answers="none")
        else:
            yield from _others(ask, thing, "before", -1)
        yield from _others(ask, thing, "after", 1)
    for one, two in _ordered_things(ask.scene):
        first, second = ask.rng.sample([region(one), region(two)], 2)
        yield ask.ask("pair", one, texts={"one": first, "two": second}, sources=(two.id,))


def _others(ask: Asker, thing: Thing, form: str, sign: int) -> Pairs:
    """All things seen before (sign -1) or only after (+1); nothing where one is too close to call."""
    gaps = [
        (other, sign * (other.first_frame - thing.first_frame))
        for other in ask.scene.things
        if other is not thing
    ]
    found = [other for other, gap in gaps if gap >= ORDER_GAP_FRAMES]
    if found and not any(0 < gap < ORDER_GAP_FRAMES for _, gap in gaps):
        ids = [other.id for other in found]
        yield ask.ask(form, thing, texts={"others": names_of(found)}, sources=ids)


def when_entity(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        for fact in thing.facts:
            if thing.is_unique(fact):
                yield ask.ask(
                    "action", thing,
                    actions={"act": fact.action}, window=fact.window, sources=fact_sources([fact]),
                )  # fmt: skip
        for form, stretches, state in (("visible", thing.seen, True), ("hidden", thing.unseen, False)):
            if len(stretches) == 1 and thing.comes_once(state):
                yield ask.ask(form, thing, window=stretches[0])
