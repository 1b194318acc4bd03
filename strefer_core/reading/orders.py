"""Answers on what comes first, next, before, after or meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product

from strefer_core.claims import Before, Claim, Event, FirstOf, IsA, Others, While, Who
from strefer_core.reading.answers import Answer, Statement
from strefer_core.reading.clauses import Deed
from strefer_core.reading.matching import check_seen, compared, happening, is_amiss, same
from strefer_core.reading.nouns import Unreadable
from strefer_core.reading.questions import Question
from strefer_core.reading.telling import VISIBLE, Telling, in_order


def is_before(telling: Telling, answer: Answer) -> Iterator[Claim]:
    """ "Does A move before B stops?" """
    if answer.is_yes is None or answer.statements:
        raise Unreadable(f"neither a plain yes nor a plain no: {answer.text!r}")
    first, second = _events(telling.question)
    yield from _ordered(first, second) if answer.is_yes else _ordered(second, first)


def _events(question: Question) -> tuple[list[Event], list[Event]]:
    return happening(question.subject, question.deed), happening(question.other, question.other_deed)


def _ordered(first: list[Event], second: list[Event], at_once: bool = False) -> Iterator[Claim]:
    return (Before(first=one, second=other, at_once=at_once) for one, other in product(first, second))


def who_first(telling: Telling, answer: Answer) -> Iterator[Claim]:
    """ "Which of A and B appears first?" """
    question = telling.question
    if len(question.about) != 2 or any(one.kind not in ("names", "place") for one in answer.statements):
        raise Unreadable(f"{answer.text!r} does not answer {question.text!r}")
    for one in answer.statements:
        one.allow()
        yield from compared(telling, one.other, {*question.about} - {*one.names})
        for deed in one.deeds:
            yield from same(question, deed)
    first = _chosen(question, answer)
    yield from (IsA(who=first, words=name.words) for name in _names(answer) if name != first)
    yield from _before_others(question, first)


def _names(answer: Answer) -> set[Who]:
    return {who for one in answer.statements for who in one.names}


def _chosen(question: Question, answer: Answer) -> Who:
    """The one that is told to be first: "the first one", or a name. Raises Unreadable."""
    places = {one.value for one in answer.statements if one.kind == "place"}
    if len(places) == 1:
        return question.about[places == {"second"}]
    if places or len(_names(answer)) != 1:
        raise Unreadable(f"{answer.text!r} does not name one of those asked about")
    return next(iter(_names(answer)))


def _before_others(question: Question, first: Who) -> Iterator[Claim]:
    if first.region is None and all(who.region is not None for who in question.about):
        check_seen(question.deed, question)
        yield FirstOf(who=first, among=question.about)
        return
    if first not in question.about:
        raise Unreadable(f"{first.words!r} is none of those asked about: {question.text!r}")
    (second,) = set(question.about) - {first}
    events = zip(happening(first, question.deed), happening(second, question.deed), strict=True)
    yield from (Before(first=_seen_first(early), second=_seen_first(late)) for early, late in events)


def _seen_first(event: Event) -> Event:
    return Event(who=event.who) if event.what == VISIBLE else event


def which_first(telling: Telling, answer: Answer) -> Iterator[Claim]:
    """ "Which happens first: A moving or B stopping?" """
    events = _events(telling.question)
    (one,) = answer.statements if len(answer.statements) == 1 else (None,)
    if one is None or one.kind != "order":
        raise Unreadable(f"{answer.text!r} does not say which comes first")
    one.allow()
    first = happening(one.who, next(iter(one.deeds), None))
    others = [event for event in events if event != first]
    if len(others) != 1 or (
        one.other and [happening(one.other, next(iter(one.other_deeds), None))] != others
    ):
        raise Unreadable(f"{answer.text!r} speaks of other events than {telling.question.text!r}")
    yield from _ordered(first, others[0])


def others(telling: Telling, answer: Answer) -> Iterator[Claim]:
    """ "Who appears before A?" """
    question = telling.question
    names: list[Who] = []
    check_seen(question.deed, question)
    for one in answer.statements:
        if one.kind in ("names", "nothing") or "FROM_START" in one.times:
            yield from _placed(telling, one)
            names += () if "FROM_START" in one.times else one.names
        else:
            yield from Telling(question, telling.known, (one,)).claims()
    if question.subject is None or question.subject in names:
        raise Unreadable(f"{answer.text!r} names the one asked about")
    told = Others(who=question.subject, others=in_order(names), side="after")
    yield replace(told, side="before") if question.asks == "before" else told


def _placed(telling: Telling, one: Statement) -> Iterator[Claim]:
    """A clause on who comes before or after: of the right side, and about the one asked about."""
    question, subject = telling.question, {telling.question.subject}
    is_early = question.asks == "before"
    one.allow("FROM_START" if is_early else "LATER")
    if one.is_before not in (None, is_early):
        raise Unreadable(f"{one.text!r} speaks of another order than {question.text!r}")
    for deed in one.deeds:
        check_seen(deed, question)
    yield from compared(telling, one.other, subject)
    if "FROM_START" in one.times:  # "The dog is there from the start": so nothing was before it
        for who in one.names or (one.who,):
            yield from compared(telling, who, subject)


def following(telling: Telling, answer: Answer) -> Iterator[Claim]:
    """ "What does A do after it moved?" """
    question = telling.question
    if is_amiss(question, answer.statements[0]):
        yield from telling.claims()
        return
    steps = [happening(question.other, question.other_deed)]
    for one in answer.statements:
        one.allow("LATER", "AFTERWARDS")
        deed = _deed(telling, one)
        steps += [happening(question.subject, Deed((step,), deed.is_denied)) for step in deed.steps]
    for number, (first, second) in enumerate(pairwise(steps)):
        yield from _ordered(first, second, at_once=number == 0)


def _deed(telling: Telling, one: Statement) -> Deed:
    """What the one asked about is told to do. Raises Unreadable where somebody else does it."""
    if telling.whose(one.who) != telling.question.subject or one.kind != "does" or len(one.deeds) > 1:
        raise Unreadable(f"{one.text!r} does not answer {telling.question.text!r}")
    return one.deeds[0]


def meanwhile(telling: Telling, answer: Answer) -> Iterator[Claim]:
    """ "What does A do while B moves?" """
    question = telling.question
    if is_amiss(question, answer.statements[0]):
        yield from telling.claims()
        return
    events = happening(question.other, question.other_deed)
    for one in answer.statements:
        one.allow()
        for doing, event in product(happening(question.subject, _deed(telling, one)), events):
            assert doing.what is not None
            yield While(who=doing.who, what=doing.what, other=event)
