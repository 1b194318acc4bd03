"""What a play takes place in: camera, light, boards to hide behind, and figures that only stand about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strefer_core.world.floor import Floor
from strefer_core.world.script import (
    HEIGHT_PX,
    PATTERNS,
    RADIUS_PX,
    WIDTH_PX,
    Board,
    Camera,
    Character,
    Light,
    Path,
    Prop,
    Zoom,
)
from strefer_core.world.words import fits

Rng = np.random.Generator
_CLUTTER = (45, 90)
_SWITCH_S = 0.12  # a lamp takes this long to glow up or to die away


def camera(rng: Rng, knobs: frozenset[str], end_s: float) -> Camera:
    """A camera that stands still, or pans, zooms and shakes as the knobs say."""
    return Camera(
        path=_pan(rng, end_s) if "camera_pan" in knobs else Camera().path,
        shake_px=float(rng.uniform(2.5, 5.0)) if "camera_shake" in knobs else 0.0,
        shake_seed=int(rng.integers(2**31)),
        zoom=_zoom(rng, end_s) if "camera_zoom" in knobs else Zoom(),
    )


def _pan(rng: Rng, end_s: float) -> Path:
    far = (float(rng.choice((-1, 1)) * rng.uniform(180, 420)), float(rng.uniform(-70, 70)))
    go_s, stop_s = rng.uniform(0.2, 1.2), end_s - rng.uniform(0.2, 1.2)
    if rng.random() < 0.3:
        back = (far[0] * rng.uniform(0, 0.4), far[1] * rng.uniform(0, 1))
        times, points = (go_s, end_s / 2, stop_s), ((0.0, 0.0), far, back)
        return Path(times_s=times, points=points, smooth_s=0.35)
    return Path(times_s=(go_s, stop_s), points=((0.0, 0.0), far), smooth_s=0.35)


def _zoom(rng: Rng, end_s: float) -> Zoom:
    wide = rng.uniform(0.72, 0.85)
    near = wide * rng.uniform(1.55, 1.85)
    go_s, stop_s = rng.uniform(0.1, 0.25) * end_s, rng.uniform(0.7, 0.9) * end_s
    style = rng.integers(3)
    if style == 2:
        times = (go_s, rng.uniform(0.45, 0.55) * end_s, stop_s)
        return Zoom(times_s=times, scales=(wide, near, wide * rng.uniform(1, 1.2)))
    return Zoom(times_s=(go_s, stop_s), scales=(wide, near) if style else (near, wide))


def light(rng: Rng, knobs: frozenset[str], end_s: float) -> Light:
    """Daylight that stays, or dimming, lamps that switch, flicker and casts of colour."""
    if "lighting" not in knobs:
        return Light()
    count = int(rng.integers(2, 5))
    times = np.linspace(0.05, 0.95, count) * end_s
    levels = rng.uniform(0.45, 1.15, count)
    dark, bright = rng.permutation(count)[:2]
    levels[dark], levels[bright] = rng.uniform(0.38, 0.55), rng.uniform(1.0, 1.15)
    warmth = rng.uniform(-0.22, 0.22, count)
    gains = [(float(g * (1 + w)), float(g), float(g * (1 - w))) for g, w in zip(levels, warmth, strict=True)]
    if rng.random() < 0.3:  # lamps that switch: a level holds until shortly before the next
        times = np.sort(np.concatenate([times, times[1:] - _SWITCH_S, [end_s]]))
        gains = [gain for gain in gains for _ in (0, 1)]
    flickers = rng.random() < 0.5
    return Light(
        times_s=tuple(times.tolist()),
        gains=tuple(gains),
        flicker=float(rng.uniform(0.06, 0.16)) if flickers else 0.0,
        flicker_hz=float(rng.uniform(2.5, 7.0)) if flickers else 0.0,
    )


def clutter(rng: Rng, knobs: frozenset[str]) -> int:
    """How many things are strewn over a place, per frame's area."""
    return int(rng.integers(*_CLUTTER)) if "clutter" in knobs else 0


def board(rng: Rng, floor: Floor, behind: Character, time_s: float) -> Prop:
    """A board that somebody can vanish behind, in the inner part of the frame at that time."""
    reach = 1.05 * behind.radius_px
    x, y = rng.uniform(0.25, 0.75) * WIDTH_PX, rng.uniform(0.3, 0.7) * HEIGHT_PX
    at, scale = floor.in_world((float(x), float(y)), time_s)
    width, height = (2 * reach * rng.uniform(1.15, 1.6) for _ in (0, 1))
    if rng.random() < 0.4:
        height = 3.0 * HEIGHT_PX * scale  # a pillar, past both borders
    look = Board(width_px=float(width), height_px=float(height), seed=int(rng.integers(2**31)))
    return Prop(look=look, at=at)


def decoys(
    rng: Rng, floor: Floor, cast: Sequence[Character], taken: Sequence[frozenset[str]], actors: int
) -> tuple[Prop, ...]:
    """Figures with the nouns and colours of the cast, that fit none of the expressions in `taken`."""
    found: list[Prop] = []
    wanted = int(rng.integers(3, 8))
    for _ in range(60):
        look = _decoy(rng, cast)
        if len(found) == wanted or any(fits(words, look) for words in taken):
            continue
        spot = (float(rng.uniform(0.04, 0.96) * WIDTH_PX), float(rng.uniform(0.06, 0.94) * HEIGHT_PX))
        at, _scale = floor.in_world(spot, float(rng.uniform(0, floor.end_s)))
        if any(np.hypot(at[0] - p.at[0], at[1] - p.at[1]) < 60 for p in found):
            continue
        layer = int(rng.integers(1, actors + 1)) if rng.random() < 0.2 else 0
        found.append(Prop(look=look, at=at, angle_deg=float(rng.uniform(-12, 12)), layer=layer))
    return tuple(found)


def _decoy(rng: Rng, cast: Sequence[Character]) -> Character:
    one, other = (cast[int(i)] for i in rng.integers(len(cast), size=2))
    size = str(rng.choice(("small", "medium")))
    return Character(
        entity_id="",  # part of the place
        noun=one.noun,
        colour=other.colour,
        size=size,
        pattern=str(rng.choice(PATTERNS)),
        radius_px=min(RADIUS_PX[size], 1.3 * one.radius_px) * float(rng.uniform(0.85, 1.1)),
    )
