"""Twins: pairs that are asked in the same words with different answers (`Instruction.set_key`).

They are accepted together or not at all. Where a filter took only the surer one of a yes and a no, what was
accepted would give answers away by the wording alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def worst_of_twins(chances: NDArray[np.float64], set_keys: Sequence[str]) -> NDArray[np.float64]:
    """(pairs,) the largest chance of being wrong among a pair and its twins.

    Args:
        chances: (pairs,) of each pair by itself.
        set_keys: of each pair; "" for one without twins, several joined by "+" for a conversation.
    """
    keys = [[key for key in text.split("+") if key] for text in set_keys]
    worst: dict[str, float] = {}
    for chance, own in zip(chances.tolist(), keys, strict=True):
        worst |= {key: max(worst.get(key, 0.0), chance) for key in own}
    found = [
        max([chance, *(worst[key] for key in own)])
        for chance, own in zip(chances.tolist(), keys, strict=True)
    ]
    return np.array(found, dtype=np.float64)
