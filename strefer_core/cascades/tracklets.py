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

_SMALL_SIDE_PX = 160  # overlaps are measured on masks of about this size
_SAME_IOU = 0.5  # of two masks on one frame from which they are the same thing there
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
    """Masks of tracks on the sampled frames, thinned out, with what overlap tests need."""

    def __init__(self, footage: Footage, tracks: Sequence[Track]) -> None:
        step = max(1, round(max(footage.images.shape[1:3]) / _SMALL_SIDE_PX))
        self.masks = [np.asarray(one.masks[footage.sampled][:, ::step, ::step]) for one in tracks]
        self._wide = [_dilated(masks) for masks in self.masks]
        self.visible = [
            np.asarray(one.masks[footage.sampled].any(axis=(1, 2)), dtype=np.bool_) for one in tracks
        ]

    def relation(self, a: int, b: int) -> NDArray[np.int8]:
        """(F,) how two tracks lie to one another on each frame."""
        result = np.full(len(self.visible[a]), _UNSEEN, np.int8)
        for frame in np.flatnonzero(self.visible[a] & self.visible[b]):
            one, other = self.masks[a][frame], self.masks[b][frame]
            both = np.count_nonzero(one & other)
            either = np.count_nonzero(one | other)
            if either and both / either > _SAME_IOU:
                result[frame] = _SAME
            elif (self._wide[a][frame] & other).any():
                result[frame] = _TOUCHING
            else:
                result[frame] = _APART
        return result

    def jumps(self, a: int) -> NDArray[np.bool_]:
        """(F,) whether the mask is far from, or far larger or smaller than on the frame before."""
        result = np.zeros(len(self.visible[a]), np.bool_)
        boxes = [cv2.boundingRect(mask.astype(np.uint8)) for mask in self.masks[a]]
        areas = self.masks[a].sum(axis=(1, 2))
        for frame in range(1, len(result)):
            if areas[frame - 1] and areas[frame]:
                ratio = areas[frame] / areas[frame - 1]
                far = _step(boxes[frame - 1], boxes[frame]) > _JUMP
                result[frame] = far or not 1 / _AREA_RATIO <= ratio <= _AREA_RATIO
        return result


def cut(small: SmallMasks) -> list[Tracklet]:
    """All tracks in tracklets: cut where they vanish, jump, meet another track or part from it."""
    count = len(small.visible)
    cuts = [small.jumps(track) for track in range(count)]
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


def _coincide(small: SmallMasks, a: Tracklet, b: Tracklet) -> bool:
    start, end = max(a.start, b.start), min(a.end, b.end)
    if a.track == b.track or start >= end or end - start < 0.5 * min(a.end - a.start, b.end - b.start):
        return False
    one, other = small.masks[a.track][start:end], small.masks[b.track][start:end]
    both = (one & other).sum(axis=(1, 2))
    either = (one | other).sum(axis=(1, 2))
    return bool(np.mean(both / np.maximum(either, 1)) > _SAME_IOU)


def _stretches(visible: NDArray[np.bool_], cuts: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(visible.astype(np.int8), prepend=0, append=0))
    result = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        inner = [int(frame) for frame in range(start + 1, end) if cuts[frame]]
        result += list(pairwise([int(start), *inner, int(end)]))
    return result


def _dilated(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    kernel = np.ones((3, 3), np.uint8)
    return np.stack([cv2.dilate(mask.astype(np.uint8), kernel) > 0 for mask in masks])


def _step(a: Sequence[int], b: Sequence[int]) -> float:
    """Distance of two boxes' (x, y, w, h) middles in diagonals of the larger one."""
    dx = (a[0] + a[2] / 2) - (b[0] + b[2] / 2)
    dy = (a[1] + a[3] / 2) - (b[1] + b[3] / 2)
    return float(np.hypot(dx, dy) / max(np.hypot(a[2], a[3]), np.hypot(b[2], b[3]), 1.0))
