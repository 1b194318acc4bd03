"""The truth of one world video as arrays: where everybody is on every frame, and what can be seen of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from strefer_core import data_model as dm
from strefer_core.errors import InputError
from strefer_core.world.truth import TrueEntity, WorldTruth

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Interval = tuple[float, float]  # (start_s, end_s), half-open

SIDES = ("left", "right", "up", "down")
_NOWHERE = (float("nan"),) * 4


@dataclass(frozen=True, kw_only=True)
class Track:
    """One true entity over all T frames."""

    entity: TrueEntity
    ground: Floats  # (T, 2) on the ground, world pixels; NaN where it is not in the scene
    boxes: Floats  # (T, 4) of the whole thing on the frame, pixels; NaN likewise
    seen: Flags  # (T,): something of it is seen
    visible: Floats  # (T,): seen area over whole area
    inside: Floats  # (T,): area within the borders over whole area
    beyond: Floats  # (T, 4): how far it passes each of SIDES, in its own lengths; <= 0: not at all
    middles: Floats  # (T, 2, 2): of the whole and of the seen part; x, y as shares of the picture
    run: Ints  # (T,): number of the stretch in the picture within one shot; -1: outside


class TrueScene:
    """A world truth, ready to be asked.

    Raises:
        InputError: the truth does not say where on the ground everybody is.
    """

    def __init__(self, truth: WorldTruth) -> None:
        self.truth = truth
        self.times_s: Floats = np.asarray(truth.frames_pts_s)
        self.shots: Ints = np.searchsorted(truth.cuts_s, self.times_s, side="right")
        self.zoom: Floats = np.asarray(truth.camera_zoom)
        self.tracks = {one.entity_id: _track(self, one) for one in truth.entities}

    @property
    def duration_s(self) -> float:
        return self.truth.duration_s

    @cached_property
    def gap_s(self) -> float:
        """Time between two sampled frames: how well the ends of intervals are known."""
        return self.duration_s / (dm.FRAME_COUNT - 1)

    @property
    def frame_s(self) -> float:
        """Time from one frame to the next."""
        return float(1 / self.truth.fps)

    @property
    def whole(self) -> Interval:
        return 0.0, self.duration_s

    def thirds(self) -> list[Interval]:
        """Beginning, middle and end of the video."""
        return [(i * self.duration_s / 3, (i + 1) * self.duration_s / 3) for i in range(3)]

    def frames(self, window: Interval) -> Ints:
        """Frames shown in a window; the one nearest to its middle where it is shorter than a frame."""
        start_s, end_s = window
        found = np.flatnonzero((self.times_s >= start_s - 1e-6) & (self.times_s < end_s - 1e-6))
        if len(found):
            return found
        return np.array([np.abs(self.times_s - (start_s + end_s) / 2).argmin()])

    def first_seen_s(self, entity_id: str) -> float | None:
        """When something of an entity is seen for the first time; None where it never is."""
        seen = np.flatnonzero(self.tracks[entity_id].seen)
        return float(self.times_s[seen[0]]) if len(seen) else None


def _track(scene: TrueScene, entity: TrueEntity) -> Track:
    if len(entity.ground_px) != len(scene.times_s):
        raise InputError(
            f"the truth of video {scene.truth.index} of seed {scene.truth.seed} does not say where on the "
            f"ground {entity.expression} is; render it again with `strefer world render`"
        )
    size = np.array([scene.truth.width_px, scene.truth.height_px], dtype=float)
    boxes = np.array([box or _NOWHERE for box in entity.full_boxes_px], dtype=float)  # (T, 4)
    inside = np.asarray(entity.in_frame_fractions)
    return Track(
        entity=entity,
        ground=np.array([point or _NOWHERE[:2] for point in entity.ground_px], dtype=float),
        seen=np.array([mask is not None for mask in entity.masks]),
        visible=np.asarray(entity.visible_fractions),
        inside=inside,
        boxes=boxes,
        beyond=_beyond(boxes, size),
        middles=np.stack([_middles(boxes, size), _middles(_seen_boxes(entity), size)], axis=1),
        run=_runs((inside > 0) & ~np.isnan(boxes[:, 0]), scene.shots),
    )


def _beyond(boxes: Floats, size: Floats) -> Floats:
    lengths = boxes[:, 2:] - boxes[:, :2]
    low, high = -boxes[:, :2] / lengths, (boxes[:, 2:] - size) / lengths
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)


def _seen_boxes(entity: TrueEntity) -> Floats:
    """(T, 4) boxes around what is seen; NaN where nothing is."""
    found = np.full((len(entity.masks), 4), np.nan)
    shown = [i for i, mask in enumerate(entity.masks) if mask is not None]
    if shown:
        corners = coco.toBbox([entity.masks[i] for i in shown]).reshape(-1, 4)
        found[shown] = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    return found


def _middles(boxes: Floats, size: Floats) -> Floats:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2 / size)


def _runs(flags: Flags, shots: Ints) -> Ints:
    """Number the runs of True within one shot from 0; -1 where False."""
    starts = flags & ~np.concatenate([[False], flags[:-1] & (shots[1:] == shots[:-1])])
    return np.where(flags, np.cumsum(starts) - 1, -1)
