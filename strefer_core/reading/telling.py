"""What single statements claim, in the light of the question that they answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from strefer_core.claims import Absent, Claim, Does, IsA, Predicate, Shown, Span, Story, Who, Window
from strefer_core.reading.answers import Statement
from strefer_core.reading.clauses import Deed
from strefer_core.reading.nouns import Unreadable
from strefer_core.reading.questions import Question
from strefer_core.reading.vocabulary import BROAD

_TIMES = ("T", "POINT", "EVER", "ALWAYS", "THERE", "ELSE")
_STORIES = frozenset(("what_does", "what_happens", "describe"))  # kinds whose sentences make one story

VISIBLE = Predicate(kind="visible")
SEEN = Deed(((VISIBLE,),))


def settled(predicate: Predicate, in_story: bool = False) -> Predicate:
    """A bare "appears" made plain: in a story that one comes to be seen, elsewhere that one is seen."""
    if predicate.kind != "seen":
        return predicate
    return Predicate(kind="appear" if in_story else "visible")


def opposite(deed: Deed) -> Deed:
    return replace(deed, is_denied=not deed.is_denied)


def denials(claims: Iterable[Claim]) -> Iterator[Claim]:
    """The claim that this is not so; none where no claim can deny it. Raises Unreadable where it is two."""
    deeds = [claim for claim in claims if isinstance(claim, Does)]
    if len(deeds) > 1:
        raise Unreadable(f"two things denied at once, which may mean either: {deeds}")
    return (replace(claim, is_denied=not claim.is_denied) for claim in deeds)


def in_order(names: Iterable[Who]) -> tuple[Who, ...]:
    """A list of which the order says nothing, in one order."""
    return tuple(sorted(names, key=lambda who: (-1 if who.region is None else who.region, who.words)))


@dataclass(frozen=True)
class Telling:
    """Statements of one answer to one question."""

    question: Question
    known: Set[str]  # names of the video's entities, without articles
    statements: tuple[Statement, ...]

    def claims(self) -> Iterator[Claim]:
        """Everything that the statements claim, each by itself. Raises Unreadable."""
        for one in self._joined() if self.question.asks in _STORIES else self.statements:
            one.allow(*_TIMES)
            yield from self._claims_of(one)

    def _claims_of(self, one: Statement) -> Iterator[Claim]:
        match one.kind:
            case "does" | "it_is" | "does_not":
                for deed in one.deeds:
                    told = opposite(deed) if one.kind == "does_not" else deed
                    yield from self.done(self.whose(one.who), told, one.times)
            case "nowhere":
                yield from self.done(self.whose(None), opposite(SEEN), one.times)
            case "swap":
                yield from self._swapped(one)
            case "echo":
                yield from self._echoed(one)
            case "is_a":
                yield IsA(who=self.whose(one.who), words=_words(one.other, one))
            case "colour":
                yield IsA(who=self.whose(one.who), words=one.value)
            case "names" if self.question.asks == "what_is" and len(one.names) == 1:
                yield IsA(who=self.whose(None), words=_words(one.names[0], one))
            case "way":
                move = Predicate(kind="move", direction=_any(one.value))
                yield from self.done(self.whose(None), Deed(((move,),)), one.times)
            case "absent":
                yield Absent(words=_words(one.who, one))
            case "shown":
                yield from self._shown(one)
            case _:
                raise Unreadable(f"{one.text!r} does not answer {self.question.text!r}")

    def _shown(self, one: Statement) -> Iterator[Claim]:
        if any(
            settled(predicate).kind != "visible"
            for deed in one.deeds
            for step in deed.steps
            for predicate in step
        ):
            raise Unreadable(f"{one.text!r} tells the same of several at once")
        if self.question.asks == "what_happens":
            for who in one.names:
                yield from self.done(who, SEEN, one.times)
        else:
            yield Shown(who=in_order(one.names))

    def _swapped(self, one: Statement) -> Iterator[Claim]:
        """ "It is not A but B that moves": A does not, B does."""
        (deed,) = one.deeds
        yield from self.done(self.whose(one.who), opposite(deed), one.times)
        yield from self.done(self.whose(one.other), deed, one.times)

    def _echoed(self, one: Statement) -> Iterator[Claim]:
        """ "It does.", "The other one does not.": the asked deed, said or denied."""
        asked = SEEN if self.question.asks == "is_there" else self.question.deed
        if asked is None:
            raise Unreadable(f"{one.text!r} repeats nothing of {self.question.text!r}")
        deed = opposite(asked) if one.is_denied else asked
        yield from self.done(self.whose(one.who), deed, one.times)

    def done(self, who: Who, deed: Deed, times: frozenset[str]) -> Iterator[Claim]:
        """The claims of one deed of somebody."""
        if len(deed.steps) > 1:
            yield self._story(who, deed, times)
            return
        (step,) = deed.steps
        if deed.is_denied and len(step) > 1:
            raise Unreadable(f"two things denied at once, which may mean either: {self.question.text!r}")
        for predicate in map(settled, step):
            window, span = self._when(predicate, deed, times)
            if deed.is_denied and predicate.kind == "visible" and window == "video" and self._is_unknown(who):
                yield Absent(words=who.words)
            else:
                yield Does(who=who, what=predicate, window=window, span=span, is_denied=deed.is_denied)

    def _is_unknown(self, who: Who) -> bool:
        return who.region is None and who.words not in self.known

    def _story(self, who: Who, deed: Deed, times: frozenset[str]) -> Story:
        if deed.is_denied or times & {"EVER", "ALWAYS"}:
            raise Unreadable(f"a story that is denied or has odd times: {self.question.text!r}")
        window, _ = self._when(deed.steps[0][0], deed, times)
        told = tuple(settled(predicate, in_story=True) for step in deed.steps for predicate in step)
        return Story(who=who, what=told, window=window)

    def _when(self, predicate: Predicate, deed: Deed, times: frozenset[str]) -> tuple[Window, Span]:
        """Where in the video, and for how much of it; see the table of words in `claims`."""
        if "ELSE" in times:
            return "video", "sometime"
        both = times | self.question.times
        is_wide = "VIDEO" in times and not times & {"T", "POINT"} and (deed.is_never or "EVER" in times)
        window: Window = "asked" if both & {"T", "POINT"} and not is_wide else "video"
        if predicate.kind == "visible" and deed.is_denied:
            partly = times & {"EVER", "THERE"} or "ALWAYS" in both
            return window, "through" if partly and not deed.is_never else "sometime"
        if deed.is_never or both & {"EVER", "THERE"}:
            return window, "sometime"
        return window, "through" if window == "asked" or "ALWAYS" in both else "sometime"

    def whose(self, who: Who | None) -> Who:
        """Whom a statement is about: the asked one where it names no other."""
        subject = self.question.subject
        if subject is None and who is None:
            raise Unreadable(f"an answer to {self.question.text!r} that does not say who")
        if subject is None or (who and who != self.nickname and not self._is_short_for(who, subject)):
            assert who is not None
            return who
        return subject

    def _is_short_for(self, who: Who, subject: Who) -> bool:
        """ "the square" after "the small red square", unless another one has that name."""
        if who.region is not None or subject.region is not None or who.words in self.known:
            return False
        told, asked = who.words.split(), subject.words.split()
        rest = iter(asked)
        return told[-1] == asked[-1] and all(word in rest for word in told)  # in this order, none twice

    @cached_property
    def nickname(self) -> Who | None:
        """What the answer calls somebody who is pointed at with a region."""
        first = next((one.who for one in self.statements if one.who is not None), None)
        subject = self.question.subject
        if first is None or subject is None or subject.region is None or first.region is not None:
            return None
        return None if first.words in BROAD else first

    def _joined(self) -> list[Statement]:
        """Sentences about the same one after the other as one story."""
        joined: list[Statement] = []
        for one in self.statements:
            before = joined[-1] if joined else None
            if before and _tells(before) and _tells(one) and self.whose(before.who) == self.whose(one.who):
                steps = before.deeds[0].steps + one.deeds[0].steps
                joined[-1] = replace(before, deeds=(Deed(steps),), times=before.times | one.times)
            else:
                joined.append(one)
        return joined


def _tells(one: Statement) -> bool:
    return one.kind == "does" and len(one.deeds) == 1 and not one.deeds[0].is_denied


def _words(who: Who | None, one: Statement) -> str:
    if who is None or who.region is not None:
        raise Unreadable(f"words were expected, not a region: {one.text!r}")
    return who.words


def _any(text: str) -> Any:
    return text
