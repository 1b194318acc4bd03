"""Whether the colour that an entity is named by fits its masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.attributes import COLOUR_NAMES, colour_shares
from strefer_core.backends.interfaces import Footage

Masks = NDArray[np.bool_]  # (F, H, W) on the sampled frames

_WORST = 0.1  # share of the frames that count as its worst


def shares_of(footage: Footage, masks: Masks) -> NDArray[np.float64]:
    """(visible frames, COLOUR_NAMES) share of the masked pixels per colour."""
    shown = [index for index, mask in enumerate(masks) if mask.any()]
    found = [colour_shares(footage.images[footage.sampled[i]], masks[i]) for i in shown]
    return np.array(found).reshape(len(shown), len(COLOUR_NAMES))


def colour_agreement(shares: NDArray[np.float64], colour: str | None) -> float | None:
    """Share of the masked pixels, 0..1, that have the colour of this name: of the visible frames the lower
    tenth. None for no name, one that is not known, or a track that is never visible."""
    if colour not in COLOUR_NAMES or not len(shares):
        return None
    return float(np.clip(np.quantile(shares[:, COLOUR_NAMES.index(colour)], _WORST), 0, 1))


def colour_margin(shares: NDArray[np.float64], colour: str | None) -> float | None:
    """Mean share of the named colour minus that of the strongest other one, -1..1; None as above.

    Small where a person might as well have named the other, below 0 where the name is another thing's.
    """
    if colour not in COLOUR_NAMES or not len(shares):
        return None
    place, usual = COLOUR_NAMES.index(colour), shares.mean(axis=0)
    return float(usual[place] - np.delete(usual, place).max())
