"""Other answers in the same words: names changed, directions, sides and colours turned. Pure text."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import cache, partial

from strefer_core.world.script import COLOURS

PLACES: tuple[tuple[str, ...], ...] = (
    ("to the left", "to the right", "upward", "downward"),
    ("from the left", "from the right", "from the top", "from the bottom"),
    ("on the left", "on the right", "at the top", "at the bottom"),
    ("on the left side", "on the right side", "in the upper part", "in the lower part"),
    ("on the left side", "on the right side", "in the top part", "in the bottom part"),
    ("beginning", "middle", "end"),
    ("the first", "the second"),
)
"""Words that say where, which way, when or which one; of each class any may stand for any other."""

LOOKS: tuple[tuple[str, ...], ...] = (tuple(sorted(COLOURS)),)

_VERBS = ("mov", "go", "travel")  # "moves", "going", ...: questions and answers of one pair share them
_OPTION = re.compile(r"^\(([A-H])\) (.*)$", re.MULTILINE)
_FIRST_CLAUSE = re.compile(r"^.*?[.;](?= |$)", re.DOTALL)


@cache
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    told = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.compile(
        rf"\b({told})\b(?! side)" if "on the left" in words else rf"\b({told})\b", re.IGNORECASE
    )


def lettered_options(question: str) -> list[tuple[str, str]]:
    """(letter, text) of each option that a question lists."""
    return _OPTION.findall(question)


def ways(text: str) -> frozenset[str]:
    """The directions and borders that a text speaks of."""
    return frozenset(found.lower() for words in PLACES[:3] for found in _pattern(words).findall(text))


def turned(text: str, classes: Sequence[tuple[str, ...]], rng: random.Random) -> Iterator[str]:
    """The text with the words of one class exchanged for others of it, the same ones everywhere."""
    for words in classes:
        pattern = _pattern(words)
        if not pattern.search(text):
            continue
        for shift in rng.sample(range(1, len(words)), len(words) - 1):
            yield pattern.sub(partial(_next, words, shift), text)


def _next(words: tuple[str, ...], shift: int, found: re.Match[str]) -> str:
    word = words[(words.index(found[1].lower()) + shift) % len(words)]
    return word.capitalize() if found[1][0].isupper() else word


def renamed(text: str, old: str, new: str) -> str:
    """The text speaking of another: "the red square" for "the green one", "an" and "a" as they must be."""
    article = "an" if new[:1] in "aeiou" else "a"
    text = re.sub(rf"\b(?:a|an) {re.escape(old)}\b", f"{article} {new}", text)
    return re.sub(rf"\b{re.escape(old)}\b", new, text)


def swapped(text: str, names: Sequence[str]) -> Iterator[str]:
    """The text with one of two names in the place of the other; nothing unless exactly one is in it."""
    if len(names) != 2:
        return
    for one, other in (names, names[::-1]):
        if one in text and other not in text:
            yield renamed(text, one, other)


def first_clause(text: str) -> str:
    """Up to the first full stop or semicolon, ended by a full stop."""
    found = _FIRST_CLAUSE.match(text)
    return (found[0] if found else text).rstrip(".; ") + "."


def verbs(text: str) -> frozenset[str]:
    """Which of the interchangeable words for moving it uses."""
    return frozenset(verb for verb in _VERBS if re.search(rf"\b{verb}", text.lower()))
