"""What could be said of whom and when: of an interval, and on which occasions in the video."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from strefer_core.audit.deeds import WIDE, Deed, Sense, has_rest, matrix
from strefer_core.audit.scene import Flags, Floats, Interval, Ints, TrueScene
from strefer_core.claims import Span

LEAST_S = {"move": 0.3, "follow": 0.3, "stand": 0.6}  # of a stretch "sometime"; others need none
_REST_S = LEAST_S["stand"]  # everybody rests for a moment; motion is motion however short
_MOST = 0.5  # of the interval, for "through"
_SEEN = 0.7  # of the frames
_ON_FRAMES = ("visible", "at")  # what a single frame shows


@dataclass(frozen=True, slots=True)
class Occasion:
    """One time at which something happens. Its ends are as vague as the words: slow beginnings are."""

    start_s: float  # from here on somebody could say it
    begun_s: float  # by here everybody would
    ending_s: float  # up to here everybody would
    end_s: float


class Sayable:
    """Answers for one scene in one sense of the words; what is worked out once is kept."""

    def __init__(self, scene: TrueScene, sense: Sense = WIDE) -> None:
        self.scene = scene
        self.sense = sense
        self._lengths_s: Floats = scene.times_s[None] - scene.times_s[:, None]  # (T, T)
        self._matrices: dict[tuple[Deed, str], Flags] = {}
        self._rests: dict[str, Flags] = {}
        self._occasions: dict[tuple[Deed, str], list[Occasion]] = {}

    def could_say(self, what: Deed, who: str, window: Interval, span: Span) -> bool:
        """Whether a reasonable person could say that `who` (an entity id) does it in `window`.

        Raises:
            ValueError: the table does not have this kind.
        """
        if what.kind in _ON_FRAMES:
            return self._shows_in(what, who, self.scene.frames(window), span)
        if what.is_event:
            gap_s = self.scene.gap_s
            return self._could_stretch(what, who, (window[0] - gap_s, window[1] + gap_s), 0.0)
        most_s = _MOST * (window[1] - window[0])
        if span == "through":
            return self._lasts_s(what, who, window) >= most_s - self.scene.frame_s
        return self._could_stretch(what, who, window, min(LEAST_S.get(what.kind, 0.0), most_s))

    def occasions(self, what: Deed, who: str) -> list[Occasion]:
        """When it happens, in order; what no more than a pause lies between is one occasion."""
        key = (what, who)
        if key not in self._occasions:
            found = self._shown(what, who) if what.kind in _ON_FRAMES else self._whole_video(what, who)
            self._occasions[key] = joined(found, max(self.sense.pause_s, self.scene.gap_s))
        return self._occasions[key]

    def _whole_video(self, what: Deed, who: str) -> list[Interval]:
        return self._shortest(what, who, self.scene.whole, _REST_S if what.kind == "stand" else 0.0)

    def _shown(self, what: Deed, who: str) -> list[Interval]:
        times = np.append(self.scene.times_s, self.scene.duration_s)
        return [(float(times[t]), float(times[t + 1])) for t in np.flatnonzero(self._shows(what, who).any(0))]

    def _lasts_s(self, what: Deed, who: str, window: Interval) -> float:
        """How much of a window it takes up, to one who sees nothing but the window."""
        rest_s = min(_REST_S, _MOST * (window[1] - window[0])) if what.kind == "stand" else 0.0
        found = joined(self._shortest(what, who, window, rest_s), 0.0)
        return sum(one.end_s - one.start_s for one in found)

    def _shortest(self, what: Deed, who: str, window: Interval, least_s: float) -> list[Interval]:
        """Stretches of a window of which it could be said, and of no shorter one in them."""
        part, times = self._part(window), self.scene.times_s
        stretches = self._matrix(what, who)[part, part] & (self._lengths_s[part, part] >= least_s - 1e-6)
        if what.kind in ("move", "follow"):
            stretches &= ~self._has_rest(who)[part, part]
        starts = np.flatnonzero(stretches.any(axis=1))
        ends = stretches[starts].argmax(axis=1)
        latest = len(stretches) - 1 - stretches[::-1, ends].argmax(axis=0)
        kept = starts == latest
        return [
            (float(times[part.start + a]), float(times[part.start + b]))
            for a, b in zip(starts[kept], ends[kept], strict=True)
        ]

    def _has_rest(self, who: str) -> Flags:
        """(T, T): stretches with a rest inside, before and after which are two motions and not one."""
        if who not in self._rests:
            self._rests[who] = has_rest(self.scene, self.scene.tracks[who], _REST_S)
        return self._rests[who]

    def _could_stretch(self, what: Deed, who: str, window: Interval, least_s: float) -> bool:
        part = self._part(window)
        long_enough = self._lengths_s[part, part] >= least_s - 1e-6
        return bool((self._matrix(what, who)[part, part] & long_enough).any())

    def _part(self, window: Interval) -> slice:
        frames = self.scene.frames(window)
        return slice(int(frames[0]), int(frames[-1]) + 1)

    def _matrix(self, what: Deed, who: str) -> Flags:
        key = (what, who)
        if key not in self._matrices:
            self._matrices[key] = matrix(self.scene, self.scene.tracks[who], what, self.sense)
        return self._matrices[key]

    def _shows_in(self, what: Deed, who: str, frames: Ints, span: Span) -> bool:
        if what.kind == "at":  # where it is while it is seen
            frames = frames[self.scene.tracks[who].seen[frames]]
        shows = self._shows(what, who)[:, frames]
        if not shows.size:
            return False
        return bool(shows.mean(axis=1).max() >= _SEEN) if span == "through" else bool(shows.any())

    def _shows(self, what: Deed, who: str) -> Flags:
        """(2, T): by the whole thing and by what is seen of it; nobody minds which."""
        track = self.scene.tracks[who]
        if what.kind == "visible":
            return np.stack([track.seen, track.seen])
        return np.stack([track.seen & is_in(what.place, track.middles[:, way]) for way in (0, 1)])


def is_in(place: str | None, middles: Floats) -> Flags:
    """Which middles (N, 2), shares of the picture, lie in a part of it. Raises ValueError: no such part."""
    x, y = middles.T
    parts = {
        "left": x < 0.45,
        "right": x > 0.55,
        "middle": (x >= 0.3) & (x <= 0.7),
        "upper": y < 0.45,
        "lower": y > 0.55,
    }
    if place not in parts:
        raise ValueError(f"the picture has no part {place!r}; it has {', '.join(parts)}")
    return np.asarray(parts[place])


def joined(stretches: list[Interval], gap_s: float) -> list[Occasion]:
    """Stretches with no more than `gap_s` between them as one occasion."""
    kept: list[Occasion] = []
    for start_s, end_s in sorted(stretches):
        if kept and start_s <= kept[-1].end_s + gap_s:
            kept[-1] = replace(kept[-1], ending_s=start_s, end_s=max(kept[-1].end_s, end_s))
        else:
            kept.append(Occasion(start_s, end_s, start_s, end_s))
    return kept
