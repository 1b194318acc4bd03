"""Ways to move: small functions that give paths. Points are world pixels, times seconds of the video."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, pi

import numpy as np
from numpy.typing import NDArray

from strefer_core.world.motion import base_positions
from strefer_core.world.script import Camera, Path, Point

_STEP_S = 0.05  # spacing of waypoints on curved ways


def straight(start: Point, end: Point, start_s: float, end_s: float, spin_deg_s: float = 0.0) -> Path:
    return Path(times_s=(start_s, end_s), points=(start, end), spin_deg_s=spin_deg_s)


def stop_and_go(start: Point, stop: Point, end: Point, *, go_s: float, wait_s: float, end_s: float) -> Path:
    """Go to `stop` in `go_s` seconds, wait there, go on to `end`."""
    return Path(times_s=(0.3, go_s, go_s + wait_s, end_s - 0.3), points=(start, stop, stop, end))


def leave_and_return(
    start: Point, outside: Point, again: Point, *, out_s: float, back_s: float, end_s: float
) -> Path:
    """Walk from `start` out of the frame, stay away until `back_s`, come back in to `again`."""
    return Path(times_s=(0.5, out_s, back_s, end_s - 0.8), points=(start, outside, outside, again))


def enter_late(outside: Point, inside: Point, end: Point, *, enter_s: float, end_s: float) -> Path:
    """Wait outside until `enter_s`, come in, go on to `end`."""
    inside_s = enter_s + 0.55 * (end_s - enter_s)
    return Path(times_s=(enter_s, inside_s, end_s), points=(outside, inside, end), smooth_s=0.3)


def hop_along(rng: np.random.Generator, start: Point, end: Point, start_s: float, end_s: float) -> Path:
    """A straight way in hops."""
    return replace(
        straight(start, end, start_s, end_s),
        hop_px=float(rng.uniform(22, 34)),
        hop_s=float(rng.uniform(0.6, 0.8)),
    )


def orbit(middle: Point, reach: Point, end_s: float, *, start_turn: float, turns: float) -> Path:
    """An ellipse about `middle`; turns are counted clockwise from the right."""
    times = _times(end_s)
    angle = 2 * pi * (start_turn + turns * times / end_s)
    return _sampled(times, middle[0] + reach[0] * np.cos(angle), middle[1] + reach[1] * np.sin(angle))


def curve(rng: np.random.Generator, middle: Point, reach: Point, end_s: float, *, turns: float) -> Path:
    """A winding way (a Lissajous figure) within `reach` of `middle`."""
    times = _times(end_s)
    phase_x, phase_y = rng.uniform(0, 1, 2)
    x = middle[0] + reach[0] * np.sin(2 * pi * (turns * times / end_s + phase_x))
    y = middle[1] + reach[1] * np.sin(2 * pi * (1.37 * turns * times / end_s + phase_y))
    return _sampled(times, x, y)


def bounce(start: Point, velocity_px_s: Point, end_s: float, room: tuple[float, float, float, float]) -> Path:
    """Straight on, thrown back by the walls of `room` (x0, y0, x1, y1)."""
    times = _times(end_s)
    x = _fold(start[0] + velocity_px_s[0] * times, room[0], room[2])
    y = _fold(start[1] + velocity_px_s[1] * times, room[1], room[3])
    return replace(_sampled(times, x, y), smooth_s=0.06)


def on_screen(path: Path, camera: Camera) -> Path:
    """The path that looks like `path` to a panning camera."""
    end_s = max(path.times_s[-1], camera.path.times_s[-1])
    times = _times(end_s)
    seen = base_positions(path, times) + base_positions(camera.path, times)
    return replace(_sampled(times, seen[:, 0], seen[:, 1]), smooth_s=path.smooth_s)


def _times(end_s: float) -> NDArray[np.float64]:
    return _STEP_S * np.arange(ceil(end_s / _STEP_S) + 1, dtype=np.float64)


def _fold(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Reflect a growing value to and fro between two walls."""
    span = high - low
    return np.asarray(low + span - np.abs((values - low) % (2 * span) - span), dtype=np.float64)


def _sampled(times: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> Path:
    points = tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))
    return Path(times_s=tuple(times.tolist()), points=points)
