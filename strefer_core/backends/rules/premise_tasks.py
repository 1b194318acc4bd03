"""Questions on a false premise (G8): the answer says what is wrong with it, and what is true instead.

Each is asked in the very words of another type's question, and goes with such a question whose premise is
true: that something is wrong can only be seen, never read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from strefer_core import data_model as dm
from strefer_core.backends.rules.absent import Phantom, phantoms
from strefer_core.backends.rules.asking import Asker, Case
from strefer_core.backends.rules.facts import Fact, Thing, meaning, says_same
from strefer_core.backends.rules.grammar import bare, indefinite
from strefer_core.backends.rules.open_tasks import (
    action_part,
    doing_cases,
    some,
    visible_part,
    when_case,
    where_cases,
    while_cases,
)
from strefer_core.backends.rules.order_tasks import next_cases
from strefer_core.backends.rules.telling import fact_sources, names_of, statement
from strefer_core.stages.task_table import TaskRow, row_of_type

Pairs = Iterator[dm.Instruction]
_MOST = 6  # sets per form
_SHOWN = 3  # things that an answer names instead of an absent one


def false_premise(ask: Asker) -> Pairs:
    yield from _absent(ask)
    for by_mask in (False, True):
        yield from _unseen(ask, by_mask=by_mask)
        yield from _wrong_actions(ask, by_mask=by_mask)
    yield from _wrong_before(ask)


def _paired(ask: Asker, false: Case, true: Case | None, row: TaskRow, *, by_mask: bool) -> Pairs:
    """The false one with a true one in the same words."""
    if true is not None:
        yield from ask.together([false, replace(true, row=row)], by_mask=by_mask)


def _absent(ask: Asker) -> Pairs:
    """The words of a thing that is there, in another colour, go with that thing itself."""
    found = some(ask, phantoms(ask.scene), len(_ABSENT_FORMS) * _MOST)
    for index, phantom in enumerate(found):
        form, positive, task_type = _ABSENT_FORMS[index % len(_ABSENT_FORMS)]
        shown = [phantom.model] if phantom.model else ask.scene.things
        cases = [case for thing in shown for case in positive(ask, thing)]
        if cases:
            true = ask.rng.choice(cases)
            false = _absent_case(ask, phantom, form, true)
            yield from _paired(ask, false, true, row_of_type(task_type), by_mask=False)


def _absent_case(ask: Asker, phantom: Phantom, form: str, true: Case) -> Case:
    """The true case's question, asked of somebody who is not there."""
    others = ask.scene.things[:_SHOWN]
    expression = phantom.entity.expression
    texts = {"phantom": bare(expression), "a_phantom": indefinite(expression), "things": names_of(others)}
    return Case(
        form=form,
        entity=phantom.entity,
        texts={**true.texts, **texts},
        window=true.window,
        sources=[*(thing.id for thing in others), *(clip.clip_id for clip in ask.scene.clips)],
        is_negative=True,
    )


def _visible_parts(ask: Asker, thing: Thing) -> list[Case]:
    """Not of what is always in view: "throughout" would be the answer to guess."""
    case = None if thing.is_always_visible else visible_part(ask, thing)
    return [case] if case else []


def _doings(ask: Asker, thing: Thing) -> list[Case]:
    return list(doing_cases(ask.scene, thing))


def _wheres(ask: Asker, thing: Thing) -> list[Case]:
    return list(where_cases(ask, thing))


def _whiles(ask: Asker, thing: Thing) -> list[Case]:
    return list(while_cases(ask, thing))


_ABSENT_FORMS: tuple[tuple[str, Callable[[Asker, Thing], list[Case]], str], ...] = (
    ("absent_when", _visible_parts, "coarse_when"),
    ("absent_doing", _doings, "event_at_time"),
    ("absent_where", _wheres, "event_at_time"),
    ("absent_while", _whiles, "concurrent_action"),
)


