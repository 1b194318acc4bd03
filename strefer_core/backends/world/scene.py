"""The truth of a video as it shows on the working frames of its footage."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core import masks
from strefer_core.backends.interfaces import Footage
from strefer_core.errors import InputError
from strefer_core.world.truth import WorldTruth

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Mask = NDArray[np.bool_]

COVERS = 0.3
"""Overlap (IoU) from which a box or a mask is taken to be on a thing, else on the background."""
_SMALL_SHARE = (
    0.01  # of the frame: COCO's border between small and medium is 0.33 % of 640 x 480, to large 3 %
)
_DARK_STRAIN = 0.5  # assumption: what `lighting` adds for every thing


class Scene:
    """Who is where on the frames of one footage; indices of frames are those of the sampled frames.

    Raises:
        InputError: the footage is not of the video that the truth is of.
    """

    def __init__(self, truth: WorldTruth, footage: Footage) -> None:
        self.truth = truth
        self.positions = _positions(truth, footage)  # (T,) of every working frame in the video
        self.sampled = np.asarray(footage.sampled)
        self.pts_s = np.asarray(footage.pts_s, dtype=np.float64)[self.sampled]  # (F,)
        self.height_px, self.width_px = footage.images.shape[1:3]
        self.scale = self.width_px / truth.width_px
        self._masks: dict[tuple[int, int], Mask] = {}

    @property
    def frame_count(self) -> int:
        return len(self.sampled)

    @property
    def entity_count(self) -> int:
        return len(self.truth.entities)

    def mask(self, entity: int, t: int) -> Mask:
        """True mask of an entity on working frame t, (H, W) bool; not to be written to."""
        if (entity, t) not in self._masks:
            code = self.truth.entities[entity].masks[self.positions[t]]
            self._masks[entity, t] = self._working(code)
        return self._masks[entity, t]

    def _working(self, code: dm.Rle | None) -> Mask:
        if code is None:
            return np.zeros((self.height_px, self.width_px), np.bool_)
        return masks.resize(masks.decode(code), self.height_px, self.width_px)

    def position(self, frame: int) -> int:
        """Place in the video of a sampled frame."""
        return int(self.positions[self.sampled[frame]])

    @cached_property
    def boxes(self) -> Floats:
        """(F, E, 4) tight boxes of what can be seen, working pixels; NaN where nothing can."""
        boxes = np.full((self.frame_count, self.entity_count, 4), np.nan)
        for frame, t in enumerate(self.sampled):
            for entity in range(self.entity_count):
                box = masks.tight_box(self.mask(entity, int(t)))
                if box:
                    boxes[frame, entity] = box
        return boxes

    @cached_property
    def visible(self) -> Flags:
        """(F, E) whether anything of it can be seen."""
        return ~np.isnan(self.boxes[:, :, 0])

    @cached_property
    def sides(self) -> Floats:
        """(F, E) square root of the visible area, working pixels; 0 where nothing can be seen."""
        return np.sqrt(
            [[self.mask(entity, int(t)).sum() for entity in range(self.entity_count)] for t in self.sampled],
        ).reshape(self.frame_count, self.entity_count)

    @cached_property
    def blurriness(self) -> Floats:
        """(F, E) length of the smear over the thing's side, at most 1."""
        blur = self._facts("blur_px") * self.scale
        return np.minimum(1, blur / np.maximum(self.sides, 1))

    @cached_property
    def strain(self) -> Floats:
        """(F, E) how hard a thing is to see, 0 and up: 2 for each of tiny, hidden and smeared."""
        small = np.clip(1 - self.sides**2 / (_SMALL_SHARE * self.height_px * self.width_px), 0, 1)
        hidden = 1 - np.clip(self._facts("visible_fractions"), 0, 1)
        dark = _DARK_STRAIN if "lighting" in self.truth.knobs else 0.0
        return np.asarray(2 * (small + hidden + self.blurriness) + dark)

    @cached_property
    def touching(self) -> Flags:
        """(F, E, E) whether the boxes of two things touch or overlap."""
        a, b = self.boxes[:, :, None], self.boxes[:, None, :]
        with np.errstate(invalid="ignore"):
            return np.asarray((a[..., :2] <= b[..., 2:]).all(-1) & (b[..., :2] <= a[..., 2:]).all(-1))

    @cached_property
    def hops(self) -> Floats:
        """(F - 1, E) way of the box's centre between neighbouring frames, in sides; 0 where not on both."""
        centres = (self.boxes[:, :, :2] + self.boxes[:, :, 2:]) / 2
        way = np.linalg.norm(np.diff(centres, axis=0), axis=-1)
        return np.nan_to_num(way / np.maximum(self.sides[1:], 1))

    @cached_property
    def shots(self) -> NDArray[np.int64]:
        """(F,) number of the shot that a sampled frame is in."""
        return self.shot_of(self.sampled)

    def shot_of(self, t: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the shots of working frames."""
        pts_s = np.asarray(self.truth.frames_pts_s)[self.positions[t]]
        return np.searchsorted(np.asarray(self.truth.cuts_s) - 1e-9, pts_s, side="right")

    def _facts(self, name: str) -> Floats:
        rows = [getattr(entity, name) for entity in self.truth.entities]
        return np.array(rows, dtype=np.float64).reshape(self.entity_count, -1).T[self.positions[self.sampled]]

    def covered_by(self, frame: int, box: dm.Box) -> int | None:
        """The entity whose box on a sampled frame a box covers best; None where it is on none."""
        overlaps = ious(np.asarray(box), self.boxes[frame])
        if not len(overlaps) or overlaps.max() < COVERS:
            return None
        return int(overlaps.argmax())

    def carried(self, box: dm.Box, origin: int, t: int) -> dm.Box | None:
        """Where a patch of the background, in a box on working frame `origin`, is on frame t.

        None where it is out of the frame or another place is shown.
        """
        shots = self.shot_of(np.array([origin, t]))
        if self.truth.places[shots[0]] != self.truth.places[shots[1]]:
            return None
        corners = np.asarray(box).reshape(2, 2) / self.scale
        (from_px, from_zoom), (to_px, to_zoom) = (self._camera(one) for one in (origin, t))
        moved = ((corners / from_zoom + from_px - to_px) * to_zoom * self.scale).ravel()
        return clipped(moved, self.width_px, self.height_px)

    def _camera(self, t: int) -> tuple[Floats, float]:
        position = self.positions[t]
        return np.asarray(self.truth.camera_px[position]), self.truth.camera_zoom[position]


def ious(box: Floats, boxes: Floats) -> Floats:
    """Overlap of one box (4,) with others (N, 4); 0 with a NaN box."""
    size = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None)
    inside = size.prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.nan_to_num(inside / np.maximum(areas - inside, 1e-9))


def clipped(box: Sequence[float] | Floats, width_px: int, height_px: int) -> dm.Box | None:
    """The part of a box within the frame; None where none of it is, or less than a pixel."""
    x0, x1 = (float(np.clip(side, 0, width_px)) for side in (box[0], box[2]))
    y0, y1 = (float(np.clip(side, 0, height_px)) for side in (box[1], box[3]))
    return (x0, y0, x1, y1) if x1 - x0 >= 1 and y1 - y0 >= 1 else None


def _positions(truth: WorldTruth, footage: Footage) -> NDArray[np.int64]:
    known = np.asarray(truth.frames_pts_s)
    between = (known[1:] + known[:-1]) / 2
    nearest = np.searchsorted(between, footage.pts_s)
    step_s = 1 / float(truth.fps)
    off_s = float(np.abs(known[nearest] - footage.pts_s).max())
    size = footage.width_px, footage.height_px
    if off_s > step_s / 2 or size != (truth.width_px, truth.height_px):
        raise InputError(
            f"the footage is not of world video {truth.seed}-{truth.index}: its frames are up to {off_s:.3f}"
            f" s off and {size[0]} x {size[1]} px against {truth.width_px} x {truth.height_px}"
        )
    return nearest
