"""Tracks cut into tracklets where they may have gone wrong, and tracklets of one thing put together.

A tracker goes wrong where things touch, where one vanishes and something comes back, and where a mask
jumps. Between such places a tracklet is taken to lie on one thing; who that is, is asked for each anew
(`association`). Tracks from several anchors that lie on one another are the same thing there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Footage, Track
from strefer_core.masks import iou

_SMALL_SIDE_PX = 160  # overlaps are measured on masks of about this size
_SAME_IOU = 0.5  # of two masks on one frame from which they are the same thing there
_HARDLY = 0.05  # IoU below which two masks are of two things
_SEVERAL = 3  # frames
_JUMP = 1.2  # step between neighbouring sampled frames, in diagonals of the larger box, that cuts
_AREA_RATIO = 4.0  # of neighbouring masks, that cuts

_APART, _TOUCHING, _SAME = 0, 1, 2
_UNSEEN = -1


@dataclass(frozen=True, kw_only=True)
class Tracklet:
    """A stretch of one track, visible on every sampled frame of `[start, end)`."""

    track: int
    start: int
    end: int

    @property
    def frames(self) -> range:
        return range(self.start, self.end)


@dataclass(frozen=True, kw_only=True)
class Node:
    """Tracklets that lie on one another: one thing, for as long as nothing may have gone wrong."""

    parts: tuple[Tracklet, ...]  # the longest first

    @property
    def frames(self) -> frozenset[int]:
        return frozenset(frame for part in self.parts for frame in part.frames)

    def track_on(self, frame: int) -> int:
        """The track whose mask stands for the node on one of its frames."""
        return next(part.track for part in self.parts if frame in part.frames)


class SmallMasks:
    """Masks of tracks on the sampled frames, thinned out, and how they lie to one another."""

    def __init__(self, footage: Footage) -> None:
        self._sampled = footage.sampled
        self._step = max(1, round(max(footage.images.shape[1:3]) / _SMALL_SIDE_PX))
        self.visible: list[NDArray[np.bool_]] = []  # (F,) per track
        self._masks: list[NDArray[np.bool_]] = []  # (F, h, w) per track
        self._boxes: list[NDArray[np.int64]] = []  # (F, 4) half-open, per track
        self._pairs: dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.int8]]] = {}

    def add(self, one: Track) -> None:
        """Take in the next track."""
        masks = np.asarray(one.masks[self._sampled][:, :: self._step, :: self._step])
        self._masks.append(masks)
        self._boxes.append(np.stack([_bounds(mask) for mask in masks]))
        self.visible.append(np.asarray(one.masks[self._sampled].any(axis=(1, 2)), dtype=np.bool_))

    def overlap(self, a: int, b: int) -> NDArray[np.float64]:
        """(F,) IoU of two tracks' masks."""
        return self._pair(a, b)[0]

    def relation(self, a: int, b: int) -> NDArray[np.int8]:
        """(F,) how two tracks lie to one another: apart, touching, on the same thing, or one is unseen."""
        return self._pair(a, b)[1]

    def _pair(self, a: int, b: int) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        if (a, b) not in self._pairs:
            self._pairs[a, b] = self._pairs[b, a] = self._compare(a, b)
        return self._pairs[a, b]

    def _compare(self, a: int, b: int) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        both = self.visible[a] & self.visible[b]
        overlap, relation = np.zeros(len(both)), np.where(both, _APART, _UNSEEN).astype(np.int8)
        for frame in np.flatnonzero(both & _near(self._boxes[a], self._boxes[b])):
            window = _window(self._boxes[a][frame], self._boxes[b][frame])
            one, other = self._masks[a][frame][window], self._masks[b][frame][window]
            overlap[frame] = iou(one, other)
            if overlap[frame] > _SAME_IOU:
                relation[frame] = _SAME
            elif (_dilated(one) & other).any():
                relation[frame] = _TOUCHING
        return overlap, relation

    def jumps(self, a: int) -> NDArray[np.bool_]:
        """(F,) whether the mask is far from, or far larger or smaller than on the frame before."""
        result = np.zeros(len(self.visible[a]), np.bool_)
        boxes = self._boxes[a]
        areas = [int(np.count_nonzero(mask)) for mask in self._masks[a]]
        for frame in range(1, len(result)):
            if areas[frame - 1] and areas[frame]:
                ratio = areas[frame] / areas[frame - 1]
                far = _step(boxes[frame - 1], boxes[frame]) > _JUMP
                result[frame] = far or not 1 / _AREA_RATIO <= ratio <= _AREA_RATIO
        return result


