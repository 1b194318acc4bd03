"""What is asked: a question's text as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from strefer_core.claims import Predicate, Who
from strefer_core.reading.clauses import Clauses, Deed
from strefer_core.reading.forms import Forms, Table, compiled
from strefer_core.reading.nouns import Unreadable, sentences_of
from strefer_core.reading.vocabulary import literals

TABLE: Table = (
    (
        "which_first",
        (
            "WH (happen_|come_|takes place|occur_|BE) FIRST~ SX~ or OY",
            "(two|these) (things|events) happen_~ SX and OY WH (happen_|come_|takes place|BE) FIRST",
            "(of )?SX and OY~ WH (happen_|come_|takes place|BE) FIRST",
            r"WH F\d+ FIRST~ SX~ or OY",
        ),
    ),
    (
        "who_first",
        (
            "WH (X|BE A) FIRST~ S~ or O",
            "WH BE the FIRST (to Xb|A)~ S~ or O",
            "BE S~ or O the FIRST (to Xb|A)",
            "((of )?S and O~ )?WH (X|BE A) FIRST",
            "(DO S~ or O Xb|BE S~ or O A) FIRST",
            "WH of S and O (X|BE A) FIRST",
        ),
    ),
    ("is_before", ("DO S Xb before OY", "DO S Xb before O DO", "BE S Xg before OY")),
    (
        "next",
        (
            "what (DO S|S) DO( LATER)? (after|once) (O )?Y",
            "(after|once) (O )?Y~ what DO S DO( LATER)?",
            "what (happen_ to|BE happen:g to) S( LATER)? (after|once) (O )?Y",
            "(after|once) (O )?Y~ what (happen_ to|BE happen:g to) S",
            "what BE the LATER thing that S DO after (O )?Y",
            "O Y (and )?what (happen_ to|BE happen:g to) S",
            "O Y (and )?what (DO S DO|BE S doing)",
        ),
    ),
    (
        "while",
        (
            "what (BE S doing|DO S DO|S DO|S BE doing) (WHILE|WHEN) OY",
            "(WHILE|WHEN) OY~ what (BE S doing|DO S DO)",
        ),
    ),
    ("before", ("WH (X|BE A)( FIRST)? before S( DO)?", "WH (X|BE A) FIRST than S( DO)?")),
    ("after", ("WH (X|BE A)( LATER)? (only )?after S( DO)?", "WH (X|BE A) later than S( DO)?")),
    ("which_part", ("WHICH_PART DO S Xb", "WHICH_PART BE S (Xg|A)", "WHICH_PART S X")),
    ("when", ("WHEN DO SNOT Xb", "WHEN BE SNOT (Xg|A)", "WHEN S X")),
    (
        "where",
        ("WHERE CAN (you|one) see:b S", "WHERE BE S( A)?", "WHERE S BE( A)?", "WHERE S X", "WHERE DO S Xb"),
    ),
    (
        "colour",
        ("COLOUR (BE S|S BE)", "COLOUR DO S HAVE", "COLOUR S HAVE", "what BE COLOUR of S", "COLOUR of S"),
    ),
    (
        "describe",
        (
            "(describe|tell about) S",
            "(describe|tell about) S and (tell )?what IT (DO|BE doing)",
            "(give )?(a )?((short|brief) )?description of S( and of what IT (DO|BE doing))?",
            "WH BE S~ and what (DO IT DO|BE IT doing)",
            "WH S BE~ and what IT (DO|BE doing)",
        ),
    ),
    (
        "what_does",
        (
            "(WHO|what|which) (BE S doing|DO S DO|S DO|S BE doing|BE S A doing|S BE A doing)",
            "what (happen_|BE happen:g) to S",
            "WHO hold_ for S",
            "how (DO S|S) (behave_|act_)",
            "(describe )?the (actions|behaviour|movements) of S",
        ),
    ),
    ("what_is", ("WH (BE S|S BE)", "(name|identify) S", "what (kind|sort) of thing (BE S|S BE)")),
    ("way", ("WAY DO S Xb", "WAY BE S Xg", "WAY S X")),
    ("why", ("why DO S Xb", "why BE S (Xg|A)")),
    (
        "yes_no",
        (
            "BE S (Xg|A)",
            "DO S Xb",
            "HAVE S Xn",
            "(whether|if) S X",
            "BE IT (true|correct) that S X",
            "CAN you see:b S (Xg|A)",
        ),
    ),
    ("is_there", ("BE there S( A)?", "CAN you see:b S")),
    (
        "what_happens",
        (
            r"(describe )?what F\d+ to happen:b",
            "what (happen_|BE happen:g|BE go:g on|takes place|go:s on|occur_)",
            "describe (FILM|the (events|action|scene))",
            "(give )?(a )?((short|brief) )?(account|summary|description) of (the (events|action)|FILM)",
            "(give )?(a )?((short|brief) )?(account|summary|description) of what happen_",
            "(summarize|summarise) (FILM|what happen_|the events)",
        ),
    ),
    (
        "things",
        (
            "(name|list) the (things|objects) that (FILM show_|BE A|you CAN see:b)",
            "WH (BE A|CAN (you|one|i) see:b|DO FILM show:b|FILM show_|BE there|there BE)",
        ),
    ),
    ("who_does", ("WH (X|BE A|BE Xg)~ S~ or O", "WH of S (and|or) O (X|BE A)", "WH (X|BE Xg)")),
)

LEADS: Table = (
    ("choose", ("(choose|pick|select) (one|the right one)( of (these|them))?",)),
    (
        "lead",
        (
            "answer the follow:g question about NN",
            "(HAVE a look at|look at|consider|focus on|watch|take) NN( and answer (the|this) question)?",
            "((this|the|my|the follow:g|the next) question BE|here BE (a|the|my) question) about NN",
            "((about|regarding|concerning|as for|for|looking at) )?NN",
        ),
    ),
)

_WH = "(what|WHO|WHICH_THING|who|which|WHERE|WHEN|WHICH_PART|COLOUR|WAY|how|why|whether|if)"
_TELL = "(tell|say|state|describe|explain|choose|pick|select|give|report|specify|determine|indicate|name)"
_POLITE = (
    ("^(and|so|now)~ ", ""),
    ("^((CAN|would|will) you(?! see:b)|i would like you to) ", ""),
    ("^DO you know ", ""),
    ("^(tell|give|show:b) (me|us) ", "tell "),
    (f"^{_TELL}( (in a few words|briefly|in short))?~ (?={_WH} )", ""),
)
POLITE_WORDS = frozenset(word for form, _ in _POLITE for word in literals(form))

_FORMS, _LEADS = Forms(TABLE), Forms(LEADS)
_INLINE_LEAD = compiled("((about|regarding|concerning|as for|for|looking at) )?NN , (?=[^NP])")
_POLITENESS = tuple((compiled(form), instead) for form, instead in _POLITE)
_SEEN = (Deed(((Predicate(kind="visible"),),)), Deed(((Predicate(kind="seen"),),)))
_TIMES = frozenset(("VIDEO", "THAT", "FILL"))
_SPANS = frozenset(("T", "POINT", "EVER", "THERE", "ALWAYS"))
_MORE_TIMES = {
    **dict.fromkeys(("what_does", "what_happens", "describe", "where", "way", "why", "who_does"), _SPANS),
    **dict.fromkeys(("yes_no", "is_there"), _SPANS),
    "next": frozenset(("LATER", "AFTERWARDS")),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What one question asks."""

    asks: str  # a kind of `TABLE`
    text: str  # as it was asked, for messages
    subject: Who | None = None
    other: Who | None = None  # the second of two, or who does something meanwhile or before
    deed: Deed | None = None  # what the subject is said or asked to do
    other_deed: Deed | None = None
    times: frozenset[str] = frozenset()  # see `clauses.Bones`

    @property
    def about(self) -> tuple[Who, ...]:
        """Whom it asks about, the subject first."""
        return tuple(dict.fromkeys(who for who in (self.subject, self.other) if who is not None))


