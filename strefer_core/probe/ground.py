"""How right a told camera motion is, against a world's truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm


def motion_errors_px(
    told: Sequence[dm.Affine | None], true: Sequence[dm.Affine | None], width_px: int, height_px: int
) -> list[float | None]:
    """How far told motions put points from where they go, in display pixels, where there is a true motion.

    The mean over a grid of 5 x 5 points from corner to corner; None where nothing was told.
    """
    grid = np.stack(np.meshgrid(np.linspace(0, width_px, 5), np.linspace(0, height_px, 5)), axis=-1)
    points = grid.reshape(-1, 2)
    return [
        None if one is None else float(np.hypot(*(_moved(one, points) - _moved(other, points)).T).mean())
        for one, other in zip(told, true, strict=True)
        if other is not None
    ]


def _moved(motion: dm.Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.array(motion).reshape(2, 3)
    return np.asarray(points @ rows[:, :2].T + rows[:, 2])
