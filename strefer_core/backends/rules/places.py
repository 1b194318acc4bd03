"""Parts of the picture: where a thing surely is all through an interval, and where it surely is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strefer_core.backends.rules.facts import Thing, Window


@dataclass(frozen=True)
class Place:
    """A part of the picture along one axis, as shares of it.

    The middle of a thing lies in `[surely_from, surely_to]` where it is said to be there, and outside
    `[maybe_from, maybe_to]` where it is said not to be.
    """

    ways: tuple[str, ...]  # ways to say it
    axis: int
    surely_from: float
    surely_to: float
    maybe_from: float
    maybe_to: float


PLACES = (
    Place(("on the left side of the picture", "on the left of the picture"), 0, 0, 0.38, 0, 0.5),
    Place(("in the middle of the picture",), 0, 0.4, 0.6, 0.25, 0.75),
    Place(("on the right side of the picture", "on the right of the picture"), 0, 0.62, 1, 0.5, 1),
    Place(("in the upper part of the picture", "in the top part of the picture"), 1, 0, 0.38, 0, 0.5),
    Place(("in the lower part of the picture", "in the bottom part of the picture"), 1, 0.62, 1, 0.5, 1),
)  # fmt: skip
_WIDEST = 0.5  # a thing that takes more than this share of the picture has no place


def places(thing: Thing, window: Window) -> list[Place]:
    """Where the middle of the thing is all through the window; nowhere if it is ever out of sight."""
    span = _span(thing, window)
    if span is None:
        return []
    low, high = span
    return [
        place
        for place in PLACES
        if place.surely_from <= low[place.axis] and high[place.axis] <= place.surely_to
    ]


def surely_not_at(thing: Thing, window: Window, place: Place) -> bool:
    """Whether nobody could say that the thing is there for most of the window."""
    span = _span(thing, window)
    if span is None:
        return False
    low, high = span
    return high[place.axis] < place.maybe_from or low[place.axis] > place.maybe_to


def _span(thing: Thing, window: Window) -> tuple[list[float], list[float]] | None:
    """The least and the greatest place of its middle along both axes, as shares of the picture.

    None where it is out of sight, or too large to be anywhere.
    """
    if not thing.is_visible_in(window):
        return None
    edges = thing.over(window).boxes / np.asarray(thing.trail.size_px, dtype=float)[:, None]
    if float(np.ptp(edges, axis=2).max()) > _WIDEST:
        return None
    middles = edges.mean(axis=2)
    return middles.min(axis=0).tolist(), middles.max(axis=0).tolist()
