"""Does a question give away what only the mask should tell? One check for writers, quality and the audit.

A region stands for a thing that the model must look at. So a question with a region may use a pronoun
or the broad noun ("the person"), but not the expression, its telling words in any form, or the answer; nor
may anything that was said before it in the same conversation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from strefer_core import data_model as dm

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_PLACEHOLDER = re.compile(r"<[a-z_]+>")
_OPTION = re.compile(r"^\(A\) ", re.MULTILINE)
_LITTLE_WORDS = frozenset(
    """
    a an the this that these those it its they their them he she his her is are was were be been being
    do does did has have had can could will would not no yes of in on at to from by with and or as for
    so than then there which what who when where while between until into out up one ones only also both
    region start time end start_time end_time moving
    """.split()  # noqa: SIM905  (a list of a hundred quoted words reads worse)
)
_IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "person", "mice": "mouse"}


def words(text: str) -> list[str]:
    """Lower-case words of a text, placeholders left out."""
    return _WORD.findall(_PLACEHOLDER.sub(" ", text.lower()))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A noun's singular: "men" and "man's" are "man", "foxes" is "fox"; other words stay as they are."""
    word = word.removesuffix("'s")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and re.search(r"(s|x|z|ch|sh)es$", word):
        return word[:-2]
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural else word


def stems(text: str) -> set[str]:
    """Words of a text in their plainest form."""
    return {stem(word) for word in words(text)}


@lru_cache(maxsize=1024)
def telling_words(entity: dm.Entity) -> frozenset[str]:
    """Words of the expression, the noun and the attributes that the broad noun does not already say."""
    values = " ".join(value for _, value in entity.attributes)
    told = stems(f"{entity.expression} {entity.noun} {values}")
    return frozenset(told - stems(entity.generalized_noun) - _LITTLE_WORDS)


def leaks(question: str, answer: str, entities: Sequence[dm.Entity], before: str = "") -> list[str]:
    """What a mask-referring question gives away.

    Args:
        question: the human turn, with `<region>` placeholders.
        answer: the reply. Yes/no and multiple-choice replies are in or under the question by nature and
            are not looked for; of an open reply, the question must miss at least one telling word.
        entities: the things behind the question's regions.
        before: all that was said earlier in the conversation.

    Returns:
        The words given away, sorted; empty where nothing leaks or the question has no region.
    """
    if "<region>" not in question:
        return []
    asked = stems(f"{before} {question}")
    found = {word for entity in entities for word in telling_words(entity) & asked}
    if not _is_closed(question, answer):
        told = stems(answer) - _LITTLE_WORDS
        found |= told if told and told <= asked else set()
    return sorted(found)


def _is_closed(question: str, answer: str) -> bool:
    is_yes_no = re.match(r"(yes|no)\b", answer.lower())
    return bool(is_yes_no or _OPTION.search(question) or "<start_time>" in answer)


def turn_leaks(item: dm.Instruction, entities: Mapping[str, dm.Entity]) -> list[str]:
    """What the questions of an instruction give away, each with all that was said before it.

    Args:
        item: one pair or a conversation.
        entities: by id; regions of unknown entities are passed over.
    """
    regions = iter(item.region_entity_ids)
    found: set[str] = set()
    before = ""
    for question, answer in pairs(item):
        count = question.text.count("<region>")
        shown = [entities[i] for _, i in zip(range(count), regions, strict=False) if i in entities]
        for _ in range(answer.text.count("<region>")):
            next(regions, None)
        found |= set(leaks(question.text, answer.text, shown, before))
        before = f"{before} {question.text} {answer.text}"
    return sorted(found)


def pairs(item: dm.Instruction) -> list[tuple[dm.Turn, dm.Turn]]:
    """Questions with their answers, in order; a last question without an answer is left out."""
    return list(zip(item.turns[::2], item.turns[1::2], strict=False))
