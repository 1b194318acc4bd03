"""Coming into sight and going out of it: over a border of the picture where that is clear, or somehow.

Told of the time between the last frame without the thing and the first one with it, or the reverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo

SIDES = {"left": (0, 0), "right": (0, 1), "up": (1, 0), "down": (1, 1)}  # axis, edge
SLACK_BODIES = 0.15  # a thing speeds up or slows down by this much over one frame, in its own lengths ...
SLACK_WIDTHS = 0.01  # ... and in picture widths
SLIVER_SHARE = 0.5  # of the usual area: so little of a thing at the border is only just coming in


def presence(trail: geo.Trail, others: Sequence[geo.Trail]) -> list[dm.Action]:
    """Comings and goings between frames of one shot, in order."""
    seen = steady(trail.visible)
    found: list[dm.Action] = []
    for index, (before, after) in enumerate(pairwise(seen)):
        if before == after or trail.shots[index] != trail.shots[index + 1]:
            continue
        frame = index + 1 if after else index
        if _is_sliver(trail, seen, frame):
            continue
        side = _side(trail, frame, 1 if after else -1, others)
        kind = ("enter" if side else "appear") if after else ("leave" if side else "disappear")
        found.append(
            dm.Action(
                kind=kind,
                start_s=float(trail.times_s[index]),
                end_s=float(trail.times_s[index + 1]),
                direction=side,
            )
        )
    return found


def _is_sliver(trail: geo.Trail, seen: Sequence[bool], frame: int) -> bool:
    """Whether no more than a sliver is seen over the whole stretch about `frame`: it comes and goes by a
    shaking camera or a turning limb, while the thing itself stays outside."""
    stretch = next(part for part in geo.runs(list(zip(seen, trail.shots, strict=True))) if frame < part[2])
    frames = slice(stretch[1], stretch[2])
    return bool(np.nanmax(np.where(trail.visible, trail.wholeness, 0)[frames]) <= SLIVER_SHARE)


def steady(visible: geo.Bools) -> list[bool]:
    """Visibility without one-frame gaps and one-frame blips: those are usually the tracker's.

    So what is there or gone on the first or the last frame only is no coming and no going either.
    """
    flags = [bool(item) for item in visible]
    last = len(flags) - 1
    for index in range(last + 1 if last > 1 else 0):
        before, after = flags[index - 1 if index else 1], flags[index + 1 if index < last else last - 1]
        if before == after:
            flags[index] = before
    return flags


def _side(trail: geo.Trail, frame: int, inward: int, others: Sequence[geo.Trail]) -> str | None:
    """The border that the thing surely crosses next to `frame`, None where that is not sure.

    Args:
        trail: over consecutive frames.
        frame: the first or last one with the thing.
        inward: +1 for an entry (it is inside from `frame` on), -1 for an exit.
        others: they may be what hides it.
    """
    if not trail.visible[frame] or _is_covered(trail, frame, frame - inward, others):
        return None
    inner = frame + inward
    if 0 <= inner < len(trail.times_s) and trail.visible[inner] and trail.shots[inner] == trail.shots[frame]:
        sides = [side for side in SIDES if _crosses(trail, frame, inner, side)]
    elif trail.wholeness[frame] <= SLIVER_SHARE:
        sides = [side for side, place in SIDES.items() if trail.at_edge[frame][place]]
    else:
        sides = []
    return sides[0] if len(sides) == 1 else None


def _is_covered(trail: geo.Trail, frame: int, outer: int, others: Sequence[geo.Trail]) -> bool:
    """Whether another thing is where this one is seen, on this frame or on the one without it."""
    low, high = trail.boxes[frame, :, 0], trail.boxes[frame, :, 1]
    return any(
        other.visible[index]
        and bool(((other.boxes[index, :, 0] < high) & (other.boxes[index, :, 1] > low)).all())
        for other in others
        for index in (frame, outer)
    )


def _crosses(trail: geo.Trail, frame: int, inner: int, side: str) -> bool:
    """Whether the motion from `inner` to `frame`, carried on, takes all of the thing out over the border.

    What is seen of it already ends at the border, or both its edges move out.
    """
    axis, edge = SIDES[side]
    sign = -1 if edge == 0 else 1
    border = float(trail.size_px[axis]) if edge else 0.0
    outer_way = sign * float(trail.boxes[frame, axis, edge] - trail.boxes[inner, axis, edge])
    inner_way = sign * float(trail.boxes[frame, axis, 1 - edge] - trail.boxes[inner, axis, 1 - edge])
    if inner_way <= 0 or not (trail.at_edge[frame, axis, edge] or outer_way > 0):
        return False
    left_in = sign * (border - float(trail.boxes[frame, axis, 1 - edge])) - inner_way
    slack = SLACK_WIDTHS * trail.size_px[0] + SLACK_BODIES * trail.body_px
    return bool(left_in <= slack and np.isfinite(left_in))
