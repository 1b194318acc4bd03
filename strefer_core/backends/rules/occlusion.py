"""Passing in front of another thing: its mask lies where the other one would be seen.

Where the hidden thing would be follows from the frames just before and after on which it is seen whole. So
it is told of things that are hidden for a short while only, and not of what is hidden by things of the place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strefer_core import data_model as dm
from strefer_core import masks
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules.ground import moved

COVERED_SHARE = 0.2  # of the hidden thing, at least
STRAY_SHARE = 0.15  # of the hidden thing: more seen of it elsewhere, and its place is not known
ONE_SIDED = 0.08  # what is left lies at least so far from the middle of the place, in its longer sides
WHOLE_SHARE = 0.93  # of its usual area seen: nothing covers it
PLACE_S = 1.0  # the frames on which it is seen whole are at most this far apart in time ...
PLACE_BODIES = 0.75  # ... and this far in its own lengths;
STILL_S = 3.0  # they may be further apart ...
STILL_BODIES = 0.2  # ... where it comes out again where it went in


def occlusions(front: geo.Trail, others: Sequence[geo.Trail]) -> list[dm.Action]:
    """Whom the thing passes in front of, over frames of one clip."""
    found: list[dm.Action] = []
    for back in others:
        covers = [_covers(front, back, frame) for frame in range(len(front.times_s))]
        for is_covering, first, last in geo.runs(covers):
            last = min(last, len(covers) - 1)
            if is_covering and first < last and front.shots[first] == front.shots[last]:
                found.append(_told(front, back, first, last))
    return found


def _told(front: geo.Trail, back: geo.Trail, first: int, last: int) -> dm.Action:
    start_s, end_s = float(front.times_s[first]), float(front.times_s[last])
    return dm.Action(kind="occlude", start_s=start_s, end_s=end_s, other_entity_id=back.entity_id)


def _covers(front: geo.Trail, back: geo.Trail, frame: int) -> bool:
    if not front.visible[frame] or back.wholeness[frame] >= WHOLE_SHARE:
        return False
    ends = _whole_about(back, frame)
    if ends is None:
        return False
    place = _place(back, ends, frame)
    if not _meet(place, front.boxes[frame]):
        return False
    nearest = ends[int(np.abs(back.times_s[ends] - back.times_s[frame]).argmin())]
    window = _window(place)
    shape, seen = _shape(back, nearest, window), _cropped(back, frame, window)
    hidden = shape & _cropped(front, frame, window)
    stray = back.areas_px[frame] - (shape & seen).sum()
    is_placed = stray <= STRAY_SHARE * shape.sum() and _is_one_sided(hidden, seen, back.visible[frame])
    return bool(hidden.sum() >= COVERED_SHARE * shape.sum() and is_placed)


def _is_one_sided(hidden: masks.Mask, seen: masks.Mask, is_visible: bool) -> bool:
    """Whether what is left of a thing lies on the far side from what hides it.

    A thing that turns round is narrow for a moment as well, but in the middle of its place.
    """
    if not is_visible or not hidden.any() or not seen.any():
        return not is_visible
    center = np.array(seen.shape) / 2
    away, towards = (np.argwhere(part).mean(axis=0) + 0.5 - center for part in (seen, hidden))
    return bool(-(away @ towards) >= ONE_SIDED * np.linalg.norm(towards) * max(seen.shape))


def _whole_about(trail: geo.Trail, frame: int) -> list[int] | None:
    """The last frame before and the first after on which the thing is whole, None unless both are near."""
    whole = trail.known & ~trail.at_edge.any(axis=(1, 2)) & (trail.shots == trail.shots[frame])
    before, after = np.flatnonzero(whole[:frame]), np.flatnonzero(whole[frame + 1 :]) + frame + 1
    if not len(before) or not len(after):
        return None
    ends = [int(before[-1]), int(after[0])]
    lasts_s = float(np.ptp(trail.times_s[ends]))
    bodies = float(np.linalg.norm(np.diff(trail.middles[ends], axis=0))) / trail.body_px
    is_followed = lasts_s <= PLACE_S and bodies <= PLACE_BODIES
    return ends if is_followed or (lasts_s <= STILL_S and bodies <= STILL_BODIES) else None


def _place(trail: geo.Trail, ends: Sequence[int], frame: int) -> geo.Floats:
    """(2, 2) box in the picture in which all of it would be seen, at an even speed between the two ends."""
    times = trail.times_s
    share = (times[frame] - times[ends[0]]) / (times[ends[1]] - times[ends[0]])
    ground = (1 - share) * trail.ground[ends[0]] + share * trail.ground[ends[1]]
    place: geo.Floats = moved(ground[None], np.linalg.inv(trail.maps[frame])[None])[0]
    return place


def _meet(one: geo.Floats, other: geo.Floats) -> bool:
    return bool(((one[:, 0] < other[:, 1]) & (other[:, 0] < one[:, 1])).all())


Window = tuple[int, int, int, int]  # x0, y0, x1, y1, may pass the picture's borders


def _window(box: geo.Floats) -> Window:
    x0, y0 = np.floor(box[:, 0] + 0.5).astype(int)
    x1, y1 = np.maximum(np.floor(box[:, 1] + 0.5).astype(int), (x0 + 1, y0 + 1))
    return int(x0), int(y0), int(x1), int(y1)


def _shape(trail: geo.Trail, frame: int, window: Window) -> masks.Mask:
    """The mask of a frame scaled into the window, as (rows, columns) of it."""
    own = _cropped(trail, frame, _window(trail.boxes[frame]))
    return masks.resize(own, window[3] - window[1], window[2] - window[0])


def _cropped(trail: geo.Trail, frame: int, window: Window) -> masks.Mask:
    """The part of a frame's mask in the window; nothing beyond the picture's borders."""
    x0, y0, x1, y1 = window
    part = np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
    code = trail.masks[frame]
    if code is None:
        return part
    whole = masks.decode(code)
    height, width = whole.shape
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if left < right and top < bottom:
        part[top - y0 : bottom - y0, left - x0 : right - x0] = whole[top:bottom, left:right]
    return part
