"""Finding the answer in what a model wrote. None where it names none."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OPTION_INDEX = re.compile(r"(?:option|caption|sentence)?\s*\(?([A-Da-d]|[1-4])\)?[.:)]?", re.IGNORECASE)
_LEADS = re.compile(
    r"^(?:(?:the\s+)?(?:best|correct|right|final)?\s*(?:answer|option|choice)(?:\s+is)?)\s*[:.]?\s*",
    re.IGNORECASE,
)
_LONG_WORDS = 10


def yes_no(text: str) -> bool | None:
    """Whether it begins with yes (True) or no (False)."""
    found = re.match(r"\W*(yes|no)\b", text, re.IGNORECASE)
    return None if found is None else found[1].lower() == "yes"


def bracketed_letter(text: str) -> str | None:
    """ "(B)", else "B)", else the first character: as VideoRefer-Bench Q is scored."""
    found = re.search(r"\(([A-Z])\)", text) or re.search(r"([A-Z])\)", text)
    if found:
        return found[1]
    first = text.strip().replace(".", "")[:1].upper()
    return first if first.isalpha() else None


def first_letter(text: str) -> str | None:
    """The first letter A to D after a lead-in, of a short answer or one that has it: as in Video-MME."""
    rest = _LEADS.sub("", text.strip())
    if len(rest.split()) > _LONG_WORDS and not re.search(r"\b[ABCD]\b", rest):
        return None
    found = re.search(r"\b([ABCD])\b", rest) or re.search(r"[ABCD]", rest)
    return found[0] if found else None


def leading_letter(text: str) -> str | None:
    """A letter A to D alone, or before a full stop or a bracket: as TempCompass scores multiple choice."""
    found = re.match(r"\s*\(?([A-D])(?:[.):]|\s*$)", text)
    return found[1] if found else None


def option_of(text: str, options: Sequence[str]) -> int | None:
    """Which of a few sentences an answer gives: the sentence itself, or its letter or number.

    As caption matching of TempCompass is scored: options are "Caption A: ...", "Option 1: ..." or plain.
    """
    given = _plain(text)
    heads = [re.match(r"\s*((?:option|caption|sentence)?\s*[A-D1-4])\s*[:.)]", one, re.I) for one in options]
    bare = [
        _plain(one[head.end() :]) if head else _plain(one) for one, head in zip(options, heads, strict=True)
    ]
    for place, one in enumerate(options):
        head = heads[place]
        if given in (_plain(one), bare[place]) or (head and given == _plain(head[1])):
            return place
    found = _OPTION_INDEX.fullmatch(text.strip())
    if found is None:
        return None
    place = "ABCD".find(found[1].upper()) if found[1].isalpha() else int(found[1]) - 1
    return place if 0 <= place < len(options) else None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
