"""Which of several answers to one question to believe, and how far they agree.

Two texts tell the same where they share at least half of all their telling words (stems, compared without
order; the thing's own name does not count), both or neither deny something, and neither has the opposite of a
word of the other. "Nothing to be seen" tells the same as itself only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from strefer_core.served.words import content_stems, stem, words

MIN_SHARED = 0.5  # of two texts' telling words
MIN_AGREEMENT = 0.5
"""What fewer of the samples tell is in doubt."""

_DENIALS = re.compile(r"(?:not|never|nobody|nothing|none|without|cannot)|\w+n['\u2019]t")
_OPPOSITES = tuple(
    tuple(frozenset(stem(word) for word in side.split(",")) for side in pair.split("/"))
    for pair in (
        "left,leftward,leftwards/right,rightward,rightwards",
        "up,upward,upwards,rise,raise/down,downward,downwards,fall,lower",
        "towards,toward,to,closer,nearer,approach/away,from",
        "in,into,inside,enter,come/out,outside,leave,exit",
        "forward,forwards/backward,backwards,back",
        "appear/disappear,vanish",
        "start,begin,continue/stop,halt,pause,stay,remain",
        "open/close,shut",
        "push/pull",
        "take,pick,lift,catch/give,put,drop,throw",
        "sit/stand",
        "grow,larger,bigger/shrink,smaller",
        "fast,faster,quickly/slow,slower,slowly",
        "on/off",
        "before/after",
    )
)  # a text with words of both sides takes neither


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreed:
    text: str | None
    agreement: float  # share of the texts that tell the same as `text`, itself counted


def most_agreed(texts: Sequence[str | None], name: str) -> Agreed:
    """The text that shares most with the others, the first of several; `texts` holds one at least."""
    shared = [sum(overlap(text, other, name) for other in texts) for text in texts]
    text = texts[shared.index(max(shared))]
    same = sum(tells_same(text, other, name) for other in texts)
    return Agreed(text=text, agreement=same / len(texts))


def tells_same(one: str | None, other: str | None, name: str) -> bool:
    """Whether two texts about the thing of this name say the same, as told above."""
    if one is None or other is None:
        return one is other
    if denies(one) != denies(other) or _are_opposed(one, other):
        return False
    return overlap(one, other, name) >= MIN_SHARED


def overlap(one: str | None, other: str | None, name: str) -> float:
    """Share of the two texts' telling words that both have, 0..1."""
    if one is None or other is None:
        return float(one is other)
    own = content_stems(name)
    left, right = content_stems(one) - own, content_stems(other) - own
    return len(left & right) / len(left | right) if left | right else 1.0


def denies(text: str) -> bool:
    """Whether a text says that something is not so."""
    return any(_DENIALS.fullmatch(word) for word in words(text))


def _are_opposed(one: str, other: str) -> bool:
    return any({_side(one, pair), _side(other, pair)} == {0, 1} for pair in _OPPOSITES)


def _side(text: str, pair: tuple[frozenset[str], ...]) -> int | None:
    """Which side of a pair of opposites a text takes; None for neither and for both."""
    stems = {stem(word) for word in words(text)}
    taken = [side for side, known in enumerate(pair) if stems & known]
    return taken[0] if len(taken) == 1 else None
