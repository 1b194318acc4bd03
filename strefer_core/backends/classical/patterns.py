"""Names for the pattern on a thing, from its pale and dark parts and its edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]  # (H, W)

PATTERNS = ("plain", "striped", "spotted", "checked")

_MIN_INNER_PX = 60  # fewer pixels show no pattern
_PALE = (35.0, 75.0)  # chroma below, lightness above: cream or white
_DARK = 0.8  # of the lightness of the brighter parts
# Share of the inside from which a mark is there, and at which it surely is. Eyes, fins and outlines make up
# the lower values.
_PALE_SHARE = (0.04, 0.10)
_DARK_SHARE = (0.33, 0.45)
_ONE_WAY = (0.15, 0.5)  # coherence of the edges: checks run two ways, stripes one
_SIDES = 0.7  # how much of the choice between stripes and checks the coherence decides


def pattern_shares(image: NDArray[np.uint8], mask: Mask) -> NDArray[np.float64] | None:
    """How much a thing on an RGB image (H, W, 3) shows each of PATTERNS, 0..1; None where it is too small."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if inner.sum() < _MIN_INNER_PX:
        return None
    rows, columns = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inner = inner[window]
    codes = cv2.cvtColor(np.ascontiguousarray(image[window]), cv2.COLOR_RGB2LAB).astype(np.float32)
    lightness = codes[..., 0] * np.float32(100 / 255)
    chroma = np.hypot(codes[..., 1] - 128, codes[..., 2] - 128)
    pale = inner & (chroma < _PALE[0]) & (lightness > _PALE[1])
    rest = lightness[inner & ~pale]
    bright = np.percentile(rest, 75) if len(rest) else 0.0
    spots = _ramp(float(pale.sum() / inner.sum()), _PALE_SHARE)
    darks = _ramp(float((rest < _DARK * bright).mean()) if len(rest) else 0.0, _DARK_SHARE)
    one_way = _ramp(_coherence(lightness, inner), _ONE_WAY)
    lines = darks * (1 - spots)
    return np.array(
        [
            (1 - darks) * (1 - spots),
            lines * (1 - _SIDES * (1 - one_way)),
            spots,
            lines * (1 - _SIDES * one_way),
        ]
    )


def _ramp(value: float, span: tuple[float, float]) -> float:
    return float(np.clip((value - span[0]) / (span[1] - span[0]), 0, 1))


def _coherence(lightness: NDArray[np.float32], inner: Mask) -> float:
    """Coherence of the structure tensor over the inside: 1 where all edges run one way, 0 for all ways."""
    smooth = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, *order)[inner] for order in ((1, 0), (0, 1)))
    energy = float((x * x + y * y).mean())
    return float(np.hypot((x * x - y * y).mean(), 2 * (x * y).mean())) / max(energy, 1e-6)
