"""Changing light: dimming, flicker and colour casts, as factors on the finished picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.world.script import Light

Floats = NDArray[np.float64]


def gains(light: Light, times_s: Floats) -> Floats:
    """(T, 3) factors on red, green and blue."""
    points = np.array(light.gains, dtype=np.float64)
    lines = [np.interp(times_s, light.times_s, points[:, channel]) for channel in range(3)]
    flicker = 1 + light.flicker * np.sin(2 * np.pi * light.flicker_hz * times_s)
    return np.asarray(np.stack(lines, axis=1) * flicker[:, None], dtype=np.float64)


def lit(picture: NDArray[np.uint8], factors: Floats) -> NDArray[np.uint8]:
    """A picture (H, W, 3) RGB in light of these factors (3,); too bright is white."""
    if (factors == 1).all():
        return picture
    levels = np.clip(np.arange(256)[:, None] * factors, 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.LUT(picture, levels[None]), dtype=np.uint8)
