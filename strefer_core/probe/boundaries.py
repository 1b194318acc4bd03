"""How right the borders of clips are, against a world's truth: precision, recall and F1.

Knows nothing of how clips are made: borders are times. Two kinds of true borders are told apart: *cuts*,
which are frames, and *events*: somebody comes into view or goes out of it within a shot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from strefer_core.world.truth import WorldTruth

EVENT_TOLERANCE_S = 0.5
"""An entering or leaving takes about this long; events nearer to each other are one change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matches:
    """Counts of one or more videos; they add up."""

    found: int  # borders told
    true: int  # borders that there are
    right: int  # pairs of one told and one true border, each used once

    @property
    def precision(self) -> float | None:
        """Share of told borders that are right; None where none was told."""
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of true borders that were told; None where there are none."""
        return self.right / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None where there is nothing to tell and nothing was told."""
        both = self.found + self.true
        return 2 * self.right / both if both else None

    def __add__(self, other: Matches) -> Matches:
        return Matches(
            found=self.found + other.found, true=self.true + other.true, right=self.right + other.right
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BorderScore:
    """The told borders of one or more videos.

    One that is neither at a cut nor at an event is wrong in all three; one at a cut says nothing of how well
    events are told, and the other way round.
    """

    cuts: Matches
    events: Matches
    all: Matches  # told borders against cuts and events together

    def __add__(self, other: BorderScore) -> BorderScore:
        return BorderScore(
            cuts=self.cuts + other.cuts, events=self.events + other.events, all=self.all + other.all
        )


NO_MATCHES = Matches(found=0, true=0, right=0)
NO_BORDERS = BorderScore(cuts=NO_MATCHES, events=NO_MATCHES, all=NO_MATCHES)


def score(borders_s: Sequence[float], truth: WorldTruth) -> BorderScore:
    """Compare the inner borders of a video's clips (s, without 0 and the end) with the truth.

    A cut is told within one frame, an event within `EVENT_TOLERANCE_S`; cuts are matched first.
    """
    at_cuts = matched(borders_s, truth.cuts_s, float(1 / truth.fps) + 1e-6)
    rest = [border for i, border in enumerate(borders_s) if i not in {told for told, _ in at_cuts}]
    changes = event_times_s(truth)
    events = len(matched(rest, changes, EVENT_TOLERANCE_S))
    wrong = len(rest) - events
    return BorderScore(
        cuts=Matches(found=len(at_cuts) + wrong, true=len(truth.cuts_s), right=len(at_cuts)),
        events=Matches(found=events + wrong, true=len(changes), right=events),
        all=Matches(found=len(borders_s), true=len(truth.cuts_s) + len(changes), right=len(at_cuts) + events),
    )


def event_times_s(truth: WorldTruth) -> list[float]:
    """Times at which who is in view changes within a shot: the middle of every entering and leaving.

    What follows within `EVENT_TOLERANCE_S` of such a change belongs to it. What is hidden behind something
    stays in view: a clip does not end because somebody passes behind a pillar.
    """
    middles = sorted(
        (action.start_s + action.end_s) / 2
        for entity in truth.entities
        for action in entity.actions
        if action.kind in ("enter", "leave")
    )
    changes: list[float] = []
    for time_s in middles:
        if not changes or time_s - changes[-1] > EVENT_TOLERANCE_S:
            changes.append(time_s)
    return changes


def matched(told_s: Sequence[float], true_s: Sequence[float], tolerance_s: float) -> list[tuple[int, int]]:
    """Most pairs (place in `told_s`, place in `true_s`) within the tolerance, each place used once."""
    if not told_s or not true_s:
        return []
    apart = np.abs(np.subtract.outer(np.asarray(told_s, float), np.asarray(true_s, float)))
    cost = np.where(apart <= tolerance_s, apart / (tolerance_s * 1e3), 1.0)  # a pair more beats any nearness
    rows, columns = linear_sum_assignment(cost)
    return [(int(a), int(b)) for a, b in zip(rows, columns, strict=True) if apart[a, b] <= tolerance_s]
