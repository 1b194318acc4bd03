"""Finds the moving things of a video: regions that no track covers yet become tracks, round by round."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance
from strefer_core.backends.classical.frames import Frames
from strefer_core.backends.classical.looks import Album, Look
from strefer_core.backends.classical.regions import Region, regions
from strefer_core.backends.classical.scene import Scene
from strefer_core.backends.classical.tracking import propagate
from strefer_core.backends.interfaces import Footage, Masks

_ROUNDS = 4
_MAX_TRACKS = 16
_COVERED = 0.4  # share of a region under known tracks that makes it known
_SAME_MASK = 0.5  # mean IoU on shared frames
_SAME_COLOURS = 0.75
_PARTS_LIFE = 0.7  # share of the shorter track on which both are seen
_PARTS_TOUCH = 0.75  # share of these frames on which they touch
_MIN_VISIBLE = 3  # sampled frames; less is an artefact or not worth a word
_MIN_SCORE = 0.2  # of a region
_SCRAP_AREA = 0.1  # of the largest thing
_MIN_SHARE = 0.1  # of the best thing's score; less is a scrap of something


@dataclass(frozen=True, kw_only=True)
class Thing:
    masks: Masks  # (T, H, W)
    look: Look
    score: float


def discover(frames: Frames) -> list[Thing]:
    """Moving things, best first."""
    footage, scene = frames.footage, frames.scene
    found = {int(t): [r for r in regions(scene, int(t)) if r.score >= _MIN_SCORE] for t in footage.sampled}
    tracks: list[Masks] = []
    for _ in range(_ROUNDS):
        fresh = {t: [r for r in rs if not _is_covered(r, tracks)] for t, rs in found.items()}
        anchor = max(fresh, key=lambda t: sum(0.5 + 0.5 * region.score for region in fresh[t]))
        starts = fresh[anchor][: _MAX_TRACKS - len(tracks)]
        if not starts:
            break
        tracks += both_ways(frames, [(region.t, region.mask) for region in starts])
    things = [thing for masks in _merged(frames, tracks) if (thing := _thing(footage, scene, masks))]
    return sorted(_without_scraps(things), key=lambda thing: -thing.score)


def _without_scraps(things: list[Thing]) -> list[Thing]:
    """Without what is far weaker than the best thing, or weaker and tiny: leftovers of other things."""
    best = max((thing.score for thing in things), default=0.0)
    largest = max((thing.look.area_px for thing in things), default=0.0)
    return [
        thing
        for thing in things
        if thing.score >= _MIN_SHARE * best
        and (thing.score >= 0.5 * best or thing.look.area_px >= _SCRAP_AREA * largest)
    ]


def both_ways(frames: Frames, starts: list[tuple[int, np.ndarray]]) -> list[Masks]:
    """Tracks (T, H, W) from masks on given frames, forward and backward."""
    ahead = propagate(frames, starts, 1)
    back = propagate(frames, starts, -1)
    return [a | b for a, b in zip(ahead, back, strict=True)]


def _is_covered(region: Region, tracks: list[Masks]) -> bool:
    if not tracks:
        return False
    known = np.logical_or.reduce([masks[region.t] for masks in tracks])
    return bool(known[region.mask].mean() > _COVERED)


def _thing(footage: Footage, scene: Scene, masks: Masks) -> Thing | None:
    look = Album(footage, scene, masks).look()
    needed = min(_MIN_VISIBLE, len(footage.sampled))
    if look is None or look.visible * len(footage.sampled) < needed - 0.5:
        return None
    moved = max(look.active, min(1.0, np.hypot(*look.way) / 0.1))
    if moved < 0.15:
        return None
    share = look.area_px / (masks.shape[1] * masks.shape[2])
    return Thing(masks=masks, look=look, score=float(look.visible * moved * share**0.25))


def _merged(frames: Frames, tracks: list[Masks]) -> list[Masks]:
    """Tracks of one thing joined: pieces that lie on or always touch each other, and parts of its life that
    look alike and never meet. Repeated, since joined tracks can touch what their pieces did not."""
    single = [masks for masks in tracks if not _is_blob(frames, masks, tracks)]
    before = sorted(single, key=lambda masks: -int(masks[frames.footage.sampled].sum()))
    while True:
        result: list[Masks] = []
        for masks in before:
            twin = next((i for i, known in enumerate(result) if _is_same(frames, known, masks)), None)
            if twin is None:
                result.append(masks)
            else:
                result[twin] = result[twin] | masks
        if len(result) == len(before):
            return result
        before = result


def _is_blob(frames: Frames, masks: Masks, tracks: list[Masks]) -> bool:
    """Whether a track holds two other tracks that are things of their own: it began where they touched."""
    inside = [
        other
        for other in tracks
        if other is not masks
        and len(shared := _shared(frames, masks, other)) >= _MIN_VISIBLE
        and other[shared].sum() < masks[shared].sum()
        and _overlap(masks, other, shared) > _SAME_MASK
    ]
    return any(
        len(_shared(frames, a, b)) >= _MIN_VISIBLE and not _is_same(frames, a, b)
        for a, b in combinations(inside, 2)
    )


def _shared(frames: Frames, a: Masks, b: Masks) -> NDArray[np.int64]:
    """Sampled frames on which both tracks are seen."""
    sampled = frames.footage.sampled
    return sampled[np.asarray(a[sampled].any(axis=(1, 2)) & b[sampled].any(axis=(1, 2)))]


def _is_same(frames: Frames, a: Masks, b: Masks) -> bool:
    footage = frames.footage
    in_a, in_b = (np.asarray(masks[footage.sampled].any(axis=(1, 2))) for masks in (a, b))
    shared = footage.sampled[in_a & in_b]
    if not in_a.any() or not in_b.any():
        return False
    if len(shared):
        return len(shared) >= 2 and (
            _overlap(a, b, shared) > _SAME_MASK or _are_parts(a, b, shared, min(in_a.sum(), in_b.sum()))
        )
    areas = [np.median(m[footage.sampled][seen].sum(axis=(1, 2))) for m, seen in ((a, in_a), (b, in_b))]
    if max(areas) > 2.5 * min(areas):
        return False
    return appearance.similarity(_colours(frames, a, in_a), _colours(frames, b, in_b)) > _SAME_COLOURS


def _overlap(a: Masks, b: Masks, shared: NDArray[np.int64]) -> float:
    """Mean share of the smaller mask that lies in the other."""
    return float(np.mean([(a[t] & b[t]).sum() / min(a[t].sum(), b[t].sum()) for t in shared]))


def _are_parts(a: Masks, b: Masks, shared: NDArray[np.int64], life: int) -> bool:
    """Whether two tracks are pieces of one thing: hardly ever seen apart."""
    if len(shared) < _PARTS_LIFE * life or len(shared) < _MIN_VISIBLE:
        return False
    kernel = np.ones((7, 7), np.uint8)
    touching = [bool((cv2.dilate(a[t].astype(np.uint8), kernel) > 0)[b[t]].any()) for t in shared]
    return float(np.mean(touching)) > _PARTS_TOUCH


def _colours(frames: Frames, masks: Masks, seen: np.ndarray) -> appearance.Histogram:
    chosen = frames.footage.sampled[seen]
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, 6).astype(int))]
    parts = [appearance.histogram(frames.colours(int(t)), masks[t]) for t in chosen]
    return np.mean(parts, axis=0)
