"""What is answered: the sentences of an answer as values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from strefer_core.claims import Who
from strefer_core.reading.clauses import Bones, Clauses, Deed
from strefer_core.reading.forms import Forms, Table
from strefer_core.reading.nouns import Unreadable, sentences_of
from strefer_core.reading.questions import Question

GENERAL: Table = (
    ("does", ("S X", r"V(?P<v>\d+):[sbg]", "A")),
    ("does_not", ("not (Xg|A)", "never DO S Xb")),
    ("nowhere", ("nowhere( to be see:n)?", "there BE (not( (one|any))?|NOTHING)")),
    ("swap", ("IT BE not S but O (that|who|which) X", "not S but O X")),
    ("it_is", ("IT BE S (that|who|which) X",)),
    ("is_a", ("S BE O",)),
    (
        "colour",
        (
            "C",
            "S BE C( in (colour|color))?",
            "S HAVE the (colour|color) C",
            "its (colour|color) BE C",
            "the (colour|color) BE C",
        ),
    ),
    ("way", (r"D:(?P<d>\w+)",)),
    ("time", ("",)),
    ("echo", (r"S (BE|DO|CAN|HAVE)(?P<no> not)?",)),
    (
        "absent",
        (
            "there BE Z( A)?",
            "there BE not S( A)?",
            "Z X",
            "(i|you) (CAN|DO) not see:b S",
            "(i|you) (CAN )?see:b Z",
            "(FILM|IT) DO not show:b S",
            "(FILM|IT) show_ Z",
        ),
    ),
    ("names", ("NN",)),
    (
        "shown",
        ("(FILM|IT) show_ NS", "(i|you) (CAN )?see:b NS", "there BE NS( A)?", "NS X", "what BE A BE NS"),
    ),
)
"""Forms of sentences in answers to any question."""

_OTHERS: Table = (
    (
        "names",
        (
            "NS",
            "NS (X|BE|DO)( FIRST)?( (only )?(before|FIRST than|after|later than) O( DO)?)?",
            "(before|after) O (you (CAN )?see:b|come_) NS",
        ),
    ),
    ("nothing", ("NOTHING( DO| X| BE A)?( FIRST)?( (before|FIRST than|after|later than) O( DO)?)?",)),
    (
        "nothing",
        (
            "NOTHING come_ (before|FIRST than|after|later than) O",
            "NOTHING , all the others X before O( or with IT)?",
        ),
    ),
)
SPECIAL: dict[str, Table] = {
    "before": _OTHERS,
    "after": _OTHERS,
    "who_first": (
        ("names", ("NS( DO)?", "NS (X|come_|BE) FIRST", "NS X before O( DO)?", "FIRST~ NS X", "FIRST~ NS")),
        ("place", (r"the (?P<d>FIRST|second)( one)?( of the two)?(~ NS)?~( (X|come_|BE) FIRST)?",)),
    ),
    "which_first": (
        (
            "order",
            ("SX before OY", "S X FIRST", "FIRST~ SX", "S X FIRST~ then OY", "SX (come_|happen_|BE) FIRST"),
        ),
        ("order", ("SXg",)),
    ),
    "who_does": (("names", ("NS", "NS (DO|BE|CAN|HAVE)")),),
    "things": (("shown", ("NS( X)?",)),),
}
"""Forms that only answers to one kind of question have; tried before the general ones."""

_GENERAL = Forms(GENERAL)
_SPECIAL = {asks: Forms(table) for asks, table in SPECIAL.items()}
_ORDERS = frozenset(("before", "after", "who_first", "which_first"))
_YES_NO = re.compile(r"^(yes|no)\b(?: ,)? ?")
_FINITE = r"(?:F\d+|V\d+:[sbd])"
_CLAUSE = re.compile(
    rf"^(NOTHING|nowhere|[NP]\d+ (?:{_FINITE}|(?:BE|DO|CAN|HAVE)(?: not)?|BE [NP]\d+))"
    r"(?: ,)?(?: (?:and|but|so|THEN|LATER))* "
    r"(?=(?:[NP]\d+ (?:F|V\d+:[sbd]|BE|DO|CAN)|NOTHING|there BE|FILM show))"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One clause of an answer."""

    kind: str  # of `GENERAL` or `SPECIAL`
    text: str  # its bones, for messages
    times: frozenset[str]
    who: Who | None = None
    other: Who | None = None
    deeds: tuple[Deed, ...] = ()
    other_deeds: tuple[Deed, ...] = ()
    names: tuple[Who, ...] = ()
    value: str = ""  # of "colour", "way" and "place"
    is_denied: bool = False
    is_before: bool | None = None  # of "names" and "nothing": said to come before; None: not said

    def allow(self, *times: str) -> None:
        """Raises Unreadable where the clause speaks of other times than these."""
        if self.times & {"EVER", "THERE"} and "ALWAYS" in self.times:
            raise Unreadable(f"{self.text!r} speaks of all of the time and of some of it")
        if strange := self.times - {"VIDEO", "THAT", "FILL", *times}:
            raise Unreadable(f"{self.text!r} speaks of {', '.join(sorted(strange))}, which was not asked")


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    is_yes: bool | None  # None where it says neither yes nor no
    statements: tuple[Statement, ...]