def parse(text: str, clauses: Clauses, has_options: bool = False) -> Question:
    """Read a question without its options. Raises Unreadable.

    Sets whom pronouns stand for: whom a lead points at ("Look at the <region>."), else who is named.
    """
    asked: list[str] = []
    times: set[str] = set()
    shown: tuple[Who, ...] = ()
    for words in sentences_of(text):
        bones = clauses.bones(words)
        if lead := _LEADS.match(bones.text):
            shown = clauses.names(lead.parts["names"]) if "names" in lead.parts else shown
            clauses.mentions.start_question(shown[0] if len(shown) == 1 else None)
        else:
            asked.append(bones.text)
        times |= bones.times
    body = " ".join(asked)
    if inline := _INLINE_LEAD.match(body):
        shown, body = clauses.names(inline[0]), body[inline.end() :]
    question = _question(body, text, clauses, shown)
    question = replace(question, times=frozenset(times))
    if not {*shown} <= {*question.about, _object(question)}:
        raise Unreadable(f"{question.text!r} points at somebody of whom it then asks nothing")
    clauses.mentions.start_answer(question.subject, _object(question))
    return _checked(question if has_options else _refined(question))


def _question(bones: str, text: str, clauses: Clauses, shown: Sequence[Who]) -> Question:
    form = _FORMS.match(bones) or _FORMS.match(_plain(bones))
    if form is None:
        raise Unreadable(f"not a question that can be read: {text!r} (understood so far: {bones})")
    subject, other = clauses.person(form, "s"), clauses.person(form, "o")
    if form.kind in ("who_first", "who_does") and subject is None and len(shown) == 2:
        subject, other = shown
    deed = clauses.deed(form, ("f", "v", "vb", "vg", "vn", "a"), denied="no" in form.parts)
    if form.kind in ("where", "what_does") and deed not in (None, *_SEEN):
        raise Unreadable(f"a question that tells what it asks for: {text!r}")
    return Question(
        asks=form.kind,
        text=text,
        subject=subject,
        other=other or (subject if form.kind == "next" else None),
        deed=deed,
        other_deed=clauses.deed(form, ("of", "ov")),
    )


