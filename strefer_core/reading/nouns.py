"""From text to symbols: names become `N0`, `N1`, ..., pronouns `P2`, "no star" `Z3`; the rest stays."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache

from strefer_core.claims import Who
from strefer_core.reading.vocabulary import (
    ARTICLES,
    BROAD,
    COLOURS,
    CONTRACTIONS,
    DETERMINERS,
    LINKS,
    NUMBERS,
    OBJECT_PRONOUNS,
    SHADES,
    SUBJECT_PRONOUNS,
    SYMBOLS,
    VERB_FORMS,
)

_TOKEN = re.compile(r"<[a-z_]+>|[^\W_]+(?:['-][^\W_]+)*|[.?!;\n]|\S")
_PLAIN = str.maketrans({"’": "'", "–": ",", "—": ",", ":": ","})
_SENTENCE_ENDS = frozenset(".?!;\n")
_DEMONSTRATIVES = frozenset(("this", "that", "these", "those"))
_BEFORE_OBJECTS = frozenset("before after than to towards toward from of about behind at".split())  # noqa: SIM905
_AMONG = frozenset(("which", "all", "none", "one", "each", "both"))
_MARKING = frozenset(("in", "at", "marked", "inside", "the"))
_MAX_WORDS = 400
_STARTS = DETERMINERS | SUBJECT_PRONOUNS | OBJECT_PRONOUNS | COLOURS | SHADES | _DEMONSTRATIVES | {"<region>"}
_NOBODY = Who()
_MOVING = "moving"  # a verb but for before a noun
_NOUNS = BROAD - {"one", "thing"}  # words of questions too ("which shape"), yet nouns after an article


class Unreadable(ValueError):
    """A pair that this reader does not understand; the message says what and quotes the text."""


def sentences_of(text: str) -> list[list[str]]:
    """Lower-case words and marks of each sentence; ends of sentences are left out."""
    text = text.lower().translate(_PLAIN)
    if "'" in text or "cannot" in text:
        for found, plain in CONTRACTIONS:
            text = found.sub(plain, text)
    tokens = _TOKEN.findall(text)
    if len(tokens) > _MAX_WORDS:
        raise Unreadable(f"{len(tokens)} words are more than a pair has: {text[:80]!r}...")
    sentences: list[list[str]] = [[]]
    for token in tokens:
        if token in _SENTENCE_ENDS:
            sentences.append([])
        else:
            sentences[-1].append(token)
    return [words for words in sentences if words]


@dataclass(frozen=True, slots=True)
class Names:
    """Names that a video's entities are known by, ready to be found in a text."""

    by_first: dict[str, list[tuple[str, ...]]]  # first word -> names, longest first
    nominal: frozenset[str]  # words that are part of a name even where they could be verbs
    starts: frozenset[str]  # words that a noun phrase may begin with


@lru_cache(maxsize=256)
def names_of(known: tuple[str, ...]) -> Names:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    nominal: set[str] = set()
    for expression in known:
        for words in sentences_of(expression)[:1]:
            name = tuple(words[1:] if words[0] in ARTICLES and len(words) > 1 else words)
            by_first.setdefault(name[0], []).append(name)
            nominal.update(_core(name))
    for names in by_first.values():
        names.sort(key=len, reverse=True)
    return Names(by_first, frozenset(nominal), _STARTS | by_first.keys())


def _core(name: tuple[str, ...]) -> tuple[str, ...]:
    """The name up to what only qualifies it: of "red square that moves left", "red square"."""
    stops = [
        i for i, word in enumerate(name) if word in LINKS or word in ("that", "which", "who", "on", "at")
    ]
    core = name[: stops[0]] if stops else name
    return tuple(word for word in core if word != _MOVING)


def _is_verb(word: str) -> bool:
    return word in SYMBOLS or word in VERB_FORMS


