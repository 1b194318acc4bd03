"""What is known of one thing of a video: its actions, when it is seen, and where.

Everything a question asserts comes from here, so a pair can be wrong only where a masklet or an action
is. What is surely *not* so: see `denials`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo

Window = tuple[float, float]

LASTING = ("move", "stand", "follow", "approach", "move_away", "grow", "shrink")
FILLS = 0.9  # share of a window that what is done "between ... and ..." takes at least
_UNSEEN_FRAMES = 3  # shorter gaps may be the tracker's
_EDGE_FRAMES = 1  # of an unseen stretch that are not spoken of, at either end: a rest of it may show there
FRAME_S = 1e-6  # two times nearer than this are those of one frame
_WHOLE = 0.95  # share of its usual area from which on nothing of a thing is missing
_SPLITS = 3  # parts of a stretch in view that are worth asking about


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One action of one thing, with the segment and clip that say so."""

    entity_id: str
    action: dm.Action
    source_ids: tuple[str, ...]

    @property
    def window(self) -> Window:
        return self.action.start_s, self.action.end_s

    @property
    def is_lasting(self) -> bool:
        return self.action.kind in LASTING


@dataclass(frozen=True, kw_only=True, eq=False)
class Thing:
    """An entity with a masklet that is visible at least once."""

    entity: dm.Entity
    trail: geo.Trail
    facts: tuple[Fact, ...]  # over all clips, in order of start
    segments: tuple[dm.TranscriptSegment, ...]
    duration_s: float
    _parts: dict[Window, geo.Trail] = field(default_factory=dict)

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
    def extent(self) -> Window:
        """From the first to the last frame in view."""
        shown = self.trail.times_s[self.trail.visible]
        return float(shown[0]), float(shown[-1])

    def passage(self, window: Window) -> Window:
        """The window of a coming or going, with all the time next to it in which only a part is in view."""
        is_part = (self.trail.wholeness < _WHOLE) & self.trail.visible
        times = self.trail.times_s
        before = np.flatnonzero((times <= window[0] + FRAME_S) & ~is_part)
        after = np.flatnonzero((times >= window[1] - FRAME_S) & ~is_part)
        first = before[-1] if len(before) else 0
        last = after[0] if len(after) else len(times) - 1
        return float(times[first]), float(times[last])

    def known_about(self, window: Window) -> Window | None:
        """The interval about the window on which its middle is known, within one shot; None: not all."""
        times, unknown = self.trail.times_s, -1
        places = np.where(self.trail.known, self.trail.shots, unknown).tolist()
        for place, first, end in geo.runs(places):
            start_s, end_s = float(times[first]), float(times[end - 1])
            if place != unknown and start_s - FRAME_S <= window[0] and window[1] <= end_s + FRAME_S:
                return start_s, end_s
        return None

    @cached_property
    def gap_s(self) -> float:
        """Usual time between two sampled frames: no end of an interval is known better than that."""
        return self.trail.frame_gap_s

    @cached_property
    def seen(self) -> list[Window]:
        """Stretches of at least two frames, visible on each; to the video's end if on the last frame."""
        return [self._span(first, end) for first, end in self._stretches(True) if end - first >= 2]

    @cached_property
    def unseen(self) -> list[Window]:
        """Stretches without a mask and without their outermost frames, where something may still show."""
        found = []
        for first, end in self._stretches(False):
            if end - first < _UNSEEN_FRAMES:
                continue
            first += _EDGE_FRAMES if first else 0
            end -= _EDGE_FRAMES if end < len(self.trail.times_s) else 0
            if end - first > 1:
                found.append(self._span(first, end))
        return found

    @cached_property
    def hidden(self) -> list[Window]:
        """The whole of each stretch without a mask, from its first frame to the first with a mask again."""
        return [
            (float(self.trail.times_s[first]), self._at(end))
            for first, end in self._stretches(False)
            if end - first >= _UNSEEN_FRAMES
        ]

    def _stretches(self, is_visible: bool) -> list[tuple[int, int]]:
        flags = [bool(item) for item in self.trail.visible]
        return [(first, end) for flag, first, end in geo.runs(flags) if flag is is_visible]

    def _span(self, first: int, end: int) -> Window:
        """From a frame to the last one before `end`; to the video's end from its last frame on."""
        last = self.duration_s if end == len(self.trail.times_s) else float(self.trail.times_s[end - 1])
        return float(self.trail.times_s[first]), last

    def _at(self, frame: int) -> float:
        return float(self.trail.times_s[frame]) if frame < len(self.trail.times_s) else self.duration_s

    def stretches(self, is_visible: bool) -> int:
        """How often it is in that state, short times counted."""
        return len(self._stretches(is_visible))

    def over(self, window: Window) -> geo.Trail:
        """The frames of the window, its end included."""
        if window not in self._parts:
            times = self.trail.times_s
            self._parts[window] = self.trail.select(
                (times >= window[0] - FRAME_S) & (times <= window[1] + FRAME_S)
            )
        return self._parts[window]

    def is_visible_in(self, window: Window) -> bool:
        """Visible on every frame of the window, its end included, and on two at least."""
        visible = self.over(window).visible
        return len(visible) >= 2 and bool(visible.all())

    @cached_property
    def parts_seen(self) -> list[Window]:
        """Each stretch in view in up to three parts, cut at frame times."""
        times, found = self.trail.times_s, []
        for first, end in self.seen:
            inner = [float(t) for t in times if first <= t <= end]
            count = min(_SPLITS, len(inner) - 1)
            cuts = [inner[round(i * (len(inner) - 1) / count)] for i in range(count + 1)] if count > 0 else []
            found += [part for part in pairwise(cuts) if self.is_visible_in(part)]
        return found

    @cached_property
    def windows(self) -> list[Window]:
        """Intervals worth asking about: of each lasting fact, and the parts in view."""
        found = [fact.window for fact in self.facts if fact.is_lasting]
        return list(dict.fromkeys([*found, *self.parts_seen]))

    def filling(self, window: Window) -> list[Fact]:
        """Facts that take (nearly) all of the window."""
        least = FILLS * length(window)
        return [f for f in self.facts if f.is_lasting and shared_s(f.window, window) >= least]


def says_same(one: dm.Action, other: dm.Action) -> bool:
    """Whether two actions are told in the same words."""
    return meaning(one) == meaning(other)


def meaning(action: dm.Action) -> tuple[str, str | None, str | None]:
    """What is said of an action, without its time."""
    return action.kind, action.direction, action.other_entity_id


def at(action: dm.Action, window: Window) -> dm.Action:
    """The same action over another interval."""
    return dm.Action(
        kind=action.kind,
        start_s=window[0],
        end_s=window[1],
        direction=action.direction,
        other_entity_id=action.other_entity_id,
    )


def distinct(facts: Sequence[Fact]) -> list[Fact]:
    """One fact per meaning, the first of each."""
    return list({meaning(fact.action): fact for fact in reversed(facts)}.values())[::-1]


def length(window: Window) -> float:
    return window[1] - window[0]


def shared_s(one: Window, other: Window) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
