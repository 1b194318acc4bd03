"""Is a claim right? One function per kind of claim; the answer is what is wrong with it, or None."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from strefer_core import claims as cl
from strefer_core.audit import times
from strefer_core.audit.deeds import LOOSE, NARROW, Deed
from strefer_core.audit.naming import Naming
from strefer_core.audit.sayable import Occasion, Sayable
from strefer_core.audit.scene import Interval, TrueScene
from strefer_core.world.truth import TrueEntity, WorldTruth

Kind = Literal[
    "malformed",  # regions or times that do not fit the text
    "unreadable",  # nobody can tell what it says
    "leak",  # the question says what only the mask should tell
    "wrong_region",  # the masklet lies on nobody
    "no_such_entity",  # the words fit nobody
    "ambiguous_words",  # the words fit several
    "wrong_action",  # it never does this
    "wrong_time",  # it does this, but not then
    "wrong_place",
    "wrong_order",
    "wrong_visibility",
    "wrong_description",
    "false_denial",  # it is denied, and could be said
    "not_absent",
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a pair."""

    kind: Kind
    why: str
    claim: str = ""  # as read; "" where the fault is not one claim's


class Unclear(Exception):
    """Nobody can say whom a claim is about."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.fault = Fault(kind=kind, why=why)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the placeholders of a pair stand for, and which entities the video is known to have."""

    regions: Sequence[str | None] = ()  # true entity id per `<region>`; None: its masklet lies on nobody
    asked: Interval | None = None  # from `<start_time>` to `<end_time>`
    named_ids: frozenset[str] = frozenset()  # true entities that the video's entities name


