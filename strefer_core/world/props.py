"""Things that are part of a place and never move: boards to stand behind, and figures like the actors'."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.world import sprites
from strefer_core.world.backgrounds import rough
from strefer_core.world.script import Board, Character, Prop

_TONES = ((108, 92, 78), (96, 102, 108), (78, 96, 80), (136, 124, 104), (88, 82, 96))  # dull, as places are
_REST_PHASE = 0.2  # of its gait: a still figure is caught in one step for ever


def place(prop: Prop, x: float, y: float, scale: float = 1.0, detail: float = 1.0) -> sprites.Placed:
    """Draw a prop with its middle at (x, y) frame pixels; scales as in `sprites.place`."""
    if isinstance(prop.look, Character):
        return sprites.place(prop.look, x, y, prop.angle_deg, 1.0, _REST_PHASE, scale, detail)
    return sprites.moved(_board(prop.look), x, y, scale=scale)


@lru_cache(maxsize=32)
def _board(board: Board) -> NDArray[np.uint8]:
    """(height, width, 4) RGBA: solid, grained, darker at its edges, with a clear margin of one pixel."""
    rng = np.random.default_rng(board.seed)
    width, height = round(board.width_px), round(board.height_px)
    tone = np.array(_TONES[int(rng.integers(len(_TONES)))], np.float32)
    picture = np.zeros((height + 2, width + 2, 4), np.uint8)
    grain = 1 + 0.14 * rough(rng, width, height, 22, 0.5) + 0.06 * rng.standard_normal((height, width))
    inner = np.clip(tone * grain[..., None], 20, 235).astype(np.uint8)
    edge = tuple(int(v) for v in tone * 0.5)
    cv2.rectangle(inner, (0, 0), (width - 1, height - 1), edge, 3)
    picture[1:-1, 1:-1, :3], picture[1:-1, 1:-1, 3] = inner, 255
    return picture
