"""Random masks for property tests: blobs with holes, several parts, parts at the border, single pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

KINDS = ("noise", "blobs", "pixel", "full", "empty")


@st.composite
def masks(draw: st.DrawFn, max_side: int = 40) -> np.ndarray:
    """A mask (H, W) bool of any size up to `max_side`."""
    shape = draw(st.tuples(st.integers(1, max_side), st.integers(1, max_side)))
    kind = draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = np.full(shape, kind == "full")
    if kind == "noise":
        mask = rng.random(shape) < draw(st.floats(0, 1))
    elif kind == "blobs":
        mask = gaussian_filter(rng.normal(size=shape), draw(st.floats(0.5, 6))) > 0
    elif kind == "pixel":
        mask[rng.integers(shape[0]), rng.integers(shape[1])] = True
    return mask
