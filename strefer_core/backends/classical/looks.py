"""Sums up one track: its colours, shape, size, place and way, from the sampled frames on which it is seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.attributes import (
    COLOUR_NAMES,
    colour_shares,
    person_score,
    shape_of,
)
from strefer_core.backends.classical.scene import Scene
from strefer_core.backends.classical.things import centre
from strefer_core.backends.interfaces import Footage, Masks

_LOOKS = 16  # frames that are looked at closely
_PERSON_SCORE = 0.35
_PERSON_FRAMES = 0.2  # HOG knows walking and standing only, so a few agreeing frames are enough
_SHAPE_FRAMES = 0.5


@dataclass(frozen=True, kw_only=True)
class Look:
    """What can be said of one track."""

    colours: NDArray[np.float64]  # share of the thing per colour of COLOUR_NAMES
    shapes: dict[str, float]  # share of the looks that show this outline
    person: float  # share of the looks on which HOG sees a person
    area_px: float  # median over visible frames, working pixels
    visible: float  # share of sampled frames
    active: float  # share of visible frames on which it visibly changes
    start: tuple[float, float]  # first centre, in shares of the frame's sides
    way: tuple[float, float]  # from first to last centre, camera motion taken out, in frame widths

    @property
    def colour(self) -> str:
        return COLOUR_NAMES[int(self.colours.argmax())]

    @property
    def shape(self) -> str | None:
        shape, share = max(self.shapes.items(), key=lambda item: item[1], default=("", 0.0))
        return shape if share >= _SHAPE_FRAMES else None

    @property
    def is_person(self) -> bool:
        return self.shape is None and self.person >= _PERSON_FRAMES

    @property
    def direction(self) -> str | None:
        """Where it goes, if it clearly goes one way."""
        dx, dy = self.way
        if max(abs(dx), abs(dy)) < 0.12 or 0.6 < abs(dx) / max(abs(dy), 1e-9) < 1.7:
            return None
        if abs(dx) > abs(dy):
            return "right" if dx > 0 else "left"
        return "down" if dy > 0 else "up"


def look_at(footage: Footage, scene: Scene, masks: Masks) -> Look | None:
    """Describe a track (T, H, W); None where it is on no sampled frame."""
    seen = [int(t) for t in footage.sampled if masks[t].any()]
    if not seen:
        return None
    areas = np.array([masks[t].sum() for t in seen], float)
    whole = [t for t, area in zip(seen, areas, strict=True) if area >= 0.6 * np.median(areas)]
    close = [whole[i] for i in np.unique(np.linspace(0, len(whole) - 1, _LOOKS).astype(int))]
    shapes = Counter(shape for t in close if (shape := shape_of(masks[t])))
    people = [person_score(footage.images[t], masks[t]) for t in close]
    height, width = masks.shape[1:]
    start = centre(masks[seen[0]])
    return Look(
        colours=np.mean([colour_shares(footage.images[t], masks[t]) for t in close], axis=0),
        shapes={shape: count / len(close) for shape, count in shapes.items()},
        person=float(np.mean([score >= _PERSON_SCORE for score in people])),
        area_px=float(np.median(areas)),
        visible=len(seen) / len(footage.sampled),
        active=float(np.mean([scene.moving[t][masks[t]].mean() > 0.03 for t in seen])),
        start=(float(start[0] / width), float(start[1] / height)),
        way=_way(scene, masks, seen),
    )


def _way(scene: Scene, masks: Masks, seen: list[int]) -> tuple[float, float]:
    """Displacement within the shot in which the thing is seen longest, in frame widths."""
    shots = [int(scene.shot[t]) for t in seen]
    main = Counter(shots).most_common(1)[0][0]
    inside = [t for t, shot in zip(seen, shots, strict=True) if shot == main]
    ends = [scene.to_reference[t] @ np.append(centre(masks[t]), 1) for t in (inside[0], inside[-1])]
    dx, dy = (ends[1] - ends[0])[:2] / masks.shape[2]
    return float(dx), float(dy)
