"""From the turns of a conversation to readings, one for each question and answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from strefer_core import data_model as dm
from strefer_core.claims import Claim, Reading
from strefer_core.reading import answers, questions
from strefer_core.reading.claiming import claims_of
from strefer_core.reading.clauses import WORDS, Clauses
from strefer_core.reading.forms import literals_of
from strefer_core.reading.nouns import Mentions, Names, Unreadable, names_of
from strefer_core.reading.phrases import PHRASES
from strefer_core.reading.predicates import FRAMES, STATES
from strefer_core.reading.questions import Question
from strefer_core.reading.telling import denials
from strefer_core.reading.vocabulary import OBJECT_PRONOUNS, SUBJECT_PRONOUNS, literals

_OPTION = re.compile(r"\s*\(([A-Z])\)\s*")
_CHOSEN = re.compile(
    r"(?:(?:the (?:right |correct )?answer|it) is )?\(([a-z])\)[.:]?(.*)", re.IGNORECASE | re.DOTALL
)
_MARK = re.compile(r"<(\w*)>")
_MARKS = frozenset(("region", "start_time", "end_time"))
_TABLES = (questions.TABLE, questions.LEADS, answers.GENERAL, *answers.SPECIAL.values())
_CLOSED = frozenset(
    literals_of(_TABLES)
    | {word for _, text in (*PHRASES, *FRAMES, *STATES) for word in literals(text)}
    | questions.POLITE_WORDS
    | WORDS
    | SUBJECT_PRONOUNS
    | OBJECT_PRONOUNS
    | {"yes", "so"}
)


def read(turns: Sequence[dm.Turn], known: Sequence[str]) -> tuple[Reading, ...]:
    """Read what the questions and answers of a conversation claim.

    Args:
        turns: human, gpt, human, gpt, ...
        known: expressions of the video's entities, in any order.

    Returns:
        One reading per question and answer. Regions are counted over all turns.

    Raises:
        Unreadable: something in a question or an answer is not understood, or they do not fit each other.
    """
    if (
        not turns
        or len(turns) % 2
        or any(turn.role != ("human", "gpt")[i % 2] for i, turn in enumerate(turns))
    ):
        raise Unreadable(f"turns that are not question and answer in turn: {[turn.role for turn in turns]}")
    names, expressions = _names(tuple(known))
    mentions = Mentions(names, _CLOSED)
    return tuple(
        _read_pair(turns[place].text, turns[place + 1].text, mentions, expressions)
        for place in range(0, len(turns), 2)
    )


@lru_cache(maxsize=256)
def _names(known: tuple[str, ...]) -> tuple[Names, frozenset[str]]:
    names = names_of(known)
    return names, frozenset(" ".join(name) for group in names.by_first.values() for name in group)


def _read_pair(asked: str, answered: str, mentions: Mentions, known: frozenset[str]) -> Reading:
    _check_marks(asked, answered)
    body, options = _options(asked)
    mentions.start_pair()
    clauses = Clauses(mentions)
    question = questions.parse(body, clauses, has_options=bool(options))
    if options:
        return _choice(question, options, answered, clauses, known)
    claims = claims_of(question, answers.parse(answered, question, clauses), known)
    return Reading(asks=_kind(question), about=question.about, claims=claims)


def _kind(question: Question) -> str:
    return "yes_no" if question.asks in ("is_there", "is_before") else question.asks


def _check_marks(asked: str, answered: str) -> None:
    text = f"{asked}\n{answered}"
    if strange := set(_MARK.findall(text)) - _MARKS:
        raise Unreadable(f"placeholders that no pair has: {sorted(strange)}")
    if "<end_time>" in text and "<start_time>" not in text:
        raise Unreadable(f"an end without a start: {text!r}")


def _options(asked: str) -> tuple[str, tuple[str, ...]]:
    """The question and the texts of its options. Raises Unreadable where they are not (A), (B), ..."""
    body, *rest = _OPTION.split(asked)
    letters, texts = rest[::2], tuple(text.strip() for text in rest[1::2])
    if letters != [chr(ord("A") + i) for i in range(len(letters))] or len(letters) == 1:
        raise Unreadable(f"options that are not lettered (A), (B), ...: {asked!r}")
    told = [_bare(text) for text in texts if "<region>" not in text]
    if len(set(told)) < len(told) or not all(told):
        raise Unreadable(f"options that are empty or alike: {asked!r}")
    return body, texts


def _choice(
    question: Question, options: tuple[str, ...], answered: str, clauses: Clauses, known: frozenset[str]
) -> Reading:
    """The chosen option is so, and of the others nothing is."""
    chosen = _chosen(options, answered)
    claims: set[Claim] = set()
    for place, option in enumerate(options):
        told = claims_of(question, answers.parse(option, question, clauses), known)
        claims.update(told if place == chosen else denials(told))
    clauses.mentions.region_count += answered.count("<region>")
    return Reading(asks="choice", about=question.about, claims=frozenset(claims), options=options)


def _chosen(options: tuple[str, ...], answered: str) -> int:
    """Which option an answer chooses. Raises Unreadable where its letter and its words do not agree."""
    found = _CHOSEN.fullmatch(answered.strip())
    text = _bare(found[2] if found else answered)
    place = ord(found[1].upper()) - ord("A") if found else -1
    if not found and text in map(_bare, options):
        return [*map(_bare, options)].index(text)
    if not 0 <= place < len(options) or text not in ("", _bare(options[place])):
        raise Unreadable(f"{answered!r} is none of the options {options}")
    return place


def _bare(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+|<\w+>", text.lower()))
