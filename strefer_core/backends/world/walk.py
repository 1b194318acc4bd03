"""On whom a track lies, frame by frame: a state machine over identities, walked from the anchor to one side.

A track *holds* its thing, is *lost* in view of it (and may find it again at every step, `recover`), or is
*gone*: it did not resume when its thing came back, and waits for the next time that it does.

- In view, a step loses the thing with chance `loss`, raised by one try per unit of strain, and with chance
  `blur_loss` times the share of its side that it smears over; a hop of more than its own size adds tries.
- A thing that was away (hidden, out of the frame, in another shot) is not resumed with chance `reentry`,
  compounded over every second away; a cut alone counts as one second.
- When the box of the thing begins to touch a look-alike's (same noun and colour), and when a look-alike shows
  up while the thing is away, the track jumps to it with chance `switch`; to others of the same generalized
  noun with a quarter of a try.
- A track begun on a poor view meets more of all of these: one try more per two units of strain there.

How the chances depend on gaps, hops, strain and the start is an assumption in the spirit of SAM 2's memory
(the prompted frame and the last six frames, arXiv 2408.00714): recent looks are forgotten after some frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.world.dice import Dice, raised
from strefer_core.backends.world.noise import Noise
from strefer_core.backends.world.scene import Scene
from strefer_core.backends.world.words import is_look_alike, words_of

Floats = NDArray[np.float64]
Anchor = tuple[int, ...]  # what tells two tracks apart: the box and the frame that they began with

_SAME_KIND = 0.25  # tries at a switch to a thing of the same generalized noun, against one to a look-alike
_CUT_S = 1.0  # a cut is as hard as this long an absence
_DRIFT_STEP = 0.12  # way per step of a mask that slides off, in sides of its thing
_MOST_DRIFT = 1.2


@dataclass(frozen=True)
class Walk:
    """What a track lies on, on every sampled frame."""

    who: NDArray[np.int64]  # (F,) entity, -1 where the mask is empty
    held: NDArray[np.int64]  # (F,) entity that it would show were it in view, -1 where it is lost or gone
    slid: Floats  # (F,) how far the mask has slid off, in sides of its thing


@dataclass
class _State:
    """Where a walk stands."""

    who: int
    state: Literal["held", "lost", "gone"]
    seen: int  # sampled frame on which its thing was last in view
    drifting_for: int = 0  # steps since the mask began to slide; 0 before
    met: tuple[int, ...] = ()  # look-alikes that showed up while the thing is away


class Walker:
    """Walks tracks over one scene; results depend on nothing but their arguments."""

    def __init__(self, scene: Scene, dice: Dice, noise: Noise) -> None:
        self._scene = scene
        self._dice = dice
        self._noise = noise
        self._similar = _similarities(scene)

    def walk(self, entity: int, start: int, anchor: Anchor, directions: Sequence[int] = (1, -1)) -> Walk:
        """Carry a track of an entity from sampled frame `start`, forward (1) and backward (-1)."""
        scene = self._scene
        who, held = np.full((2, scene.frame_count), -1)
        slid = np.zeros(scene.frame_count)
        who[start] = held[start] = entity
        tries = 1 + float(scene.strain[start, entity]) / 2
        for direction in directions:
            side = _Side(scene, self._dice, self._noise, self._similar, direction, anchor, tries)
            now = _State(who=entity, state="held", seen=start)
            for frame in range(start + direction, scene.frame_count if direction > 0 else -1, direction):
                side.step(now, frame)
                slid[frame] = min(now.drifting_for * _DRIFT_STEP, _MOST_DRIFT)
                if now.state == "held":
                    held[frame] = now.who
                    who[frame] = now.who if scene.visible[frame, now.who] else -1
        return Walk(who, held, slid)


@dataclass(frozen=True)
class _Side:
    """One direction of one track."""

    scene: Scene
    dice: Dice
    noise: Noise
    similar: Floats  # (E, E) tries at a switch
    direction: int
    anchor: Anchor
    tries: float  # how often each chance is met, from the view that the track began on
    drawn: dict[tuple[str | int, ...], Floats] = field(default_factory=dict)

    def step(self, now: _State, frame: int) -> None:
        """Move to the next frame."""
        before = frame - self.direction
        if not self.scene.visible[frame, now.who]:
            self._look_around(now, frame)
        elif now.seen != before or self.scene.shots[frame] != self.scene.shots[before]:
            self._return(now, frame)
        elif now.state == "held":
            self._carry_on(now, before, frame)
        elif now.state == "lost" and self._happens("recover", now.who, frame, self.noise.recover):
            now.state = "held"
        if self.scene.visible[frame, now.who]:
            now.seen, now.met = frame, ()

    def _look_around(self, now: _State, frame: int) -> None:
        """The thing is away: a look-alike that shows up may be taken for it."""
        here = self.scene.visible[frame] & (self.similar[now.who] > 0)
        for other in np.flatnonzero(here):
            if other in now.met:
                continue
            now.met += (int(other),)
            if self._jumps("take over", now.who, int(other), frame):
                now.who, now.state, now.drifting_for = int(other), "held", 0
                return

    def _return(self, now: _State, frame: int) -> None:
        away_s = abs(self.scene.pts_s[frame] - self.scene.pts_s[now.seen])
        if self.scene.shots[frame] != self.scene.shots[now.seen]:
            away_s = max(away_s, _CUT_S)
        failed = raised(self.noise.reentry, away_s / 1.0 * self.tries)
        now.state = "gone" if self._happens("reentry", now.who, frame, failed) else "held"

    def _carry_on(self, now: _State, before: int, frame: int) -> None:
        if self._switch(now, before, frame):
            return
        noise, who = self.noise, now.who
        hop = float(self.scene.hops[min(before, frame), who])
        tries = self.tries * (1 + float(self.scene.strain[frame, who]) + max(0.0, hop - 1))
        kept = (1 - noise.loss) ** tries
        kept *= (1 - noise.blur_loss * float(self.scene.blurriness[frame, who])) ** self.tries
        if self._happens("loss", who, frame, 1 - kept):
            now.state = "lost"
        if now.drifting_for or self._happens("drift", who, frame, raised(noise.drift, self.tries)):
            now.drifting_for += 1

    def _switch(self, now: _State, before: int, frame: int) -> bool:
        """Contacts that begin with this frame."""
        touching = self.scene.touching
        fresh = touching[frame, now.who] & ~touching[before, now.who] & (self.similar[now.who] > 0)
        for other in np.flatnonzero(fresh):
            if self._jumps("switch", now.who, int(other), frame):
                now.who, now.drifting_for = int(other), 0
                return True
        return False

    def _jumps(self, kind: str, who: int, other: int, frame: int) -> bool:
        chance = raised(self.noise.switch, float(self.similar[who, other]) * self.tries)
        return self._happens(kind, who, frame, chance, other)

    def _happens(self, kind: str, who: int, frame: int, chance: float, *more: int) -> bool:
        if chance <= 0:
            return False
        key = who, self.direction + 1, *more
        if (kind, *key) not in self.drawn:
            draws = self.dice.by_anchor(kind, *key, anchor=self.anchor, share=self.noise.shared)
            self.drawn[kind, *key] = draws
        return bool(self.drawn[kind, *key][self.scene.position(frame)] < chance)


def _similarities(scene: Scene) -> Floats:
    """(E, E) tries at a switch from one thing to another."""
    words = words_of(scene.truth)
    tries = np.zeros((len(words), len(words)))
    for a, one in enumerate(words):
        for b, other in enumerate(words):
            if a != b and is_look_alike(one, other):
                tries[a, b] = 1
            elif a != b and one.generalized_noun == other.generalized_noun:
                tries[a, b] = _SAME_KIND
    return tries
