"""Trails: where a masklet is in the picture and over the ground, frame by frame.

Boxes are in pixels of the display size, times in seconds. What enters, leaves, grows or is at a place is
measured in the picture; what moves, over the ground (see `ground`). Thresholds scale with the picture's
width and with the thing's own size, because a walking elephant and a walking ant differ in pixels only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core import masks
from strefer_core.backends.rules.ground import ground_of, moved, shared_camera

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EDGE_SHARE = 0.01  # a box closer to the picture's edge than this share of the width touches it
USUAL_S = 1.5  # what is usual for a thing's size is looked for this long before and after
USUAL_SHARE = 0.8  # of sizes in order: more is often hidden than is seen too large
WHOLE_SHARE = 0.8  # of the usual area: less of it in sight and its middle is not known
UNCUT_SHARE = 0.95  # of the usual area: at the picture's edge, but not cut by it
CUT_SHARE = 0.35  # of the usual side: of a thing cut by the edge less than this tells nothing
GAP_S = 0.8  # a thing that is not known to be anywhere for longer may have done anything meanwhile ...
GAP_FRAMES = 1.6  # ... but where frames are further apart than that, one after the other will do
STRAY_BODIES = 0.75  # what is seen of it meanwhile lies no further off its way, in its own lengths
UNSEEN_FRAMES = 1  # so many frames without a mask are taken for the tracker's fault
AXES = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}
OPPOSITE_SIDE = {"left": "right", "right": "left", "up": "down", "down": "up"}


@dataclass(frozen=True, kw_only=True)
class Trail:
    """One masklet over `n` frames. Axis 0 is x, axis 1 is y."""

    entity_id: str
    times_s: Floats  # (n,)
    visible: Bools  # (n,)
    boxes: Floats  # (n, 2, 2): in the picture [frame, axis, low or high edge], NaN where not visible
    areas_px: Floats  # (n,) in the picture
    size_px: tuple[int, int]  # width, height of the picture
    body_px: float  # length of the thing: median root of its ground box's area; NaN if never visible
    shots: NDArray[np.int64]  # (n,): places over the ground compare within one shot only
    ground: Floats  # (n, 2, 2): the boxes over the ground
    wholeness: Floats  # (n,): seen area over usual area, about 1 where nothing hides or cuts it
    middles: Floats  # (n, 2): its middle over the ground, NaN where that is not known well
    maps: Floats  # (n, 3, 3): picture pixels -> ground pixels
    masks: NDArray[np.object_]  # (n,): `data_model.Rle` or None

    @property
    def centers(self) -> Floats:
        """(n, 2) of the boxes in the picture, NaN where not visible."""
        middle: Floats = self.boxes.mean(axis=2)
        return middle

    @property
    def known(self) -> Bools:
        """(n,): where its middle over the ground is known."""
        found: Bools = ~np.isnan(self.middles[:, 0])
        return found

    @property
    def frame_gap_s(self) -> float:
        """Usual time between two frames; 0 where there is only one."""
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 0.0

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
            shots=self.shots[keep],
            ground=self.ground[keep],
            wholeness=self.wholeness[keep],
            middles=self.middles[keep],
            maps=self.maps[keep],
            masks=self.masks[keep],
        )


def trails_of(
    masklets: Sequence[dm.Masklet],
    width_px: int,
    height_px: int,
    camera: Sequence[dm.Affine | None] = (),
) -> list[Trail]:
    """Measure all masklets of a video over all its frames, each knowing of the others.

    Where the camera's motion is not known it is what at least three things share. A thing that another one
    touches while the picture's edge cuts it is not known to be where the edge alone would put it.

    Raises:
        ValueError: as `ground.ground_of`.
    """
    pictured = [_in_picture(masklet, width_px, height_px) for masklet in masklets]
    if not camera or None in camera:
        camera = shared_camera(camera, [_uncut_centers(trail) for trail in pictured], width_px)
    trails = [_on_ground(trail, camera) for trail in pictured]
    return [_without_touched(trail, [other for other in trails if other is not trail]) for trail in trails]


def _uncut_centers(trail: Trail) -> Floats:
    is_cut = np.asarray(trail.at_edge.any(axis=(1, 2)))
    return np.where(is_cut[:, None], np.nan, trail.centers)


def trail_of(
    masklet: dm.Masklet, width_px: int, height_px: int, camera: Sequence[dm.Affine | None] = ()
) -> Trail:
    """Measure one masklet over all its frames, as if it were alone.

    Args:
        masklet: of a video of `width_px` by `height_px`.
        width_px: of the display.
        height_px: of the display.
        camera: as `data_model.ClipsResult.camera`; empty: it stands still.

    Raises:
        ValueError: as `ground.ground_of`.
    """
    return _on_ground(_in_picture(masklet, width_px, height_px), camera)


def _in_picture(masklet: dm.Masklet, width_px: int, height_px: int) -> Trail:
    """What the masklet says by itself; nothing over the ground yet."""
    absent = (float("nan"),) * 4
    boxes = np.array([box or absent for box in masklet.boxes_px], dtype=float).reshape(-1, 2, 2)
    boxes = boxes.transpose(0, 2, 1)  # x0 y0 / x1 y1 -> x0 x1 / y0 y1
    visible = np.array([mask is not None for mask in masklet.masks], dtype=bool) & ~np.isnan(boxes[:, 0, 0])
    count = len(visible)
    return Trail(
        entity_id=masklet.entity_id,
        times_s=np.array(masklet.frames_pts_s, dtype=float),
        visible=visible,
        boxes=np.where(visible[:, None, None], boxes, np.nan),
        areas_px=np.array(masklet.areas_px, dtype=float) * visible,
        size_px=(width_px, height_px),
        body_px=float("nan"),
        masks=np.array([*masklet.masks, None], dtype=object)[:-1],
        shots=np.zeros(count, dtype=np.int64),
        maps=np.tile(np.eye(3), (count, 1, 1)),
        ground=np.full((count, 2, 2), np.nan),
        wholeness=np.zeros(count),
        middles=np.full((count, 2), np.nan),
    )


def _on_ground(trail: Trail, camera: Sequence[dm.Affine | None]) -> Trail:
    """Fill in all that is measured over the ground."""
    ground = ground_of(camera, len(trail.visible))
    trail = replace(trail, shots=ground.shots, maps=ground.maps, ground=moved(trail.boxes, ground.maps))
    if not trail.visible.any():
        return trail
    sides = trail.ground[trail.visible, :, 1] - trail.ground[trail.visible, :, 0]
    areas = trail.areas_px * ground.scales**2
    centroids = _centroids(trail)
    reaches = np.abs(trail.ground - centroids[:, :, None])
    usual = _usual(trail, np.column_stack([areas, reaches.reshape(-1, 4)]))
    trail = replace(
        trail,
        body_px=float(np.median(np.sqrt(sides.prod(axis=1)))),
        wholeness=np.where(trail.visible, areas / usual[:, 0], 0.0),
    )
    return replace(trail, middles=_middles(trail, centroids, usual[:, 1:].reshape(-1, 2, 2)))


def _centroids(trail: Trail) -> Floats:
    """(n, 2) mean places of the masks over the ground: what spins or waves keeps them, unlike its boxes."""
    found = np.full((len(trail.visible), 2), np.nan)
    for frame in np.flatnonzero(trail.visible):
        (x0, x1), (y0, y1) = trail.boxes[frame].astype(int)
        rows, columns = np.nonzero(masks.decode(trail.masks[frame])[y0:y1, x0:x1])
        place = (x0 + columns.mean() + 0.5, y0 + rows.mean() + 0.5, 1.0)
        found[frame] = (trail.maps[frame] @ place)[:2]
    return found


def _usual(trail: Trail, sizes: Floats) -> Floats:
    """(n, k) usual sizes about each frame's time: of uncut frames nearby if there are any, else of all."""
    uncut = trail.visible & ~trail.at_edge.any(axis=(1, 2))
    usual = np.empty_like(sizes)
    for frame, time_s in enumerate(trail.times_s):
        shot = trail.shots == trail.shots[frame]
        near = shot & (np.abs(trail.times_s - time_s) <= USUAL_S)
        pools = (near & uncut, shot & uncut, near & trail.visible, shot & trail.visible, trail.visible)
        pool = next(frames for frames in pools if frames.any())
        usual[frame] = np.sort(sizes[pool], axis=0)[round(USUAL_SHARE * (pool.sum() - 1))]
    return usual