class Judge:
    """Judges claims about one video."""

    def __init__(self, truth: WorldTruth) -> None:
        self.scene = TrueScene(truth)
        self.sayable = Sayable(self.scene)
        # Where words are vague, orders and times are right if they are so in one sense of them.
        self._senses = (Sayable(self.scene, LOOSE), Sayable(self.scene, NARROW))
        self.naming = Naming(self.scene, self.sayable)

    def fault(self, claim: cl.Claim, given: Reference) -> Fault | None:
        """What is wrong with a claim; None where it is right.

        Args:
            claim: as read.
            given: what its regions and times stand for.

        Raises:
            ValueError: the claim speaks of a deed or a place that no table has.
        """
        try:
            return _RULES[type(claim)](self, claim, given)
        except Unclear as unclear:
            return unclear.fault

    # --- whom and when -------------------------------------------------------------------------------

    def whom(self, who: cl.Who, given: Reference) -> str:
        """Id of the true entity. Raises Unclear."""
        if who.region is not None:
            return _behind(who.region, given)
        found = self.naming.fitting(who.words)
        if len(found) > 1:
            raise Unclear("ambiguous_words", f"{who.words!r} fits {len(found)} figures")
        if not found or not isinstance(found[0], TrueEntity):
            raise Unclear("no_such_entity", f"{who.words!r} fits nobody")
        return found[0].entity_id

    def deed(self, what: cl.Predicate, given: Reference) -> Deed:
        other_id = self.whom(what.other, given) if what.other else None
        return Deed(kind=what.kind, direction=what.direction, other_id=other_id, place=what.place)

    def window(self, window: cl.Window, given: Reference) -> Interval:
        if window == "video":
            return self.scene.whole
        if given.asked is None:
            raise Unclear("malformed", "it asks about an interval and gives none")
        return given.asked

    # --- kinds of claims -----------------------------------------------------------------------------

    def does(self, claim: cl.Does, given: Reference) -> Fault | None:
        who, what = self.whom(claim.who, given), self.deed(claim.what, given)
        window = self.window(claim.window, given)
        if claim.is_denied:
            return self._denied(what, who, self._surely(window, what), claim.span)
        if self.sayable.could_say(what, who, window, claim.span):
            return None
        return Fault(kind=self._kind(what, who), why=f"not so: {self._told(what, who, window, claim.span)}")

    def _denied(self, what: Deed, who: str, window: Interval | None, span: cl.Span) -> Fault | None:
        if window is None or not self.sayable.could_say(what, who, window, span):
            return None
        return Fault(kind="false_denial", why=f"could be said: {self._told(what, who, window, span)}")

    def _surely(self, window: Interval, what: Deed) -> Interval | None:
        """Of somebody's being seen, what is surely inside a window: its ends are known to a sampling gap."""
        return self._inner(window) if what.kind == "visible" else window

    def _inner(self, window: Interval, gaps: float = 1.0) -> Interval | None:
        """The window without its edges, which no two frames tell apart; ends of the video are no edges."""
        slack_s = gaps * self.scene.gap_s
        start_s = window[0] + slack_s * (window[0] > 0)
        end_s = window[1] - slack_s * (window[1] < self.scene.duration_s - 1e-6)
        return (start_s, end_s) if start_s < end_s else None

    def story(self, claim: cl.Story, given: Reference) -> Fault | None:
        who, window = self.whom(claim.who, given), self.window(claim.window, given)
        deeds = [self.deed(what, given) for what in claim.what]
        for what in deeds:
            if not self.sayable.could_say(what, who, window, "sometime"):
                told = self._told(what, who, window, "sometime")
                return Fault(kind=self._kind(what, who), why=f"not so: {told}")
        if any(times.in_order(sense, deeds, who, window) for sense in self._senses):
            return None
        told = ", then ".join(_words(what) for what in deeds)
        return Fault(kind="wrong_order", why=f"{who} does all of it, but not in this order: {told}")

    def timed(self, claim: cl.Timed, given: Reference) -> Fault | None:
        who, what = self.whom(claim.who, given), self.deed(claim.what, given)
        asked = self.window("asked", given)
        if any(times.is_the_time(sense, what, who, asked, claim.is_denied) for sense in self._senses):
            return None
        when = times.occasions(self.sayable, what, who, is_denied=claim.is_denied)
        told = f"{who} {_words(what)}{' not' if claim.is_denied else ''}"
        if when:
            return Fault(kind="wrong_time", why=f"{told}: {_when(when)}, not {_seconds(asked)}")
        kind: Kind = "wrong_visibility" if what.kind == "visible" else "wrong_action"
        return Fault(kind=kind, why=f"{told}: never")

    def before(self, claim: cl.Before, given: Reference) -> Fault | None:
        whens = [
            [self._event(one, given, sense) for sense in self._senses] for one in (claim.first, claim.second)
        ]
        if any(times.are_in_order(*both, at_once=claim.at_once) for both in zip(*whens, strict=True)):
            return None
        first, second = whens[0][0], whens[1][0]
        return Fault(kind="wrong_order", why=f"the first is {_when(first)}, the second {_when(second)}")

    def _event(self, event: cl.Event, given: Reference, sense: Sayable) -> list[Occasion]:
        """When an event happens, most often once. Raises Unclear where nobody could say that it does."""
        who = self.whom(event.who, given)
        if event.what is None:
            first_s = self.scene.first_seen_s(who)
            if first_s is None:
                raise Unclear("wrong_visibility", f"{who} is never seen")
            return [Occasion(first_s, first_s, first_s, first_s)]
        what = self.deed(event.what, given)
        if not self.sayable.occasions(what, who):
            raise Unclear("wrong_action", f"{who} never does it: {_words(what)}")
        return sense.occasions(what, who)

    def while_(self, claim: cl.While, given: Reference) -> Fault | None:
        who, what = self.whom(claim.who, given), self.deed(claim.what, given)
        events = [self._event(claim.other, given, sense) for sense in self._senses]
        if any(event and self._meanwhile(what, who, event) for event in events):
            return None
        told = self._told(what, who, (events[0][0].start_s, events[0][-1].end_s), "through")
        return Fault(kind=self._kind(what, who), why=f"not so while {_when(events[0])}: {told}")

    def _meanwhile(self, what: Deed, who: str, event: Sequence[Occasion]) -> bool:
        windows = [(one.start_s, max(one.end_s, one.start_s + self.scene.frame_s)) for one in event]
        return all(self.sayable.could_say(what, who, window, "through") for window in windows)

    def in_part(self, claim: cl.InPart, given: Reference) -> Fault | None:
        who, what = self.whom(claim.who, given), self.deed(claim.what, given)
        names = ("beginning", "middle", "end")
        for name, third in zip(names, self.scene.thirds(), strict=True):
            told = self._told(what, who, third, "sometime")
            if claim.part in (name, "throughout"):
                if not self.sayable.could_say(what, who, third, "sometime"):
                    return Fault(kind=self._kind(what, who), why=f"not so: {told}")
            elif self._is_in_other_part(what, who, third):
                return Fault(kind="wrong_time", why=f"so in the {name} too: {told}")
        return None

    def _is_in_other_part(self, what: Deed, who: str, third: Interval) -> bool:
        inner = self._inner(third, 2.0 if what.is_event else 1.0)
        return inner is not None and self.sayable.could_say(what, who, inner, "sometime")

    def others(self, claim: cl.Others, given: Reference) -> Fault | None:
        who = self.whom(claim.who, given)
        told = {self.whom(one, given) for one in claim.others}
        sign = -1 if claim.side == "before" else 1
        gaps = {one: sign * self._later_s(one, who) for one in (given.named_ids | told) - {who}}
        wrong = [one for one in told if gaps.get(one, 0.0) <= 0]
        missing = [one for one, gap in gaps.items() if gap > self.scene.gap_s and one not in told]
        if not wrong and not missing:
            return None
        why = "; ".join(
            f"{one} is first seen {self._later_s(one, who):+.2f} s after {who}" for one in (*wrong, *missing)
        )
        return Fault(kind="wrong_order", why=why)

    def _later_s(self, one: str, other: str) -> float:
        """How much later one is first seen than the other; 0 where either never is."""
        first = self.scene.first_seen_s(one), self.scene.first_seen_s(other)
        return first[0] - first[1] if first[0] is not None and first[1] is not None else 0.0

    def first_of(self, claim: cl.FirstOf, given: Reference) -> Fault | None:
        who = self.whom(claim.who, given)
        among = {self.whom(one, given) for one in claim.among}
        if who not in among:
            return Fault(kind="wrong_description", why=f"{who} is none of those asked about")
        earlier = [one for one in among - {who} if self._later_s(one, who) <= 0]
        if not earlier:
            return None
        return Fault(kind="wrong_order", why=f"{', '.join(sorted(earlier))} can be seen as early as {who}")

    def shown(self, claim: cl.Shown, given: Reference) -> Fault | None:
        for who in (self.whom(one, given) for one in claim.who):
            if self.scene.first_seen_s(who) is None:
                return Fault(kind="wrong_visibility", why=f"{who} is never seen")
        return None

    def is_a(self, claim: cl.IsA, given: Reference) -> Fault | None:
        who = self.whom(claim.who, given)
        entity = self.scene.tracks[who].entity
        if claim.words == dict(entity.attributes).get("colour"):
            return None
        found = self.naming.fitting(claim.words)
        if entity not in found:
            return Fault(kind="wrong_description", why=f"{claim.words!r} does not fit {entity.expression}")
        if len(found) > 1:
            return Fault(kind="ambiguous_words", why=f"{claim.words!r} fits {len(found)} figures")
        return None

    def absent(self, claim: cl.Absent, _: Reference) -> Fault | None:
        if found := self.naming.fitting(claim.words):
            kinds = sorted({"entity" if isinstance(one, TrueEntity) else "decoy" for one in found})
            return Fault(kind="not_absent", why=f"{claim.words!r} fits: {', '.join(kinds)}")
        return None

    # --- in words -------------------------------------------------------------------------------------

    def _kind(self, what: Deed, who: str) -> Kind:
        """What is wrong where a deed is said that nobody could say."""
        if what.kind == "visible":
            return "wrong_visibility"
        if what.kind == "at":
            return "wrong_place"
        return "wrong_time" if self.sayable.occasions(what, who) else "wrong_action"

    def _told(self, what: Deed, who: str, window: Interval, span: cl.Span) -> str:
        when = _when(self.sayable.occasions(what, who)) or "never"
        return f"{who} {_words(what)} {span} {_seconds(window)}; truly {when}"


def _behind(region: int, given: Reference) -> str:
    if not 0 <= region < len(given.regions):
        raise Unclear("malformed", f"region {region} of {len(given.regions)}")
    who = given.regions[region]
    if who is None:
        raise Unclear("wrong_region", f"the masklet of region {region} lies on nobody")
    return who


def _words(what: Deed) -> str:
    return " ".join(part for part in (what.kind, what.direction, what.place, what.other_id) if part)


def _when(times: Sequence[Occasion]) -> str:
    return ", ".join(_seconds((one.start_s, one.end_s)) for one in times)


def _seconds(interval: Interval) -> str:
    return f"{interval[0]:.2f}-{interval[1]:.2f} s"


_RULES: dict[type[cl.Claim], Callable[[Judge, Any, Reference], Fault | None]] = {
    cl.Does: Judge.does,
    cl.Story: Judge.story,
    cl.Timed: Judge.timed,
    cl.Before: Judge.before,
    cl.While: Judge.while_,
    cl.InPart: Judge.in_part,
    cl.Others: Judge.others,
    cl.FirstOf: Judge.first_of,
    cl.Shown: Judge.shown,
    cl.IsA: Judge.is_a,
    cl.Absent: Judge.absent,
}
