"""Verbs in all their forms, each with a letter: b move, s moves, g moving, d moved, n fallen."""

from __future__ import annotations

_VOWELS = "aeiou"
_IRREGULAR = {  # base: past, past participle
    "become": ("became", "become"),
    "begin": ("began", "begun"),
    "come": ("came", "come"),
    "fall": ("fell", "fallen"),
    "fly": ("flew", "flown"),
    "get": ("got", "gotten"),
    "go": ("went", "gone"),
    "grow": ("grew", "grown"),
    "hide": ("hid", "hidden"),
    "hold": ("held", "held"),
    "keep": ("kept", "kept"),
    "lie": ("lay", "lain"),
    "rise": ("rose", "risen"),
    "run": ("ran", "run"),
    "see": ("saw", "seen"),
    "show": ("showed", "shown"),
    "shrink": ("shrank", "shrunk"),
    "sink": ("sank", "sunk"),
    "sit": ("sat", "sat"),
    "stand": ("stood", "stood"),
    "swim": ("swam", "swum"),
}
_DOUBLES = {"stop", "get", "sit", "run", "swim", "begin", "drop", "step", "travel"}


def forms(base: str) -> dict[str, str]:
    """Every form of a verb -> its letter. Where two are spelled alike, the commoner one counts."""
    past, participle = _IRREGULAR.get(base, (_with_ed(base), _with_ed(base)))
    found = {participle: "n", past: "d", _with_ing(base): "g", _with_s(base): "s", base: "b"}
    if base == "travel":
        found |= {"traveling": "g", "traveled": "d"}  # as in America
    return found


def _with_s(base: str) -> str:
    if base.endswith(("s", "sh", "ch", "x", "o")):
        return f"{base}es"
    return f"{base[:-1]}ies" if _ends_in_y(base) else f"{base}s"


def _with_ing(base: str) -> str:
    if base == "lie":
        return "lying"
    if base.endswith("e") and not base.endswith("ee"):
        return f"{base[:-1]}ing"
    return f"{base}{base[-1]}ing" if base in _DOUBLES else f"{base}ing"


def _with_ed(base: str) -> str:
    if base.endswith("e"):
        return f"{base}d"
    if _ends_in_y(base):
        return f"{base[:-1]}ied"
    return f"{base}{base[-1]}ed" if base in _DOUBLES else f"{base}ed"


def _ends_in_y(base: str) -> bool:
    return base.endswith("y") and base[-2] not in _VOWELS
