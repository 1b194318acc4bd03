"""Where things are on every frame: paths and cameras of a script as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from strefer_core.world.figures import FACING
from strefer_core.world.script import Camera, Character, Path, Zoom

Floats = NDArray[np.float64]

STILL_PX_S = 12.0  # slower than this counts as standing still
_HOP_SPEED_PX_S = 60.0  # at this speed hops reach their full height
_SHAKE_S = 0.16  # correlation time of a hand-held camera
_TURN_S = 0.07  # time a creature takes to turn round
_MIN_TURN_SCALE = 0.35  # a creature in mid-turn is seen this narrow, never as a line


@dataclass(frozen=True)
class Poses:
    """A character on every frame of the video, in world pixels; all arrays (T,)."""

    x_px: Floats
    y_px: Floats
    base_px: Floats  # (T, 2) without hops: what counts as its movement
    velocity_px_s: Floats  # (T, 2) of the base
    angle_deg: Floats
    facing: Floats  # -1..1, horizontal scale: negative looks left
    phase: Floats  # 0..1 of its gait


def base_positions(path: Path, times_s: Floats) -> Floats:
    """(T, 2) world pixels at evenly spaced times, smoothed."""
    points = np.array(path.points, dtype=np.float64)
    line = np.stack([np.interp(times_s, path.times_s, points[:, axis]) for axis in (0, 1)], axis=1)
    step_s = float(times_s[1] - times_s[0])
    return np.asarray(gaussian_filter1d(line, path.smooth_s / step_s, axis=0, mode="nearest"))


def camera_zooms(zoom: Zoom, times_s: Floats) -> Floats:
    """(T,) frame pixels per world pixel at evenly spaced times. Equal ratios take equal times."""
    line = np.exp(np.interp(times_s, zoom.times_s, np.log(zoom.scales)))
    return np.asarray(gaussian_filter1d(line, zoom.smooth_s / (times_s[1] - times_s[0]), mode="nearest"))


def camera_positions(camera: Camera, times_s: Floats, size_px: tuple[int, int]) -> Floats:
    """(T, 2) world position of the top left corner of a frame of `size_px` (width, height)."""
    pan = base_positions(camera.path, times_s)
    if camera.zoom.scales != (1.0,):
        pan = pan + (1 - 1 / camera_zooms(camera.zoom, times_s))[:, None] * np.array(size_px) / 2
    if not camera.shake_px:
        return pan
    noise = np.random.default_rng(camera.shake_seed).normal(size=pan.shape)
    smooth = gaussian_filter1d(noise, _SHAKE_S / (times_s[1] - times_s[0]), axis=0, mode="wrap")
    return np.asarray(pan + camera.shake_px * smooth / smooth.std(), dtype=np.float64)


def poses(character: Character, path: Path, times_s: Floats) -> Poses:
    """The character's poses at evenly spaced times (at least two)."""
    base = base_positions(path, times_s)
    velocity = np.gradient(base, times_s, axis=0)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    hop = path.hop_px * np.abs(np.sin(pi * times_s / path.hop_s)) * np.clip(speed / _HOP_SPEED_PX_S, 0, 1)
    is_animal = character.generalized_noun == "animal"
    return Poses(
        x_px=base[:, 0],
        y_px=base[:, 1] - hop,
        base_px=base,
        velocity_px_s=velocity,
        angle_deg=_tilt(velocity, speed) if is_animal else path.spin_deg_s * times_s,
        facing=_facing(velocity[:, 0], times_s) if character.noun in FACING else np.ones(len(times_s)),
        phase=_phase(speed, times_s) if is_animal else np.zeros(len(times_s)),
    )


def _tilt(velocity: Floats, speed: Floats) -> Floats:
    """Creatures lean into climbs and dives a little; clockwise degrees for one that looks right."""
    slope = np.arctan2(velocity[:, 1], np.abs(velocity[:, 0]) + 20)
    return np.asarray(np.degrees(slope) * 0.35 * np.clip(speed / 40, 0, 1), dtype=np.float64)


def _facing(velocity_x: Floats, times_s: Floats) -> Floats:
    moving = np.flatnonzero(np.abs(velocity_x) > STILL_PX_S)
    if not len(moving):
        return np.ones(len(times_s))
    last = moving[np.maximum(np.searchsorted(moving, np.arange(len(times_s)), side="right") - 1, 0)]
    smooth = gaussian_filter1d(np.sign(velocity_x[last]), _TURN_S / (times_s[1] - times_s[0]), mode="nearest")
    return np.asarray(np.where(smooth < 0, -1, 1) * np.maximum(np.abs(smooth), _MIN_TURN_SCALE))


def _phase(speed: Floats, times_s: Floats) -> Floats:
    """Gait: about one beat a second at rest, two when fast."""
    beats_s = 0.8 + np.clip(speed / 120, 0, 1.2)
    return np.asarray(np.cumsum(beats_s) * (times_s[1] - times_s[0]) % 1.0, dtype=np.float64)
