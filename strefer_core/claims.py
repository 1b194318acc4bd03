"""What an instruction-response pair claims about its video, as values, and what the words of a claim mean.

A question and its answer together assert things: that somebody does something in an interval, that one
event comes before another, that nobody of that description is there. `strefer_core.reading` reads a pair's
text into claims; `strefer_core.audit` holds claims against a world's truth; a paraphrase is kept only where
it reads into the same claims. Nothing here knows how a pair was written.

What the words mean
-------------------
Lengths in picture widths (W), measured over the ground: a camera that pans, zooms or shakes moves nothing.
Sampled frames lie up to a third of a second apart, so ends of intervals are known no better than that. Words
are vague; a claim is *right* where a reasonable person could say it (the bounds below), and a denied claim is
right only where nobody could. Writers keep well inside: they assert what is clearly so, deny what clearly is
not, and say nothing in between.

========== ==================================================================================================
kind       could be said of [start, end) where
========== ==================================================================================================
move       in a stretch of it (0.3 s for `sometime`; for `through`, stretches that make up most of it) the way
           over the ground has at least half its length in the direction, and is at least 0.02 W long
stand      in a stretch likewise (0.6 s for `sometime`) it stays within 0.05 W
enter      it comes into the picture over that border (any border where no direction is said), within a
           sampling gap of the interval
leave      likewise, out of the picture
appear     it comes to be seen, however: over a border, from behind something
disappear  likewise, it goes out of sight
approach   the distance over the ground to the other shrinks by at least a tenth, and by 0.03 W
move_away  likewise, it grows
follow     both go the same way (within 60 degrees), it behind the other, for a stretch as for `move`
occlude    it covers a part of the other in the picture, within a sampling gap of the interval
grow       its size in the picture grows by at least 15 %; a camera that comes nearer does make things larger
shrink     likewise, by at least 13 %
visible    something of it is seen: on 70 % of the frames for `through`, on any for `sometime`
at         its middle is in that part of the picture on 70 % of the frames where it is seen: left and right
           below 0.45 or above 0.55 of the width, middle 0.3 to 0.7, upper and lower likewise by height
========== ==================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Span = Literal["through", "sometime"]
"""`through`: for most of the interval. `sometime`: at some time in it."""

Window = Literal["asked", "video"]
"""`asked`: from the pair's `<start_time>` to its `<end_time>`. `video`: all of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Somebody or something as a pair points at it: by a region or by words, never both."""

    region: int | None = None  # place among the pair's `<region>`s, over all turns in order, from 0
    words: str = ""  # lower case, without an article: "large red circle"


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicate:
    """What is said of somebody; kinds as in the table above."""

    kind: str
    direction: Literal["left", "right", "up", "down"] | None = None  # of move; border of enter and leave
    other: Who | None = None  # second party of approach, move_away, follow, occlude
    place: Literal["left", "middle", "right", "upper", "lower"] | None = None  # of at


@dataclass(frozen=True, kw_only=True, slots=True)
class Does:
    """`who` does `what` in the window; `is_denied`: it does not."""

    who: Who
    what: Predicate
    window: Window
    span: Span
    is_denied: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """`who` does all of these in the window, beginning one after the other in this order."""

    who: Who
    what: tuple[Predicate, ...]  # two or more
    window: Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """The asked window is when `who` does `what`: the one such time in the video, from its start to its end.

    With `is_denied` of "visible": the one time when it is not to be seen.
    """

    who: Who
    what: Predicate
    is_denied: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happens once. Without `what`: that `who` is seen for the first time."""

    who: Who
    what: Predicate | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """`first` begins before `second` does; `at_once`: nothing lies between, `second` comes right after it."""

    first: Event
    second: Event
    at_once: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class While:
    """During most of the time in which the event of the other happens, `who` does `what`."""

    who: Who
    what: Predicate
    other: Event


@dataclass(frozen=True, kw_only=True, slots=True)
class InPart:
    """`who` does `what` (or is seen, for "visible") in that third of the video and in no other.

    "throughout": in all of them.
    """

    who: Who
    what: Predicate
    part: Literal["beginning", "middle", "end", "throughout"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Others:
    """Exactly these (none, where empty) are first seen before, or after, `who` is; of those that are named
    anywhere in the video's entities."""

    who: Who
    others: tuple[Who, ...]
    side: Literal["before", "after"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstOf:
    """`who` is one of `among` and is seen before the others are: a name given to one of several regions."""

    who: Who
    among: tuple[Who, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """All of these can be seen in the video."""

    who: tuple[Who, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class IsA:
    """The words are true of `who` and of nobody else in the video (a colour alone need not be unique)."""

    who: Who
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Absent:
    """Nothing that these words fit is in the video."""

    words: str


Claim = Does | Story | Timed | Before | While | InPart | Others | FirstOf | Shown | IsA | Absent


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one question and its answer come to.

    `asks` names the kind of question ("what_does", "where", "when", "who_first", "yes_no", "choice", ...), so
    that a paraphrase which keeps the facts but asks something else reads differently.
    """

    asks: str
    about: tuple[Who, ...]  # whom the question asks about, in order of mention
    claims: frozenset[Claim]
    options: tuple[str, ...] = ()  # texts of a multiple choice, in order
