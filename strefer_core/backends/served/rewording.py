"""Pairs in other words: questions first, then answers, each kept only where the pair still claims the same.

A question is put into other words without its answer being shown, so that its words cannot hint at it. Pairs
of one set are asked in the same words and stay so: a text that several pairs share is changed in all of them
or in none, and so are all questions of a set.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from strefer_core import data_model as dm
from strefer_core.backends.served.batches import Item, Items, ask_each
from strefer_core.backends.served.samewords import check_pairs, check_text
from strefer_core.config import ServedModel
from strefer_core.reading import Unreadable, read
from strefer_core.served.words import words
from strefer_core.stages.choosing import question_key

REWORD = "reword.v1"
MARK = ".llm"
"""Ends the template id of a pair in other words."""

_OPTIONS = re.compile(r"\n\(A\) ")
_FEWEST_WORDS = 4  # of an answer that is worth other words


class Reworded(Item):
    """A text in other words."""

    text: str


class Rewordings(Items[Reworded]):
    """One reply."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text, and where it stands: (place of the instruction, place of its turn)."""

    text: str
    said_to: str  # the question that it answers; "" for a question
    places: tuple[tuple[int, int], ...]

    def shown(self) -> dict[str, JsonValue]:
        return {"text": self.text, "said_to": self.said_to or None}


class Draft:
    """The instructions of one video on their way to their final words."""

    def __init__(self, chosen: Sequence[dm.Instruction], entities: Sequence[dm.Entity]) -> None:
        self.before = list(chosen)
        self.now = list(chosen)
        self._entities = {one.entity_id: one for one in entities}
        self._known = [one.expression for one in entities]

    def is_readable(self, item: dm.Instruction) -> bool:
        """Whether it can be told what the pair claims; if not, its words stay."""
        try:
            read(item.turns, self._known)
        except Unreadable:
            return False
        return True

    def questions(self) -> list[Text]:
        """Each distinct question, options left out."""
        places = self._readable_turns("human")
        return _texts([(_stem(self._turn(at)), "", at) for at in places])

    def answers(self) -> list[Text]:
        """Each distinct answer to a question; those to choose among and very short ones are final."""
        found = []
        for place, turn in self._readable_turns("gpt"):
            question, answer = self._turn((place, turn - 1)), self._turn((place, turn))
            if not _OPTIONS.search(question) and len(words(answer)) >= _FEWEST_WORDS:
                found.append((answer, question, (place, turn)))
        return _texts(found)

    def check(self, text: Text, reworded: Reworded) -> str:
        """The new text. Raises ValueError where one of the pairs that hold it would not be the same."""
        new = check_text(reworded.text, text.text, text.said_to)
        self._changed([(text, new)])
        return new

    def adopt(self, changes: Sequence[tuple[Text, str]]) -> None:
        """Make all these changes. Raises ValueError, and makes none, where together they break a pair."""
        self.now = self._changed(changes)

    def final(self) -> list[dm.Instruction]:
        return [_marked(before, after) for before, after in zip(self.before, self.now, strict=True)]

    def _changed(self, changes: Sequence[tuple[Text, str]]) -> list[dm.Instruction]:
        changed = list(self.now)
        for text, new in changes:
            for place, turn in text.places:
                changed[place] = _with(changed[place], turn, text.text, new)
        asked = Counter(map(question_key, changed))
        for place in {place for text, _ in changes for place, _ in text.places}:
            if asked[question_key(changed[place])] > 1:
                raise ValueError("it is asked in these words already")
            check_pairs(self.before[place], changed[place], self._entities, self._known)
        return changed

    def _readable_turns(self, role: str) -> list[tuple[int, int]]:
        return [
            (place, turn)
            for place, item in enumerate(self.before)
            if self.is_readable(item)
            for turn, one in enumerate(item.turns)
            if one.role == role
        ]

    def _turn(self, at: tuple[int, int]) -> str:
        return self.now[at[0]].turns[at[1]].text


def reword(
    chosen: Sequence[dm.Instruction], entities: Sequence[dm.Entity], model: ServedModel
) -> list[dm.Instruction]:
    """The instructions in other words, where these are sure to say the same; in order, none lost.

    Raises BackendError where the server does not answer.
    """
    draft = Draft(chosen, entities)
    questions = draft.questions()
    _adopt(draft, list(_groups(questions, chosen)), _asked(draft, questions, model))
    answers = draft.answers()
    _adopt(draft, [[text] for text in answers], _asked(draft, answers, model))
    return draft.final()


def _asked(draft: Draft, texts: Sequence[Text], model: ServedModel) -> dict[Text, str]:
    found = ask_each(texts, model=model, prompt=REWORD, reply=Rewordings, shown=Text.shown, use=draft.check)
    return {text: new for text, new in zip(texts, found, strict=True) if new is not None}


def _adopt(draft: Draft, groups: Sequence[Sequence[Text]], found: dict[Text, str]) -> None:
    """Change each group as a whole; one that lacks a text, or does not fit what is changed already, stays."""
    for group in groups:
        if all(text in found for text in group):
            try:
                draft.adopt([(text, found[text]) for text in group])
            except ValueError:  # each alone was right: two questions of a conversation, too alike now
                continue


def _texts(found: Sequence[tuple[str, str, tuple[int, int]]]) -> list[Text]:
    places: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for text, said_to, at in found:
        places[text, said_to].append(at)
    return [Text(text=text, said_to=said_to, places=tuple(at)) for (text, said_to), at in places.items()]


def _groups(questions: Sequence[Text], chosen: Sequence[dm.Instruction]) -> Iterator[list[Text]]:
    """Questions that a set ties together, over all sets that share one of them."""
    ties = {text: {key for place, _ in text.places for key in _sets(chosen[place])} for text in questions}
    left = list(questions)
    while left:
        group = [left.pop(0)]
        for text in group:  # which grows
            group += [other for other in left if ties[other] & ties[text]]
            left = [other for other in left if other not in group]
        yield group


def _sets(item: dm.Instruction) -> list[str]:
    """Keys of the sets that a pair, or the pairs of a conversation, belong to."""
    return [key for key in item.set_key.split("+") if key]


def _stem(question: str) -> str:
    """The question without its options."""
    return _OPTIONS.split(question, maxsplit=1)[0]


def _with(item: dm.Instruction, turn: int, old: str, new: str) -> dm.Instruction:
    """The instruction with the beginning `old` of one turn replaced."""
    turns = list(item.turns)
    turns[turn] = replace(turns[turn], text=new + turns[turn].text.removeprefix(old))
    return replace(item, turns=tuple(turns))


def _marked(before: dm.Instruction, after: dm.Instruction) -> dm.Instruction:
    """With `MARK` at the template of each pair whose words have changed."""
    ids = before.template_id.split("+")
    for place, part in enumerate(ids):
        own = slice(2 * place, 2 * place + 2)
        ids[place] = part + MARK if before.turns[own] != after.turns[own] else part
    return replace(after, template_id="+".join(ids))
