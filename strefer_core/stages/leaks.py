"""Does a question give away what only the mask should tell? One check for writers and for quality.

A region stands for a thing that the model must look at. So a question with a region may use a pronoun
or the broad noun ("the person"), but not the expression, its telling words, or the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from strefer_core import data_model as dm

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_LITTLE_WORDS = frozenset(
    """
    a an the this that these those it its they them their he she his her is are was were be been being
    do does did has have had can could will would not no yes of in on at to from by with and or as for
    so than then there which what who when where while between until into out up one ones only also both
    region start time end start_time end_time
    """.split()  # noqa: SIM905  (a list of a hundred quoted words reads worse)
)


def words(text: str) -> list[str]:
    """Lower-case words of a text, placeholders left out."""
    return _WORD.findall(re.sub(r"<[a-z_]+>", " ", text.lower()))


def telling_words(entity: dm.Entity) -> set[str]:
    """Words of the expression, the noun and the attributes that the broad noun does not already say."""
    values = " ".join(value for _, value in entity.attributes)
    told = set(words(f"{entity.expression} {entity.noun} {values}"))
    return told - set(words(entity.generalized_noun)) - _LITTLE_WORDS


def leaks(question: str, answer: str, entities: Sequence[dm.Entity]) -> list[str]:
    """What a mask-referring question gives away.

    Args:
        question: the human turn, with `<region>` placeholders.
        answer: the reply. Yes/no and multiple-choice replies are in or under the question by nature and
            are not looked for; of an open reply, the question must miss at least one telling word.
        entities: the things behind the question's regions.

    Returns:
        The words given away, sorted; empty where nothing leaks or the question has no region.
    """
    if "<region>" not in question:
        return []
    asked = set(words(question))
    found = {word for entity in entities for word in telling_words(entity) & asked}
    found |= _answer_leak(question, answer)
    return sorted(found)


def _answer_leak(question: str, answer: str) -> set[str]:
    is_closed = re.match(r"(yes|no)\b", answer.lower()) or re.search(r"^\(A\) ", question, re.MULTILINE)
    told = set(words(answer)) - _LITTLE_WORDS
    if is_closed or not told or "<start_time>" in answer:
        return set()
    return told if told <= set(words(question)) else set()
