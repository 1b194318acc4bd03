"""Words: names of things, verb phrases of actions in every form, agreement, lists, articles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from strefer_core import data_model as dm

_WHERE = {"left": "to the left", "right": "to the right", "up": "upward", "down": "downward"}
_FROM = {"left": "from the left", "right": "from the right", "up": "from the top", "down": "from the bottom"}
_OUT = {"left": "on the left", "right": "on the right", "up": "at the top", "down": "at the bottom"}
_PLURALS = {"people", "men", "women", "children", "twins", "scissors"}
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
_VERBS = {
    "move": ("move", "moves", "moving"),
    "stand": ("stay", "stays", "staying"),
    "enter": ("enter", "enters", "entering"),
    "leave": ("leave", "leaves", "leaving"),
    "appear": ("appear", "appears", "appearing"),
    "disappear": ("disappear", "disappears", "disappearing"),
    "approach": ("move", "moves", "moving"),
    "move_away": ("move", "moves", "moving"),
    "follow": ("follow", "follows", "following"),
    "occlude": ("pass", "passes", "passing"),
    "grow": ("get", "gets", "getting"),
    "shrink": ("get", "gets", "getting"),
}


def phrase(action: dm.Action, other: str = "") -> Phrase:
    """The action in words.

    Args:
        action: the fact.
        other: name of the second party, where the action has one.
    """
    rest = _complement(action, other)
    base, third, participle = _VERBS[action.kind]
    return Phrase(f"{base} {rest}", f"{third} {rest}", f"{participle} {rest}")


def _complement(action: dm.Action, other: str) -> str:
    side = action.direction or ""
    return {
        "move": _WHERE.get(side, ""),
        "stand": "in place",
        "enter": f"the picture {_FROM.get(side, '')}".strip(),
        "leave": f"the picture {_OUT.get(side, '')}".strip(),
        "appear": "in view",
        "disappear": "from view",
        "approach": f"towards {other}",
        "move_away": f"away from {other}",
        "follow": other,
        "occlude": f"in front of {other}",
        "grow": "larger in the picture",
        "shrink": "smaller in the picture",
    }[action.kind]


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

    def slots(self, prefix: str) -> dict[str, str]:
        """Values of a template's fields `{s}`, `{S}`, `{s_obj}`, `{s_is}`, `{s_Is}`, ... for this voice."""
        be, do, have = ("are", "do", "have") if self.is_plural else ("is", "does", "has")
        words = {"obj": self.object, "is": be, "does": do, "has": have}
        slots = {f"{prefix}_{key}": word for key, word in words.items()}
        slots |= {f"{prefix}_{capital(key)}": capital(word) for key, word in words.items()}
        return slots | {prefix: self.subject, prefix.upper(): capital(self.subject)}


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
