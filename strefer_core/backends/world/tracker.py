"""Tracks as a promptable video segmenter makes them from boxes, forward and backward from their frame.

A track begins on the thing whose box its own covers best. One that begins on nothing holds the box as its
mask, fixed to the place that it was seen in. Identities are decided on the sampled frames only: a frame
between two of them shows the thing of the one nearer to the anchor, and where that one is empty, the thing
that the track holds on the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Detection, Masks, Track
from strefer_core.backends.world.dice import Dice
from strefer_core.backends.world.noise import Noise
from strefer_core.backends.world.outlines import GRID, rough, slid
from strefer_core.backends.world.scene import Scene
from strefer_core.backends.world.walk import Anchor, Walk, Walker

Floats = NDArray[np.float64]


class WorldTracker:
    """Tracks over one scene."""

    def __init__(self, scene: Scene, dice: Dice, noise: Noise) -> None:
        self._scene = scene
        self._dice = dice
        self._noise = noise
        self._walker = Walker(scene, dice, noise)

    def track(self, detection: Detection) -> Track:
        """One track; the same whatever else is tracked."""
        scene, start = self._scene, detection.frame_index
        entity = scene.covered_by(start, detection.box)
        if entity is None:
            return self._on_nothing(detection)
        anchor = scene.position(start), *(round(side) for side in detection.box)
        walk = self._walker.walk(entity, start, anchor)
        return Track(
            detection=detection,
            masks=self._masks(walk, start, anchor),
            forward_backward_iou=self._agreement(walk, start, anchor),
        )

    def _on_nothing(self, detection: Detection) -> Track:
        """The same patch of the background all along; re-tracking it agrees as well as outlines do."""
        masks = self._patch(detection)
        shown = np.flatnonzero(masks[self._scene.sampled].any(axis=(1, 2)))
        is_long = len(shown) > 0 and np.abs(shown - detection.frame_index).max() > 1
        agreement = 1 - self._noise.edge if is_long else None
        return Track(detection=detection, masks=masks, forward_backward_iou=agreement)

    def _patch(self, detection: Detection) -> Masks:
        scene, origin = self._scene, int(self._scene.sampled[detection.frame_index])
        masks = np.zeros((len(scene.positions), scene.height_px, scene.width_px), np.bool_)
        for t in range(len(masks)):
            box = scene.carried(detection.box, origin, t)
            if box is not None:
                x0, y0, x1, y1 = (round(side) for side in box)
                masks[t, y0:y1, x0:x1] = True
        return masks

    def _masks(self, walk: Walk, start: int, anchor: Anchor) -> Masks:
        scene = self._scene
        masks = np.zeros((len(scene.positions), scene.height_px, scene.width_px), np.bool_)
        turn = self._dice.once("turn", *anchor)
        near, far = _neighbours(scene.sampled, start, len(masks))
        is_empty = walk.who[near] < 0
        whom = np.where(is_empty, walk.held[far], walk.who[near])
        ways = np.where(is_empty, walk.slid[far], walk.slid[near])
        for t, (entity, way) in enumerate(zip(whom.tolist(), ways.tolist(), strict=True)):
            if entity >= 0 and scene.mask(entity, t).any():
                masks[t] = slid(self._outlined(entity, t, anchor), way, turn)
        return masks

    def _outlined(self, entity: int, t: int, anchor: Anchor) -> NDArray[np.bool_]:
        """The mask with an outline of which a share is the picture's own and the rest the track's."""
        if not self._noise.edge:
            return self._scene.mask(entity, t)
        common = self._dice.normal("outline", entity, columns=GRID * GRID)
        alone = self._dice.normal("outline", entity, *anchor, columns=GRID * GRID)
        position, share = int(self._scene.positions[t]), self._noise.shared
        draws = np.sqrt(share) * common[position] + np.sqrt(1 - share) * alone[position]
        return rough(self._scene.mask(entity, t), self._noise.edge, draws)

    def _agreement(self, walk: Walk, start: int, anchor: Anchor) -> float | None:
        """Mean overlap of the track with its re-tracking from both of its ends back to where it began.

        From identities: frames count 0 where the two lie on different things or one is empty. Counted on
        sampled frames between the start and the ends; None where there are none.
        """
        held = np.flatnonzero(walk.who >= 0)
        values: list[float] = []
        for direction, end in ((-1, int(held[-1])), (1, int(held[0]))):
            if (start - end) * direction <= 1:
                continue
            again = (*anchor, end, 1)
            back = self._walker.walk(int(walk.who[end]), end, again, (direction,))
            for frame in range(end + direction, start, direction):
                if walk.who[frame] >= 0 or back.who[frame] >= 0:
                    values.append(self._overlap(walk, back, frame, float(walk.slid[end])))
        return float(np.mean(values)) if values else None

    def _overlap(self, there: Walk, back: Walk, frame: int, slid_at_end: float) -> float:
        if there.who[frame] != back.who[frame]:
            return 0.0
        apart = abs(float(there.slid[frame]) - float(back.slid[frame]) - slid_at_end)
        return (1 - self._noise.edge) * max(0.0, (1 - apart) / (1 + apart))


def _neighbours(
    sampled: NDArray[np.int64], start: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(T,) for every working frame the sampled frames around it: nearer to the anchor, and further away."""
    t = np.arange(count)
    before = np.clip(np.searchsorted(sampled, t, side="right") - 1, 0, None)
    after = np.clip(np.searchsorted(sampled, t, side="left"), None, len(sampled) - 1)
    is_later = t >= sampled[start]
    return np.where(is_later, before, after), np.where(is_later, after, before)
