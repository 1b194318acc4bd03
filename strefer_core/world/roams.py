"""Ways to stay in the frame all the time, and what ways over the screen are made of.

All points are screen pixels; a moving camera is taken into account afterwards (`Floor.through_camera`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from strefer_core.world import ways
from strefer_core.world.floor import Floor, NoRoom, Room
from strefer_core.world.script import Character, Path, Point

Floats = NDArray[np.float64]
Rng = np.random.Generator
Stops = list[tuple[float, Point]]  # (seconds, where)

TRIES = 70


def first_fit(
    rng: Rng, floor: Floor, character: Character, apart: float, way: Callable[[float], Path]
) -> Path:
    """Throw ways until one keeps `apart` (in sums of radii) from everybody; they get shorter with time.

    Raises:
        NoRoom: none came near to it.
    """
    best: tuple[float, Path] | None = None
    for attempt in range(TRIES):
        path = way(1.0 - 0.8 * attempt / TRIES)
        gap = floor.gap(character, floor.positions(path))
        if gap >= apart:
            return path
        if best is None or gap > best[0]:
            best = gap, path
    if best is None or best[0] < 0.75 * apart:
        raise NoRoom
    return best[1]


def roam(rng: Rng, floor: Floor, character: Character, apart: float) -> Path:
    """Stay in the frame all the time, in one of many ways."""
    room = floor.room(character)
    return first_fit(
        rng,
        floor,
        character,
        apart,
        lambda reach: _ROAMS[int(rng.integers(len(_ROAMS)))](rng, room, floor.end_s, reach),
    )


def _straight(rng: Rng, room: Room, end_s: float, reach: float) -> Path:
    start = spot(rng, room)
    end = near(rng, room, start, 500 * reach)
    return ways.straight(start, end, rng.uniform(0, 1), end_s - rng.uniform(0, 1))


def _stop(rng: Rng, room: Room, end_s: float, reach: float) -> Path:
    start = spot(rng, room)
    stop = near(rng, room, start, 280 * reach)
    end = near(rng, room, stop, 280 * reach)
    go_s, wait_s = rng.uniform(1.4, 2.4), rng.uniform(0.8, 1.8)
    return ways.stop_and_go(start, stop, end, go_s=go_s, wait_s=wait_s, end_s=end_s)


def _curve(rng: Rng, room: Room, end_s: float, reach: float) -> Path:
    x0, y0, x1, y1 = room
    across = rng.uniform(0.1, 0.5) * (x1 - x0) * reach, rng.uniform(0.1, 0.5) * (y1 - y0) * reach
    middle = rng.uniform(x0 + across[0], x1 - across[0]), rng.uniform(y0 + across[1], y1 - across[1])
    if rng.random() < 0.5:
        turns = float(rng.choice((-1, 1)) * rng.uniform(0.5, 1.3))
        return ways.orbit(middle, across, end_s, start_turn=rng.uniform(0, 1), turns=turns)
    return ways.curve(rng, middle, across, end_s, turns=rng.uniform(0.6, 1.4))


def _bounce(rng: Rng, room: Room, end_s: float, reach: float) -> Path:
    x0, y0, x1, y1 = room
    width, height = (x1 - x0) * rng.uniform(0.3, 1) * reach, (y1 - y0) * rng.uniform(0.3, 1) * reach
    left, top = rng.uniform(x0, x1 - width), rng.uniform(y0, y1 - height)
    angle, speed = rng.uniform(0, 2 * pi), rng.uniform(50, 130)
    start = rng.uniform(left, left + width), rng.uniform(top, top + height)
    inner = (left, top, left + width, top + height)
    return ways.bounce(start, (speed * cos(angle), speed * sin(angle)), end_s, inner)


def _hop(rng: Rng, room: Room, end_s: float, reach: float) -> Path:
    x0, y0, x1, y1 = room
    start = rng.uniform(x0, x1), rng.uniform(min(y0 + 34, y1), y1)
    end = near(rng, (x0, min(y0 + 34, y1), x1, y1), start, 450 * reach)
    return ways.hop_along(rng, start, end, rng.uniform(0, 0.8), end_s - rng.uniform(0, 0.8))


def _stroll(rng: Rng, room: Room, end_s: float, reach: float) -> Path:
    return through(wander(rng, room, spot(rng, room), 0.0, end_s, reach))


_ROAMS: tuple[Callable[[Rng, Room, float, float], Path], ...] = (
    _straight,
    _stop,
    _curve,
    _bounce,
    _hop,
    _stroll,
)


def wander(rng: Rng, room: Room, home: Point, start_s: float, end_s: float, reach: float) -> Stops:
    """From home on to somewhere near, again and again, with rests."""
    stops: Stops = [(start_s, home)]
    while stops[-1][0] < end_s:
        time_s, here = stops[-1]
        there = near(rng, room, here, 200 * reach)
        go_s = time_s + rng.uniform(0.05, 0.9)
        stops += [(go_s, here), (go_s + max(0.3, distance(here, there) / rng.uniform(55, 130)), there)]
    late = [i for i, stop in enumerate(stops) if stop[0] >= end_s]
    if late[0]:
        (t0, a), (t1, b) = stops[late[0] - 1], stops[late[0]]
        share = (end_s - t0) / max(t1 - t0, 1e-9)
        cut = (end_s, (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))
        stops = [*stops[: late[0]], cut]
    return stops


def through(stops: Stops, smooth_s: float = 0.12) -> Path:
    kept = [stop for i, stop in enumerate(stops) if not i or stop[0] > stops[i - 1][0]]
    return Path(
        times_s=tuple(time for time, _ in kept), points=tuple(point for _, point in kept), smooth_s=smooth_s
    )


def spot(rng: Rng, room: Room) -> Point:
    return float(rng.uniform(room[0], room[2])), float(rng.uniform(room[1], room[3]))


def near(rng: Rng, room: Room, point: Point, far_px: float) -> Point:
    """A spot of the room at most `far_px` away along each axis."""
    x0, y0, x1, y1 = room
    x = rng.uniform(max(x0, point[0] - far_px), min(x1, point[0] + far_px))
    y = rng.uniform(max(y0, point[1] - far_px), min(y1, point[1] + far_px))
    return float(x), float(y)


def distance(one: Point, other: Point) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def sampled(times: Floats, positions: Floats) -> Path:
    """A path through positions (T, 2) at times (T,)."""
    points = tuple((float(x), float(y)) for x, y in positions)
    return Path(times_s=tuple(times.tolist()), points=points, smooth_s=0.06)
