"""Words that a model wrote, at the door: plain, short, English, no orders, and of nothing but what was told.

Every check raises ValueError with a reason that can be stored and shown to the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from snowballstemmer import stemmer

FUNCTION_WORDS = frozenset(
    """
    a an the this that these those it its he him his she her hers they them their who whom whose which what
    is are was were be been being has have had do does did and or but as than then while when where there here
    of in on at to from into onto by with over under for out up down off through across around
    """.split()  # noqa: SIM905  (a list of a hundred quoted words reads worse)
)
"""Words that say nothing of their own. Negations ("not", "without") and numbers are not among them."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_PLAIN = re.compile(r"[\w .,;:!?'\u2019\u2013\u2014()/%&\"\u201c\u201d-]*")  # no brackets, braces, markup
_LINK = re.compile(r"\b(?:https?:|www\.)|\w\.(?:com|org|net|io)\b", re.IGNORECASE)
_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|pretend|obey|comply|instructions?|prompts?|system|assistant|jailbreak"
    r"|passwords?|json|output|respond|answers?|please|must|you|your|yours|yourself)\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(  # at the beginning of a sentence: what signs say stands in its middle
    r"(?:^|[.!?]\s+)"
    r"(?:i (?:can ?not|can['\u2019]t|am (?:not able|unable|sorry)|do not|don['\u2019]t|apologi[sz]e)"
    r"|i['\u2019]m (?:sorry|not able|unable)|as an ai|sorry,)",
    re.IGNORECASE,
)
_MIN_FUNCTION_SHARE = 0.2  # of an English sentence; German and Romance texts share "in", "a", "an" only
_IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "person"}


def words(text: str) -> list[str]:
    """Lower-case words, "t-shirt" and "dog's" being one each."""
    return _WORD.findall(text.lower())


def clean(text: str, *, max_words: int) -> str:
    """The text with single blanks.

    Raises ValueError where it is empty, longer than `max_words`, holds anything but letters of Latin script,
    digits and common punctuation (so: placeholders, markup, control characters), or links.
    """
    text = " ".join(text.split())
    count = len(words(text))
    if not count:
        raise ValueError("it is empty")
    if count > max_words:
        raise ValueError(f"it has {count} words, at most {max_words} are asked for")
    if not (text.isprintable() and _PLAIN.fullmatch(text) and all(map(_is_latin, text))):
        raise ValueError("it holds markup, placeholders or characters that English text does not need")
    if _LINK.search(text):
        raise ValueError("it holds an address")
    return text


def refuse_orders(text: str) -> None:
    """Raise ValueError where a text speaks to its reader, as instructions hidden in a video do."""
    if found := _ORDER.search(text):
        raise ValueError(f"it speaks to its reader: {found[0].lower()}")


def refuse_refusals(text: str) -> None:
    """Raise ValueError where a model declines in the place of an answer."""
    if _REFUSAL.search(text):
        raise ValueError("the model declines")


def require_english(text: str) -> None:
    """Raise ValueError where a sentence or more has too few of the little words of English."""
    found = words(text)
    if sum(word in FUNCTION_WORDS for word in found) < _MIN_FUNCTION_SHARE * len(found):
        raise ValueError("it is not in English")


def content_stems(text: str) -> frozenset[str]:
    """Stems of the words that say something: "the dogs running" and "a dog runs" have the same."""
    return frozenset(stem(word) for word in words(text) if word not in FUNCTION_WORDS)


def require_known(text: str, told: Iterable[str]) -> None:
    """Raise ValueError naming the words of `text` whose stems no text of `told` has."""
    known = content_stems(" ".join(told))
    unknown = sorted(word for word in set(words(text)) - FUNCTION_WORDS if stem(word) not in known)
    if unknown:
        raise ValueError(f"nothing told of: {', '.join(unknown)}")


@cache
def stem(word: str) -> str:
    """Stem of one lower-case word, possessive and irregular plural undone."""
    word = re.sub(r"['\u2019]s?$", "", word)
    found: str = _stemmer().stemWord(_IRREGULAR.get(word, word))
    return found


@cache
def _stemmer() -> stemmer:
    return stemmer("english")


def _is_latin(character: str) -> bool:
    return character.isascii() or not character.isalpha() or "\u00c0" <= character <= "\u024f"
