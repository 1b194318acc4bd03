"""Sentences in symbols: phrases, verb phrases and times found, so that only the bones are left.

A cascade of finite-state steps, each of which puts one symbol in the place of what it understood: "the red
square is moving to the left then" becomes "N0 BE move:g D:left THEN", "N0 BE V0:g" at that time, "N0 F1".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from strefer_core.claims import Predicate, Who
from strefer_core.reading.forms import Form
from strefer_core.reading.nouns import Mentions, Unreadable
from strefer_core.reading.phrases import PHRASES
from strefer_core.reading.predicates import FRAMES, MADE_OUT, STATES, choice, said
from strefer_core.reading.vocabulary import PARTS, SIDES, VERB_FORMS, pattern


@dataclass(frozen=True, slots=True)
class Deed:
    """One verb phrase: steps one after the other, the predicates of a step at once."""

    steps: tuple[tuple[Predicate, ...], ...]
    is_denied: bool = False
    is_never: bool = False  # denied for all of the time: "never", not only "not"


@dataclass(frozen=True, slots=True)
class Bones:
    """What is left of a sentence, and what it said of when.

    `text` holds symbols with numbers: `N`, `P` (a pronoun) and `Z` ("no ...") of `Mentions.who`; `V`, `A` and
    `F` of `deeds`. `times` holds "T" (the asked window), "POINT", "VIDEO", "EVER", "THERE" (there is a time
    when ...), "ELSE" (at other times), "ALWAYS", "THAT" (then), "LATER" (ends so), "AFTERWARDS" (begins so),
    "FROM_START", "PARTS" (which third?) and "PART:beginning", "PART:middle", "PART:end".
    """

    text: str
    times: frozenset[str]


def _step(text: str) -> re.Pattern[str]:
    """A pattern that starts and ends between symbols."""
    return re.compile(rf"(?<!\S)(?:{pattern(text)})(?!\S)")


WORDS = frozenset(
    ("not", "never", "but", "be", "been", "and", "or", "to", "before", "after", "followed", "by", "which")
)
"""Plain words of the steps below."""

_VALUES = {"D": SIDES, "from": SIDES, "at": SIDES, "PART": PARTS}
_PHRASE = _step("|".join(f"(?P<p{i}>{pattern(text)})" for i, (_, text) in enumerate(PHRASES)))
_VERB = _step(choice(FRAMES, "v"))
_STATE = _step(choice(STATES, "a"))
_FORM = re.compile(r":([bsgdn])(?!\w)")
_CAN_BE = _step(rf"CAN(?P<who> [NPZ]\d+)?(?P<no> not)?(?P<first> FIRST)? be {MADE_OUT}")
_IN_VIDEO = _step(r"(?<!what )(?<!who )(?<!WHO )BE [NPZ]\d+( not)? VIDEO$|BE( not)? VIDEO$")
_SEEN_DOING = _step(r"(?P<be>BE( [NP]\d+)?) (visible|see:n|show:n)(?= V\d+:g)")
_ASPECT = _step(r"(begin|start|continue|keep):(?P<form>[bsgdn])( to)? V(?P<deed>\d+):[gb]")
_LINK = r"( ,)?( and| THEN| LATER| before| followed by| after which|(?<=,))( THEN| LATER)? "
_CHAIN = _step(rf"V\d+:\w({_LINK}V\d+:\w)+")
_TURNED = _step(r"V(?P<late>\d+):(?P<form>\w) after V(?P<early>\d+):g")
_PARTS = _step(r"PART:\w+( , PART:\w+)*( ,)? or PART:\w+")
_WHEN = r"(T|POINT|VIDEO|EVER|ALWAYS|THAT|FROM_START|PARTS|ELSE|PART:\w+|THERE|FILL)"
_ASIDE = re.compile(pattern(rf"(?P<before> ,)?(?P<when>( {_WHEN})+)(?P<after> ,)?(?= )"))
_LAST = re.compile(r" (?:, )?(THEN|LATER) $")
_LEADING = re.compile(r"^(?:(?:,|THEN|LATER|and) )+")
_TRAILING = re.compile(r"(?: ,)+$")
_FIRST_OF_STORY = _step(r"FIRST( ,)?(?= ([NP]\d+ )?(BE )?V\d)")
_THEN_DOES = _step(r"(?P<who>[NP]\d+) THEN(?= (V\d+:[sbd]|BE|DO))")
_EARLY = _step(r"FIRST (?P<rest>V\d+:[sbd])|(?P<be>BE) FIRST (?P<seen>visible|see:n)")
_DOING, _G = r"(V\d+:g|A\d+)", r"V\d+:[bsd]"
_FINITE = _step(
    rf"(BE|HAVE been)( not| never)? {_DOING}(( ,)? but (BE )?{_DOING})?"
    rf"|DO( not| never)? V\d+:b(( ,)? but {_G})?|never {_G}(( ,)? but {_G})?|HAVE( not| never)? V\d+:[nbd]"
)
_FINITE_CHAIN = _step(rf"(F\d+|{_G})({_LINK}(F\d+|{_G}))+")
_DEED = re.compile(r"[VA](\d+)")
_ANY_DEED = re.compile(r"[VAF](\d+)")
_NAME = re.compile(r"[NPZ](\d+)")


@dataclass
class Clauses:
    """The sentences of one pair, taken apart one after the other."""

    mentions: Mentions
    deeds: list[tuple[Deed, ...]] = field(default_factory=list)  # by number of the symbol
    _times: set[str] = field(default_factory=set)

    def bones(self, words: Sequence[str], middle: str = "") -> Bones:
        """Take one sentence apart.

        Args:
            words: from `nouns.sentences_of`.
            middle: what "in the middle" without "of the ..." is: "at:middle" or "PART:middle". By default
                a place where the sentence speaks of places only, else a part of the video.
        """
        self._times = set()
        text = _phrased(" ".join(self.mentions.symbols(words)))
        if "MIDDLE" in text:
            text = text.replace("MIDDLE", middle or _middle(text))
        text = self._verbs(text)
        text = self._without_times(text)
        text = _FINITE.sub(self._finite, self._marked(_STATE, text, self._state))
        text = _FINITE_CHAIN.sub(self._finite_chain, text)
        return Bones(text, frozenset(self._times))

    def names(self, symbols: str) -> tuple[Who, ...]:
        """Those whose symbols stand in a text, in order."""
        return tuple(self.mentions.who[int(number)] for number in _NAME.findall(symbols))

    def person(self, form: Form, part: str) -> Who | None:
        return self.mentions.who[int(form.parts[part])] if part in form.parts else None

    def said(self, form: Form, parts: Sequence[str]) -> tuple[Deed, ...]:
        """What is done (and "not ... but ..." two things), by the names of a form's parts."""
        return next((self.deeds[int(form.parts[part])] for part in parts if part in form.parts), ())

    def deed(self, form: Form, parts: Sequence[str], denied: bool = False) -> Deed | None:
        """The one thing that is done. Raises Unreadable where it is two."""
        deeds = self.said(form, parts)
        if len(deeds) > 1:
            raise Unreadable("a question that says what is not and what is")
        return replace(deeds[0], is_denied=deeds[0].is_denied != denied) if deeds else None

    def _verbs(self, text: str) -> str:
        text = _ASPECT.sub(r"V\g<deed>:\g<form>", self._marked(_VERB, text, self._verb))
        text = _SEEN_DOING.sub(r"\g<be>", text)
        text = _CHAIN.sub(self._chain, _TURNED.sub(self._turned, text))
        if "THEN" in text:
            text = _THEN_DOES.sub(r"\g<who>", text)
        return self._firsts(text) if "FIRST" in text else text

    def _firsts(self, text: str) -> str:
        """ "First" that begins a story adds nothing to its order; any other goes behind its verb."""
        if any(len(deed.steps) > 1 for deeds in self.deeds for deed in deeds):
            text = _FIRST_OF_STORY.sub("", text)
        return _EARLY.sub(lambda m: f"{m['rest'] or 'BE ' + m['seen']} FIRST", text)

    def _without_times(self, text: str) -> str:
        text = _PARTS.sub("PARTS", text)
        text = _ASIDE.sub(self._aside, f" {text} ")
        if last := _LAST.search(text):
            self._times.add("THAT" if last[1] == "THEN" else "LATER")
            text = text[: last.start()]
        text = text.strip()
        if (lead := _LEADING.match(text)) and "LATER" in lead[0]:
            self._times.add("AFTERWARDS")
        return _TRAILING.sub("", _LEADING.sub("", text))

    def _aside(self, found: re.Match[str]) -> str:
        """Take words of time out, with the commas round them."""
        self._times.update(found["when"].split())
        is_inner = found.start() > 0 and found.end() < len(found.string) - 1
        return " ," if is_inner and bool(found["before"]) != bool(found["after"]) else ""

    @staticmethod
    def _marked(step: re.Pattern[str], text: str, mark: Callable[[int, str], str]) -> str:
        """The text with a mark for each row that a table's pattern finds in it."""
        between, found = _rows(step, text)
        return between[0] + "".join(
            mark(row, phrase) + rest for (row, phrase), rest in zip(found, between[1:], strict=True)
        )

    def _verb(self, row: int, phrase: str) -> str:
        form = _FORM.search(phrase)
        assert form is not None  # every frame has a verb
        return f"V{self._add(FRAMES[row][0], phrase)}:{form[1]}"

    def _state(self, row: int, phrase: str) -> str:
        return f"A{self._add(STATES[row][0], phrase)}"

    def _add(self, kinds: str, phrase: str) -> int:
        step = said(kinds.replace("hidden", "visible"), phrase, self.mentions.who)
        return self._new(Deed((step,), is_denied=kinds == "hidden"))

    def _new(self, *deeds: Deed) -> int:
        self.deeds.append(deeds)
        return len(self.deeds) - 1

    def _chain(self, found: re.Match[str]) -> str:
        """Several verb phrases in a row as one; those that do not agree in form stay as they are."""
        forms = _FORM.findall(found[0])
        if any(form not in (forms[0], "g") for form in forms):
            return found[0]
        steps = [step for number in _DEED.findall(found[0]) for step in self.deeds[int(number)][0].steps]
        return f"V{self._new(Deed(tuple(steps)))}:{forms[0]}"

    def _finite_chain(self, found: re.Match[str]) -> str:
        """ "is moving to the left and then stops": one story, where nothing of it is denied."""
        deeds = [deed for number in _ANY_DEED.findall(found[0]) for deed in self.deeds[int(number)]]
        if any(deed.is_denied for deed in deeds):
            return found[0]
        return f"F{self._new(Deed(tuple(step for deed in deeds for step in deed.steps)))}"

    def _turned(self, found: re.Match[str]) -> str:
        early, late = (self.deeds[int(found[name])][0].steps for name in ("early", "late"))
        return f"V{self._new(Deed(early + late))}:{found['form']}"

    def _finite(self, found: re.Match[str]) -> str:
        """What is done, or not done (but something else)."""
        first, *rest = (self.deeds[int(number)][0] for number in _DEED.findall(found[0]))
        if " not" in found[0] or " never" in found[0] or found[0].startswith("never"):
            first = replace(first, is_denied=not first.is_denied, is_never="never" in found[0])
        return f"F{self._new(first, *rest)}"