def _cut(trail: Trail) -> Bools:
    """(n, 2, 2): edges at which the picture's edge cuts a part off."""
    cut: Bools = trail.at_edge & (trail.wholeness < UNCUT_SHARE)[:, None, None]
    return cut


def _middles(trail: Trail, centroids: Floats, reaches: Floats) -> Floats:
    """(n, 2): the mask's where the thing is whole; by the side in view where the picture's edge cuts it.

    Args:
        trail: of which all else is known.
        centroids: (n, 2) of the masks over the ground.
        reaches: (n, 2, 2) how far the thing usually goes from there to either side.
    """
    cut, low, high = _cut(trail), trail.ground[:, :, 0], trail.ground[:, :, 1]
    by_low, by_high = low + reaches[:, :, 0], high - reaches[:, :, 1]
    middles = np.where(cut[:, :, 0], by_high, np.where(cut[:, :, 1], by_low, centroids))
    is_cut_through = np.asarray(cut.all(axis=2))
    tells = ~is_cut_through.any(axis=1) & (high - low >= CUT_SHARE * reaches.sum(axis=2)).all(axis=1)
    known = trail.visible & np.where(cut.any(axis=(1, 2)), tells, trail.wholeness >= WHOLE_SHARE)
    return np.where(known[:, None], middles, np.nan)


