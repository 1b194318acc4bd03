"""Words: names of things, verb phrases of actions in every form, agreement, lists, articles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from strefer_core import data_model as dm

_PLURALS = {"people", "men", "women", "children", "twins", "scissors", "trousers", "glasses"}
_PEOPLE = {"person", "people"}
_DETERMINERS = {"the", "a", "an", "two", "three", "his", "her", "its", "their", "one", "another"}
_VOWEL_SOUND = re.compile(r"(?!uni|use|eu|one\b)[aeiou]|hour|honest|heir", re.IGNORECASE)


@dataclass(frozen=True)
class Phrase:
    """A verb phrase in three forms: "move to the left", "moves to the left", "moving to the left"."""

    base: str
    third: str
    participle: str

    def finite(self, is_plural: bool) -> str:
        return self.base if is_plural else self.third


VISIBLE = Phrase("can be seen", "can be seen", "being seen")

# Third person and participle of every verb that is used.
_FORMS = {
    "move": ("moves", "moving"),
    "go": ("goes", "going"),
    "travel": ("travels", "travelling"),
    "stay": ("stays", "staying"),
    "remain": ("remains", "remaining"),
    "keep": ("keeps", "keeping"),
    "enter": ("enters", "entering"),
    "come": ("comes", "coming"),
    "leave": ("leaves", "leaving"),
    "appear": ("appears", "appearing"),
    "disappear": ("disappears", "disappearing"),
    "follow": ("follows", "following"),
    "trail": ("trails", "trailing"),
    "pass": ("passes", "passing"),
    "get": ("gets", "getting"),
    "become": ("becomes", "becoming"),
    "grow": ("grows", "growing"),
    "shrink": ("shrinks", "shrinking"),
}
_TO = {"left": "to the left", "right": "to the right", "up": "upward", "down": "downward"}
_FROM = {
    "left": " from the left",
    "right": " from the right",
    "up": " from the top",
    "down": " from the bottom",
}
_OUT = {"left": " on the left", "right": " on the right", "up": " at the top", "down": " at the bottom"}

# Ways to say each kind, as verb and rest. The first is the plainest: transcripts use it. What one way says
# all of them must say: they stand in for one another in questions and answers.
_WAYS: dict[str, tuple[tuple[str, str], ...]] = {
    "move": (("move", "{to}"), ("go", "{to}"), ("travel", "{to}")),
    "stand": (("stay", "in place"), ("stay", "still"), ("remain", "in place"), ("keep", "still")),
    "enter": (("enter", "the picture{from_}"), ("come", "into the picture{from_}")),
    "leave": (("leave", "the picture{out}"), ("go", "out of the picture{out}")),
    "appear": (("appear", "in view"), ("come", "into view")),
    "disappear": (("disappear", "from view"), ("go", "out of view")),
    "approach": (("move", "towards {other}"), ("come", "closer to {other}"), ("get", "closer to {other}")),
    "move_away": (("move", "away from {other}"), ("go", "away from {other}")),
    "follow": (("follow", "{other}"), ("trail", "{other}")),
    "occlude": (("pass", "in front of {other}"), ("come", "in front of {other}")),
    "grow": (
        ("get", "larger in the picture"),
        ("become", "larger in the picture"),
        ("grow", "in the picture"),
    ),
    "shrink": (
        ("get", "smaller in the picture"),
        ("become", "smaller in the picture"),
        ("shrink", "in the picture"),
    ),
}  # fmt: skip


def phrase(action: dm.Action, other: str = "", variant: int = 0) -> Phrase:
    """The action in words.

    Args:
        action: the fact.
        other: name of the second party, where the action has one.
        variant: which of the ways to say it, counted round; 0 is the plainest.
    """
    ways = _WAYS[action.kind]
    verb, rest = ways[variant % len(ways)]
    side = action.direction or ""
    rest = rest.format(
        to=_TO.get(side, "about"), from_=_FROM.get(side, ""), out=_OUT.get(side, ""), other=other
    )
    third, participle = _FORMS[verb]
    return Phrase(f"{verb} {rest}", f"{third} {rest}", f"{participle} {rest}")


def name(expression: str) -> str:
    """The expression as it stands inside a sentence: with an article unless it is a proper name."""
    words = expression.strip().rstrip(".").split()
    if not words:
        return "the object"
    first = words[0].lower()
    if first in _DETERMINERS:
        return " ".join(["the" if first in ("a", "an") else first, *words[1:]])
    return " ".join(words if words[0][0].isupper() else ["the", *words])


def bare(expression: str) -> str:
    """The expression without its article."""
    return re.sub(r"^(the|an?)\s+", "", name(expression), flags=re.IGNORECASE)


def indefinite(expression: str) -> str:
    """ "the orange square" -> "an orange square"."""
    rest = bare(expression)
    return f"{'an' if _VOWEL_SOUND.match(rest) else 'a'} {rest}"


def is_plural(noun: str) -> bool:
    return noun.lower() in _PLURALS


def capital(text: str) -> str:
    """First letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def listing(items: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def sequence(clauses: Sequence[str]) -> str:
    """Things that happen one after the other: "a", "a, then b", "a, b, then c"."""
    if len(clauses) < 2:
        return "".join(clauses)
    return f"{', '.join(clauses[:-1])}, then {clauses[-1]}"


@dataclass(frozen=True)
class Voice:
    """How a thing is spoken of: the words for subject and object, and their number."""

    subject: str
    object: str
    is_plural: bool

    def slots(self, prefix: str) -> Mapping[str, str]:
        """Values of a template's fields `{s}`, `{S}`, `{s_obj}`, `{s_is}`, `{s_Is}`, ... for this voice."""
        return _slots(self, prefix)


@lru_cache(maxsize=512)
def _slots(voice: Voice, prefix: str) -> Mapping[str, str]:
    be, do, have = ("are", "do", "have") if voice.is_plural else ("is", "does", "has")
    words = {"obj": voice.object, "is": be, "does": do, "has": have}
    slots = {f"{prefix}_{key}": word for key, word in words.items()}
    slots |= {f"{prefix}_{capital(key)}": capital(word) for key, word in words.items()}
    return MappingProxyType(slots | {prefix: voice.subject, prefix.upper(): capital(voice.subject)})


def named(entity: dm.Entity) -> Voice:
    """The thing by its expression."""
    text = name(entity.expression)
    return Voice(text, text, is_plural(entity.noun))


def pronoun(entity: dm.Entity) -> Voice:
    """They for people, it for everything else; they for several."""
    if entity.generalized_noun.lower() in _PEOPLE or is_plural(entity.noun):
        return Voice("they", "them", True)
    return Voice("it", "it", False)


def general(entity: dm.Entity) -> Voice:
    """The thing by its broad noun, as in "the person"."""
    text = f"the {entity.generalized_noun.lower()}"
    return Voice(text, text, is_plural(entity.generalized_noun))
