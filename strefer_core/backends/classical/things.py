"""The state of one tracked thing: where it is, how large, what it looks like."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance as looks
from strefer_core.backends.classical.templates import Template

Mask = NDArray[np.bool_]  # (H, W)

SAME_LOOKS = 0.55
"""Colour similarity from which a piece of foreground can be the thing."""

_DRIFT_SIMILARITY = 0.3
_LEARN_SIMILARITY = 0.75  # below it another thing may be mixed in
_LEARNING_RATE = 0.1


@dataclass(kw_only=True, eq=False)
class Thing:
    """State of one tracked thing while a pass runs."""

    start: int  # frame on which it joins
    mask: Mask
    reference: looks.Histogram = field(init=False)
    model: looks.Histogram = field(init=False)
    template: Template = field(init=False)  # with the parts that others hide
    area: float = 0.0  # smoothed area, px
    first_area: int = 1
    largest: int = 1
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # px per frame
    lost_frames: int = 0
    hidden_frames: int = 0  # of these, behind another thing: it is waited for there
    drifting: int = 0

    @property
    def typical_area(self) -> float:
        """Between where it began, which may be a part, and its largest, which may be a mistake."""
        return float(np.sqrt(self.first_area * self.largest))

    def begin(self, image: NDArray[np.uint8], index: looks.ColourIndex) -> None:
        self.reference = self.model = looks.histogram(index, self.mask)
        self.area = self.largest = self.first_area = max(int(self.mask.sum()), 1)
        self.centre = centre(self.mask)
        self.lost_frames = int(not self.mask.any())
        self.template = Template.cut(image, self.mask)

    def lose(self) -> None:
        self.mask = np.zeros_like(self.mask)
        self.lost_frames += 1
        self.hidden_frames = 0
        self.velocity = self.velocity * 0
        self.drifting = 0

    def hide(self) -> None:
        """Nothing is seen of it, but it must be behind another thing: its template moves on."""
        self.mask = np.zeros_like(self.mask)
        self.lost_frames += 1
        self.hidden_frames += 1
        self.drifting = 0

    def accept(self, mask: Mask, index: looks.ColourIndex, *, is_whole: bool = True) -> None:
        """Take a new mask: position, area and, where it still looks right, the colours.

        Where others hide a part of it (not `is_whole`), motion and size stay what they were.
        """
        here = centre(mask)
        area = int(mask.sum())
        was_lost = self.lost_frames > 0
        if is_whole:
            self.velocity = (
                self.velocity * 0 if was_lost else 0.5 * self.velocity + 0.5 * (here - self.centre)
            )
            self.area = area if was_lost else 0.7 * self.area + 0.3 * area
            self.largest = max(self.largest, area)
        self.mask, self.centre, self.lost_frames, self.hidden_frames = mask, here, 0, 0
        seen = looks.histogram(index, mask)
        agreement = looks.similarity(seen, self.reference)
        self.drifting = self.drifting + 1 if agreement < _DRIFT_SIMILARITY else 0
        if is_whole and agreement > _LEARN_SIMILARITY and area > 0.5 * self.largest:
            self.model = (1 - _LEARNING_RATE) * self.model + _LEARNING_RATE * seen


def centre(mask: Mask) -> NDArray[np.float64]:
    """Mean (x, y) of the set pixels; (0, 0) for an empty mask."""
    columns, rows = mask.sum(axis=0), mask.sum(axis=1)
    area = max(float(columns.sum()), 1e-9)
    return np.array([columns @ np.arange(len(columns)) / area, rows @ np.arange(len(rows)) / area])
