"""Colour histograms: what a thing looks like, as numbers that can be compared and painted back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Histogram = NDArray[np.float32]  # (BINS,), sums to 1
ColourIndex = NDArray[np.int16]  # (H, W), 0 <= index < BINS

_LEVELS = (8, 16, 16)  # lightness, a, b
BINS = _LEVELS[0] * _LEVELS[1] * _LEVELS[2]
_COMMON = 2e-3  # share of a thing that makes a bin one of its colours
_CONTRAST = 3.0  # log ratio that counts as certain


def colour_index(image: NDArray[np.uint8]) -> ColourIndex:
    """Histogram bin of every pixel of an RGB image (H, W, 3)."""
    light, a, b = (plane.astype(np.int32) for plane in cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)))
    return ((light >> 5) * 256 + (_chroma_level(a) << 4) + _chroma_level(b)).astype(np.int16)


def _chroma_level(plane: NDArray[np.int32]) -> NDArray[np.int32]:
    """16 levels over the part of Lab's a and b axes that pictures use."""
    return np.clip((plane - 64) >> 3, 0, 15)


def histogram(index: ColourIndex, mask: NDArray[np.bool_]) -> Histogram:
    """Smoothed colour histogram of the masked pixels; uniform for an empty mask."""
    counts = np.bincount(index[mask], minlength=BINS).astype(np.float32)
    smooth = gaussian_filter(counts.reshape(_LEVELS), sigma=0.6, mode="nearest").reshape(-1)
    total = float(smooth.sum())
    return smooth / total if total else np.full(BINS, 1 / BINS, np.float32)


def similarity(a: Histogram, b: Histogram) -> float:
    """Bhattacharyya coefficient, 0 (nothing in common) to 1 (same)."""
    return float(np.sqrt(a * b).sum())


def likeness(thing: Histogram, surroundings: Histogram) -> NDArray[np.float32]:
    """Per bin, -1 (a colour of the surroundings) to 1 (a colour of the thing): clipped log ratio."""
    floor = 1e-4
    ratio = np.log((thing + floor) / (surroundings + floor)) / _CONTRAST
    return np.clip(ratio, -1, 1).astype(np.float32)


def familiarity(thing: Histogram) -> NDArray[np.float32]:
    """Per bin, -1 (a colour that the thing never showed) to 0.2 (one of its common colours)."""
    return np.clip(np.log((thing + 1e-6) / _COMMON) / _CONTRAST, -1, 0.2).astype(np.float32)
