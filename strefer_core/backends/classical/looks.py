"""Sums up one track: its colours, pattern, shape, size, place and way, from frames on which it is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.attributes import COLOUR_NAMES, SHAPES, colour_shares, outlines_of
from strefer_core.backends.classical.patterns import PATTERNS, pattern_shares
from strefer_core.backends.classical.people import person_score
from strefer_core.backends.classical.scene import Scene
from strefer_core.backends.classical.things import centre
from strefer_core.backends.interfaces import Footage, Masks

_LOOKS = 16  # frames that are looked at closely
_PERSON_SCORE = 0.35
_PERSON_FRAMES = 0.2  # HOG knows walking and standing only, so a few agreeing frames are enough
_SHAPE_FRAMES = 0.5
_MOVES = 0.02  # frame widths: so far it may be said to go somewhere
_WHOLE = 0.6  # of the median area: smaller masks show a part


@dataclass(frozen=True, kw_only=True)
class Look:
    """What can be said of one track."""

    colours: NDArray[np.float64]  # share of the thing per colour of COLOUR_NAMES
    patterns: NDArray[np.float64]  # how much it shows each of PATTERNS
    shapes: dict[str, float]  # mean over the looks of `attributes.outlines_of`
    person: float  # share of the looks on which HOG sees a person
    area_px: float  # median over visible frames, working pixels
    visible: float  # share of sampled frames
    active: float  # share of visible frames on which it visibly changes
    start: tuple[float, float]  # first centre, in shares of the frame's sides
    way: tuple[float, float]  # from first to last centre, camera motion taken out, in frame widths
    moves: frozenset[str]  # "left", "right", "up", "down": where it goes at any time
    extent: float  # longer side of the box around its centres, camera motion taken out, in frame widths

    @property
    def colour(self) -> str:
        return COLOUR_NAMES[int(self.colours.argmax())]

    @property
    def pattern(self) -> str:
        return PATTERNS[int(self.patterns.argmax())]

    @property
    def shape(self) -> str | None:
        """The outline that most looks show, if it is one of SHAPES."""
        shape = max(SHAPES, key=lambda one: self.shapes.get(one, 0.0))
        return shape if self.shapes.get(shape, 0.0) >= _SHAPE_FRAMES else None

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


class Glance:
    """One mask (H, W) on one RGB image (H, W, 3); each finding is computed when first asked for."""

    def __init__(self, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
        self._image, self._mask = image, mask

    @cached_property
    def colours(self) -> NDArray[np.float64]:
        return colour_shares(self._image, self._mask)

    @cached_property
    def patterns(self) -> NDArray[np.float64] | None:
        return pattern_shares(self._image, self._mask)

    @cached_property
    def shapes(self) -> dict[str, float]:
        return outlines_of(self._mask)

    @cached_property
    def person(self) -> float:
        return person_score(self._image, self._mask)


class Album:
    """The glances at one track's masks (T, H, W), kept so that several looks can share them."""

    def __init__(self, footage: Footage, scene: Scene, masks: Masks) -> None:
        self._footage, self._scene, self._masks = footage, scene, masks
        self.seen = [int(t) for t in footage.sampled if masks[t].any()]
        self._areas = {t: int(masks[t].sum()) for t in self.seen}
        self._glances: dict[int, Glance] = {}

    def look(self, at: Sequence[int] | None = None) -> Look | None:
        """Describe the track, by its whole life or by its looks on some of the frames of `seen`.

        Way and place are those of the whole life in any case. None for a track that is on no sampled frame.
        """
        frames = self.seen if at is None else list(at)
        if not frames:
            return None
        typical = float(np.median([self._areas[t] for t in frames]))
        whole = [t for t in frames if self._areas[t] >= _WHOLE * typical]
        close = [
            self._glance(whole[i]) for i in np.unique(np.linspace(0, len(whole) - 1, _LOOKS).astype(int))
        ]
        shapes = sorted({shape for glance in close for shape in glance.shapes})
        patterns = [glance.patterns for glance in close if glance.patterns is not None]
        height, width = self._masks.shape[1:]
        start = centre(self._masks[self.seen[0]])
        return Look(
            colours=np.mean([glance.colours for glance in close], axis=0),
            patterns=np.mean(patterns, axis=0) if patterns else np.full(len(PATTERNS), 1 / len(PATTERNS)),
            shapes={shape: float(np.mean([g.shapes.get(shape, 0.0) for g in close])) for shape in shapes},
            person=float(np.mean([glance.person >= _PERSON_SCORE for glance in close])),
            area_px=typical,
            visible=len(frames) / len(self._footage.sampled),
            active=float(np.mean([self._scene.moving[t][self._masks[t]].mean() > 0.03 for t in frames])),
            start=(float(start[0] / width), float(start[1] / height)),
            way=self._way,
            moves=self._moves,
            extent=float(np.ptp(self._places, axis=0).max()),
        )

    def _glance(self, t: int) -> Glance:
        if t not in self._glances:
            self._glances[t] = Glance(self._footage.images[t], self._masks[t])
        return self._glances[t]

    @cached_property
    def _way(self) -> tuple[float, float]:
        """From the first to the last place."""
        dx, dy = self._places[-1] - self._places[0]
        return float(dx), float(dy)

    @cached_property
    def _moves(self) -> frozenset[str]:
        """Directions of which some stretch of the way goes at least `_MOVES`."""
        found = set()
        for axis, (back, forth) in enumerate((("left", "right"), ("up", "down"))):
            along = self._places[:, axis]
            if (along - np.minimum.accumulate(along)).max() >= _MOVES:
                found.add(forth)
            if (np.maximum.accumulate(along) - along).max() >= _MOVES:
                found.add(back)
        return frozenset(found)

    @cached_property
    def _places(self) -> NDArray[np.float64]:
        """(n, 2) centres within the shot in which the thing is seen longest, in frame widths."""
        shots = [int(self._scene.shot[t]) for t in self.seen]
        main = Counter(shots).most_common(1)[0][0]
        inside = [t for t, shot in zip(self.seen, shots, strict=True) if shot == main]
        places = [self._scene.to_reference[t] @ np.append(centre(self._masks[t]), 1) for t in inside]
        return np.asarray(places)[:, :2] / self._masks.shape[2]
