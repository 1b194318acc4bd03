"""Ways over the screen that show a difficulty: coming late, coming back, hiding, racing, meeting a twin.

All points are screen pixels; a moving camera is taken into account afterwards (`Floor.through_camera`).
"""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from strefer_core.world import ways
from strefer_core.world.floor import Floor, NoRoom, Room
from strefer_core.world.roams import TRIES, Stops, distance, first_fit, sampled, spot, through, wander
from strefer_core.world.script import HEIGHT_PX, WIDTH_PX, Character, Path, Point

Floats = NDArray[np.float64]
Rng = np.random.Generator

_FAR_PX = 220.0  # beyond the border, on the way round a corner outside


def come_late(rng: Rng, floor: Floor, character: Character, apart: float, after_s: float) -> Path:
    """Wait beyond a border until after `after_s`, come in, stay."""

    def way(reach: float) -> Path:
        start_s = after_s + rng.uniform(0.1, 0.13 * floor.end_s)
        outside, home = _outside(rng, floor, character), spot(rng, floor.room(character))
        there_s = start_s + max(0.5, distance(outside, home) / rng.uniform(120, 230))
        stay = wander(rng, floor.room(character), home, there_s, floor.end_s, reach)
        return through([(0.0, outside), (start_s, outside), *stay])

    return first_fit(rng, floor, character, apart, way)


def leave_early(rng: Rng, floor: Floor, character: Character, apart: float, before_s: float) -> Path:
    """Be there from the beginning, be gone by `before_s`."""

    def way(reach: float) -> Path:
        outside, home = _outside(rng, floor, character), spot(rng, floor.room(character))
        gone_s = before_s - rng.uniform(0.05, 0.3)
        go_s = gone_s - max(0.5, distance(outside, home) / rng.uniform(150, 260))
        if go_s < 0.2:
            return through([(0.0, home), (gone_s, outside)])
        stay = wander(rng, floor.room(character), home, 0.0, go_s, 0.6 * reach)
        return through([*stay, (go_s, stay[-1][1]), (gone_s, outside)])

    return first_fit(rng, floor, character, apart, way)


def come_back(rng: Rng, floor: Floor, character: Character, apart: float) -> Path:
    """Leave the frame, stay away for a while, come back over the same or another border."""

    def way(reach: float) -> Path:
        room, end_s = floor.room(character), floor.end_s
        home, again = spot(rng, room), spot(rng, room)
        side = int(rng.integers(4))
        back = (side + int(rng.choice((0, 0, 1, 3)))) % 4
        out, inside = _outside(rng, floor, character, side), _outside(rng, floor, character, back)
        go_s = rng.uniform(0.14, 0.3) * end_s
        out_s = go_s + max(0.4, distance(home, out) / rng.uniform(150, 280))
        back_s = out_s + rng.uniform(0.9, 1.7)
        there_s = back_s + max(0.4, distance(inside, again) / rng.uniform(130, 250))
        round_s = (out_s + back_s) / 2
        corner = [(round_s, _corner(side, back))] if side != back else []
        stay = wander(rng, room, home, 0.0, go_s, 0.5 * reach)
        after = wander(rng, room, again, there_s, end_s, reach)
        return through(
            [*stay, (go_s, stay[-1][1]), (out_s, out), *corner, (back_s, inside), *after], smooth_s=0.1
        )

    return first_fit(rng, floor, character, apart, way)


def pass_behind(rng: Rng, floor: Floor, character: Character, target: Floats, hold: Point) -> Path:
    """Walk to where `target` (T, 2) is, be there over `hold` seconds, walk on or back."""
    room, times = floor.room(character), floor.times_s
    middle = target[int(np.argmin(np.abs(times - sum(hold) / 2)))]
    start, end = _away(rng, room, middle), _away(rng, room, middle)
    if rng.random() < 0.3:
        end = (start[0] + rng.uniform(-60, 60), start[1] + rng.uniform(-40, 40))  # back out again
    ramp_s = rng.uniform(0.9, 1.4)
    rise = _smooth_step((times - (hold[0] - ramp_s)) / ramp_s)
    fall = _smooth_step((times - hold[1]) / ramp_s)
    share = (rise - fall)[:, None]
    own = np.array(start) + (np.array(end) - start) * fall[:, None]
    return sampled(times, _within(share * target + (1 - share) * own, room))


def race(rng: Rng, floor: Floor, character: Character) -> Path:
    """Run to and fro, more than its own size from one sampled frame to the next."""
    room = floor.room(character)
    sampled_s = floor.end_s / 31
    speed = 2.3 * floor.reach(character) / sampled_s * rng.uniform(1.25, 1.6)
    slant = rng.uniform(-0.25, 0.25)
    velocity = (speed * cos(slant) * rng.choice((-1, 1)), speed * sin(slant))
    upright = rng.random() < 0.2
    lane = _lane(rng, room, upright)
    return ways.bounce(spot(rng, lane), velocity[::-1] if upright else velocity, floor.end_s, lane)


