"""Actions and events, derived from where everything is: no scenario claims any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.world.motion import STILL_PX_S
from strefer_core.world.truth import Direction, TrueAction, TrueEvent

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Run = tuple[int, int]  # frames [start, end)
Stretch = tuple[Direction | None, Run]  # moving one way; None: standing

_MIN_MOVE_S = 0.4  # shorter changes of direction belong to the movement before
_MIN_MOVE_PX = 25.0  # a movement goes this far at least, about the radius of a small one
_WHOLLY_IN = 0.95  # of the largest part within the borders that an entity reaches
_MIN_COVERED = 0.1  # share of the one behind that an occluder covers at least
_MIN_OCCLUDE_S = 0.15
_MIN_APPROACH_S = 0.6
_APPROACH_PX_S = 25.0  # at least this much speed goes towards the other
_AIMED = 0.7  # share of the speed that goes towards the other: within 45 degrees
_NEAR = 1.35  # an approach ends this near, in sums of the two radii


@dataclass(frozen=True)
class History:
    """One entity over the frames of the video; arrays (T,) unless said otherwise."""

    entity_id: str
    radius_px: float
    in_scene: Flags  # it plays in the scene that is shown
    base_px: Floats  # (T, 2) world pixels, without hops; NaN where not in the scene
    velocity_px_s: Floats  # (T, 2); NaN likewise
    boxes_px: tuple[dm.Box | None, ...]
    in_frame: Floats  # area within the borders over whole area
    visible: Floats  # visible area over whole area
    hidden_by: dict[str | None, Floats]  # by entity id, None: by things: covered area over area in the frame


@dataclass(frozen=True)
class Clock:
    """Frames to seconds; shots are frame runs that no action crosses."""

    pts_s: Floats  # (T + 1,): the last is the end of the video
    shots: tuple[Run, ...]
    width_px: int
    height_px: int

    def seconds(self, run: Run) -> tuple[float, float]:
        return float(self.pts_s[run[0]]), float(self.pts_s[run[1]])

    def lasts(self, run: Run, least_s: float) -> bool:
        start_s, end_s = self.seconds(run)
        return end_s - start_s >= least_s - 1e-9


def actions(history: History, clock: Clock) -> tuple[TrueAction, ...]:
    """All actions of one entity, in order of start."""
    found: list[TrueAction] = []
    for shot in clock.shots:
        in_view = history.in_scene & (history.in_frame > 0)
        for run in _runs(in_view, shot):
            found += _moves(history, clock, run)
            found += _borders(history, clock, run, shot)
            found += _occlusions(history, clock, run)
    return tuple(sorted(found, key=lambda action: (action.start_s, action.kind)))


def events(histories: Sequence[History], clock: Clock) -> tuple[TrueEvent, ...]:
    """All events between two entities, in order of start."""
    found: list[TrueEvent] = []
    for one in histories:
        for other in histories:
            if one is not other:
                found += _occludes(one, other, clock) + _approaches(one, other, clock)
    return tuple(sorted(found, key=lambda event: (event.start_s, event.kind, event.subject_entity_id)))


def _runs(flags: Flags, within: Run) -> list[Run]:
    """Runs of True inside a run of frames."""
    start, end = within
    edges = np.flatnonzero(np.diff(flags[start:end].astype(np.int8), prepend=0, append=0)) + start
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _moves(history: History, clock: Clock, run: Run) -> list[TrueAction]:
    """Cut a run in view into stretches of one direction, or of standing still."""
    labels = [_heading(velocity) for velocity in history.velocity_px_s[run[0] : run[1]]]
    stretches = _absorbed(_stretches(labels, run[0]), history, clock)
    return [_moving(label, *clock.seconds(stretch)) for label, stretch in stretches]


def _moving(heading: Direction | None, start_s: float, end_s: float) -> TrueAction:
    if heading is None:
        return TrueAction(kind="stand", start_s=start_s, end_s=end_s)
    return TrueAction(kind="move", start_s=start_s, end_s=end_s, direction=heading)


def _heading(velocity: Floats) -> Direction | None:
    x, y = velocity
    if np.hypot(x, y) < STILL_PX_S:
        return None
    if abs(x) >= abs(y):
        return "right" if x > 0 else "left"
    return "down" if y > 0 else "up"


def _stretches(labels: Sequence[Direction | None], first: int) -> list[Stretch]:
    cuts = [0, *(i for i in range(1, len(labels)) if labels[i] != labels[i - 1]), len(labels)]
    return [(labels[a], (first + a, first + b)) for a, b in pairwise(cuts)]


def _absorbed(stretches: list[Stretch], history: History, clock: Clock) -> list[Stretch]:
    """Join stretches that are too short to the one before (the first ones to the one after)."""
    kept: list[Stretch] = []
    for stretch in stretches:
        if kept and not _counts(kept[-1], history, clock):
            kept[-1] = (stretch[0], (kept[-1][1][0], stretch[1][1]))
        elif kept and (kept[-1][0] == stretch[0] or not _counts(stretch, history, clock)):
            kept[-1] = (kept[-1][0], (kept[-1][1][0], stretch[1][1]))
        else:
            kept.append(stretch)
    return kept


def _counts(stretch: Stretch, history: History, clock: Clock) -> bool:
    """Long enough to speak of, and a movement that gets somewhere."""
    heading, (start, end) = stretch
    x, y = history.base_px[end - 1] - history.base_px[start]
    return clock.lasts((start, end), _MIN_MOVE_S) and (heading is None or np.hypot(x, y) >= _MIN_MOVE_PX)


def _borders(history: History, clock: Clock, run: Run, shot: Run) -> list[TrueAction]:
    """Entering and leaving over the borders; a cut is neither."""
    part = history.in_frame[run[0] : run[1]]
    inside = np.flatnonzero(part >= _WHOLLY_IN * part.max()) + run[0]
    found = []
    if run[0] > shot[0]:
        entering = clock.seconds((run[0], max(int(inside[0]), run[0] + 1)))
        side = _side(history, clock, run[0])
        found.append(TrueAction(kind="enter", start_s=entering[0], end_s=entering[1], direction=side))
    if run[1] < shot[1]:
        leaving = clock.seconds((min(int(inside[-1]) + 1, run[1] - 1), run[1]))
        side = _side(history, clock, run[1] - 1)
        found.append(TrueAction(kind="leave", start_s=leaving[0], end_s=leaving[1], direction=side))
    return found


def _side(history: History, clock: Clock, frame: int) -> Direction:
    """The border that the entity's box passes the furthest."""
    box = history.boxes_px[frame]
    assert box is not None  # it is in view
    beyond: dict[Direction, float] = {
        "left": -box[0],
        "right": box[2] - clock.width_px,
        "up": -box[1],
        "down": box[3] - clock.height_px,
    }
    return max(beyond, key=lambda side: beyond[side])


