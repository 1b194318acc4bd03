"""When something that lasts happens, as widely as one could put it: for words that name one event.

A fact says when something clearly goes on. Somebody else may see it begin earlier: a slow start is already a
move, a move that dies away is already a rest. An event may be named by its words, timed or put in order only
by this wider interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules.facts import FRAME_S, Thing, Window

_REST_S = 0.6  # shorter rests go unnoticed


@dataclass(frozen=True, kw_only=True)
class Sense:
    """How words are taken: lengths in picture widths."""

    way: float  # of a move
    ahead: float  # share of the way that goes in the direction
    rest: float  # extent of what still stands
    change: float  # of a distance
    ratio: float  # of the lesser distance to the greater
    within_s: float = inf  # time in which a way or a change comes about
    slack_gaps: int = 1  # sampling gaps by which a rest may seem too short


MIGHT = Sense(way=0.012, ahead=0.35, rest=0.06, change=0.02, ratio=0.93)
"""More than anybody would say, as frames may miss a part: what is but once in this sense is once."""
COULD = Sense(way=0.02, ahead=0.5, rest=0.05, change=0.03, ratio=0.9)
"""All that somebody could say: the bounds of `strefer_core.claims`."""
WOULD = Sense(way=0.04, ahead=0.6, rest=0.01, change=0.045, ratio=0.85, within_s=1.2, slack_gaps=0)
"""What everybody would say."""

Things = Mapping[str, Thing]
Stretches = geo.Bools  # (n, n): from a frame to a later one


def occasions(
    things: Things, thing: Thing, action: dm.Action, window: Window, sense: Sense
) -> list[Window] | None:
    """Every time within the window that the thing does this, joined over a sampling gap, in order.

    As it is to one who sees nothing but the window. None where the kind has no such rule, or where the thing
    is not seen well on every frame of the window: it may do anything meanwhile.
    """
    rule = _RULES.get(action.kind)
    seen = thing.over(window)
    if rule is None or len(seen.times_s) < 2 or not seen.known.all() or len(np.unique(seen.shots)) > 1:
        return None
    other = things[action.other_entity_id].over(window) if action.other_entity_id else None
    if other is not None and not other.known.all():
        return None
    stretches = np.triu(rule(seen, other, action, sense), 1)
    if action.kind != "stand":
        stretches &= seen.times_s[None, :] - seen.times_s[:, None] <= sense.within_s
    return _joined(seen.times_s, stretches)


def _joined(times_s: geo.Floats, stretches: Stretches) -> list[Window]:
    """The shortest stretches, those with not more than one frame between them as one."""
    found: list[tuple[int, int]] = []
    for start in np.flatnonzero(stretches.any(axis=1)):
        end = int(stretches[start].argmax())
        if stretches[start + 1 :, : end + 1].any():
            continue  # a later start does as well
        if found and start <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((int(start), end))
    return [(float(times_s[start]), float(times_s[end])) for start, end in found]


def _moves(seen: geo.Trail, _: geo.Trail | None, action: dm.Action, sense: Sense) -> Stretches:
    middles = seen.middles / seen.size_px[0]
    ways = middles[None, :] - middles[:, None]
    lengths = np.hypot(ways[..., 0], ways[..., 1])
    axis, sign = geo.AXES[str(action.direction)]
    goes: Stretches = (lengths >= sense.way) & (sign * ways[..., axis] >= sense.ahead * lengths)
    return goes


def _rests(seen: geo.Trail, _: geo.Trail | None, __: dm.Action, sense: Sense) -> Stretches:
    middles = seen.middles / seen.size_px[0]
    later = np.triu(np.ones((len(middles), len(middles)), dtype=bool))[..., None]
    ways = np.where(later, middles[None, :] - middles[:, None], 0.0)
    extent = np.maximum.accumulate(ways, axis=1) - np.minimum.accumulate(ways, axis=1)
    least_s = min(_REST_S, (seen.times_s[-1] - seen.times_s[0]) / 2) - sense.slack_gaps * seen.frame_gap_s
    lasts = seen.times_s[None, :] - seen.times_s[:, None] >= least_s - FRAME_S
    rests: Stretches = lasts & (extent.max(axis=2) <= sense.rest)
    return rests


def _nearer(seen: geo.Trail, other: geo.Trail | None, _: dm.Action, sense: Sense) -> Stretches:
    apart = _distances(seen, other)
    nearer: Stretches = (apart[:, None] - apart >= sense.change) & (apart <= sense.ratio * apart[:, None])
    return nearer


def _farther(seen: geo.Trail, other: geo.Trail | None, _: dm.Action, sense: Sense) -> Stretches:
    apart = _distances(seen, other)
    farther: Stretches = (apart - apart[:, None] >= sense.change) & (apart[:, None] <= sense.ratio * apart)
    return farther


def _distances(seen: geo.Trail, other: geo.Trail | None) -> geo.Floats:
    """(n,) in picture widths."""
    assert other is not None  # an approach has a second party
    apart = (other.middles - seen.middles) / seen.size_px[0]
    distances: geo.Floats = np.hypot(apart[:, 0], apart[:, 1])
    return distances


_RULES: dict[str, Callable[[geo.Trail, geo.Trail | None, dm.Action, Sense], Stretches]] = {
    "move": _moves,
    "stand": _rests,
    "approach": _nearer,
    "move_away": _farther,
}
RULED = frozenset(_RULES)
"""Kinds of action that `occasions` knows of."""
