"""Forms of sentences over symbols: a small notation, and finding the one that a sentence has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from strefer_core.reading.vocabulary import literals, pattern

# S: one who is spoken of; O: another. X: what S does, in a finite form; Xb, Xg: "move", "moving"; A: a state.
# Y: what O does, in any form. IT: a pronoun. NS: names in a list, NN: no pronouns. WH: asks for somebody.
_PARTS = {
    "SX": r"[NP](?P<s>\d+) (F(?P<f>\d+)|V(?P<v>\d+):[bsdg])",
    "SXg": r"[NP](?P<s>\d+) V(?P<v>\d+):g",
    "OY": r"[NP](?P<o>\d+) (F(?P<of>\d+)|V(?P<ov>\d+):[bsdg])",
    "NS": r"(?P<names>[NP]\d+((( ,)? and| ,) [NP]\d+)*)",
    "NN": r"(?P<names>N\d+((( ,)? and| ,) N\d+)*)",
    "SNOT": r"[NP](?P<s>\d+)(?P<no> not)?",
    "WH": r"(WHO|WHICH_THING|who|what|which)",
    "Xb": r"V(?P<vb>\d+):b",
    "Xg": r"V(?P<vg>\d+):g",
    "Xn": r"V(?P<vn>\d+):[nbd]",
    "X": r"(F(?P<f>\d+)|V(?P<v>\d+):[bsd])",
    "Y": r"(F(?P<of>\d+)|V(?P<ov>\d+):[bsdg])",
    "A": r"A(?P<a>\d+)",
    "S": r"[NP](?P<s>\d+)",
    "O": r"[NP](?P<o>\d+)",
    "Z": r"Z(?P<s>\d+)",
    "IT": r"P\d+",
    "C": r"C:(?P<c>\w+)",
}
_PART = re.compile(rf"(?<![A-Za-z_])({'|'.join(_PARTS)})(?![A-Za-z_])")

Table = Sequence[tuple[str, Sequence[str]]]
"""(kind, its forms), tried in order. In a form `~` is a comma or nothing, `move_` any form of the verb."""


class Form(NamedTuple):
    kind: str
    parts: dict[str, str]  # what was found, by the names in `_PARTS`; absent parts left out


def compiled(form: str) -> re.Pattern[str]:
    """The regular expression of a form. A part that is in several branches has a number after its name."""
    text = re.sub(r"\b([a-z]+)_(?![A-Za-z_])", r"\1:[bsgdn]", form.replace("~", "( ,)?"))
    text = pattern(_PART.sub(lambda found: _PARTS[found[1]], text))
    number = count()
    return re.compile(re.sub(r"\(\?P<(\w+)>", lambda found: f"(?P<{found[1]}_{next(number)}>", text))


class Forms:
    """A table of forms, ready to be tried."""

    def __init__(self, table: Table) -> None:
        self._rows = [(kind, compiled(form)) for kind, forms in table for form in forms]
        self.match = lru_cache(maxsize=2**12)(self._match)  # few texts are left once names are numbers

    def _match(self, text: str) -> Form | None:
        """The first form that the whole text has."""
        for kind, regex in self._rows:
            if found := regex.fullmatch(text):
                parts = ((name.split("_")[0], part) for name, part in found.groupdict().items())
                return Form(kind, {name: part for name, part in parts if part})
        return None


def literals_of(tables: Iterable[Table]) -> set[str]:
    """The plain words of all forms."""
    return {word for table in tables for _, forms in table for form in forms for word in literals(form)}