def cut(small: SmallMasks, doubtful: Sequence[NDArray[np.bool_]]) -> list[Tracklet]:
    """All tracks in tracklets: cut where they vanish, jump, meet another track or part from it, and where
    doubt about them begins or ends ((F,) flags per track)."""
    count = len(small.visible)
    cuts = [small.jumps(track) for track in range(count)]
    for flags, doubt in zip(cuts, doubtful, strict=True):
        flags[1:] |= doubt[1:] != doubt[:-1]
    for a, b in combinations(range(count), 2):
        relation = small.relation(a, b)
        changes = np.zeros(len(relation), np.bool_)
        changes[1:] = relation[1:] != relation[:-1]
        changes[1:] &= (relation[1:] != _UNSEEN) & (relation[:-1] != _UNSEEN)
        cuts[a] |= changes
        cuts[b] |= changes
    return [
        Tracklet(track=track, start=start, end=end)
        for track in range(count)
        for start, end in _stretches(small.visible[track], cuts[track])
    ]


def put_together(small: SmallMasks, tracklets: Sequence[Tracklet]) -> list[Node]:
    """Nodes of tracklets that lie on one another on most of the frames that they share."""
    group = list(range(len(tracklets)))
    for a, b in combinations(range(len(tracklets)), 2):
        if group[a] != group[b] and _coincide(small, tracklets[a], tracklets[b]):
            old, new = group[b], group[a]
            group = [new if one == old else one for one in group]
    return [
        Node(
            parts=tuple(
                sorted(
                    (one for one, own in zip(tracklets, group, strict=True) if own == name),
                    key=lambda one: (one.start - one.end, one.start, one.track),
                )
            )
        )
        for name in dict.fromkeys(group)
    ]


def are_apart(small: SmallMasks, a: Node, b: Node) -> bool:
    """Whether two nodes are seen beside each other on several frames, so that they are two things."""
    shared = sorted(a.frames & b.frames)
    beside = [small.overlap(a.track_on(frame), b.track_on(frame))[frame] < _HARDLY for frame in shared]
    return sum(beside) >= _SEVERAL and sum(beside) > 0.9 * len(shared)


def _coincide(small: SmallMasks, a: Tracklet, b: Tracklet) -> bool:
    start, end = max(a.start, b.start), min(a.end, b.end)
    if a.track == b.track or start >= end or end - start < 0.5 * min(a.end - a.start, b.end - b.start):
        return False
    return float(small.overlap(a.track, b.track)[start:end].mean()) > _SAME_IOU


def _stretches(visible: NDArray[np.bool_], cuts: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(visible.astype(np.int8), prepend=0, append=0))
    result = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        inner = [int(frame) for frame in range(start + 1, end) if cuts[frame]]
        result += list(pairwise([int(start), *inner, int(end)]))
    return result


def _dilated(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _bounds(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x, y, x + width, y + height])


def _near(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(F,) whether two boxes overlap or lie side by side; one of a mask too small to be left is near none."""
    touch = ((a[:, :2] <= b[:, 2:]) & (b[:, :2] <= a[:, 2:])).all(axis=1)
    return np.asarray(touch & (a[:, 2] > a[:, 0]) & (b[:, 2] > b[:, 0]))


def _window(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[slice, slice]:
    """Rows and columns that hold both boxes."""
    x0, y0 = np.minimum(a[:2], b[:2])
    x1, y1 = np.maximum(a[2:], b[2:])
    return slice(int(y0), int(y1)), slice(int(x0), int(x1))


def _step(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Distance of two boxes' middles in diagonals of the larger one."""
    diagonals = [float(np.hypot(*(box[2:] - box[:2]))) for box in (a, b)]
    return float(np.hypot(*((a[:2] + a[2:] - b[:2] - b[2:]) / 2)) / max(*diagonals, 1.0))