def parse(text: str, question: Question, clauses: Clauses) -> Answer:
    """Read an answer, or one option of a multiple choice. Raises Unreadable."""
    is_yes: bool | None = None
    found: list[Statement] = []
    middle = "at:middle" if _is_about_places(question) else "PART:middle"
    for place, words in enumerate(sentences_of(text)):
        bones = clauses.bones(words, middle)
        if place > 0:  # "Then it stops." tells of an order that the order of sentences tells already
            bones = Bones(bones.text, bones.times - {"AFTERWARDS"})
        rest = (
            bones.text
            if question.asks in _ORDERS
            else bones.text.removeprefix("FIRST , ").removeprefix("FIRST ")
        )
        if place == 0 and (said := _YES_NO.match(rest)):
            is_yes, rest = said[1] == "yes", rest[said.end() :]
        if rest or bones.times - {"FILL"} or is_yes is None:
            found += [_statement(clause, bones, text, question, clauses) for clause in _split(rest)]
            if found[-1].kind == "is_a":  # "This is a dog. It runs.": of whom it was said, not of the name
                clauses.mentions.first = found[-1].who
    return Answer(text, is_yes, tuple(found))


def _is_about_places(question: Question) -> bool:
    return question.asks == "where" or any(
        predicate.kind == "at"
        for step in (question.deed.steps if question.deed else ())
        for predicate in step
    )


def _split(bones: str) -> list[str]:
    clauses: list[str] = []
    while found := _CLAUSE.match(bones):
        clauses.append(found[1])
        bones = bones[found.end() :]
    return [*clauses, bones]


def _statement(clause: str, bones: Bones, text: str, question: Question, clauses: Clauses) -> Statement:
    special = _SPECIAL.get(question.asks)
    form = (special.match(clause) if special else None) or _GENERAL.match(clause)
    if form is None:
        raise Unreadable(f"not an answer that can be read: {text!r} (understood so far: {clause})")
    parts = form.parts
    return Statement(
        kind=form.kind,
        text=clause,
        times=bones.times,
        who=clauses.person(form, "s"),
        other=clauses.person(form, "o"),
        deeds=clauses.said(form, ("f", "v", "vb", "vg", "a")),
        other_deeds=clauses.said(form, ("of", "ov")),
        names=clauses.names(parts.get("names", "")),
        value=parts.get("c", parts.get("d", "")).replace("_", " "),
        is_denied="no" in parts or form.kind == "does_not",
        is_before=_is_before(clause),
    )


def _is_before(clause: str) -> bool | None:
    if re.search(r"\b(before|FIRST)\b", clause):
        return True
    return False if re.search(r"\b(after|later)\b", clause) else None
