"""Trails: where a masklet is in the picture, frame by frame, measured so that noise stays small.

All lengths in pixels of the display size, times in seconds. Thresholds scale with the picture's width
and with the thing's own size, because a walking elephant and a walking ant differ in pixels only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STEP_S = 0.25  # motion is measured over steps of about this length: shorter ones are mostly mask noise
EDGE_SHARE = 0.01  # a box closer to the picture's edge than this share of the width touches it
CAMERA_NOISE_WIDTHS = 0.003  # things that share the camera's motion differ by this much, per step
TRAVEL_WIDTHS = 0.045  # shorter ways are noise, in picture widths ...
TRAVEL_BODIES = 0.25  # ... and in lengths of the thing itself
AXES = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}
OPPOSITE_SIDE = {"left": "right", "right": "left", "up": "down", "down": "up"}


@dataclass(frozen=True, kw_only=True)
class Trail:
    """One masklet over `n` frames."""

    entity_id: str
    times_s: Floats  # (n,)
    visible: Bools  # (n,)
    boxes: Floats  # (n, 2, 2): [frame, axis x or y, low or high edge], NaN where not visible
    areas_px: Floats  # (n,)
    size_px: tuple[int, int]  # width, height of the picture
    body_px: float  # length of the thing: median root of its box's area; NaN if never visible

    @property
    def centers(self) -> Floats:
        """(n, 2), NaN where not visible."""
        middle: Floats = self.boxes.mean(axis=2)
        return middle

    @property
    def frame_gap_s(self) -> float:
        """Usual time between two frames; 0 where there is only one."""
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 0.0

    @property
    def travel_px(self) -> float:
        """Shortest way that counts as motion."""
        return max(TRAVEL_WIDTHS * self.size_px[0], TRAVEL_BODIES * self.body_px)

    @property
    def at_edge(self) -> Bools:
        """(n, 2, 2): which edges of the box touch the edge of the picture."""
        margin = EDGE_SHARE * self.size_px[0]
        limit = np.asarray(self.size_px, dtype=float) - margin
        low, high = self.boxes[:, :, 0] <= margin, self.boxes[:, :, 1] >= limit
        return np.stack([low, high], axis=2)

    def select(self, keep: Bools | NDArray[np.int64]) -> Trail:
        """The same trail over some of its frames."""
        return replace(
            self,
            times_s=self.times_s[keep],
            visible=self.visible[keep],
            boxes=self.boxes[keep],
            areas_px=self.areas_px[keep],
        )


def trail_of(masklet: dm.Masklet, width_px: int, height_px: int) -> Trail:
    """Measure one masklet over all its frames."""
    absent = (float("nan"),) * 4
    boxes = np.array([box or absent for box in masklet.boxes_px], dtype=float).reshape(-1, 2, 2)
    boxes = boxes.transpose(0, 2, 1)  # x0 y0 / x1 y1 -> x0 x1 / y0 y1
    visible = np.array([mask is not None for mask in masklet.masks], dtype=bool) & ~np.isnan(boxes[:, 0, 0])
    sides = boxes[visible, :, 1] - boxes[visible, :, 0]
    body = float(np.median(np.sqrt(sides.prod(axis=1)))) if visible.any() else float("nan")
    return Trail(
        entity_id=masklet.entity_id,
        times_s=np.array(masklet.frames_pts_s, dtype=float),
        visible=visible,
        boxes=np.where(visible[:, None, None], boxes, np.nan),
        areas_px=np.array(masklet.areas_px, dtype=float) * visible,
        size_px=(width_px, height_px),
        body_px=body,
    )


def inside(trail: Trail, start_s: float, end_s: float) -> Trail:
    """The frames with `start_s <= time < end_s`."""
    return trail.select((trail.times_s >= start_s) & (trail.times_s < end_s))


def steps_of(times_s: Floats) -> NDArray[np.int64]:
    """Indices of frames about STEP_S apart (or as far as the frames are), first and last included."""
    if len(times_s) < 2:
        return np.arange(len(times_s))
    stride = max(1, round(STEP_S / float(np.median(np.diff(times_s)))))
    picked = list(range(0, len(times_s), stride))
    if picked[-1] != len(times_s) - 1:
        # A short rest joins the step before it, so that no step is shorter than the others.
        picked[-1:] = [len(times_s) - 1] if len(picked) > 1 else [picked[-1], len(times_s) - 1]
    return np.array(picked)


def shifts(trail: Trail) -> tuple[Floats, Floats]:
    """Motion from each frame to the next, in pixels.

    Returns:
        `shift` (n-1, 2): how far the thing moved as a whole: the smaller of its two edges' motions
            where they agree, else 0, so that growing, arms and partial occlusion are no motion. An
            edge cut by the picture's edge says nothing: then the other one counts.
        `spread` (n-1, 2): the larger of the two edges' motions: small only if nothing moved.
        Both NaN where the thing is not visible on both frames.
    """
    moved = np.diff(trail.boxes, axis=0)  # (n-1, 2, 2)
    cut = trail.at_edge[1:] | trail.at_edge[:-1]
    low, high = moved[..., 0], moved[..., 1]
    agree = np.sign(low) == np.sign(high)
    both = np.where(agree, np.where(np.abs(low) < np.abs(high), low, high), 0.0)
    shift = np.where(cut[..., 0] & cut[..., 1], 0.0, both)
    shift = np.where(cut[..., 0] & ~cut[..., 1], high, shift)
    shift = np.where(~cut[..., 0] & cut[..., 1], low, shift)
    gone = np.isnan(low)
    return np.where(gone, np.nan, shift), np.abs(moved).max(axis=2)


def camera_shift(all_shifts: Sequence[Floats], width_px: float) -> Floats:
    """(n-1, 2) motion that most things share, 0 where there is none to be seen.

    Needs three things that agree, and two thirds of all: two that move alike may just walk together.
    Nothing here looks at pixels, so with fewer than three things a panning camera reads as motion.
    """
    stack = np.stack(list(all_shifts))  # (things, n-1, 2)
    seen = ~np.isnan(stack[..., 0])
    filled = np.where(np.isnan(stack), np.nan, stack)
    camera = np.zeros(stack.shape[1:])
    for step in range(stack.shape[1]):
        present = filled[seen[:, step], step]
        if len(present) < 3:
            continue
        middle = np.median(present, axis=0)
        size = np.linalg.norm(middle)
        near = np.linalg.norm(present - middle, axis=1) <= CAMERA_NOISE_WIDTHS * width_px + 0.3 * size
        if near.sum() >= max(3, 2 * len(present) / 3) and size > 2 * CAMERA_NOISE_WIDTHS * width_px:
            camera[step] = middle
    return camera


def never_moves(trail: Trail, direction: str) -> bool:
    """Whether no part of the trail goes a noticeable way in `direction`, neither at once nor by drift.

    Deliberately strict (either edge, a third of the way that counts as motion): it backs claims that
    something is false. False where the thing is seen on fewer than two frames or an edge is cut.
    """
    seen = trail.select(trail.visible)
    if len(seen.times_s) < 2:
        return False
    axis, sign = AXES[direction]
    if seen.at_edge[:, axis].all(axis=1).any():
        return False
    tracks = [seen.boxes[:, axis, 0], seen.boxes[:, axis, 1]]
    loose = [track for edge, track in enumerate(tracks) if not seen.at_edge[:, axis, edge].any()]
    climbs = [sign * track - np.minimum.accumulate(sign * track) for track in loose]
    return bool(climbs) and max(float(climb.max()) for climb in climbs) < trail.travel_px / 3


def runs(flags: Sequence[object]) -> list[tuple[object, int, int]]:
    """Maximal stretches of equal items: (item, first index, index after the last)."""
    found: list[tuple[object, int, int]] = []
    for index, flag in enumerate(flags):
        if found and found[-1][0] == flag:
            found[-1] = (flag, found[-1][1], index + 1)
        else:
            found.append((flag, index, index + 1))
    return found
