"""The words that a reader knows, as data. A word that is not in these tables and not part of a name is not
understood, and nothing that is not understood is ever passed over.
"""

from __future__ import annotations

import re

from strefer_core.reading.inflection import forms

# Verbs of one meaning. A manner of going ("runs") is read as going; haste or mood ("rushes") is not known.
VERBS = {
    "GO": "move go travel head run walk drift slide fly glide roll crawl swim float proceed shift advance "
    "step",
    "COME": "come get",
    "PASS": "pass cross",
    "STAY": "stay remain keep stand rest sit lie hold",
    "PAUSE": "stop halt pause",
    "FOLLOW": "follow trail tail shadow",
    "COVER": "cover block hide occlude obscure conceal mask overlap",
    "NEAR": "approach near",
    "BACK": "back retreat withdraw",
    "ENTER": "enter",
    "LEAVE": "leave exit quit depart",
    "SHOW_UP": "appear emerge show turn",
    "VANISH": "disappear vanish",
    "GET": "get become grow",
    "GROW": "grow expand enlarge swell",
    "SHRINK": "shrink diminish contract recede",
    "GAIN": "increase gain",
    "LOSE": "decrease",
    "RISE": "rise ascend climb",
    "FALL": "fall drop sink descend",
    "BEGIN": "begin start continue keep",
    "SEE": "see",
    "SHOW": "show",
    "HAPPEN": "happen occur",
    "BEHAVE": "behave act",
}

# Spelling -> symbol: the verb and the letter of its form, "move:s".
VERB_FORMS = {
    spelled: f"{verb}:{letter}"
    for verb in sorted({verb for verbs in VERBS.values() for verb in verbs.split()})
    for spelled, letter in forms(verb).items()
    if spelled != "left"  # a side, far more often than the past of "leave"
}

AUXILIARIES = {
    "BE": "is are was were am",
    "DO": "do does did",
    "CAN": "can could",
    "HAVE": "has have had",
}

SYMBOLS = {word: symbol for symbol, words in AUXILIARIES.items() for word in words.split()}

CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(it|that|there|what|who|where|he|she)'s\b"), r"\1 is"),
    (re.compile(r"\b(they|these|those)'re\b"), r"\1 are"),
    (re.compile(r"\bi'm\b"), "i am"),
)

COLOURS = frozenset(
    "red orange yellow green turquoise blue purple pink white black grey gray brown beige cyan magenta "  # noqa: SIM905
    "violet gold golden silver tan maroon navy teal".split()
)
SHADES = frozenset(("light", "dark", "bright", "pale", "deep"))

# Nouns so broad that "the shape" says no more of a marked thing than "it" does.
BROAD = frozenset(
    "person people animal creature shape figure object thing item vehicle toy plant tool machine one".split()  # noqa: SIM905
)

ARTICLES = frozenset(("the", "a", "an"))
NUMBERS = frozenset(("two", "three", "four", "some", "another", "his", "her", "its", "their"))
DETERMINERS = ARTICLES | NUMBERS | {"no", "any"}
SUBJECT_PRONOUNS = frozenset(("it", "they", "he", "she"))
OBJECT_PRONOUNS = frozenset(("it", "them", "him", "her"))
LINKS = frozenset(("in", "with", "wearing", "of"))
"""Words that lengthen an unknown name to the right, as in "the man in a white shirt"."""

SIDES = {
    "left": "left", "left-hand": "left", "leftward": "left", "leftwards": "left",
    "right": "right", "right-hand": "right", "rightward": "right", "rightwards": "right",
    "up": "up", "upward": "up", "upwards": "up", "top": "up", "upper": "up", "above": "up",
    "down": "down", "downward": "down", "downwards": "down", "bottom": "down", "lower": "down",
    "below": "down",
    "middle": "middle", "centre": "middle", "center": "middle",
}  # fmt: skip
PARTS = {
    "beginning": "beginning", "start": "beginning", "first": "beginning", "opening": "beginning",
    "middle": "middle", "second": "middle",
    "end": "end", "last": "end", "final": "end", "closing": "end",
}  # fmt: skip


def pattern(text: str) -> str:
    """A pattern over symbols as a regular expression: its plain groups capture nothing."""
    return re.sub(r"\((?!\?)", "(?:", text)


def literals(text: str) -> set[str]:
    """The plain words in a pattern, to be known."""
    text = re.sub(r"\(\?(P<\w+>|[:!=]|<[!=])", "(", text)
    text = re.sub(r"([a-z]+)s\?", r"\1|\1s", text)
    return set(re.findall(r"(?<![\w:<\\-])[a-z]+(?:-[a-z]+)*(?![\w:>-])", text))
