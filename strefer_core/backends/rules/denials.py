"""What a thing surely does not do: claims that nobody who watches could make.

Stricter than "not noticed". A denial needs to see the thing, on every sampled frame of the interval, with
its middle over the ground known and within one shot; the bounds of `strefer_core.claims` are kept with room
to spare. Where a denial cannot be had, nothing follows: the thing may or may not do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules.facts import Thing, Window, length, shared_s

_WAY_WIDTHS = 0.009  # a way of 0.02 W is a move ...
_WAY_COSINE = 0.25  # ... with half its length in the direction
_STAND_WIDTHS = 0.07  # within 0.05 W something stands ...
_STAND_S = 0.6  # ... for this long at least
_MOVE_FILLS = 0.9  # of an interval in which something surely does not stand
_DISTANCE_WIDTHS = 0.015  # a distance that changes by 0.03 W is an approach or the reverse
_SIZE_RATIO = 1.06  # of either side; a size that grows by 15 % or shrinks by 13 % is told
_BORDER_WIDTHS = 0.04  # what comes never nearer to a border comes and goes not over it

Things = Mapping[str, Thing]


def never(things: Things, thing: Thing, action: dm.Action, window: Window) -> bool:
    """Whether the thing surely does not do this at any time of the window.

    Args:
        things: all things of the video by entity id.
        thing: who.
        action: what; its own interval says nothing here.
        window: when. Its end is included.
    """
    rule = _RULES.get(action.kind)
    if rule is None or length(window) <= 0 or len(thing.over(window).times_s) < 2:
        return False
    return rule(things, thing, action, window)


def _never_moves(_: Things, thing: Thing, action: dm.Action, window: Window) -> bool:
    middles = _middles(thing, window)
    if middles is None:
        return False
    axis, sign = geo.AXES[str(action.direction)]
    ways = middles[None, :] - middles[:, None]  # [from, to]
    lengths = np.hypot(ways[..., 0], ways[..., 1])
    later = np.triu(np.ones(lengths.shape, dtype=bool), 1)
    goes = (lengths >= _WAY_WIDTHS) & (sign * ways[..., axis] >= _WAY_COSINE * lengths)
    return not bool((goes & later).any())


def _never_stands(_: Things, thing: Thing, __: dm.Action, window: Window) -> bool:
    """It is told to move all through, and wherever one looks it gets somewhere."""
    moves = [f for f in thing.facts if f.action.kind == "move"]
    middles = _middles(thing, window)
    if middles is None or sum(shared_s(f.window, window) for f in moves) < _MOVE_FILLS * length(window):
        return False
    times = thing.over(window).times_s
    rest_s = min(_STAND_S, length(window) / 2) - thing.gap_s
    ends = np.maximum(np.searchsorted(times, times + rest_s), np.arange(len(times)) + 1)
    spans = [middles[first : end + 1] for first, end in enumerate(ends) if end < len(times)]
    return bool(spans) and all(_extent(span) >= _STAND_WIDTHS for span in spans)


def _extent(middles: geo.Floats) -> float:
    return float(np.hypot(*(middles.max(axis=0) - middles.min(axis=0))))


def _middles(thing: Thing, window: Window) -> geo.Floats | None:
    """(n, 2) middles over the ground in picture widths; None where one is not known."""
    part = thing.over(window)
    if not part.visible.all() or not part.known.all() or len(np.unique(part.shots)) > 1:
        return None
    return part.middles / part.size_px[0]


def _never_nearer(things: Things, thing: Thing, action: dm.Action, window: Window) -> bool:
    change = _distance_changes(things, thing, action, window)
    return change is not None and float(change.min()) > -_DISTANCE_WIDTHS


def _never_farther(things: Things, thing: Thing, action: dm.Action, window: Window) -> bool:
    change = _distance_changes(things, thing, action, window)
    return change is not None and float(change.max()) < _DISTANCE_WIDTHS


def _distance_changes(things: Things, thing: Thing, action: dm.Action, window: Window) -> geo.Floats | None:
    """Changes of the distance from any frame to any later one, in picture widths.

    Two that pass each other may be nearest between two frames: that distance is looked at as well.
    """
    other = things.get(action.other_entity_id or "")
    own = _middles(thing, window)
    others = _middles(other, window) if other else None
    if own is None or others is None:
        return None
    distance = _distances(others - own)
    changes: geo.Floats = (distance[None, :] - distance[:, None])[np.triu_indices(len(distance), 1)]
    return changes


def _distances(apart: geo.Floats) -> geo.Floats:
    """(2n - 1,): on each frame, and the least one on the straight way to the next frame."""
    start, step = apart[:-1], np.diff(apart, axis=0)
    lengths = np.maximum((step**2).sum(axis=1), 1e-12)
    share = np.clip(-(start * step).sum(axis=1) / lengths, 0, 1)
    between = start + share[:, None] * step
    places = np.empty((2 * len(apart) - 1, 2))
    places[::2], places[1::2] = apart, between
    distances: geo.Floats = np.hypot(places[:, 0], places[:, 1])
    return distances


def _never_grows(_: Things, thing: Thing, __: dm.Action, window: Window) -> bool:
    ratios = _size_ratios(thing, window, "shrink")
    return ratios is not None and float(ratios.max()) < _SIZE_RATIO


def _never_shrinks(_: Things, thing: Thing, __: dm.Action, window: Window) -> bool:
    ratios = _size_ratios(thing, window, "grow")
    return ratios is not None and float(ratios.min()) > 1 / _SIZE_RATIO


def _size_ratios(thing: Thing, window: Window, told: str) -> geo.Floats | None:
    """Ratios of either side of the box in the picture, from any frame to any later one.

    None unless the thing is `told` to change the other way: what turns or waves changes its box unseen
    between two frames.
    """
    part = thing.over(window)
    if not part.visible.all() or part.at_edge.any() or len(np.unique(part.shots)) > 1:
        return None
    if not any(fact.action.kind == told for fact in thing.filling(window)):
        return None
    sides = part.boxes[:, :, 1] - part.boxes[:, :, 0]
    early, late = np.triu_indices(len(sides), 1)
    ratios: geo.Floats = sides[late] / sides[early]
    return ratios


def _never_crosses(_: Things, thing: Thing, action: dm.Action, window: Window) -> bool:
    """It is in view all the time and a gap longer, and never near a border that it could cross."""
    part = thing.over((window[0] - 1.5 * thing.gap_s, window[1] + 1.5 * thing.gap_s))
    if not part.visible.all():
        return False
    margin, size = _BORDER_WIDTHS * part.size_px[0], np.asarray(part.size_px, dtype=float)
    near = np.stack([part.boxes[:, :, 0] < margin, part.boxes[:, :, 1] > size - margin], axis=2)
    if action.direction is None:
        return not bool(near.any())
    axis, sign = geo.AXES[action.direction]
    return not bool(near[:, axis, 0 if sign < 0 else 1].any())


_RULES: dict[str, Callable[[Things, Thing, dm.Action, Window], bool]] = {
    "move": _never_moves,
    "stand": _never_stands,
    "approach": _never_nearer,
    "move_away": _never_farther,
    "grow": _never_grows,
    "shrink": _never_shrinks,
    "enter": _never_crosses,
    "leave": _never_crosses,
}
