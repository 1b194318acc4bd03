"""Deeds over stretches of a video, by the table "What the words mean" in `strefer_core.claims`.

Of every deed there is a matrix (T, T): [a, b] says whether somebody who looks at the stretch from frame a to
frame b, and at nothing else, could say it. How long the stretch must be is not looked at here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strefer_core.audit.scene import SIDES, Flags, Floats, Ints, Track, TrueScene

EVENTS = {"enter", "leave", "appear", "disappear", "occlude"}
WAYS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}

_WAY_W = 0.02
_SPOT_W = 0.004  # somebody who goes no further really rests
_NEARER, _NEARER_W = 0.9, 0.03
_LARGER, _SMALLER = 1.15, 0.87
_PARTLY_OUT, _COMES_IN = 0.5, 0.25  # shares of the thing's area
_PAST_BORDER = 0.1  # of the thing's length
_HIDDEN, _EMERGES = 0.25, 0.25  # shares of the thing's area
_COVERED = 0.02  # of its part in the picture, by somebody who may stand in front


@dataclass(frozen=True, kw_only=True, slots=True)
class Sense:
    """How strictly vague words are taken."""

    along: float  # cosine of how far a way may turn from its direction
    rest_w: float  # how far somebody who stays in place may stir, in picture widths
    pause_s: float  # shorter breaks do not make two times of one; at least the time between sampled frames


WIDE = Sense(along=0.5, rest_w=0.05, pause_s=2 / 3)  # the table
LOOSE = Sense(along=0.5, rest_w=0.012, pause_s=2 / 3)  # what most would say
NARROW = Sense(along=0.7, rest_w=0.006, pause_s=0.0)  # what everybody would say


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """A predicate (see `claims.Predicate`) whose second party is known."""

    kind: str
    direction: str | None = None
    other_id: str | None = None
    place: str | None = None

    @property
    def is_event(self) -> bool:
        """Whether it happens at a moment, rather than lasting."""
        return self.kind in EVENTS


def matrix(scene: TrueScene, track: Track, what: Deed, sense: Sense = WIDE) -> Flags:
    """Of which stretches of a track a deed could be said in a sense of the words, (T, T).

    Raises:
        ValueError: a kind that is said of frames and not of stretches, or that the table does not have.
    """
    if what.kind not in _MATRICES:
        raise ValueError(f"nobody knows what {what.kind!r} means; known: {', '.join(sorted(_MATRICES))}")
    return _MATRICES[what.kind](scene, track, what, sense)


def _together(track: Track) -> Flags:
    """Stretches of one run in the picture that begin and end with something of it seen."""
    same = (track.run[:, None] == track.run) & (track.run >= 0)
    return np.triu(same & track.seen[:, None] & track.seen, 1)


def _way(scene: TrueScene, track: Track) -> Floats:
    """(T, T, 2) ways over the ground, in picture widths as the camera has it where the stretch begins."""
    width = scene.truth.width_px / scene.zoom[:, None, None]
    return np.asarray((track.ground[None] - track.ground[:, None]) / width)


def _move(scene: TrueScene, track: Track, what: Deed, sense: Sense) -> Flags:
    way = _way(scene, track)
    length = np.hypot(way[..., 0], way[..., 1])
    moves = _together(track) & (length >= _WAY_W)
    return moves if what.direction is None else moves & (way @ WAYS[what.direction] >= sense.along * length)


def _stand(scene: TrueScene, track: Track, _: Deed, sense: Sense) -> Flags:
    return _together(track) & (_extent(scene, track) <= sense.rest_w)


def _extent(scene: TrueScene, track: Track) -> Floats:
    """(T, T) longer side of the smallest box around its ways in a stretch, in picture widths."""
    later = np.triu(np.ones(len(track.run), np.bool_))
    way = np.where(later[..., None], _way(scene, track), 0)
    return np.asarray((np.maximum.accumulate(way, axis=1) - np.minimum.accumulate(way, axis=1)).max(axis=2))


def has_rest(scene: TrueScene, track: Track, rest_s: float) -> Flags:
    """(T, T): whether it stays in one spot for `rest_s` somewhere in a stretch."""
    times, count = scene.times_s, len(scene.times_s)
    ends = np.searchsorted(times, times + rest_s - 1e-6)  # of rests, by the frame that they begin on
    starts = np.arange(count)[ends < count]
    still = starts[_extent(scene, track)[starts, ends[starts]] <= _SPOT_W]
    first_end = np.full(count, count)
    first_end[still] = ends[still]
    first_end = np.minimum.accumulate(first_end[::-1])[::-1]  # of the rests that begin from a frame on
    return np.asarray(np.arange(count)[None] >= first_end[:, None])


def _distance(scene: TrueScene, track: Track, what: Deed) -> tuple[Flags, Floats]:
    """Stretches that show both, and how far apart they are on each frame, in world pixels."""
    other = scene.tracks[what.other_id or ""]
    return _together(track) & _together(other), np.hypot(*(other.ground - track.ground).T)


def _approach(scene: TrueScene, track: Track, what: Deed, _: Sense) -> Flags:
    both, far = _distance(scene, track, what)
    nearer = (far[:, None] - far) * (scene.zoom / scene.truth.width_px)[:, None]
    return both & (nearer >= _NEARER_W) & (far <= _NEARER * far[:, None])


def _move_away(scene: TrueScene, track: Track, what: Deed, _: Sense) -> Flags:
    both, far = _distance(scene, track, what)
    further = (far - far[:, None]) * (scene.zoom / scene.truth.width_px)[:, None]
    return both & (further >= _NEARER_W) & (far[:, None] <= _NEARER * far)


def _follow(scene: TrueScene, track: Track, what: Deed, sense: Sense) -> Flags:
    other = scene.tracks[what.other_id or ""]
    own, led = _way(scene, track), _way(scene, other)
    lengths = np.hypot(own[..., 0], own[..., 1]), np.hypot(led[..., 0], led[..., 1])
    same_way = (own * led).sum(axis=2) >= sense.along * lengths[0] * lengths[1]
    ahead = other.ground - track.ground  # (T, 2)
    behind = ((ahead[:, None] * led).sum(axis=2) > 0) & ((ahead[None] * led).sum(axis=2) > 0)
    go = (lengths[0] >= _WAY_W) & (lengths[1] >= _WAY_W)
    return _together(track) & _together(other) & go & same_way & behind


def _grow(scene: TrueScene, track: Track, _: Deed, __: Sense) -> Flags:
    """Nothing in the world changes its size: only a camera that comes nearer makes it larger."""
    return _together(track) & (scene.zoom >= _LARGER * scene.zoom[:, None])


def _shrink(scene: TrueScene, track: Track, _: Deed, __: Sense) -> Flags:
    return _together(track) & (scene.zoom <= _SMALLER * scene.zoom[:, None])


def _enter(scene: TrueScene, track: Track, what: Deed, _: Sense) -> Flags:
    return _comes_in(scene.shots, track.inside, track.seen, track.beyond, what.direction)


def _leave(scene: TrueScene, track: Track, what: Deed, _: Sense) -> Flags:
    """Leaving is entering in a film that runs backwards."""
    back = _comes_in(
        scene.shots[::-1], track.inside[::-1], track.seen[::-1], track.beyond[::-1], what.direction
    )
    return back[::-1, ::-1].T


def _comes_in(shots: Ints, inside: Floats, seen: Flags, beyond: Floats, border: str | None) -> Flags:
    """From at least half outside, over the border, to more within."""
    out = (inside <= _PARTLY_OUT) & ((inside > 0) | (np.append(inside[1:], 0) > 0))
    found = out[:, None] & seen & (inside >= inside[:, None] + _COMES_IN) & (shots[:, None] == shots)
    if border is not None:
        past = beyond[:, SIDES.index(border)]
        found &= (past >= _PAST_BORDER)[:, None] & (past < past[:, None])
    return np.triu(found, 1)


def _appear(scene: TrueScene, track: Track, _: Deed, __: Sense) -> Flags:
    return _comes_to_be_seen(scene.shots, track)


def _comes_to_be_seen(shots: Ints, track: Track) -> Flags:
    """From not seen to seen, over a cut too; or from hardly seen to clearly seen within a shot."""
    unseen = ~track.seen[:, None] & track.seen
    emerges = (track.visible <= _HIDDEN)[:, None] & (track.visible >= track.visible[:, None] + _EMERGES)
    return np.triu(unseen | (emerges & (shots[:, None] == shots)), 1)


def _disappear(scene: TrueScene, track: Track, _: Deed, __: Sense) -> Flags:
    vanishes = track.seen[:, None] & ~track.seen
    sinks = (track.visible <= _HIDDEN) & (track.visible[:, None] >= track.visible + _EMERGES)
    return np.triu(vanishes | (sinks & (scene.shots[:, None] == scene.shots)), 1)


def _occlude(scene: TrueScene, track: Track, what: Deed, _: Sense) -> Flags:
    """Covers it on frames next to each other: the events of the truth, and lesser coverings."""
    covers = _covers(scene, track, scene.tracks[what.other_id or ""])
    steps = np.zeros((len(covers), len(covers)), np.bool_)
    steps[np.arange(len(covers) - 1), np.arange(1, len(covers))] = covers[:-1]
    return steps


def _covers(scene: TrueScene, track: Track, other: Track) -> Flags:
    told = _told(scene, track, other)
    # The truth tells of a tenth and more; of less it is known only that somebody covers it.
    lesser = _overlap(track, other) & (other.visible < (1 - _COVERED) * other.inside) & track.seen
    behind = [shot for shot in set(scene.shots) if (_told(scene, other, track) & (scene.shots == shot)).any()]
    return told | (lesser & ~np.isin(scene.shots, behind))


def _told(scene: TrueScene, front: Track, behind: Track) -> Flags:
    """(T,): frames of the truth's own events of one occluding the other."""
    ids = front.entity.entity_id, behind.entity.entity_id
    found = np.zeros(len(scene.times_s), np.bool_)
    for event in scene.truth.events:
        if event.kind == "occlude" and (event.subject_entity_id, event.object_entity_id) == ids:
            found |= (scene.times_s >= event.start_s - 1e-6) & (scene.times_s < event.end_s - 1e-6)
    return found


def _overlap(one: Track, other: Track) -> Flags:
    """(T,): the boxes of the whole things overlap in the picture."""
    low = np.maximum(one.boxes[:, :2], other.boxes[:, :2])
    high = np.minimum(one.boxes[:, 2:], other.boxes[:, 2:])
    return np.asarray((low < high).all(axis=1))


_MATRICES: dict[str, Callable[[TrueScene, Track, Deed, Sense], Flags]] = {
    "move": _move,
    "stand": _stand,
    "approach": _approach,
    "move_away": _move_away,
    "follow": _follow,
    "grow": _grow,
    "shrink": _shrink,
    "enter": _enter,
    "leave": _leave,
    "appear": _appear,
    "disappear": _disappear,
    "occlude": _occlude,
}