def _without_touched(trail: Trail, others: Sequence[Trail]) -> Trail:
    """Forget middles that rest on the usual size where another thing may hide a part as well."""
    doubtful = _cut(trail).any(axis=(1, 2)) & touched(trail, others)
    return replace(trail, middles=np.where(doubtful[:, None], np.nan, trail.middles))


def touched(trail: Trail, others: Sequence[Trail]) -> Bools:
    """(n,): frames on which the box of another one meets its box in the picture, or nearly."""
    margin = EDGE_SHARE * trail.size_px[0]
    meets = np.zeros(len(trail.times_s), dtype=bool)
    for other in others:
        apart = (other.boxes[:, :, 0] > trail.boxes[:, :, 1] + margin) | (
            other.boxes[:, :, 1] < trail.boxes[:, :, 0] - margin
        )
        meets |= trail.visible & other.visible & ~apart.any(axis=1)
    return meets


def followed(*trails: Trail) -> list[NDArray[np.int64]]:
    """Frames on which all trails are known, in parts over which none is lost on the way."""
    known = np.flatnonzero(np.all([trail.known for trail in trails], axis=0))
    longest_s = max(GAP_S, GAP_FRAMES * trails[0].frame_gap_s)
    pairs = enumerate(pairwise(known.tolist()), 1)
    breaks = [i for i, (a, b) in pairs if any(_is_lost(trail, a, b, longest_s) for trail in trails)]
    return np.split(known, breaks) if len(known) else []


def _is_lost(trail: Trail, first: int, last: int, longest_s: float) -> bool:
    """Whether between two frames there is a cut, too long a time, or a frame that does not fit the way."""
    gap_s = trail.times_s[last] - trail.times_s[first]
    if trail.shots[first] != trail.shots[last] or gap_s > longest_s:
        return True
    if last == first + 1:
        return False
    between = np.arange(first + 1, last)
    seen = between[trail.visible[between]]
    if len(between) - len(seen) > UNSEEN_FRAMES:
        return True
    share = ((trail.times_s[seen] - trail.times_s[first]) / gap_s)[:, None]
    way = (1 - share) * trail.middles[first] + share * trail.middles[last]
    off = np.linalg.norm(trail.ground[seen].mean(axis=2) - way, axis=1)
    return bool((off > STRAY_BODIES * trail.body_px).any())


def spaced(times_s: Floats, least_s: float) -> list[int]:
    """Indices of frames at least `least_s` apart, first and last included; a rest joins the step before."""
    picked = [0] if len(times_s) else []
    for index, time_s in enumerate(times_s):
        if time_s - times_s[picked[-1]] >= least_s - 1e-6:
            picked.append(index)
    if picked and picked[-1] != len(times_s) - 1:
        picked[-1:] = [len(times_s) - 1] if len(picked) > 1 else [picked[-1], len(times_s) - 1]
    return picked


def inside(trail: Trail, start_s: float, end_s: float) -> Trail:
    """The frames with `start_s <= time < end_s`."""
    return trail.select((trail.times_s >= start_s) & (trail.times_s < end_s))


def runs(flags: Sequence[object]) -> list[tuple[object, int, int]]:
    """Maximal stretches of equal items: (item, first index, index after the last)."""
    found: list[tuple[object, int, int]] = []
    for index, flag in enumerate(flags):
        if found and found[-1][0] == flag:
            found[-1] = (flag, found[-1][1], index + 1)
        else:
            found.append((flag, index, index + 1))
    return found
