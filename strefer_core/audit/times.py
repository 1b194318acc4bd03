"""Orders and times of occasions, in one sense of the words that name them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from strefer_core.audit.deeds import Deed
from strefer_core.audit.sayable import Occasion, Sayable
from strefer_core.audit.scene import Interval

_KNOWN_S = 1 / 3  # sampled frames lie up to this far apart


def in_order(sense: Sayable, deeds: Sequence[Deed], who: str, window: Interval) -> bool:
    """Whether each deed of a story can begin in the window, after the one before as far as frames tell."""
    after_s = window[0]
    for what in deeds:
        begins = [_begin_s(sense, what, one, window, after_s) for one in sense.occasions(what, who)]
        possible = [begin_s for begin_s in begins if begin_s is not None]
        if not possible:
            return False
        after_s = min(possible)
    return True


def _begin_s(sense: Sayable, what: Deed, one: Occasion, window: Interval, after_s: float) -> float | None:
    """The earliest time from `after_s` on that an occasion can be told from; None where there is none."""
    gap_s = sense.scene.gap_s
    shared_s = min(one.end_s, window[1]) - max(one.start_s, window[0])
    if shared_s < (-gap_s if what.is_event else min(gap_s, (one.end_s - one.start_s) / 2)):
        return None
    # A way is told with what it leads to, and that may have come nearer before.
    latest_s = one.end_s if what.kind in ("approach", "move_away") else max(one.begun_s, window[0])
    return max(one.start_s, after_s) if latest_s >= after_s - gap_s else None


def is_the_time(sense: Sayable, what: Deed, who: str, asked: Interval, is_denied: bool) -> bool:
    """Whether an interval is the one time when it happens (or does not), from its start to its end."""
    found = occasions(sense, what, who, is_denied=is_denied)
    if len(found) != 1:
        return False
    slack_s = max(sense.scene.gap_s, _KNOWN_S)
    one = found[0]
    # What happens at a moment has no clear beginning and end: any part of it will do.
    begun_s, ending_s = (one.end_s, one.start_s) if what.is_event else (one.begun_s, one.ending_s)
    starts = one.start_s - slack_s <= asked[0] <= begun_s + slack_s
    return starts and ending_s - slack_s <= asked[1] <= one.end_s + slack_s


def occasions(sense: Sayable, what: Deed, who: str, *, is_denied: bool) -> list[Occasion]:
    """When it happens; with `is_denied` when it does not, for longer than a sampling gap."""
    found = sense.occasions(what, who)
    if not is_denied:
        return found
    scene = sense.scene
    edges = [0.0, *(edge for one in found for edge in (one.start_s, one.end_s)), scene.duration_s]
    between = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > scene.gap_s]
    return [Occasion(start_s, start_s, end_s, end_s) for start_s, end_s in between]


def are_in_order(first: Sequence[Occasion], second: Sequence[Occasion], *, at_once: bool) -> bool:
    """Whether the first begins before the second; `at_once`: whether the second goes on from the first."""
    if not first or not second:
        return False
    if at_once:
        return all(any(_is_next(one, other) for other in second) for one in first)
    return all(one.start_s < other.start_s for one, other in product(first, second))


def _is_next(one: Occasion, other: Occasion) -> bool:
    goes_on = one.start_s <= other.start_s and one.end_s <= other.end_s
    return goes_on and other.start_s <= one.end_s + 2 * _KNOWN_S
