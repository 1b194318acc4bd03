"""Right claims made wrong, to see whether a judge notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from strefer_core import claims as cl
from strefer_core.audit.judging import Reference

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up", "upper": "lower", "lower": "upper"}
REVERSED = {"approach": "move_away", "move_away": "approach", "grow": "shrink", "shrink": "grow"}
PARTS = ("beginning", "middle", "end")


def opposite(what: cl.Predicate) -> cl.Predicate | None:
    """The predicate turned about; None where it has no opposite."""
    if what.direction or what.place in OPPOSITE:
        return replace(
            what,
            direction=OPPOSITE.get(what.direction or ""),  # type: ignore[arg-type]
            place=OPPOSITE.get(what.place or ""),  # type: ignore[arg-type]
        )
    return replace(what, kind=REVERSED[what.kind]) if what.kind in REVERSED else None


def corrupted(
    claim: cl.Claim, given: Reference, others: list[str], duration_s: float
) -> Iterator[tuple[str, cl.Claim, Reference]]:
    """(how, claim, reference) of each way to make a right claim wrong.

    Args:
        claim: a right one.
        given: its reference.
        others: expressions, without articles, of entities that are there.
        duration_s: of the video.
    """
    if isinstance(claim, cl.Does):
        yield (
            "denied" if not claim.is_denied else "asserted",
            replace(claim, is_denied=not claim.is_denied),
            given,
        )
    what = getattr(claim, "what", None)
    is_vague = getattr(claim, "span", "") == "sometime"  # at another time the opposite may hold as well
    is_asserted = not getattr(claim, "is_denied", False) and not is_vague
    if isinstance(what, cl.Predicate) and is_asserted and (turned := opposite(what)):
        yield "turned about", replace(claim, what=turned), given  # type: ignore[call-arg]
    if isinstance(claim, cl.Story) and (turned_all := [opposite(one) for one in claim.what]) != [None]:
        # Backwards it may be right as well: who stands, goes and stands goes and stands.
        told = tuple(turned or one for turned, one in zip(turned_all, claim.what, strict=True))
        if told[0] != claim.what[0] or len(set(told)) > len(set(told) & set(claim.what)):
            yield "turned about", replace(claim, what=told), given
    if isinstance(claim, cl.Timed) and given.asked and given.asked[1] - given.asked[0] < 0.6 * duration_s:
        shift_s = 0.4 * duration_s * (1 if sum(given.asked) < duration_s else -1)
        yield "shifted", claim, replace(given, asked=(given.asked[0] + shift_s, given.asked[1] + shift_s))
    if isinstance(claim, cl.Before) and not claim.at_once:
        yield "swapped", replace(claim, first=claim.second, second=claim.first), given
    if isinstance(claim, cl.InPart) and claim.part in PARTS:
        part = PARTS[(PARTS.index(claim.part) + 1) % 3]
        yield "another part", replace(claim, part=part), given  # type: ignore[arg-type]
    if isinstance(claim, cl.Others) and claim.others:
        yield "nobody", replace(claim, others=()), given
    if isinstance(claim, cl.FirstOf):
        (other, *_) = [one for one in claim.among if one != claim.who]
        yield "another one", replace(claim, who=other), given
    if isinstance(claim, cl.IsA) and len(claim.words.split()) > 1:
        for words in [one for one in others if one != claim.words][:1]:
            yield "another name", replace(claim, words=words), given
    if isinstance(claim, cl.Absent):
        yield "somebody there", cl.Absent(words=others[0]), given
