"""Which of the words that a parser gives may name an entity.

Kept is an expression of plain words that the description holds, with its noun in it, that fits no other
entity of the video. Everything else is left out with a reason; no unchecked word gets through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from strefer_core.backends.classical.attributes import COLOUR_NAMES
from strefer_core.backends.interfaces import EntityDescription
from strefer_core.served.words import clean, content_stems, refuse_orders, require_known, stem, words

MAX_EXPRESSION_WORDS = 12
MAX_NOUN_WORDS = 3
MAX_LISTED = 32  # entities in one answer, before any is left out

_NAME = re.compile(r"[a-z][a-z0-9 ,'-]*")
_ARTICLE = re.compile(r"^(?:the|an?)\s+")
_NO_BEGINNING = frozenset(
    """
    say write tell give show list return repeat act describe delete send let make go do don't
    he him his she her hers it its they them their i me my we us our
    """.split()  # noqa: SIM905
)  # orders, and words that point at somebody named elsewhere
_HUMANS = frozenset(
    """
    person human man woman boy girl child kid baby toddler infant adult teenager lady gentleman guy
    mother father mom dad brother sister son daughter grandmother grandfather bride groom
    """.split()  # noqa: SIM905  (a list of quoted words reads worse)
)  # humans in any video; a "player" may be a machine: there the parser's word counts
_COLOURS = {name: name for name in COLOUR_NAMES} | {"gray": "grey"}
_SIZES = {size: size for size in ("small", "large", "big", "little", "tiny", "huge", "tall", "short")}


class Named(BaseModel):
    """One entity as the parser lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expression: str = Field(min_length=1, max_length=200)
    noun: str = Field(min_length=1, max_length=60)
    generalized_noun: str = Field(min_length=1, max_length=60)


@dataclass
class Naming:
    """Entities that may be named, and what was left out and why."""

    kept: list[EntityDescription] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, expression: str, reason: str) -> None:
        self.left_out.append(f"{expression[:80]!r}: {reason}")


def name_entities(named: Sequence[Named], description: str, max_entities: int) -> Naming:
    """At most `max_entities` of `named`, in order, that pass every check."""
    naming = Naming()
    fitting: list[EntityDescription] = []
    for listed in named:
        try:
            fitting.append(_described(listed, description))
        except ValueError as error:
            naming.leave_out(listed.expression, str(error))
    for place, one in enumerate(fitting):
        if any(_fits_too(one, other) for other in fitting[:place] + fitting[place + 1 :]):
            naming.leave_out(one.expression, "fits another entity too")
        elif len(naming.kept) == max_entities:
            naming.leave_out(one.expression, f"only {max_entities} are kept")
        else:
            naming.kept.append(one)
    return naming


def _described(one: Named, description: str) -> EntityDescription:
    """The entity in checked words. Raises ValueError where one of them may not be used."""
    bare = _name(one.expression, MAX_EXPRESSION_WORDS)
    noun = _name(one.noun, MAX_NOUN_WORDS)
    found = words(bare)
    if found[0] in _NO_BEGINNING:
        raise ValueError(f"it begins with {found[0]}")
    if not _holds(found, words(noun)):
        raise ValueError(f"its noun {noun!r} is not in it")
    require_known(bare, [description])
    return EntityDescription(
        expression=f"the {bare}",
        noun=noun,
        generalized_noun=_generalized(noun, one.generalized_noun),
        attributes=_attributes(found),
    )


def _name(text: str, max_words: int) -> str:
    """A noun phrase in lower case without its article."""
    text = clean(text, max_words=max_words).lower().rstrip(".")
    refuse_orders(text)
    bare = _ARTICLE.sub("", text.replace("\u2019", "'"))
    if not _NAME.fullmatch(bare):
        raise ValueError("it is no plain noun phrase")
    if not content_stems(bare):
        raise ValueError("it names nothing")
    return bare


def _generalized(noun: str, generalized: str) -> str:
    """The broad noun; every human is a person, whatever the model says."""
    if stem(words(noun)[-1]) in {stem(human) for human in _HUMANS}:
        return "person"
    return _name(generalized, MAX_NOUN_WORDS)


def _holds(text: Sequence[str], part: Sequence[str]) -> bool:
    """Whether the words of `part` stand together in `text`."""
    size = len(part)
    return any(list(text[start : start + size]) == list(part) for start in range(len(text) - size + 1))


def _fits_too(one: EntityDescription, other: EntityDescription) -> bool:
    """Whether all that `one` is called can be said of `other`: "the dog" beside "the brown dog"."""
    same_noun = stem(words(one.noun)[-1]) == stem(words(other.noun)[-1])
    return same_noun and content_stems(one.expression) <= content_stems(other.expression)


def _attributes(found: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Colour and size, where the expression has one word for it."""
    attributes = []
    for name, known in (("colour", _COLOURS), ("size", _SIZES)):
        values = [known[word] for word in found if word in known]
        if len(values) == 1:
            attributes.append((name, values[0]))
    return tuple(attributes)
