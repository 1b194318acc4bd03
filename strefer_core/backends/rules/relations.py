"""Actions between two things, measured over the ground: approach, move away, follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo

HEADING = 0.8  # cosine between the motion and the line to the other thing
NEARER_RATIO = 0.7  # the distance must shrink to this share (or grow to its inverse) ...
NEARER_WIDTHS = 0.08  # ... and by this many picture widths
NEAR_BODIES = 0.7  # an approach ends (a way off begins) within this share of both things' lengths
FOLLOW_STEPS = 3
FOLLOW_WIDTHS = 0.04  # both go at least this far, in picture widths
FOLLOW_COSINE = 0.75  # between the two ways, and between the way and the line to the one ahead
NEARING_SHARE = 0.8  # of the time the distance does change that way


@dataclass(frozen=True, kw_only=True)
class Course:
    """Two things on the frames on which both are known to be somewhere, within one move."""

    times_s: geo.Floats  # (k,), k >= 2
    own: geo.Floats  # (k, 2) middles over the ground
    other: geo.Floats  # (k, 2)

    @property
    def distance(self) -> geo.Floats:
        """(k,)"""
        away: geo.Floats = np.linalg.norm(self.other - self.own, axis=1)
        return away

    def part(self, first: int, last: int) -> Course:
        """From frame `first` to frame `last`, both included."""
        frames = slice(first, last + 1)
        return Course(times_s=self.times_s[frames], own=self.own[frames], other=self.other[frames])

    def reversed(self) -> Course:
        """As if time ran backwards: what moves away approaches."""
        return Course(times_s=self.times_s[::-1], own=self.own[::-1], other=self.other[::-1])


def _courses(own: geo.Trail, other: geo.Trail, start_s: float, end_s: float) -> list[Course]:
    """Parts of the time from `start_s` to `end_s` over which both can be followed without a break."""
    during = np.flatnonzero((own.times_s >= start_s) & (own.times_s <= end_s))
    parts = [np.intersect1d(frames, during) for frames in geo.followed(own, other)]
    return [
        Course(times_s=own.times_s[part], own=own.middles[part], other=other.middles[part])
        for part in parts
        if len(part) > 1
    ]


def _told(kind: str, course: Course, other: geo.Trail) -> dm.Action:
    start_s, end_s = float(course.times_s[0]), float(course.times_s[-1])
    return dm.Action(kind=kind, start_s=start_s, end_s=end_s, other_entity_id=other.entity_id)


def approaches(index: int, trails: Sequence[geo.Trail], motions: Sequence[dm.Action]) -> list[dm.Action]:
    """Towards the nearest thing in the way, and away from the nearest one behind, per move."""
    found: list[dm.Action] = []
    for move in (action for action in motions if action.kind == "move"):
        candidates: dict[str, list[tuple[float, dm.Action]]] = {"approach": [], "move_away": []}
        for other in (trail for trail in trails if trail is not trails[index]):
            near_px = NEAR_BODIES * (trails[index].body_px + other.body_px)
            for course in _courses(trails[index], other, move.start_s, move.end_s):
                for kind, part in _nearings(course, near_px, NEARER_WIDTHS * other.size_px[0]):
                    candidates[kind].append((float(part.distance.min()), _told(kind, part, other)))
        found += [min(near, key=lambda item: item[0])[1] for near in candidates.values() if near]
    return found


def _nearings(course: Course, near_px: float, least_px: float) -> list[tuple[str, Course]]:
    """The parts before and after the two are nearest, where the way leads up to the other or from it."""
    if course.distance.min() > near_px:
        return []  # it may only happen to lie that way
    nearest, last = int(course.distance.argmin()), len(course.times_s) - 1
    towards = _leading_up(course.part(0, nearest), least_px)
    away = _leading_up(course.part(nearest, last).reversed(), least_px)
    found = [("approach", towards)] if towards else []
    return found + ([("move_away", away.reversed())] if away else [])


def _leading_up(course: Course, least_px: float) -> Course | None:
    """The part from where they are furthest, if its way heads for the other and brings them much nearer."""
    part = course.part(int(course.distance.argmax()), len(course.times_s) - 1)
    far, near = float(part.distance[0]), float(part.distance[-1])
    way, line = part.own[-1] - part.own[0], part.other[0] - part.own[0]
    heads = float(way @ line) >= HEADING * float(np.linalg.norm(way)) * far
    lasts = np.abs(np.diff(part.times_s))
    nearing_s = float(lasts[np.diff(part.distance) < 0].sum())
    is_clear = near <= NEARER_RATIO * far and far - near >= least_px
    return part if heads and is_clear and nearing_s >= NEARING_SHARE * lasts.sum() else None


def followings(
    index: int, trails: Sequence[geo.Trail], motions: Sequence[Sequence[dm.Action]]
) -> list[dm.Action]:
    """Moving behind another thing, in the same direction and lane, at a distance that hardly changes."""
    own = trails[index]
    return [
        _told("follow", course, other)
        for other, leads in zip(trails, motions, strict=True)
        for move in motions[index]
        for lead in leads
        if other is not own and move.kind == lead.kind == "move" and move.direction == lead.direction
        for course in _courses(own, other, max(move.start_s, lead.start_s), min(move.end_s, lead.end_s))
        if _is_behind(course, (own.body_px + other.body_px) / 2, FOLLOW_WIDTHS * own.size_px[0])
    ]


def _is_behind(course: Course, body_px: float, least_px: float) -> bool:
    if len(course.times_s) <= FOLLOW_STEPS:
        return False
    own_way, other_way = course.own[-1] - course.own[0], course.other[-1] - course.other[0]
    length, other_length = float(np.linalg.norm(own_way)), float(np.linalg.norm(other_way))
    if min(length, other_length) < least_px or own_way @ other_way < FOLLOW_COSINE * length * other_length:
        return False
    gap, heading = course.other - course.own, own_way / max(length, 1e-9)
    ahead, aside = gap @ heading, np.abs(gap @ np.array([-heading[1], heading[0]]))
    if ahead.min() < 0.5 * body_px or aside.max() > body_px:
        return False
    return bool(0.6 * ahead[0] <= ahead[-1] <= 1.5 * ahead[0])
