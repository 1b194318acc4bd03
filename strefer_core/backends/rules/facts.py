"""What is known of one thing of a video: its actions, when it is seen, where, and what is surely false.

Everything a question is made from comes from here, so a pair can be wrong only where a masklet or an
action is. "Surely false" is stricter than "not noticed": see `Thing.falsehoods`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo

Window = tuple[float, float]

ORDER_GAP_FRAMES = 2  # things that appear within one frame of each other have no sure order
UNTOLD_S = 0.5
_PLACES = {  # axis, least and greatest place of the centre as shares of the picture
    "on the left side of the picture": (0, 0.0, 0.38),
    "in the middle of the picture": (0, 0.42, 0.58),
    "on the right side of the picture": (0, 0.62, 1.0),
    "in the upper part of the picture": (1, 0.0, 0.38),
    "in the lower part of the picture": (1, 0.62, 1.0),
}
OPPOSITE_PLACE = {
    "on the left side of the picture": "on the right side of the picture",
    "on the right side of the picture": "on the left side of the picture",
    "in the upper part of the picture": "in the lower part of the picture",
    "in the lower part of the picture": "in the upper part of the picture",
}
_MOVE = dm.Action(kind="move", start_s=0.0, end_s=0.0)
_OPPOSITE_KIND = {"approach": "move_away", "move_away": "approach", "grow": "shrink", "shrink": "grow"}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One action of one thing, with the segment and clip that say so."""

    entity_id: str
    action: dm.Action
    source_ids: tuple[str, ...]

    @property
    def window(self) -> Window:
        return self.action.start_s, self.action.end_s


@dataclass(frozen=True, kw_only=True)
class Thing:
    """An entity with a masklet that is visible at least once."""

    entity: dm.Entity
    trail: geo.Trail
    facts: tuple[Fact, ...]  # over all clips, in order of start
    segments: tuple[dm.TranscriptSegment, ...]
    duration_s: float

    @property
    def id(self) -> str:
        return self.entity.entity_id

    @cached_property
    def first_frame(self) -> int:
        return int(np.flatnonzero(self.trail.visible)[0])

    @cached_property
    def is_always_visible(self) -> bool:
        return bool(self.trail.visible.all())

    @cached_property
    def seen(self) -> list[Window]:
        """Stretches of at least two frames, visible on each; to the video's end if on the last frame."""
        return self._stretches(True)

    @cached_property
    def unseen(self) -> list[Window]:
        """Stretches of at least three frames without a mask: shorter ones may be the tracker's."""
        return self._stretches(False)

    def _stretches(self, is_visible: bool) -> list[Window]:
        times, count = self.trail.times_s, len(self.trail.times_s)
        least = 2 if is_visible else 3
        return [
            (float(times[first]), self.duration_s if end == count else float(times[end - 1]))
            for flag, first, end in geo.runs([bool(item) for item in self.trail.visible])
            if flag is is_visible and end - first >= least
        ]

    def comes_once(self, is_visible: bool) -> bool:
        """Whether all frames in that state are one stretch, short ones counted."""
        flags = [bool(item) for item in self.trail.visible]
        return sum(flag is is_visible for flag, _, _ in geo.runs(flags)) == 1

    def is_visible_in(self, window: Window) -> bool:
        """Visible on every frame of the window, its end included, and on two at least."""
        part = self._over(window)
        return len(part.visible) >= 2 and bool(part.visible.all())

    def _over(self, window: Window) -> geo.Trail:
        times = self.trail.times_s
        return self.trail.select((times >= window[0]) & (times <= window[1]))

    def places(self, window: Window) -> list[str]:
        """Parts of the picture in which the thing's centre is all through the window."""
        if not self.is_visible_in(window):
            return []
        part = self._over(window)
        size = np.asarray(part.size_px, dtype=float)
        centers, extent = part.centers / size, (part.boxes[:, :, 1] - part.boxes[:, :, 0]) / size
        return [
            place
            for place, (axis, low, high) in _PLACES.items()
            if (centers[:, axis] >= low).all()
            and (centers[:, axis] <= high).all()
            and extent[:, axis].max() <= 0.5  # a thing this large has no place
        ]

    def done_in(self, window: Window, share: float = 0.6) -> list[Fact]:
        """Facts that take at least `share` of the window."""
        return [fact for fact in self.facts if shared_s(fact.window, window) >= share * _length(window)]

    def told_in(self, window: Window) -> list[Fact]:
        """Facts worth telling of the window: those that fill most of it, and those inside it."""
        return [
            fact
            for fact in self.facts
            if (shared := shared_s(fact.window, window)) >= 0.6 * _length(window)
            or shared >= 0.99 * _length(fact.window)
        ]

    def is_unique(self, fact: Fact) -> bool:
        """Whether the thing surely does this once only, so that words alone name the event.

        Short rests are no facts: "stays in place" is unique only where hardly a moment is untold.
        """
        alike = [other for other in self.facts if says_same(other.action, fact.action)]
        if fact.action.kind == "stand" and self._untold_s > UNTOLD_S:
            return False
        return len(alike) == 1

    @cached_property
    def _untold_s(self) -> float:
        """Time in view in which the thing is told neither to move nor to rest."""
        told = [fact.window for fact in self.facts if fact.action.kind in ("move", "stand")]
        return sum(map(_length, self.seen)) - sum(map(_length, told))

    def falsehoods(self, window: Window) -> list[dm.Action]:
        """Actions that the thing surely does not do within the window.

        A direction: no edge of its box ever goes that way. Standing: it travels all through. The
        opposite of a fact that fills the window. Never what merely went unnoticed.
        """
        part = self._over(window)
        is_whole = window == (0.0, self.duration_s)
        wrong: list[dm.Action] = []
        if part.visible.all() or is_whole:
            wrong += [
                _changed(_MOVE, window, direction=way) for way in geo.AXES if geo.never_moves(part, way)
            ]
        for fact in self.done_in(window):
            wrong += _opposites(fact.action, window)
            if fact.action.kind == "move" and shared_s(fact.window, window) >= 0.9 * _length(window):
                wrong.append(_changed(_MOVE, window, kind="stand"))
        done = [fact.action for fact in self.facts if shared_s(fact.window, window) > 0]
        return [item for item in wrong if not any(says_same(item, action) for action in done)]


def _opposites(action: dm.Action, window: Window) -> list[dm.Action]:
    if action.kind in _OPPOSITE_KIND:
        return [_changed(action, window, kind=_OPPOSITE_KIND[action.kind])]
    if action.kind in ("enter", "leave") and action.direction:
        return [_changed(action, window, direction=geo.OPPOSITE_SIDE[action.direction])]
    return []


def _changed(
    action: dm.Action, window: Window, kind: str | None = None, direction: str | None = None
) -> dm.Action:
    return dm.Action(
        kind=kind or action.kind,
        start_s=window[0],
        end_s=window[1],
        direction=direction or action.direction,
        other_entity_id=action.other_entity_id,
    )


def says_same(one: dm.Action, other: dm.Action) -> bool:
    """Whether two actions are told in the same words."""
    return (one.kind, one.direction, one.other_entity_id) == (
        other.kind,
        other.direction,
        other.other_entity_id,
    )


def _length(window: Window) -> float:
    return window[1] - window[0]


def shared_s(one: Window, other: Window) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