def _unseen(ask: Asker, *, by_mask: bool) -> Pairs:
    """Asked of an interval in which the thing is not to be seen."""
    row = row_of_type("entity_at_time" if by_mask else "event_at_time")
    for form, positive in (("unseen_doing", _doings), ("unseen_where", _wheres)):
        trues = [case for thing in ask.scene.things for case in positive(ask, thing)]
        unseen = [(thing, window) for thing in ask.scene.things for window in thing.unseen]
        for thing, window in some(ask, unseen, _MOST):
            false = Case(
                form=f"{form}_region" if by_mask else form,
                entity=thing.entity,
                window=window,
                sources=[segment.segment_id for segment in thing.segments],
                is_negative=True,
            )
            own = [case for case in trues if case.entity is thing.entity]
            true = ask.rng.choice(own or trues) if trues else None
            yield from _paired(ask, false, true, row, by_mask=by_mask)


def _wrong_actions(ask: Asker, *, by_mask: bool) -> Pairs:
    """When does it do what it never does? Asked of what others do."""
    row = row_of_type("when_entity" if by_mask else "coarse_when")
    positive = when_case if by_mask else action_part
    things = ask.scene.things
    cases = [positive(ask, thing, fact) for thing in things for fact in thing.facts]
    trues = [case for case in cases if case is not None]
    for thing, action in some(ask, _falsehoods(ask) if trues else [], 2 * _MOST):
        false = _wrong_case(ask, thing, action)
        if by_mask:
            false = replace(false, form=f"{false.form}_region")
        yield from _paired(ask, false, _likest(ask, trues, action), row, by_mask=by_mask)


def _falsehoods(ask: Asker) -> list[tuple[Thing, dm.Action]]:
    """Who never does what another one does, and is known to do something else."""
    doings = {meaning(fact.action): fact.action for thing in ask.scene.things for fact in thing.facts}
    return [
        (thing, action)
        for thing in ask.scene.things
        for action in doings.values()
        if _never_does(ask, thing, action)
    ]


def _never_does(ask: Asker, thing: Thing, action: dm.Action) -> bool:
    if action.other_entity_id == thing.id or any(says_same(f.action, action) for f in thing.facts):
        return False
    return bool(_lasting(thing)) and ask.scene.never(thing, action, ask.scene.whole)


def _lasting(thing: Thing) -> list[Fact]:
    return [fact for fact in thing.facts if fact.action.kind in ("move", "stand")]


def _likest(ask: Asker, trues: Sequence[Case], action: dm.Action) -> Case:
    """A true case of the same action where there is one, else of its kind, else any."""
    same = [case for case in trues if says_same(case.actions["act"], action)]
    alike = [case for case in trues if case.actions["act"].kind == action.kind]
    return ask.rng.choice(same or alike or trues)


def _wrong_case(ask: Asker, thing: Thing, action: dm.Action) -> Case:
    """Answered with who does it instead, where that is one thing, or with what the thing does instead."""
    doers = [
        (other, fact)
        for other in ask.scene.things
        for fact in other.facts
        if meaning(fact.action) == meaning(action)
    ]
    if len({other.id for other, _ in doers}) == 1 and ask.rng.random() < 0.5:
        return _swapped_case(ask, thing, *doers[0])
    fact = ask.rng.choice(_lasting(thing))
    return Case(
        form="wrong_action",
        entity=thing.entity,
        actions={"act": action, "true": fact.action},
        sources=fact_sources([fact]),
        is_negative=True,
    )


def _swapped_case(ask: Asker, thing: Thing, other: Thing, fact: Fact) -> Case:
    return Case(
        form="swapped",
        entity=thing.entity,
        actions={"act": fact.action},
        texts={
            "other": ask.scene.names[other.id],
            "other_acts": statement(ask.scene, other, fact.action),
        },
        sources=fact_sources([fact]),
        is_negative=True,
    )


def _wrong_before(ask: Asker) -> Pairs:
    """What does it do after it did what it never does?"""
    row = row_of_type("event_order")
    trues = [case for thing in ask.scene.things for case in next_cases(ask.scene, thing)]
    for thing, action in some(ask, _falsehoods(ask) if trues else [], _MOST):
        fact = ask.rng.choice(_lasting(thing))
        false = Case(
            form="wrong_before",
            entity=thing.entity,
            actions={"act": action, "true": fact.action},
            sources=fact_sources([fact]),
            is_negative=True,
        )
        yield from _paired(ask, false, _likest(ask, trues, action), row, by_mask=False)
