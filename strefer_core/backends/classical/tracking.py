"""Carries masks from frame to frame: optical flow predicts, foreground and colour decide.

All things of one call are tracked together, so that pixels where two of them touch go to the one that
fits better. A thing that leaves or is hidden loses its mask; a loose piece of foreground that looks like
it, not too far from where it was lost, gives the mask back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical import appearance as looks
from strefer_core.backends.classical.contest import contest
from strefer_core.backends.classical.frames import Flow, Frames
from strefer_core.backends.classical.things import SAME_LOOKS, Mask, Thing, centre
from strefer_core.backends.interfaces import Masks

_MIN_AREA_PX = 12
_LOST_SHARE = 0.15  # of the area some frames ago: less than this is left, the rest is gone
_LOST_SHARE_OF_LARGEST = 0.03
_MIXED_UP_LOOKS = 0.75  # similarity from which a thing in touch with another takes a loose piece
_DRIFT_FRAMES = 3


def propagate(frames: Frames, starts: Sequence[tuple[int, Mask]], step: int) -> list[Masks]:
    """Carry masks through the frames in one direction.

    Args:
        frames: of the footage, T of them.
        starts: per thing the frame on which it joins and its mask there.
        step: 1 forward, -1 backward.

    Returns:
        Per thing its masks (T, H, W), empty before it joins.
    """
    foreground = frames.scene.foreground
    results = [np.zeros(foreground.shape, bool) for _ in starts]
    things = [Thing(start=start, mask=mask) for start, mask in starts]
    if not things:
        return []
    surroundings = frames.surroundings()
    first = min(start * step for start, _ in starts) * step
    for t in range(first, len(foreground) if step > 0 else -1, step):
        active = [thing for thing in things if thing.start * step < t * step]
        if active:
            _advance(active, frames.colours(t), foreground[t], frames.flow(t, t - step), surroundings)
        for thing, masks in zip(things, results, strict=True):
            if thing.start == t:
                thing.begin(frames.colours(t))
            if thing.start * step <= t * step:
                masks[t] = thing.mask
    return results


def _advance(
    things: list[Thing],
    index: looks.ColourIndex,
    foreground: NDArray[np.uint8],
    flow: Flow | None,
    surroundings: looks.Histogram,
) -> None:
    """Move all things by one frame. Without flow (a cut) they are all lost and looked for anew."""
    visible = [] if flow is None else [thing for thing in things if not thing.lost_frames]
    masks = [] if flow is None else contest(visible, index, foreground, flow, surroundings)
    for thing, mask in zip(visible, masks, strict=True):
        if mask.sum() < max(_MIN_AREA_PX, _LOST_SHARE * thing.area, _LOST_SHARE_OF_LARGEST * thing.largest):
            thing.lose()
            continue
        thing.accept(mask, index)
        if thing.drifting >= _DRIFT_FRAMES:
            thing.lose()
    for thing in things:
        if thing not in visible:
            thing.lose()
    _reacquire(things, index, foreground, is_cut=flow is None)


def _reacquire(
    things: list[Thing], index: looks.ColourIndex, foreground: NDArray[np.uint8], *, is_cut: bool
) -> None:
    """Give lost things back their masks, the best fitting piece first.

    A thing that touches another may have been mixed up with it: it takes a loose piece that fits it, too.
    """
    seekers = [thing for thing in things if thing.lost_frames or _touches_other(thing, things)]
    if not seekers:
        return
    taken = np.logical_or.reduce([thing.mask for thing in things])
    pieces = list(loose_pieces(foreground, taken))
    scores = [
        (_match(thing, piece, index, is_cut=is_cut), a, b)
        for a, thing in enumerate(seekers)
        for b, piece in enumerate(pieces)
    ]
    used_things: set[int] = set()
    used_pieces: set[int] = set()
    for score, a, b in sorted(scores, reverse=True):
        if score > 0 and a not in used_things and b not in used_pieces:
            seekers[a].accept(pieces[b], index)
            used_things.add(a)
            used_pieces.add(b)


def _touches_other(thing: Thing, things: list[Thing]) -> bool:
    if thing.lost_frames:
        return False
    near = cv2.dilate(thing.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return any((near & other.mask).any() for other in things if other is not thing)


def loose_pieces(foreground: NDArray[np.uint8], taken: Mask) -> Iterable[Mask]:
    """Connected foreground that no thing holds yet."""
    near = cv2.dilate(taken.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    free = ((foreground > 140) & ~near).astype(np.uint8)
    free = cv2.morphologyEx(free, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(free, connectivity=8)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] >= 4 * _MIN_AREA_PX:
            yield labels == label


def _match(thing: Thing, piece: Mask, index: looks.ColourIndex, *, is_cut: bool) -> float:
    """How well a loose piece fits a thing, 0..1: colours times size; 0 where one of them, or the distance,
    rules it out. A thing that is not lost must be fitted closely and from nearby."""
    area = float(piece.sum())
    touches_border = piece[[0, -1]].any() or piece[:, [0, -1]].any()
    smallest = (0.1 if touches_border else 0.3) if thing.lost_frames else 0.5
    if not smallest < area / thing.typical_area < (2.5 if thing.lost_frames else 1.6):
        return 0.0
    reach_px = piece.shape[1] * (0.15 + 0.1 * thing.lost_frames)
    if not is_cut and np.hypot(*(centre(piece) - thing.centre)) > reach_px:
        return 0.0
    colours = looks.similarity(looks.histogram(index, piece), thing.reference)
    if colours < (SAME_LOOKS if thing.lost_frames else _MIXED_UP_LOOKS):
        return 0.0
    return colours * min(area, thing.typical_area) / max(area, thing.typical_area)
