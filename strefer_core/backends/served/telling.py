"""What a model says that a thing does, at the door: one English sentence about this very thing."""

from __future__ import annotations

import re

from strefer_core.served.words import clean, refuse_orders, refuse_refusals, require_english, words

MAX_WORDS = 40
"""Of a sentence; it is asked for 25."""

_SHORT_WORDS = 6  # fewer cannot show by their little words that they are English
_SENTENCE_END = re.compile(r"[.!?][\"'\u2019\u201d)]*\s+\S")
_ADVERB = re.compile(r"\w+ly|first|then|just|still|now|also")
_HELPERS = frozenset(("is", "are", "was", "were", "has", "have", "does", "do", "can"))

_PICTURE = r"(?:the |this )?(?:picture|frame|image|view|sight|shot|scene|screen|video)"
_UNSEEN = re.compile(
    r"\b(?:not|never|no longer|hardly|n[\'\u2019]t)\b.*\b(?:visible|seen|shown|in " + _PICTURE + r")\b"
    r"|\b(?:invisible|absent|unseen)\b",
    re.IGNORECASE,
)
_COMES_OR_GOES = re.compile(
    rf"\b(?:out of|into|off|leav\w+|left|exit\w*|enter\w*|depart\w*) {_PICTURE}\b"
    r"|\b(?:dis|re)?appears?(?! to )(?:ing)?\b|\bvanish\w*|\boff-?screen\b",
    re.IGNORECASE,
)
_OF_THE_FRAMES = re.compile(r"\b(?:magenta|outlined?|cropped|frames?)\b", re.IGNORECASE)


def sentence_about(text: str, name: str, *, is_plural: bool, is_always_seen: bool) -> str:
    """The text as one sentence with a capital and a full stop.

    Args:
        text: a model's words.
        name: of the thing, as it stands inside a sentence; the text must begin with it.
        is_plural: whether the name is one of several, for the verb.
        is_always_seen: whether the thing is visible before, all through and after the clip.

    Raises:
        ValueError: the text is no such sentence, or contradicts that the thing is visible in the clip.
    """
    text = clean(text, max_words=MAX_WORDS)
    refuse_refusals(text)
    if _SENTENCE_END.search(text):
        raise ValueError("it is more than one sentence")
    if not text.lower().startswith(f"{name.lower()} "):
        raise ValueError(f"it does not begin with {name!r}")
    told = text[len(name) + 1 :].rstrip(".!? ")
    _check_told(told, is_plural)
    if _UNSEEN.search(told):
        raise ValueError("it says that the thing is not visible, and it is")
    if is_always_seen and (found := _COMES_OR_GOES.search(told)):
        raise ValueError(f"it says {found[0].lower()!r}, and the thing is visible all the time")
    return f"{name[:1].upper()}{name[1:]} {told}."


def _check_told(told: str, is_plural: bool) -> None:
    """Raise ValueError unless these words go on a sentence in English, and speak of the thing alone."""
    refuse_orders(told)
    if found := _OF_THE_FRAMES.search(told):
        raise ValueError(f"it speaks of how the thing is shown: {found[0].lower()}")
    verb = next((word for word in words(told) if not _ADVERB.fullmatch(word)), "")
    if not (verb in _HELPERS or (verb and is_plural) or verb.endswith("s")):
        raise ValueError("the name is not followed by a verb in the present tense")
    if len(words(told)) >= _SHORT_WORDS:
        require_english(told)
