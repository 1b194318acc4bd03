"""Does an answer speak of what was asked? Answers that repeat, compare or deny, held against the question."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import replace
from itertools import chain

from strefer_core.claims import Claim, Event, IsA, Who
from strefer_core.reading.answers import Statement
from strefer_core.reading.clauses import Deed
from strefer_core.reading.nouns import Unreadable
from strefer_core.reading.questions import Question
from strefer_core.reading.telling import VISIBLE, Telling, settled


def is_amiss(question: Question, one: Statement) -> bool:
    """Whether a clause says that what was asked is not so."""
    if one.kind in ("does_not", "absent", "swap", "nowhere"):
        return True
    denied = question.deed is not None and question.deed.is_denied
    return any(deed.is_denied != denied for deed in one.deeds)


def same(question: Question, told: Deed) -> Iterator[Claim]:
    """What else is claimed where the deed that was asked of is told again: the names of those pointed at.

    Raises:
        Unreadable: it is another deed.
    """
    asked = question.deed
    if asked is None or told.is_denied != asked.is_denied or _shape(told) != _shape(asked):
        raise Unreadable(f"something else is told than was asked: {question.text!r}")
    for one, other in zip(chain(*asked.steps), chain(*told.steps), strict=True):
        if settled(one) == settled(other):
            continue
        if replace(one, other=None) != replace(other, other=None):
            raise Unreadable(f"something else is told than was asked: {question.text!r}")
        yield _name_of(other.other, one.other, question)


def _shape(deed: Deed) -> list[int]:
    return [len(step) for step in deed.steps]


def _name_of(name: Who | None, pointed: Who | None, question: Question) -> IsA:
    """ "The dog", said of somebody pointed at with a region. Raises Unreadable where it is no such case."""
    if name is None or name.region is not None or pointed is None or pointed.region is None:
        raise Unreadable(f"somebody else is spoken of than was asked about: {question.text!r}")
    return IsA(who=pointed, words=name.words)


def compared(telling: Telling, who: Who | None, wanted: Set[Who | None]) -> Iterator[Claim]:
    """What a comparison ("before the dog") says of the one asked about: nothing, or a name.

    Raises:
        Unreadable: it compares with somebody else.
    """
    if who is None or telling.whose(who) in wanted:
        return
    pointed = telling.question.subject
    yield _name_of(who, pointed if pointed in wanted else None, telling.question)


def check_seen(deed: Deed | None, question: Question) -> None:
    """Raises Unreadable where a question or an answer on who is seen first speaks of something else."""
    if deed is None or deed.is_denied or [[*map(settled, step)] for step in deed.steps] != [[VISIBLE]]:
        raise Unreadable(f"not of being seen, as it should be: {question.text!r}")


def happening(who: Who | None, deed: Deed | None) -> list[Event]:
    """What happens in one deed: one event for each predicate, all at once.

    Raises:
        Unreadable: nobody does it, it is not done, or it is several things one after the other.
    """
    if who is None or deed is None or deed.is_denied or len(deed.steps) > 1:
        raise Unreadable("something that is no single event")
    return [Event(who=who, what=settled(predicate)) for predicate in deed.steps[0]]
