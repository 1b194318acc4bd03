"""Whether other words for a text still say the same, no more and no less.

What a pair claims is read from its text by `strefer_core.reading`. A reader is lenient where that does no
harm to judging: to it "runs" is a way to go, "he" is whoever was asked about, and a thing that is only called
upon claims nothing. So words that are not in the text before must be of a list of such as add nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from strefer_core import data_model as dm
from strefer_core.reading import read
from strefer_core.reading.vocabulary import PARTS, SIDES, VERB_FORMS
from strefer_core.served.words import FUNCTION_WORDS, clean, words
from strefer_core.stages.leaks import turn_leaks

PLACEHOLDER = re.compile(r"<(?:region|start_time|end_time)>")

_SENTENCE_END = re.compile(r"[.?!](?=\s|$)")
_LONGER, _MORE_WORDS = 2.0, 8  # times as many words as before, and so many more
_SHORTER = 0.5
_GENDERED = frozenset(("he", "him", "his", "she", "her", "hers"))
_PLAIN_VERBS = frozenset(
    """
    move go travel head proceed come get pass stay remain keep stop halt follow trail approach enter leave
    exit appear emerge show disappear vanish become grow shrink increase decrease see happen occur behave act
    """.split()  # noqa: SIM905
)  # say nothing of a manner, a posture, an aim, or of what was before
_PLAIN_WORDS = frozenset(
    """
    doing video clip film footage recording picture frame image view screen sight scene shot part third
    side edge place position spot still stationary motionless put rest standstill time times interval
    period moment span point throughout during between within until till all any ever never not no whole
    entire beginning start middle end towards toward closer nearer away front behind larger bigger
    smaller size visible can could may please tell me us say give name describe question following
    answer yes about colour color look consider watch how why if whether
    """.split()  # noqa: SIM905
)
_ADD_NOTHING = (
    (FUNCTION_WORDS - _GENDERED)
    | _PLAIN_WORDS
    | SIDES.keys()
    | (PARTS.keys() - {"first"})
    | {spelled for spelled, verb in VERB_FORMS.items() if verb.partition(":")[0] in _PLAIN_VERBS}
)


def check_text(text: str, before: str, said_to: str = "") -> str:
    """The new text with single blanks.

    Args:
        text: a model's words.
        before: the words that they are for.
        said_to: the question that they answer; "" where they are one.

    Raises:
        ValueError: it is no plain English text with the placeholders of `before`, is much longer or shorter
            than it, or holds a word that may say more.
    """
    text = " ".join(text.split())
    if PLACEHOLDER.findall(text) != PLACEHOLDER.findall(before):
        raise ValueError("its placeholders are not those of the text, in their order")
    room = round(_LONGER * len(words(before))) + _MORE_WORDS
    clean(PLACEHOLDER.sub("X", text), max_words=room)
    if len(words(text)) < _SHORTER * len(words(before)):
        raise ValueError("it is much shorter than the text")
    if not text.endswith("." if said_to else ("?", ".")) or text[:1].islower() or "?" in text[:-1]:
        raise ValueError("it does not begin and end as a question or an answer does")
    if len(_SENTENCE_END.findall(text)) > len(_SENTENCE_END.findall(before)):
        raise ValueError("it has more sentences than the text")
    if more := sorted(set(words(text)) - {*words(before), *words(said_to)} - _ADD_NOTHING):
        raise ValueError(f"it may say more: {', '.join(more)}")
    return text


def check_pairs(
    before: dm.Instruction, after: dm.Instruction, entities: Mapping[str, dm.Entity], known: Sequence[str]
) -> None:
    """Raise ValueError where an instruction in new words does not claim and ask the very same, or leaks.

    Args:
        before, after: one pair or a conversation, in its old and its new words.
        entities: of the video, by id.
        known: their expressions.
    """
    if read(after.turns, known) != read(before.turns, known):
        raise ValueError("it claims or asks something else")
    if told := turn_leaks(after, entities):
        raise ValueError(f"it gives away: {', '.join(told)}")
