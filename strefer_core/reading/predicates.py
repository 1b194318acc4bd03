"""Verb phrases and states as data, and the `claims.Predicate`s that they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from strefer_core.claims import Predicate, Who
from strefer_core.reading.vocabulary import VERBS, pattern

_N = r"(N|P)\d+"
_TO = r"( (from|at|D):\w+)?"
MADE_OUT = "(see:n|show:n|found|made out|observed|noticed|visible|located|situated|placed|positioned)"

# (kinds, how they are said), tried in this order. [GO] is any verb of that meaning in any form, `come_` one
# verb in any form. Several kinds hold at once; "move" falls away where another kind is there and no direction
# is. "seen" is the bare "appears": in a story that one comes to be seen, elsewhere that one is.
FRAMES: tuple[tuple[str, str], ...] = (
    ("occlude", f"([GO]|[PASS]|[COME]) FRONT {_N}|[COVER]( (a )?part of)? {_N}"),
    ("follow", f"[FOLLOW] {_N}|[GO] BEHIND {_N}"),
    ("grow", "([GO]|[COME]) TOWARDS CAMERA|[NEAR] CAMERA|[COME] (closer|nearer)"),
    ("shrink", "([GO]|[COME]|[BACK]) (AWAY|from) CAMERA"),
    ("move approach", rf"[GO]( D:\w+)? TOWARDS {_N}|[COME] TOWARDS {_N}|[NEAR] {_N}|come_ near:b {_N}"),
    ("move move_away", rf"[GO]( D:\w+)? AWAY {_N}|[COME] AWAY {_N}|[BACK] (AWAY|from) {_N}"),
    ("enter", f"[ENTER]( PIC| FILM| INTO_PIC)?{_TO}|([GO]|[COME]) INTO_PIC{_TO}|[COME] in{_TO}"),
    ("enter", r"([GO]|[COME]) INTO_VIEW (from|at):\w+|[SHOW_UP]( IN_VIEW)? from:\w+"),
    (
        "leave",
        rf"[LEAVE]( PIC| FILM)?{_TO}|([GO]|[COME]) OUT_PIC{_TO}|([GO]|[COME]) OUT_VIEW (from|at|D):\w+",
    ),
    (
        "appear",
        "(appear_|emerge_) (IN_VIEW|INTO_VIEW)|([GO]|[COME]) INTO_VIEW|[GET] visible|come_ to be see:n",
    ),
    (
        "disappear",
        "[VANISH]( OUT_VIEW| OUT_PIC)?|([GO]|[COME]|[PASS]|[FALL]) OUT_VIEW|[GET] (hide:n|invisible)",
    ),
    ("seen", "(appear_|emerge_)( IN_PIC)?|(show_|turn_) D:up|[COME] INTO_FILM"),
    ("grow", "[GET] (larger|bigger)( IN_PIC)?|[GAIN] in size( IN_PIC)?|[GROW]( in size)?( IN_PIC)?"),
    ("shrink", "[GET] smaller( IN_PIC)?|[LOSE] in size( IN_PIC)?|[SHRINK]( in size)?( IN_PIC)?"),
    ("at", r"[STAY] at:\w+"),
    ("stand", f"[STAY] (STILL|WHERE {_N} BE)|[PAUSE]( move:g| STILL)?|come_ HALT|(stay_|stand_|rest_)"),
    ("move.up", "[RISE]( D:up)?"),
    ("move.down", "[FALL]( D:down)?"),
    ("move", r"[GO] D:\w+|move_( about| around)?"),
)

STATES: tuple[tuple[str, str], ...] = (
    ("at", rf"((to be )?{MADE_OUT} )?at:\w+"),
    ("hidden", "OUT_VIEW|OUT_PIC|hide:n|invisible|absent|out of it"),
    (
        "visible",
        rf"{MADE_OUT}|IN_VIEW|IN_PIC|to be {MADE_OUT}|present|((?<=BE )|(?<=not ))there(?! (N|P|Z)\d)",
    ),
    ("stand", "STILL"),
)

_DIRECTION = re.compile(r"D:(\w+)")
_BORDER = re.compile(r"(?:from|at|D):(\w+)")
_PLACE = re.compile(r"at:(\w+)")
_OTHER = re.compile(r"[NP](\d+)")
_PLACES = {"up": "upper", "down": "lower"}


def _verbs(text: str) -> str:
    """Verb classes and single verbs of a frame spelled out."""
    text = re.sub(r"\[(\w+)\]", lambda found: f"({'|'.join(VERBS[found[1]].split())})_", text)
    return re.sub(r"_(?![A-Z\w])", ":[bsgdn]", text)


def choice(table: Sequence[tuple[str, str]], prefix: str) -> str:
    """One pattern of all rows; the group's number says which row was found."""
    return "|".join(f"(?P<{prefix}{i}>{pattern(_verbs(text))})" for i, (_, text) in enumerate(table))


def said(kinds: str, text: str, who: Sequence[Who]) -> tuple[Predicate, ...]:
    """The predicates of one verb phrase in symbols.

    Args:
        kinds: of the row of the table that it matches.
        text: the symbols, for example "move:s D:left TOWARDS N1".
        who: everybody mentioned, by number.
    """
    found = [_predicate(kind, text, who) for kind in kinds.split()]
    told = [one for one in found if one.kind != "move" or one.direction or len(found) == 1]
    return tuple(told)


def _predicate(kind: str, text: str, who: Sequence[Who]) -> Predicate:
    kind, _, way = kind.partition(".")
    if kind in ("approach", "move_away", "follow", "occlude"):
        return Predicate(kind=kind, other=who[int(_first(_OTHER, text))])
    if kind == "at":
        side = _first(_PLACE, text)
        return Predicate(kind=kind, place=_any(_PLACES.get(side, side)))
    if kind == "move":
        return Predicate(kind=kind, direction=_any(way or _first(_DIRECTION, text)) or None)
    if kind in ("enter", "leave"):
        return Predicate(kind=kind, direction=_any(_first(_BORDER, text)) or None)
    return Predicate(kind=kind)


def _first(wanted: re.Pattern[str], text: str) -> str:
    found = wanted.search(text)
    return found[1] if found else ""


def _any(text: str) -> Any:
    return text
