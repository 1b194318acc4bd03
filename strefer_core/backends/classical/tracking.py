"""Carries masks from frame to frame: optical flow predicts, foreground and colour decide.

All things of one call are tracked together, so that pixels where two of them touch go to the one that
fits better. A thing that leaves or is hidden loses its mask; a loose piece of foreground that looks like
it, not too far from where it was lost, gives the mask back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance as looks
from strefer_core.backends.classical.contest import contest
from strefer_core.backends.classical.frames import Flow, Frames
from strefer_core.backends.classical.templates import Template
from strefer_core.backends.classical.things import SAME_LOOKS, Mask, Thing, centre
from strefer_core.backends.classical.trust import TrustedForeground
from strefer_core.backends.interfaces import Masks

_MIN_AREA_PX = 12
_LOST_SHARE = 0.15  # of the area some frames ago: less than this is left, the rest is gone
_LOST_SHARE_OF_LARGEST = 0.03
_MIXED_UP_LOOKS = 0.75  # similarity from which a thing in touch with another takes a loose piece
_DRIFT_FRAMES = 3
_NEAR_PX = 9  # side of the square around a pixel of one template in which another one is near
_HIDDEN_SHARE = 0.5  # of a template that others must cover for its thing to be behind them
_HIDDEN_FRAMES = 30
_BAD_FIT = 0.4  # of a template, 0..1
_GOOD_FIT = 0.45
_MUCH_BETTER = 0.25
_LEAP = 2.0  # sides of a thing that it may leap from one frame to the next
_MAX_REACH_PX = 120.0
_SEEN_STEERING = 0.7  # the same where most of the template is seen
_STEERING = 0.3  # share of a template's misfit that is put down to a change of velocity


def propagate(frames: Frames, starts: Sequence[tuple[int, Mask]], step: int) -> list[Masks]:
    """Carry masks through the frames in one direction.

    Args:
        frames: of the footage, T of them.
        starts: per thing the frame on which it joins and its mask there.
        step: 1 forward, -1 backward.

    Returns:
        Per thing its masks (T, H, W), empty before it joins.
    """
    shape = frames.scene.foreground.shape
    results = [np.zeros(shape, bool) for _ in starts]
    things = [Thing(start=start, mask=mask) for start, mask in starts]
    if not things:
        return []
    ground = TrustedForeground(frames, starts)
    first = min(start * step for start, _ in starts) * step
    for t in range(first, shape[0] if step > 0 else -1, step):
        active = [thing for thing in things if thing.start * step < t * step]
        if active:
            _advance(active, frames, ground, t, frames.flow(t, t - step))
        for thing, masks in zip(things, results, strict=True):
            if thing.start == t:
                thing.begin(frames.pixels(t), frames.colours(t))
            if thing.start * step <= t * step:
                masks[t] = thing.mask
    return results


def _advance(
    things: list[Thing], frames: Frames, ground: TrustedForeground, t: int, flow: Flow | None
) -> None:
    """Move all things by one frame. Without flow (a cut) they are all lost and looked for anew."""
    present = [
        thing for thing in things if flow is not None and (not thing.lost_frames or thing.hidden_frames)
    ]
    if flow is not None and present:
        _move(present, frames, ground, t, flow)
    for thing in things:
        if thing not in present:
            thing.lose()
    _reacquire(things, frames.colours(t), ground.at(t), is_cut=flow is None)
    for thing in things:
        if thing not in present and not thing.lost_frames:
            thing.template = Template.cut(frames.pixels(t), thing.mask)


def _move(things: list[Thing], frames: Frames, ground: TrustedForeground, t: int, flow: Flow) -> None:
    """Give the things their masks on frame `t`."""
    image, index, foreground = frames.pixels(t), frames.colours(t), ground.at(t)
    touching = in_contact([thing.template.moved(thing.velocity) for thing in things], foreground.shape)
    things, touching = _without_stray(things, touching)
    _follow(things, touching, image, foreground)
    masks = contest(things, touching, image, index, foreground, flow, ground.surroundings)
    held = np.logical_or.reduce([np.zeros(foreground.shape, np.bool_), *masks])
    for thing, mask, touches in zip(things, masks, touching, strict=True):
        hidden = thing.template.spread(foreground.shape) & held & ~mask if touches else None
        if mask.sum() >= max(_MIN_AREA_PX, _LOST_SHARE * thing.area, _LOST_SHARE_OF_LARGEST * thing.largest):
            thing.accept(mask, index, is_whole=not touches)
            if thing.drifting >= _DRIFT_FRAMES:
                thing.lose()
            else:
                thing.template = (
                    Template.cut(image, mask)
                    if hidden is None
                    else thing.template.renewed(image, mask, hidden, thing.area)
                )
        elif hidden is not None and hidden.sum() > _HIDDEN_SHARE * thing.template.mask.sum():
            thing.hide()
            if thing.hidden_frames > _HIDDEN_FRAMES:
                thing.lose()
        else:
            thing.lose()


def _without_stray(things: list[Thing], touching: list[bool]) -> tuple[list[Thing], list[bool]]:
    """Those that may be where they are expected. A hidden one that nothing touches any more is lost: what hid
    it is gone, and where it went nobody saw."""
    stays = [touches or bool(thing.mask.any()) for thing, touches in zip(things, touching, strict=True)]
    for thing, is_there in zip(things, stays, strict=True):
        if not is_there:
            thing.lose()
    return list(compress(things, stays)), list(compress(touching, stays))


def in_contact(templates: Sequence[Template], shape: tuple[int, int]) -> list[bool]:
    """Per template, whether it comes near another one."""
    spreads = [template.spread(shape) for template in templates]
    kernel = np.ones((_NEAR_PX, _NEAR_PX), np.uint8)
    grown = [cv2.dilate(spread.astype(np.uint8), kernel) > 0 for spread in spreads]
    return [
        any((area & other).any() for place, other in enumerate(spreads) if place != number)
        for number, area in enumerate(grown)
    ]


def _follow(
    things: Sequence[Thing], touching: Sequence[bool], image: NDArray[np.uint8], foreground: NDArray[np.uint8]
) -> None:
    """Move the templates to where they fit on the next frame.

    Near where their velocities lead first; where that fits badly, farther away on what no other explains.
    """
    moving = [thing for thing, touches in zip(things, touching, strict=True) if touches]
    for thing in moving:
        expected = thing.template.moved(thing.velocity)
        reach_px = 4 + round(0.5 * float(np.hypot(*thing.velocity)))
        shift, fit = expected.search(image, foreground, reach_px)
        thing.template = expected.moved(shift)
        thing.velocity = thing.velocity + (_STEERING if fit < _GOOD_FIT else _SEEN_STEERING) * shift
    shown = [thing.template.agreement(image) for thing in moving]
    for number, thing in enumerate(moving):
        others = [one for place, one in enumerate(shown) if place != number]
        explained = np.maximum.reduce(others) if others else np.zeros_like(shown[number])
        _look_around(thing, image, foreground, explained)


def _look_around(
    thing: Thing,
    image: NDArray[np.uint8],
    foreground: NDArray[np.uint8],
    explained: NDArray[np.float32],
) -> None:
    """Move a template farther than its velocity says, if it fits much better there: a kicked ball.

    What other things explain (H, W), 0..1, is no reason to be there: a white shoe is not the ball.
    """
    _, fit = thing.template.search(image, foreground, 0, explained)
    if fit >= _BAD_FIT:
        return
    reach_px = round(min(_LEAP * np.sqrt(thing.area) + float(np.hypot(*thing.velocity)), _MAX_REACH_PX))
    shift, better = thing.template.search(image, foreground, reach_px, explained)
    if better > max(_GOOD_FIT, fit + _MUCH_BETTER):
        thing.template = thing.template.moved(shift)
        thing.velocity = thing.velocity + shift


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
    free = cv2.morphologyEx(free, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) * ~taken
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
