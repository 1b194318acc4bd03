"""Signals of one masklet: what can be wrong with a track without anybody knowing the truth.

All follow from masklets, clips and the camera's motion; those that need pixels or the detector are measured
when the track is made (`cascades.birth`) and only passed on. A signal without a value (a track that was never
lost has no sharpness at its loss) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core import masks
from strefer_core.backends.rules.geometry import Trail, runs, trails_of

REACH_SHARE = 0.25  # of a box's sides: another box this near may hide what vanishes there
TOUCHING_IOU = 0.05  # boxes that share more touch
SAME_IOU = 0.7  # boxes that share more are of the same thing
SHORT_GAP_FRAMES = 2


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """The masklets of one video over its ground, each beside the others."""

    video: dm.Video
    clips: Sequence[dm.Clip]
    camera: Sequence[dm.Affine | None]
    masklets: Sequence[dm.Masklet]
    nouns: dict[str, str]  # entity id -> generalized noun

    @cached_property
    def trails(self) -> dict[str, Trail]:
        """By entity id."""
        trails = trails_of(self.masklets, self.video.width_px, self.video.height_px, self.camera)
        return {trail.entity_id: trail for trail in trails}

    @cached_property
    def steps(self) -> list[tuple[int, int]]:
        """Neighbouring frames of one clip."""
        times = np.array(self.masklets[0].frames_pts_s) if self.masklets else np.zeros(0)
        place = np.searchsorted([clip.start_s for clip in self.clips], times + 1e-6)
        return [(a, b) for a, b in pairwise(range(len(times))) if place[a] == place[b]]

    def others(self, entity_id: str, noun: str | None = None) -> list[Trail]:
        """Of the other entities; of those with this noun, where one is given."""
        return [
            trail
            for one, trail in self.trails.items()
            if one != entity_id and (noun is None or self.nouns.get(one) == noun)
        ]


def signals(masklet: dm.Masklet, tracks: Tracks) -> dict[str, float]:
    """Every signal of one masklet that has a value, by name; see `checks.CHECKS` for units and meanings."""
    trail, others = tracks.trails[masklet.entity_id], tracks.others(masklet.entity_id)
    rivals = tracks.others(masklet.entity_id, tracks.nouns.get(masklet.entity_id))
    found: dict[str, float | None] = {
        "visible_frames": int(trail.visible.sum()),
        "area_share": area_share(masklet, tracks.video),
        "fragments": sum(bool(state) for state, _, _ in runs(trail.visible.tolist())),
        "short_gaps": short_gaps(trail),
        "unexplained_ends": unexplained_ends(trail, others, tracks.steps),
        "area_jump": area_jump(trail, tracks.steps),
        "position_jump": position_jump(trail, tracks.steps),
        "shape_iou": shape_iou(trail, tracks.steps),
        "twin_share": meeting_share(trail, others, SAME_IOU),
        "contact_share": meeting_share(trail, rivals, TOUCHING_IOU),
        "detector_score": masklet.detector_score,
        "assignment_score": masklet.assignment_score,
        "assignment_margin": masklet.assignment_margin,
        "forward_backward_iou": masklet.forward_backward_iou,
        "redetection_share": masklet.redetection_share,
        "loss_sharpness": masklet.loss_sharpness,
        "appearance_similarity": masklet.appearance_similarity,
        "colour_agreement": masklet.colour_agreement,
        "colour_margin": masklet.colour_margin,
        "alike_share": masklet.alike_share,
        "strewn_patches": masklet.strewn_patches,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def area_share(masklet: dm.Masklet, video: dm.Video) -> float | None:
    """Median over its visible frames; what is small has an unsure outline. None where it is never visible."""
    areas_px = [area for area in masklet.areas_px if area]
    return float(np.median(areas_px)) / (video.width_px * video.height_px) if areas_px else None


def short_gaps(trail: Trail) -> int:
    """Gaps of one or two frames between visible ones: usually the tracker's."""
    inner = runs(trail.visible.tolist())[1:-1]
    return sum(not state and end - first <= SHORT_GAP_FRAMES for state, first, end in inner)


