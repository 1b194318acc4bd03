"""Whom words fit, of those who are truly in a world video; and on whom a masklet lies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strefer_core import data_model as dm
from strefer_core import masks
from strefer_core.audit.deeds import Deed
from strefer_core.audit.sayable import Sayable
from strefer_core.audit.scene import TrueScene
from strefer_core.world.truth import Decoy, TrueEntity

ON_IT = 0.5  # IoU of a mask that lies on somebody

_ANY_NOUN = {"thing", "things", "one", "object", "objects", "something", "somebody"}
_SIZES = ("small", "medium", "large")
_QUALIFIED = re.compile(
    r"(?:(?:the|an?) )?(?P<head>.*?)(?: in (?P<colour>\w+))?(?: on the (?P<side>left|right))?"
    r"(?: that (?:moves|goes|is moving|is going) (?:to the |towards the )?(?P<way>left|right|up|down))?"
)

Figure = TrueEntity | Decoy


@dataclass(frozen=True)
class _Words:
    """ "the small red star on the left" in parts; None where nothing is said."""

    noun: str
    adjectives: frozenset[str]
    size: str | None
    side: str | None
    way: str | None
    is_moving: bool


class Naming:
    """Answers for one scene."""

    def __init__(self, scene: TrueScene, sayable: Sayable) -> None:
        self._scene = scene
        self._sayable = sayable
        self._figures: tuple[Figure, ...] = (*scene.truth.entities, *scene.truth.decoys)
        self._fitting: dict[str, tuple[Figure, ...]] = {}

    def fitting(self, words: str) -> tuple[Figure, ...]:
        """Everybody whom the words fit, decoys of the place included."""
        if words not in self._fitting:
            self._fitting[words] = self._fit(_parse(words))
        return self._fitting[words]

    def _fit(self, words: _Words) -> tuple[Figure, ...]:
        alike = [one for one in self._figures if _looks(one, words)]
        found = [one for one in alike if words.size in (None, dict(one.attributes).get("size"))]
        found = found or _by_comparison(alike, words.size)
        if words.side:
            found = self._on_side(found, words.side)
        if words.way or words.is_moving:
            found = [one for one in found if self._goes(one, words.way)]
        return tuple(found)

    def _on_side(self, alike: list[Figure], side: str) -> list[Figure]:
        """The one that is the furthest to that side when it is first seen."""
        starts = {one.entity_id: self._start_x(one) for one in alike if isinstance(one, TrueEntity)}
        if not starts:
            return []
        best = (
            min(starts, key=lambda who: starts[who])
            if side == "left"
            else max(starts, key=starts.__getitem__)
        )
        return [one for one in alike if isinstance(one, TrueEntity) and one.entity_id == best]

    def _start_x(self, one: TrueEntity) -> float:
        track = self._scene.tracks[one.entity_id]
        seen = np.flatnonzero(track.seen)
        return float(track.middles[seen[0], 1, 0]) if len(seen) else float("nan")

    def _goes(self, one: Figure, way: str | None) -> bool:
        deed = Deed(kind="move", direction=way)
        return isinstance(one, TrueEntity) and self._sayable.could_say(
            deed, one.entity_id, self._scene.whole, "sometime"
        )

    def lies_on(self, masklet: dm.Masklet) -> str | None:
        """The entity on which a masklet lies on most frames with a mask; None: on nobody."""
        positions = np.searchsorted(self._scene.times_s, np.asarray(masklet.frames_pts_s) - 1e-3)
        shown = [(mask, int(at)) for mask, at in zip(masklet.masks, positions, strict=True) if mask]
        votes = Counter(who for mask, at in shown for who in self._under(mask, at))
        best = max(votes, key=lambda who: votes[who], default=None)
        return best if best is not None and votes[best] > len(shown) / 2 else None

    def _under(self, mask: dm.Rle, frame: int) -> list[str]:
        return [
            one.entity_id
            for one in self._scene.truth.entities
            if masks.rle_iou(mask, one.masks[frame]) >= ON_IT
        ]


def _parse(text: str) -> _Words:
    found = _QUALIFIED.fullmatch(text.lower().strip())
    assert found is not None  # every part of it may be empty
    *before, noun = found["head"].split() or [""]
    said = {*before, *([found["colour"]] if found["colour"] else [])}
    size = next((word for word in _SIZES if word in said), None)
    looks = frozenset(said - {size, "moving"})
    return _Words(noun, looks, size, found["side"], found["way"], "moving" in said)


def _looks(one: Figure, words: _Words) -> bool:
    """Noun, colour and pattern; sizes are another matter."""
    noun_fits = words.noun in _ANY_NOUN or words.noun in (one.noun, one.generalized_noun)
    attributes = dict(one.attributes)
    return noun_fits and words.adjectives <= {attributes.get("colour"), attributes.get("pattern")}


def _by_comparison(alike: Sequence[Figure], size: str | None) -> list[Figure]:
    """Beside a large one, one of medium size is small."""
    order = {name: place for place, name in enumerate(_SIZES)}
    sizes = [order.get(dict(one.attributes).get("size", ""), 1) for one in alike]
    if size not in ("small", "large") or len(set(sizes)) < 2:
        return []
    wanted = min(sizes) if size == "small" else max(sizes)
    return [one for one, place in zip(alike, sizes, strict=True) if place == wanted]
