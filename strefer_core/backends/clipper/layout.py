"""Features without weights: which colours there are, and roughly how light and dark are laid out.

The colours are a histogram over the whole picture: it changes where somebody comes in or leaves, and not
where they only move. Lightness weighs little, just enough that two places of the same colours differ. Tried
and left out, because whatever moves changes it: gradient orientations (at a twentieth of the weight they cost
0.15 of the F1 of the world's events) and colours per part of the picture (at a third, half of it).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Images

_SIZE_PX = (160, 90)
_BINS = 20  # per chroma axis
_CHROMA = (48, 208)  # Lab's a and b as OpenCV scales them; what is more saturated falls into the outer bins
_BLUR = 0.8  # bins: a colour at the border of two bins does not flicker between them
_PARTS = (4, 3)  # across and down
_LIGHTNESS_WEIGHT = 0.05


class LayoutEmbedder:
    """Unit vectors of 424 numbers."""

    change = 0.007  # measured on the world: cuts differ by 0.06 and more, half of all moments by 0.0004

    def embed(self, images: Images) -> NDArray[np.float32]:
        """(T, H, W, 3) uint8 RGB to (T, 424) float32 of unit norm."""
        return np.stack([_embedded(image) for image in images]).astype(np.float32)


def _embedded(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    small = cv2.resize(image, _SIZE_PX, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    return np.concatenate(
        [
            np.sqrt(1 - _LIGHTNESS_WEIGHT) * _colours(lab),
            np.sqrt(_LIGHTNESS_WEIGHT) * _lightness(lab[..., 0]),
        ]
    )


def _colours(lab: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Roots of the shares of colours: their distance is Hellinger's."""
    chroma = np.clip(lab, _CHROMA[0], _CHROMA[1] - 1)
    counts = cv2.calcHist([chroma], [1, 2], None, [_BINS, _BINS], [*_CHROMA, *_CHROMA])
    shares = cv2.GaussianBlur(counts, (3, 3), _BLUR).ravel()
    return _unit(np.sqrt(shares))


def _lightness(plane: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How light and how dark each part is; both, so that a black picture has a direction too."""
    light = cv2.resize(plane, _PARTS, interpolation=cv2.INTER_AREA).ravel() / 255
    return _unit(np.concatenate([light, 1 - light]))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(values))
    return values / length if length else np.full(len(values), len(values) ** -0.5)