def borders(trail: Trail, steps: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(frame with the thing, its neighbour without it) at every loss and every find within a clip."""
    for a, b in steps:
        if trail.visible[a] != trail.visible[b]:
            yield (a, b) if trail.visible[a] else (b, a)


def unexplained_ends(trail: Trail, others: Sequence[Trail], steps: Sequence[tuple[int, int]]) -> int:
    """Losses and finds within a clip, away from the picture's edge, with no other track near to hide it."""
    return sum(
        not trail.at_edge[seen].any() and not any(_reaches(trail, other, seen, unseen) for other in others)
        for seen, unseen in borders(trail, steps)
    )


def _reaches(trail: Trail, other: Trail, seen: int, unseen: int) -> bool:
    """Whether another thing comes near the place of this one on the frame with it or on that without it."""
    low, high = trail.boxes[seen].T
    reach = REACH_SHARE * (high - low)
    return any(
        bool(other.visible[frame])
        and bool((other.boxes[frame, :, 0] < high + reach).all())
        and bool((other.boxes[frame, :, 1] > low - reach).all())
        for frame in (seen, unseen)
    )


def _whole(trail: Trail) -> NDArray[np.bool_]:
    """(n,): visible, and not cut by the picture's edge."""
    return np.asarray(trail.visible & ~trail.at_edge.any(axis=(1, 2)))


def area_jump(trail: Trail, steps: Sequence[tuple[int, int]]) -> float | None:
    """Largest ratio of areas of neighbouring frames of one clip, of masks that the picture's edge does not
    cut: something that comes in over the edge grows by any factor, and rightly."""
    whole = _whole(trail)
    pairs = [(trail.areas_px[a], trail.areas_px[b]) for a, b in steps if whole[a] and whole[b]]
    return max((float(max(pair) / min(pair)) for pair in pairs), default=None)


def position_jump(trail: Trail, steps: Sequence[tuple[int, int]]) -> float | None:
    """Largest distance of the middle over the ground from halfway between its neighbours', in its own
    lengths: even motion gives 0."""
    middles = trail.ground.mean(axis=2)
    inner = {b for _, b in steps} & {a for a, _ in steps}
    off = [
        float(np.hypot(*(middles[i] - (middles[i - 1] + middles[i + 1]) / 2)) / trail.body_px)
        for i in inner
        if trail.visible[i - 1 : i + 2].all()
    ]
    return max(off, default=None)


def shape_iou(trail: Trail, steps: Sequence[tuple[int, int]]) -> float | None:
    """Lowest IoU of the masks of neighbouring whole frames, one laid over the other by its box's corner."""
    whole = _whole(trail)
    return min((_laid_iou(trail, a, b) for a, b in steps if whole[a] and whole[b]), default=None)


def _laid_iou(trail: Trail, a: int, b: int) -> float:
    first, second = _cropped(trail, a), _cropped(trail, b)
    size = np.maximum(first.shape, second.shape)
    one, other = (np.pad(part, [(0, side) for side in size - part.shape]) for part in (first, second))
    either = np.count_nonzero(one | other)
    return float(np.count_nonzero(one & other) / either) if either else 0.0


def _cropped(trail: Trail, frame: int) -> masks.Mask:
    (x0, x1), (y0, y1) = trail.boxes[frame].astype(int)
    return masks.decode(trail.masks[frame])[y0:y1, x0:x1]


def meeting_share(trail: Trail, others: Sequence[Trail], least_iou: float) -> float:
    """Share of the visible frames on which the box of one of the others shares at least so much with its."""
    if not others or not trail.visible.any():
        return 0.0
    meets = np.any([box_ious(trail, other) > least_iou for other in others], axis=0)
    return float(meets.sum() / trail.visible.sum())


def box_ious(one: Trail, other: Trail) -> NDArray[np.float64]:
    """(n,) IoU of the boxes in the picture, 0 where one of them is not visible."""
    a, b = np.nan_to_num(one.boxes), np.nan_to_num(other.boxes)
    sides = np.minimum(a[:, :, 1], b[:, :, 1]) - np.maximum(a[:, :, 0], b[:, :, 0])
    shared = np.clip(sides, 0, None).prod(axis=1)
    either = np.ptp(a, axis=2).prod(axis=1) + np.ptp(b, axis=2).prod(axis=1) - shared
    return np.asarray(np.divide(shared, either, out=np.zeros_like(shared), where=either > 0))
