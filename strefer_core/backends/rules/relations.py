"""Actions between two things: approach, move away, follow, pass in front of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo

HEADING = 0.8  # cosine between the motion and the line to the other thing
NEARER_RATIO = 0.7  # the distance must shrink to this share (or grow to its inverse) ...
NEARER_WIDTHS = 0.08  # ... and by this many picture widths
NEAR_BODIES = 0.7  # an approach ends (a way off begins) within this share of both things' lengths
FOLLOW_STEPS = 3
COVERED_SHARE = 0.5  # of the hidden thing's box
HIDDEN_AREA_SHARE = 0.6  # area of what is left of the hidden thing, by its usual area
FRONT_AREA_SHARE = 0.7  # the thing in front keeps at least this share of its usual area


def approaches(index: int, trails: Sequence[geo.Trail], moves: Sequence[dm.Action]) -> list[dm.Action]:
    """Towards the nearest thing in the way, and away from the nearest one behind, per move."""
    found: list[dm.Action] = []
    for move in moves:
        if move.kind != "move":
            continue
        first, last = _frames(trails[index], move)
        towards, away = [], []
        for other, trail in enumerate(trails):
            if other == index or not (trail.visible[first] and trail.visible[last]):
                continue
            before, after, heading = _course(trails[index], trail, first, last)
            least = NEARER_WIDTHS * trail.size_px[0]
            near = NEAR_BODIES * (trails[index].body_px + trail.body_px)
            if min(before, after) > near:
                continue  # it may only happen to lie that way
            if heading >= HEADING and after <= NEARER_RATIO * before and before - after >= least:
                towards.append((after, trail.entity_id))
            if heading <= -HEADING and before <= NEARER_RATIO * after and after - before >= least:
                away.append((before, trail.entity_id))
        for kind, candidates in (("approach", towards), ("move_away", away)):
            if candidates:
                found.append(_with(kind, move, min(candidates)[1]))
    return found


def _with(kind: str, move: dm.Action, other_id: str) -> dm.Action:
    return dm.Action(kind=kind, start_s=move.start_s, end_s=move.end_s, other_entity_id=other_id)


def _frames(trail: geo.Trail, action: dm.Action) -> tuple[int, int]:
    first, last = np.searchsorted(trail.times_s, [action.start_s, action.end_s])
    return int(first), int(last)


def _course(own: geo.Trail, other: geo.Trail, first: int, last: int) -> tuple[float, float, float]:
    """Distance before and after, and the cosine between the own way and the line to the other."""
    way = own.centers[last] - own.centers[first]
    line = other.centers[first] - own.centers[first]
    before, after = np.linalg.norm(line), np.linalg.norm(other.centers[last] - own.centers[last])
    scale = float(np.linalg.norm(way) * before)
    return float(before), float(after), float(way @ line) / scale if scale else 0.0


def followings(
    index: int, trails: Sequence[geo.Trail], motions: Sequence[Sequence[dm.Action]]
) -> list[dm.Action]:
    """Moving behind another thing, in the same direction and lane, at a distance that does not change."""
    found: list[dm.Action] = []
    for move in motions[index]:
        for other, trail in enumerate(trails):
            for lead in motions[other]:
                if other == index or move.kind != "move" or move.kind != lead.kind:
                    continue
                start_s, end_s = max(move.start_s, lead.start_s), min(move.end_s, lead.end_s)
                if move.direction == lead.direction and start_s < end_s:
                    both = dm.Action(kind="move", start_s=start_s, end_s=end_s, direction=move.direction)
                    if _is_behind(trails[index], trail, both):
                        found.append(_with("follow", both, trail.entity_id))
    return found


def _is_behind(own: geo.Trail, lead: geo.Trail, move: dm.Action) -> bool:
    first, last = _frames(own, move)
    if last - first < FOLLOW_STEPS:
        return False
    axis, sign = geo.AXES[str(move.direction)]
    gap = lead.centers[first : last + 1] - own.centers[first : last + 1]
    ahead, aside = sign * gap[:, axis], np.abs(gap[:, 1 - axis])
    body = (own.body_px + lead.body_px) / 2
    if np.isnan(ahead).any() or ahead.min() < 0.5 * body or aside.max() > body:
        return False
    return bool(ahead[-1] <= 1.5 * ahead[0] and ahead[-1] >= 0.6 * ahead[0])


def occlusions(index: int, trails: Sequence[geo.Trail]) -> list[dm.Action]:
    """Passing in front of another thing: it covers the other's place while the other's mask shrinks."""
    own = trails[index]
    found: list[dm.Action] = []
    for other, trail in enumerate(trails):
        if other == index or not own.visible.any() or not trail.visible.any():
            continue
        hidden = [_hides(own, trail, frame) for frame in range(len(own.times_s))]
        for is_hidden, first, last in geo.runs(hidden):
            if is_hidden and last < len(own.times_s):
                start_s, end_s = float(own.times_s[first]), float(own.times_s[last])
                found.append(
                    dm.Action(kind="occlude", start_s=start_s, end_s=end_s, other_entity_id=trail.entity_id)
                )
    return found


def _hides(front: geo.Trail, back: geo.Trail, frame: int) -> bool:
    earlier = np.flatnonzero(back.visible[:frame] & (back.areas_px[:frame] >= _usual(back) * 0.8))
    if not len(earlier) or not front.visible[frame]:
        return False  # never seen whole before: its place is not known
    place = back.boxes[earlier[-1]]
    if front.areas_px[frame] < FRONT_AREA_SHARE * _usual(front):
        return False
    if back.at_edge[earlier[-1]].any() or (back.visible[frame] and back.at_edge[frame].any()):
        return False  # it may just be leaving
    shrunk = back.areas_px[frame] <= HIDDEN_AREA_SHARE * _usual(back)
    return bool(shrunk and _covered(front.boxes[frame], place) >= COVERED_SHARE)


def _usual(trail: geo.Trail) -> float:
    return float(np.median(trail.areas_px[trail.visible]))


def _covered(cover: geo.Floats, place: geo.Floats) -> float:
    """Share of the box `place` inside the box `cover`."""
    low, high = np.maximum(cover[:, 0], place[:, 0]), np.minimum(cover[:, 1], place[:, 1])
    whole = float((place[:, 1] - place[:, 0]).prod())
    return float(np.clip(high - low, 0, None).prod()) / whole if whole else 0.0
