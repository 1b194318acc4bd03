"""Whether a question and an answer that a model wrote stick to what it was told.

An answer may change articles, auxiliaries, the form of verbs, and the thing's name for "it" or "they". All
other words, prepositions and negations among them, must be those that were told, in their order: with the
same words in another order the dog would chase the cat that chases it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strefer_core.backends.served.samewords import PLACEHOLDER
from strefer_core.served.words import clean, refuse_orders, stem, words

_MAX_WORDS = 60
_BE = frozenset(("is", "are", "was", "were", "be", "been", "being"))
_LINKS = frozenset(("and", "then", "it", "they"))  # what follows is a verb
_EMPTY = _LINKS | frozenset(
    "a an the has have had do does did itself its them their themselves".split()  # noqa: SIM905
)
_ASKING = frozenset(
    """
    what happens happen happening to doing how act acts acting behave behaves behaving tell say describe me
    us can could in of from between until till at during on over within for about as while that this whole
    interval period time span moment video clip film action actions activity question
    """.split()  # noqa: SIM905
)
_ASKS = re.compile(r"\b(?:what|how|describe|tell|say)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word that tells something; `is_verb`: it stands where a verb does."""

    text: str
    is_verb: bool

    def says(self, other: _Word) -> bool:
        """Whether both say the same: "ball" is not "balls", but "runs" is "run" and "running"."""
        if self.text == other.text:
            return True
        is_form = any(word.endswith(("ing", "ed")) for word in (self.text, other.text))
        return stem(self.text) == stem(other.text) and (is_form or (self.is_verb and other.is_verb))


def check_answer(answer: str, told: Sequence[str], name: str) -> str:
    """The answer with single blanks.

    Args:
        answer: a model's words.
        told: what the thing does, one sentence after the other.
        name: of the thing, as it stands in them.

    Raises:
        ValueError: it says more, less or something else than was told.
    """
    answer = clean(answer, max_words=_MAX_WORDS)
    if not answer.endswith(".") or answer[:1].islower():
        raise ValueError("it is no whole sentence")
    said, meant = list(_telling(answer, name)), list(_telling(" ".join(told), name))
    more = [word.text for word in said if not any(word.says(other) for other in meant)]
    if more:
        raise ValueError(f"it says more than was told: {', '.join(more)}")
    if len(said) != len(meant) or not all(map(_Word.says, said, meant)):
        raise ValueError("it leaves out or changes something that was told")
    return answer


def check_question(question: str, about: str, meanwhile: str | None, placeholders: Sequence[str]) -> str:
    """The question with single blanks.

    Args:
        question: a model's words.
        about: whom it must name and nobody else; "<region>" where a placeholder stands for them.
        meanwhile: a clause that it must hold word for word.
        placeholders: those that it must hold, times in this order.

    Raises:
        ValueError: it says or asks anything else.
    """
    question = " ".join(question.split())
    _check_placeholders(question, placeholders)
    bare = PLACEHOLDER.sub(" ", question)
    refuse_orders(clean(bare, max_words=_MAX_WORDS))
    if not question.endswith(("?", ".")) or question[:1].islower() or not _ASKS.search(bare):
        raise ValueError("it does not ask what happens")
    if meanwhile is not None:
        bare, count = re.subn(re.escape(meanwhile), " ", bare, count=1, flags=re.IGNORECASE)
        if not count:
            raise ValueError("it does not hold what happens meanwhile, word for word")
    if _named(bare) != ([] if about == "<region>" else _named(about)):
        raise ValueError("it names another thing, or says more than whom it asks about")
    return question


def _check_placeholders(question: str, wanted: Sequence[str]) -> None:
    """A region may come before or after the times."""
    found = PLACEHOLDER.findall(question)
    times = [one for one in found if one != "<region>"]
    if sorted(found) != sorted(wanted) or times != [one for one in wanted if one != "<region>"]:
        raise ValueError("its placeholders are not those that are wanted")


def _telling(text: str, name: str) -> Iterator[_Word]:
    """The words that tell something, in order, without the thing's name.

    "Is followed" is not "follows", so a form of "be" tells something unless it only makes a progressive.
    """
    found, own = words(text), words(name)
    is_verb, place = True, 0
    while place < len(found):
        word, after = found[place], found[place + 1 : place + 2]
        if found[place : place + len(own)] == own:
            is_verb, place = True, place + len(own)
            continue
        if word in _BE and not (after and after[0].endswith("ing")):
            yield _Word("be", is_verb)
        elif word not in _EMPTY | _BE:
            yield _Word(word, is_verb)
        is_verb, place = word in _LINKS | _BE, place + 1


def _named(text: str) -> list[str]:
    """The words of a question that do more than ask, in order."""
    return [word for word in words(text) if word not in _EMPTY | _ASKING | _BE]