def _lane(rng: Rng, room: Room, upright: bool) -> Room:
    """A part of the room, as long as it is: others may live beside it."""
    x0, y0, x1, y1 = room
    low, high = (x0, x1) if upright else (y0, y1)
    width = min(rng.uniform(10, 110), high - low)
    start = float(rng.uniform(low, high - width))
    return (start, y0, start + width, y1) if upright else (x0, start, x1, start + width)


def left_behind(rng: Rng, floor: Floor, character: Character, apart: float) -> Path:
    """Stay at one place of the world while the camera goes away from it, or comes to it."""

    def way(reach: float) -> Path:
        anchor, _ = floor.in_world(spot(rng, floor.room(character)), rng.uniform(0.1, 0.9) * floor.end_s)
        size = rng.uniform(5, 60) * reach, rng.uniform(5, 40) * reach
        steps = floor.positions(ways.curve(rng, (0.0, 0.0), size, floor.end_s, turns=rng.uniform(0.6, 1.4)))
        return sampled(floor.times_s, floor.seen_at(anchor) + steps)

    return first_fit(rng, floor, character, apart, way)


def dash(rng: Rng, floor: Floor, character: Character, apart: float) -> Path:
    """Rest, dart off, rest, dart off."""

    def way(reach: float) -> Path:
        room = floor.room(character)
        stops: Stops = [(0.0, spot(rng, room))]
        while stops[-1][0] < floor.end_s - 0.8:
            time_s, here = stops[-1]
            go_s = time_s + rng.uniform(0.25, 0.6)
            there = spot(rng, room)
            stops += [(go_s, here), (go_s + distance(here, there) / rng.uniform(330, 520) + 0.05, there)]
        return through(stops, smooth_s=0.05)

    return first_fit(rng, floor, character, apart, way)


def meet(rng: Rng, floor: Floor, one: Character, other: Character, apart: float) -> tuple[Path, Path]:
    """Two come together once and part again: past each other, back where they came from, or around.

    Raises:
        NoRoom: they leave the frame, or come too near to others, however it is tried.
    """
    for _ in range(TRIES):
        pair = _meeting(rng, floor, floor.reach(one) + floor.reach(other))
        inside = all(_is_within(way, floor.room(who)) for way, who in zip(pair, (one, other), strict=True))
        if inside and min(floor.gap(one, pair[0]), floor.gap(other, pair[1])) >= apart:
            return sampled(floor.times_s, pair[0]), sampled(floor.times_s, pair[1])
    raise NoRoom


def _meeting(rng: Rng, floor: Floor, touch_px: float) -> tuple[Floats, Floats]:
    times, end_s = floor.times_s, floor.end_s
    when = (times - rng.uniform(0.35, 0.65) * end_s) / (rng.uniform(0.22, 0.4) * end_s)
    far = rng.uniform(0.9 * touch_px + 40, touch_px + 240)
    along = far * np.tanh(1.4 * when)
    if rng.random() < 0.35:
        along = np.abs(along)  # they turn back: who is who afterwards?
    across = np.full_like(along, rng.uniform(0.3, 0.85) * touch_px * rng.choice((-1, 1)))
    if rng.random() < 0.3:
        across *= np.cos(np.clip(when, -1, 1) * pi / 2)  # they walk in each other's line
        across += 0.2 * touch_px
    turn = rng.uniform(-0.35, 0.35) + (pi / 2 if rng.random() < 0.15 else 0)
    apart = np.stack([along * cos(turn) - across * sin(turn), along * sin(turn) + across * cos(turn)], axis=1)
    middle = np.array([rng.uniform(0.3, 0.7) * WIDTH_PX, rng.uniform(0.3, 0.7) * HEIGHT_PX])
    drift = rng.uniform((-60, -30), (60, 30)) * (times / end_s - 0.5)[:, None]
    return middle + drift + apart / 2, middle + drift - apart / 2


def _away(rng: Rng, room: Room, middle: Floats) -> Point:
    """A spot of the room well away from `middle`."""
    spots = [spot(rng, room) for _ in range(6)]
    return max(spots, key=lambda spot: distance(spot, (float(middle[0]), float(middle[1]))))


def _outside(rng: Rng, floor: Floor, character: Character, side: int | None = None) -> Point:
    """A point from which nothing of it reaches into the frame; sides count from the left, clockwise."""
    beyond = floor.reach(character) * 1.12 + 12 + floor.margin_px
    side = int(rng.integers(4)) if side is None else side
    x, y = rng.uniform(0.15, 0.85) * WIDTH_PX, rng.uniform(0.2, 0.8) * HEIGHT_PX
    return [(-beyond, y), (x, -beyond), (WIDTH_PX + beyond, y), (x, HEIGHT_PX + beyond)][side]


def _corner(side: int, other: int) -> Point:
    """Far outside, past the corner between two sides that meet."""
    x = -_FAR_PX if 0 in (side, other) else WIDTH_PX + _FAR_PX
    y = -_FAR_PX if 1 in (side, other) else HEIGHT_PX + _FAR_PX
    return x, y


def _smooth_step(share: Floats) -> Floats:
    clipped = np.clip(share, 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), dtype=np.float64)


def _within(positions: Floats, room: Room) -> Floats:
    return np.clip(positions, room[:2], room[2:])


def _is_within(positions: Floats, room: Room) -> bool:
    return bool((positions == _within(positions, room)).all())