@dataclass
class Mentions:
    """Everybody who is mentioned in one pair, and whom pronouns stand for at this point of it.

    A pronoun stands for the first who is named in its sentence, else for whom the sentence before was about,
    else for whom the question is about; as an object ("before it") for the last of these at once.
    """

    names: Names
    closed: Set[str]
    subject: Who | None = None  # whom the question is about
    object: Who | None = None  # whom an object pronoun in an answer stands for, if not the subject
    lead: Who | None = None  # whom a question points at before it asks: "Look at the <region>."
    region_count: int = 0
    who: list[Who] = field(default_factory=list)  # by number of the symbol
    carried: Who | None = None  # whom the sentence before was about
    first: Who | None = None  # who is named first in this sentence

    def start_pair(self) -> None:
        """Go on to the next question: until it names somebody, pronouns stand for whom the last was about."""
        self.carried, self.subject, self.first = self.subject, None, None

    def start_question(self, lead: Who | None) -> None:
        """Go on to a question about somebody who has been pointed at."""
        self.lead = self.subject = lead

    def start_answer(self, subject: Who | None, other: Who | None) -> None:
        """Go on to the answer of a question about somebody, and somebody else."""
        self.carried, self.subject, self.first, self.lead, self.object = None, subject, None, None, other

    def symbols(self, words: Sequence[str]) -> list[str]:
        """One sentence with names, verbs and auxiliaries as symbols."""
        self.carried, self.first = self.first or self.carried, None
        found: list[str] = []
        end = 0  # of the noun phrase before
        for place, word in enumerate(words):
            if place < end:
                continue
            taken, symbol = 0, ""
            if word in self.names.starts:
                taken, symbol = self._noun(words, place, found[-1] if found else "")
            found.append(symbol or SYMBOLS.get(word, word))
            end = place + taken
        self._settle(words)
        return found

    def _settle(self, words: Sequence[str]) -> None:
        """Let pronouns that came before their names stand for the first of these."""
        for index, who in enumerate(self.who):
            if who == _NOBODY:
                if self.first is None:
                    raise Unreadable(f"a pronoun that stands for nobody: {' '.join(words)!r}")
                self.who[index] = self.first

    def _noun(self, words: Sequence[str], place: int, before: str) -> tuple[int, str]:
        """How many words are one noun phrase from here on, and its symbol; (0, "") where there is none."""
        word = words[place]
        if word == "<region>":
            return 1, self._region()
        if word in DETERMINERS:
            return self._after_determiner(words, place)
        if end := self._known_end(words, place):
            return end - place, self._named(" ".join(words[place:end]))
        if self._is_pronoun(words, place, before):
            return 1, self._pronoun(words, place, before)
        return self._colour(words, place)

    def _after_determiner(self, words: Sequence[str], place: int) -> tuple[int, str]:
        start = place + 1
        if end := self._marked_end(words, start):
            return end - place, self._region()
        end = self._name_end(words, start)
        if end == start and words[place] == "the" and self._is_broad(words, start):
            end += 1
        if end == start:
            return 0, ""
        name = " ".join(words[place if words[place] in NUMBERS else start : end])
        if words[place] == "the" and name in BROAD and self.subject and not self._is_known(name):
            return end - place, self._stands_for(self.lead or self.first or self.carried or self.subject)
        symbol = self._named(name)
        return end - place, symbol.replace("N", "Z") if words[place] == "no" else symbol

    @staticmethod
    def _is_broad(words: Sequence[str], start: int) -> bool:
        """A broad noun by itself; not "the one that ..."."""
        return (
            words[start : start + 1] != []
            and words[start] in BROAD
            and words[start + 1 : start + 2] != ["that"]
        )

    def _is_known(self, name: str) -> bool:
        return tuple(name.split()) in self.names.by_first.get(name.split()[0], ())

    def _marked_end(self, words: Sequence[str], start: int) -> int:
        """End of "<region>" or "thing in the <region>"; 0 where neither begins here."""
        for size in (1, 3, 4):
            if words[start + size - 1 : start + size] == ["<region>"]:
                inner = words[start : start + size - 1]
                if not inner or (inner[0] in BROAD and set(inner[1:]) <= _MARKING):
                    return start + size
        return 0

    def _name_end(self, words: Sequence[str], start: int) -> int:
        """End of the longer of the longest known name and the run of words that nothing else claims."""
        end = self._run_end(words, start)
        while end > start and end < len(words) - 1 and words[end] in LINKS:
            first = end + 2 if words[end + 1] in ARTICLES else end + 1
            further = self._run_end(words, first)
            if further == first:
                break
            end = further
        return max(self._known_end(words, start), end)

    def _known_end(self, words: Sequence[str], start: int) -> int:
        for name in self.names.by_first.get(words[start], ()) if start < len(words) else ():
            if tuple(words[start : start + len(name)]) == name:
                return start + len(name)
        return 0

    def _run_end(self, words: Sequence[str], start: int) -> int:
        end = start
        while end < len(words) and (self._is_nominal(words[end]) or self._is_adjective(words, end)):
            end += 1
        return end

    def _is_adjective(self, words: Sequence[str], place: int) -> bool:
        """ "the moving red fish", not "the fish moving left"."""
        after = words[place + 1 : place + 2]
        return words[place] == _MOVING and bool(after) and self._is_nominal(after[0])

    def _is_nominal(self, word: str) -> bool:
        return word in self.names.nominal or word in _NOUNS or self._is_open(word)

    def _is_open(self, word: str) -> bool:
        return word[0].isalnum() and word not in self.closed and not _is_verb(word)

    def _is_pronoun(self, words: Sequence[str], place: int, before: str) -> bool:
        word = words[place]
        if before == "of" and place > 1 and words[place - 2] in _AMONG:
            return False  # "which of them"
        if word in SUBJECT_PRONOUNS or word in OBJECT_PRONOUNS:
            return True
        after = words[place + 1] if place + 1 < len(words) else ""
        return word in _DEMONSTRATIVES and not before and SYMBOLS.get(after) == "BE"

    def _pronoun(self, words: Sequence[str], place: int, before: str) -> str:
        after = words[place + 1] if place + 1 < len(words) else ""
        is_object = (before in _BEFORE_OBJECTS or before in VERB_FORMS) and not _is_verb(after)
        near = (self.first, self.carried)
        objects = (self.lead, self.object, self.subject, *near)
        likely = objects if is_object else (self.lead, *near, self.subject)
        who = next(filter(None, likely), _NOBODY)
        if not is_object and who != _NOBODY:
            self.first = self.first or who
        return self._stands_for(who)

    def _stands_for(self, who: Who) -> str:
        self.who.append(who)
        return f"P{len(self.who) - 1}"

    def _colour(self, words: Sequence[str], place: int) -> tuple[int, str]:
        size = 2 if words[place] in SHADES and len(words) > place + 1 else 1
        if words[place + size - 1] in COLOURS:
            return size, f"C:{'_'.join(words[place : place + size])}"
        return 0, ""

    def _region(self) -> str:
        self.region_count += 1
        return self._add(Who(region=self.region_count - 1))

    def _named(self, words: str) -> str:
        return self._add(Who(words=words))

    def _add(self, who: Who) -> str:
        self.first = self.first or who
        self.who.append(who)
        return f"N{len(self.who) - 1}"