@lru_cache(maxsize=2**14)
def _rows(step: re.Pattern[str], text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """The rows of a table found in a text, with their phrases, and the pieces of text between them."""
    found = list(step.finditer(text))
    edges = [0, *(edge for match in found for edge in match.span()), len(text)]
    between = [text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return between, [(int(str(match.lastgroup)[1:]), match[0]) for match in found]


def _middle(text: str) -> str:
    """What "in the middle" is, told by what stands beside it."""
    is_place = "PART:" not in text and ("at:" in text or "WHERE" in text)
    return "at:middle" if is_place else "PART:middle"


@lru_cache(maxsize=2**14)
def _phrased(text: str) -> str:
    """Fixed phrases, verbs, and ways to say that one is seen ("can be seen", "is in the video") as symbols.

    Names are numbers by now, so that the same few texts come again and again.
    """
    text = _PHRASE.sub(_phrase, text)
    text = " ".join(VERB_FORMS.get(symbol, symbol) for symbol in text.split())
    text = _CAN_BE.sub(lambda m: f"BE{m['who'] or ''}{m['no'] or ''}{m['first'] or ''} visible", text)
    return _IN_VIDEO.sub(lambda m: m[0].replace("VIDEO", "visible"), text)


def _phrase(found: re.Match[str]) -> str:
    symbol = PHRASES[int(str(found.lastgroup)[1:])][0]
    if symbol not in _VALUES:
        return symbol
    values = [_VALUES[symbol][word] for word in found[0].split() if word in _VALUES[symbol]]
    return f"{symbol}:{values[-1]}"
