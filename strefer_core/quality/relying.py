"""What a pair's claims rely on, as counts: an order of events hangs on other errors than a colour does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from typing import get_args

from strefer_core import claims as cl
from strefer_core import data_model as dm
from strefer_core.reading import Unreadable, read

_FORMS = tuple(sorted(one.__name__.lower() for one in get_args(cl.Claim)))
_KINDS = (
    "move", "stand", "enter", "leave", "appear", "disappear", "approach", "move_away", "follow", "occlude",
    "grow", "shrink", "visible", "at", "first_seen",
)  # fmt: skip
_WINDOWS = tuple(f"{window}_{span}" for window in get_args(cl.Window) for span in get_args(cl.Span))
NAMES = (
    "claims",
    "unreadable",
    *(f"claim_{name}" for name in (*_FORMS, *_WINDOWS, "denied", "at_once", "in_all", "in_one")),
    *(f"says_{kind}" for kind in _KINDS),
)


def relies_on(item: dm.Instruction, known: Sequence[str]) -> dict[str, float]:
    """How often the claims of a pair are of each form and of each kind of predicate.

    Args:
        item: the pair in its final words.
        known: expressions of the video's entities.

    Returns:
        A count for each of `NAMES`; all 0 but for "unreadable" of a pair that says something which `reading`
        does not understand.
    """
    none = dict.fromkeys(NAMES, 0.0)
    try:
        readings = read(item.turns, known)
    except Unreadable:
        return none | {"unreadable": 1.0}
    counts = Counter(name for one in readings for claim in one.claims for name in _names(claim))
    counts["claims"] = sum(len(one.claims) for one in readings)
    return none | {name: float(count) for name, count in counts.items()}


def _names(claim: cl.Claim) -> Iterator[str]:
    yield f"claim_{type(claim).__name__.lower()}"
    if getattr(claim, "is_denied", False):
        yield "claim_denied"
    if isinstance(claim, cl.Does):
        yield f"claim_{claim.window}_{claim.span}"
    if isinstance(claim, cl.Before) and claim.at_once:
        yield "claim_at_once"
    if isinstance(claim, cl.InPart):
        yield f"claim_in_{'all' if claim.part == 'throughout' else 'one'}"
    for predicate in _predicates(claim):
        yield f"says_{predicate.kind if predicate else 'first_seen'}"


@singledispatch
def _predicates(claim: object) -> Iterable[cl.Predicate | None]:
    return ()


@_predicates.register(cl.Does)
@_predicates.register(cl.Timed)
@_predicates.register(cl.InPart)
def _(claim: cl.Does | cl.Timed | cl.InPart) -> Iterable[cl.Predicate | None]:
    return (claim.what,)


@_predicates.register
def _(claim: cl.Story) -> Iterable[cl.Predicate | None]:
    return claim.what


@_predicates.register
def _(claim: cl.Before) -> Iterable[cl.Predicate | None]:
    return claim.first.what, claim.second.what


@_predicates.register
def _(claim: cl.While) -> Iterable[cl.Predicate | None]:
    return claim.what, claim.other.what