def _plain(bones: str) -> str:
    """The question without politeness: "Can you tell me what it does?" becomes "what it does"."""
    for polite, instead in _POLITENESS:
        bones = polite.sub(instead, bones)
    return bones


def _checked(question: Question) -> Question:
    """The question; Unreadable where it speaks of times that are of no use to it, and so would go unheard."""
    if question.times & {"EVER", "THERE"} and "ALWAYS" in question.times:
        raise Unreadable(f"{question.text!r} asks for all of the time and for some of it")
    if strange := question.times - _TIMES - _MORE_TIMES.get(question.asks, frozenset()):
        raise Unreadable(f"{question.text!r} speaks of {', '.join(sorted(strange))}, which is read nowhere")
    return question


def _object(question: Question) -> Who | None:
    """Whom "it" after a verb stands for in the answer, where that is not the subject."""
    steps = question.deed.steps if question.deed else ()
    others = [predicate.other for step in steps for predicate in step if predicate.other is not None]
    return others[0] if others else question.other if question.asks == "while" else None


def _refined(question: Question) -> Question:
    """What the form alone does not tell: "Can it be seen at the beginning or at the end?" asks for a part of
    the video, "What can be seen?" for all the things that are there.
    """
    if "PARTS" in question.times and question.asks in ("yes_no", "when", "which_part"):
        return replace(question, asks="which_part", times=question.times - {"PARTS"})
    if question.asks == "next" and "THAT" in question.times:
        return replace(question, asks="while")  # "It stops. What is the other one doing at that time?"
    if question.asks == "who_does" and question.deed in _SEEN and question.subject is None:
        return replace(question, asks="what_happens" if "T" in question.times else "things", deed=None)
    return question