def _occlusions(history: History, clock: Clock, run: Run) -> list[TrueAction]:
    hidden = 1 - history.visible / np.maximum(history.in_frame, 1e-9) > 0.5
    found = []
    for part in _runs(hidden, run):
        start_s, end_s = clock.seconds(part)
        by = max(history.hidden_by, key=lambda other: float(history.hidden_by[other][slice(*part)].sum()))
        found.append(TrueAction(kind="occluded", start_s=start_s, end_s=end_s, other_entity_id=by))
    return found


def _occludes(front: History, behind: History, clock: Clock) -> list[TrueEvent]:
    covered = behind.hidden_by.get(front.entity_id)
    if covered is None:
        return []
    runs = [run for shot in clock.shots for run in _runs(covered >= _MIN_COVERED, shot)]
    return [
        _event("occlude", front, behind, clock.seconds(run))
        for run in runs
        if clock.lasts(run, _MIN_OCCLUDE_S)
    ]


def _approaches(one: History, other: History, clock: Clock) -> list[TrueEvent]:
    """One walks towards the other while the gap shrinks, and ends up near it, both in view."""
    both = one.in_scene & other.in_scene & (one.in_frame > 0.5) & (other.in_frame > 0.5)
    gap = other.base_px - one.base_px
    distance = np.hypot(gap[:, 0], gap[:, 1])
    towards = (one.velocity_px_s * gap).sum(axis=1) / np.maximum(distance, 1e-9)
    closing = -((other.velocity_px_s - one.velocity_px_s) * gap).sum(axis=1) / np.maximum(distance, 1e-9)
    near_px = _NEAR * (one.radius_px + other.radius_px)
    speed = np.hypot(one.velocity_px_s[:, 0], one.velocity_px_s[:, 1])
    straight_on = towards > np.maximum(_APPROACH_PX_S, _AIMED * speed)
    flags = both & straight_on & (closing > _APPROACH_PX_S)
    return [
        _event("approach", one, other, clock.seconds(run))
        for shot in clock.shots
        for run in _runs(flags, shot)
        if clock.lasts(run, _MIN_APPROACH_S) and distance[run[1] - 1] <= near_px
    ]


def _event(kind: str, subject: History, target: History, interval: tuple[float, float]) -> TrueEvent:
    return TrueEvent(
        kind="occlude" if kind == "occlude" else "approach",
        subject_entity_id=subject.entity_id,
        object_entity_id=target.entity_id,
        start_s=interval[0],
        end_s=interval[1],
    )
