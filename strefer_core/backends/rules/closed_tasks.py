"""Yes/no questions, at a time (G4) or on a region (G6), always in twos: one yes and one no in the same words.

So the words alone say nothing of the answer. The two differ in their time or region, and only where one
thing has no "no" in their name. What has no twin is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strefer_core import data_model as dm
from strefer_core.backends.rules.asking import Asker, Case
from strefer_core.backends.rules.choice_tasks import choices_at_times, choices_on_regions
from strefer_core.backends.rules.facts import Fact, Thing, Window, distinct, says_same
from strefer_core.backends.rules.open_tasks import some
from strefer_core.backends.rules.places import Place, places, surely_not_at
from strefer_core.backends.rules.telling import fact_sources

Pairs = Iterator[dm.Instruction]
Denial = tuple[Thing, Window]
_TWINS = 4  # per thing or fact that is asked about
_MOST = 16  # twins per form


def verify(ask: Asker) -> Pairs:
    if ask.row.time == "yes":
        yield from _asked(ask, [twin for t in ask.scene.things for twin in _actions_at_times(ask, t)])
        yield from _asked(ask, [twin for t in ask.scene.things for twin in _places_at_times(ask, t)])
        yield from _asked(ask, _visible_at_times(ask))
        yield from choices_at_times(ask)
    else:
        yield from _asked(ask, _actions_ever(ask))
        yield from _asked(ask, _visible_always(ask))
        yield from choices_on_regions(ask)


def _asked(ask: Asker, twins: Sequence[tuple[Case, Case]]) -> Pairs:
    for twin in some(ask, twins, _MOST):
        yield from ask.together(twin)


def _nearest(ask: Asker, thing: Thing, denials: Sequence[Denial]) -> Denial | None:
    """One of the denials, drawn: of the thing itself where there is one."""
    own = [denial for denial in denials if denial[0] is thing]
    return ask.rng.choice(own or denials) if denials else None


def _actions_at_times(ask: Asker, thing: Thing) -> Iterator[tuple[Case, Case]]:
    for fact in some(ask, [f for f in thing.facts if f.is_lasting], _TWINS):
        own = [(thing, window) for window in thing.windows if _denies(ask, thing, fact, window)]
        others = [
            (t, fact.window)
            for t in ask.scene.things
            if t is not thing and _denies(ask, t, fact, fact.window)
        ]
        if (denial := _nearest(ask, thing, own or others)) is not None:
            yes = _action_case("action_time", thing, fact.action, fact.window, [fact])
            yield yes, _refused(ask, *denial, fact.action)


def _denies(ask: Asker, thing: Thing, fact: Fact, window: Window) -> bool:
    return thing.id != fact.action.other_entity_id and ask.scene.never(thing, fact.action, window)


def _action_case(
    form: str, thing: Thing, action: dm.Action, window: Window | None, facts: Sequence[Fact]
) -> Case:
    return Case(
        form=form,
        entity=thing.entity,
        actions={"act": action},
        answers="yes",
        window=window,
        sources=fact_sources(facts),
    )


def _refused(ask: Asker, thing: Thing, window: Window, action: dm.Action) -> Case:
    """The no, with what the thing does instead where that is known."""
    fact = ask.scene.doing(thing, window)
    actions = {"act": action} | ({"true": fact.action} if fact else {})
    return Case(
        form="action_time",
        entity=thing.entity,
        actions=actions,
        answers="no_but" if fact else "no",
        window=window,
        sources=fact_sources([fact]) if fact else _told(thing),
        is_negative=True,
    )


def _told(thing: Thing) -> list[str]:
    return [segment.segment_id for segment in thing.segments]


def _places_at_times(ask: Asker, thing: Thing) -> Iterator[tuple[Case, Case]]:
    lies = [(window, place) for window in thing.windows for place in places(thing, window)]
    for window, place in some(ask, lies, _TWINS):
        own = [(thing, other) for other in thing.windows if surely_not_at(thing, other, place)]
        others = [(t, window) for t in ask.scene.things if surely_not_at(t, window, place)]
        denials = [(*denial, true) for denial in own or others if (true := _contrast(*denial, place))]
        if denials:
            way = ask.rng.choice(place.ways)
            refused, other, true = ask.rng.choice(denials)
            yes = Case(
                form="place_time", entity=thing.entity, texts={"place": way}, answers="yes", window=window
            )
            no = Case(
                form="place_time",
                entity=refused.entity,
                texts={"place": way, "true": ask.rng.choice(true.ways)},
                answers="no",
                window=other,
                is_negative=True,
            )
            yield yes, no


def _contrast(thing: Thing, window: Window, place: Place) -> Place | None:
    """A place on the same axis where the thing is instead."""
    found = [other for other in places(thing, window) if other.axis == place.axis and other is not place]
    return found[0] if found else None


def _visible_at_times(ask: Asker) -> list[tuple[Case, Case]]:
    unseen = [(t, window) for t in ask.scene.things for window in t.unseen]
    twins = []
    for thing, window in unseen:
        own = [(thing, seen) for seen in thing.parts_seen]
        others = [(t, w) for t in ask.scene.things for w in t.parts_seen]
        if (seen := _nearest(ask, thing, own or others)) is not None:
            yes = Case(form="visible_time", entity=seen[0].entity, answers="yes", window=seen[1])
            no = Case(form="visible_time", entity=thing.entity, answers="no", window=window, is_negative=True)
            twins.append((yes, no))
    return twins


def _actions_ever(ask: Asker) -> list[tuple[Case, Case]]:
    """What one thing does at some time and another one never."""
    facts = [(thing, fact) for thing in ask.scene.things for fact in distinct(thing.facts)]
    twins = []
    for thing, fact in some(ask, facts):
        whole = ask.scene.whole
        never = [t for t in ask.scene.things if _denies(ask, t, fact, whole)]
        never = [t for t in never if not any(says_same(f.action, fact.action) for f in t.facts)]
        if never:
            other = ask.rng.choice(never)
            yes = _action_case("action", thing, fact.action, None, [fact])
            no = Case(
                form="action", entity=other.entity, actions={"act": fact.action},
                answers="no", sources=_told(other), is_negative=True,
            )  # fmt: skip
            twins.append((yes, no))
    return twins


def _visible_always(ask: Asker) -> list[tuple[Case, Case]]:
    always = [t for t in ask.scene.things if t.is_always_visible]
    missing = [t for t in ask.scene.things if t.unseen and _is_long_unseen(t)]
    count = min(len(always), len(missing))
    return [
        (
            Case(form="visible", entity=seen.entity, answers="yes"),
            Case(form="visible", entity=unseen.entity, answers="no", is_negative=True),
        )
        for seen, unseen in zip(some(ask, always, count), some(ask, missing, count), strict=True)
    ]


def _is_long_unseen(thing: Thing) -> bool:
    """Out of sight for so long that nobody would call it visible all through the video."""
    return float(thing.trail.visible.mean()) < 0.6
