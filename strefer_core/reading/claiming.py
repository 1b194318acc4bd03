"""From a question and its answer to what the two claim together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set

from strefer_core.claims import (
    Absent,
    Before,
    Claim,
    Does,
    FirstOf,
    InPart,
    IsA,
    Others,
    Shown,
    Story,
    Timed,
    While,
    Who,
)
from strefer_core.reading import orders
from strefer_core.reading.answers import Answer, Statement
from strefer_core.reading.matching import is_amiss, same
from strefer_core.reading.nouns import Unreadable
from strefer_core.reading.questions import Question
from strefer_core.reading.telling import SEEN, Telling, opposite, settled
from strefer_core.reading.vocabulary import COLOURS

_YES_NO = frozenset(("yes_no", "is_there", "is_before"))
_OF_TWO = frozenset(
    ("who_first", "which_first", "who_does", "is_before")
)  # the subject is one of two asked about
_PARTS = ("PART:beginning", "PART:middle", "PART:end", "ALWAYS")


def claims_of(question: Question, answer: Answer, known: Set[str]) -> frozenset[Claim]:
    """All that question and answer claim.

    Args:
        question: what was asked.
        answer: what was answered, or one option of a multiple choice.
        known: names of the video's entities, without articles.

    Raises:
        Unreadable: the answer does not fit the question, or contradicts itself.
    """
    if question.asks not in _YES_NO and (answer.is_yes is not None or not answer.statements):
        raise Unreadable(f"{answer.text!r} does not answer {question.text!r}")
    telling = Telling(question, known, answer.statements)
    claims = {*_READERS.get(question.asks, _told)(telling, answer)}
    if question.subject is not None and telling.nickname is not None and question.asks not in _OF_TWO:
        claims.add(IsA(who=question.subject, words=telling.nickname.words))
    _check(claims, question, answer)
    return frozenset(claims)


def _told(telling: Telling, _: Answer) -> Iterator[Claim]:
    return telling.claims()


def _yes_no(telling: Telling, answer: Answer) -> Iterator[Claim]:
    question = telling.question
    deed = question.deed or SEEN
    if answer.is_yes is not None and question.subject is not None:
        yield from telling.done(question.subject, deed if answer.is_yes else opposite(deed), frozenset())
    elif not answer.statements:
        raise Unreadable(f"no answer to {question.text!r}")
    yield from telling.claims()


def _when(telling: Telling, answer: Answer) -> Iterator[Claim]:
    """Times and parts of the video; anything else said is a false premise told."""
    first = answer.statements[0]
    if not first.times & {"T", *_PARTS} or is_amiss(telling.question, first):
        yield from telling.claims()
        return
    for one in answer.statements:
        one.allow("T", "ALWAYS", *_PARTS)
        yield from _repeated(telling, one)
    yield from _timed(telling, first.times.union(*(one.times for one in answer.statements)))


def _repeated(telling: Telling, one: Statement) -> Iterator[Claim]:
    """An answer that repeats what was asked has to repeat it rightly; it may name who was pointed at."""
    if one.kind not in ("time", "does") or telling.whose(one.who) != telling.question.subject:
        raise Unreadable(f"{one.text!r} does not answer {telling.question.text!r}")
    for deed in one.deeds:
        yield from same(telling.question, deed)


def _timed(telling: Telling, times: frozenset[str]) -> Iterator[Claim]:
    question = telling.question
    if question.subject is None or question.deed is None or len(question.deed.steps) > 1:
        raise Unreadable(f"a time of nothing: {question.text!r}")
    parts = [part for part in _PARTS if part in times]
    denied = question.deed.is_denied
    for predicate in map(settled, question.deed.steps[0]):
        if denied and predicate.kind != "visible":
            raise Unreadable(f"a time at which something is not done: {question.text!r}")
        if "T" in times and not parts and question.asks == "when":
            yield Timed(who=question.subject, what=predicate, is_denied=denied)
        elif len(parts) == 1 and "T" not in times and not denied:
            part = "throughout" if parts[0] == "ALWAYS" else parts[0].removeprefix("PART:")
            yield InPart(who=question.subject, what=predicate, part=part)  # type: ignore[arg-type]
        else:
            raise Unreadable(f"no one time in an answer to {question.text!r}")


def _who_does(telling: Telling, answer: Answer) -> Iterator[Claim]:
    question, statements = telling.question, answer.statements
    if question.deed is None:
        raise Unreadable(f"{answer.text!r} does not say who")
    names: list[Who] = []
    for one in statements:
        one.allow(*question.times)
        names += one.names or ([one.who] if one.who else [])
        if one.kind not in ("names", "does", "it_is"):
            raise Unreadable(f"{one.text!r} does not answer {question.text!r}")
        for deed in one.deeds:
            yield from same(question, deed)
    rivals = question.about
    if rivals and not set(names) <= set(rivals):
        raise Unreadable(f"{answer.text!r} names none of those asked about")
    for who in dict.fromkeys((*names, *rivals)):
        yield from telling.done(who, question.deed if who in names else opposite(question.deed), frozenset())


_READERS: dict[str, Callable[[Telling, Answer], Iterator[Claim]]] = {
    "yes_no": _yes_no,
    "is_there": _yes_no,
    "is_before": orders.is_before,
    "when": _when,
    "which_part": _when,
    "who_does": _who_does,
    "who_first": orders.who_first,
    "which_first": orders.which_first,
    "before": orders.others,
    "after": orders.others,
    "next": orders.following,
    "while": orders.meanwhile,
}


_FITTING: dict[str, Callable[[Claim], bool]] = {
    "where": lambda claim: (
        isinstance(claim, Absent) or (isinstance(claim, Does) and claim.what.kind in ("at", "visible"))
    ),
    "what_is": lambda claim: isinstance(claim, Absent | IsA),
    "colour": lambda claim: (
        isinstance(claim, Absent) or (isinstance(claim, IsA) and claim.words.split()[-1] in COLOURS)
    ),
    "way": lambda claim: isinstance(claim, Does) and claim.what.kind == "move",
    "things": lambda claim: isinstance(claim, Shown),
}
"""What an answer to some kinds of questions has to claim among other things."""


def _check(claims: Set[Claim], question: Question, answer: Answer) -> None:
    """An answer claims something, about whom it was asked, and not a thing and its opposite."""
    if not claims:
        raise Unreadable(f"{answer.text!r} claims nothing")
    wanted = _FITTING.get(question.asks)
    if wanted is not None and not any(wanted(claim) for claim in claims):
        raise Unreadable(f"{answer.text!r} does not answer {question.text!r}")
    if any(isinstance(claim, Absent) for claim in claims) and question.subject is not None:
        absent = {claim.words for claim in claims if isinstance(claim, Absent)}
        if absent != {question.subject.words}:
            raise Unreadable(f"{answer.text!r} speaks of another than {question.text!r}")
    elif question.subject is not None and question.subject not in {
        who for claim in claims for who in _whom(claim)
    }:
        raise Unreadable(f"{answer.text!r} speaks of another than {question.text!r}")
    if any(isinstance(claim, Does) and claim.what.other == claim.who for claim in claims):
        raise Unreadable(f"{answer.text!r} lets somebody do something to themselves")
    said, denied = (
        {
            (claim.who, claim.what, claim.window)
            for claim in claims
            if isinstance(claim, Does) and claim.is_denied is no
        }
        for no in (False, True)
    )
    if said & denied:
        raise Unreadable(f"{answer.text!r} contradicts itself or the question")


def _whom(claim: Claim) -> tuple[Who, ...]:
    match claim:
        case Shown(who=who) | FirstOf(among=who):
            return who
        case Before(first=first, second=second):
            return first.who, second.who
        case Absent():
            return ()
        case Does() | Story() | Timed() | While() | InPart() | Others() | IsA():
            return (claim.who,)
