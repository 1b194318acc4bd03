"""Match scores of tracks with words, with the errors of a referring model that looks at one image at a time.

What a mask shows on a frame is the thing that it overlaps best. The words of an expression fit their own
thing best, others the better the more they share. Three errors, all decided on the things in view and never
on the tracks that are asked about:

- Where the expression's thing is in view, it and the most similar other one of its generalized noun change
  places with chance `assign` (two tries between look-alikes). Frames near each other share these errors
  (`Noise.streak`).
- With chance `assign_persistent` they change places on all frames of the video, as when the words themselves
  are misunderstood.
- Where nothing that the words fit is in view, somebody absent above all, they fit the most similar thing with
  chance `false_accept` (a quarter of a try where it has another generalized noun). With chance `streak` all
  frames of the video share this error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Track
from strefer_core.backends.world.dice import Dice, raised
from strefer_core.backends.world.noise import Noise
from strefer_core.backends.world.scene import COVERS, Scene, ious
from strefer_core.backends.world.words import Query, Words, is_look_alike, queries, words_of
from strefer_core.errors import InputError
from strefer_core.masks import tight_box

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]  # (H, W)

# Mean scores. That of a look-alike is low enough for a yes at 0.5 to be given to one in twenty only: how
# often things are mixed up is what the rates say, not a second error hidden in the scores.
_SAME, _LOOK_ALIKE, _SAME_NOUN, _SAME_KIND, _UNLIKE = 0.8, 0.35, 0.25, 0.15, 0.05
_ACCEPTED = 0.7  # of a thing that is taken for one that is not in view
_SPREAD = 0.1
_ROUGH = 0.3  # share of a score that depends on how well the mask covers its thing
_OTHER_KIND = 0.25  # tries at a false acceptance of a thing of another generalized noun


class WorldAssigner:
    """Scores over one scene."""

    def __init__(self, scene: Scene, dice: Dice, noise: Noise) -> None:
        self._scene = scene
        self._dice = dice
        self._noise = noise
        self._words = words_of(scene.truth)
        self._queries = queries(scene.truth)

    def scores(self, tracks: Sequence[Track], entities: Sequence[dm.Entity], frames: Sequence[int]) -> Floats:
        """(frames, entities, tracks) scores, 0..1, NaN where a track has no mask on a frame.

        Raises:
            InputError: an expression that the truth does not know.
        """
        asked = [self._query(entity.expression) for entity in entities]
        result = np.full((len(frames), len(entities), len(tracks)), np.nan)
        for row, frame in enumerate(frames):
            fits = np.array([self._fits(query, frame) for query in asked])
            for column, track in enumerate(tracks):
                on = self._shown(frame, track.masks[self._scene.sampled[frame]])
                if on is not None and asked:
                    thing, overlap = on
                    cover = 1 - self._noise.doubt * _ROUGH * (1 - overlap)
                    result[row, :, column] = fits[:, thing] * cover
        return result

    def _query(self, expression: str) -> Query:
        truth = self._scene.truth
        try:
            return self._queries[expression]
        except KeyError:
            raise InputError(
                f"{expression!r} is no expression of world video {truth.seed}-{truth.index};"
                f" known: {', '.join(self._queries)}"
            ) from None

    def _shown(self, frame: int, mask: Mask) -> tuple[int, float] | None:
        """(thing, J) of a mask; the background is the thing after the last. None for an empty mask."""
        scene, box = self._scene, tight_box(mask)
        if box is None:
            return None
        best, best_overlap = scene.entity_count, 0.0
        for entity in np.flatnonzero(ious(np.asarray(box), scene.boxes[frame]) > 0):
            union = _union(box, scene.boxes[frame, entity])
            a, b = mask[union], scene.mask(int(entity), int(scene.sampled[frame]))[union]
            overlap = int((a & b).sum()) / int((a | b).sum())
            if overlap > best_overlap:
                best, best_overlap = int(entity), overlap
        return (best, best_overlap) if best_overlap >= COVERS else (scene.entity_count, 1.0)

    def _fits(self, query: Query, frame: int) -> Floats:
        """(E + 1,) how well the words fit each thing on a frame, and the background."""
        likeness = np.array([_likeness(query, *one) for one in enumerate(self._words)] + [_UNLIKE])
        ideal = (likeness == _SAME).astype(np.float64)
        mixed_up = self._mixed_up(query, frame, likeness)
        accepted = self._accepted(query, frame, likeness)
        if mixed_up:
            for values in (likeness, ideal):
                values[list(mixed_up)] = values[list(reversed(mixed_up))]
        if accepted is not None:
            likeness[accepted], ideal[accepted] = _ACCEPTED, 1
        draws = self._dice.normal("match", query.number, columns=len(ideal))[self._scene.position(frame)]
        likely = np.clip(likeness + _SPREAD * draws, 0, 1)
        return np.asarray(ideal + self._noise.doubt * (likely - ideal))

    def _mixed_up(self, query: Query, frame: int, likeness: Floats) -> tuple[int, int] | None:
        """Two things that change places for these words on this frame."""
        noise, everywhere = self._noise, np.ones(self._scene.entity_count, np.bool_)
        pair, tries = self._rivals(query, everywhere, likeness)
        if pair and self._dice.once("misunderstood", query.number) < raised(noise.assign_persistent, tries):
            return pair
        pair, tries = self._rivals(query, self._scene.visible[frame], likeness)
        now = self._dice.by_stretch("mixed up", query.number, share=noise.streak)
        if pair and now[self._scene.position(frame)] < raised(noise.assign, tries):
            return pair
        return None

    def _rivals(
        self, query: Query, here: NDArray[np.bool_], likeness: Floats
    ) -> tuple[tuple[int, int] | None, float]:
        """The query's thing and the most similar other of its generalized noun, and the tries at a mix-up."""
        kind = query.words.generalized_noun
        others = [
            place
            for place, one in enumerate(self._words)
            if here[place] and place not in query.targets and one.generalized_noun == kind
        ]
        targets = [place for place in query.targets if here[place]]
        if not others or not targets:
            return None, 0.0
        other = max(others, key=lambda place: likeness[place])
        return (targets[0], other), 2.0 if is_look_alike(query.words, self._words[other]) else 1.0

    def _accepted(self, query: Query, frame: int, likeness: Floats) -> int | None:
        """The thing in view that is taken for one that is not."""
        here = np.flatnonzero(self._scene.visible[frame])
        if not len(here) or set(query.targets) & set(here.tolist()):
            return None
        nearest = int(here[likeness[here].argmax()])
        tries = 1.0 if likeness[nearest] >= _SAME_KIND else _OTHER_KIND
        draws = self._dice.by_video("accepted", query.number, share=self._noise.streak)
        is_accepted = draws[self._scene.position(frame)] < raised(self._noise.false_accept, tries)
        return nearest if is_accepted else None


def _likeness(query: Query, place: int, one: Words) -> float:
    if place in query.targets:
        return _SAME
    if is_look_alike(query.words, one):
        return _LOOK_ALIKE
    if query.words.noun == one.noun:
        return _SAME_NOUN
    return _SAME_KIND if query.words.generalized_noun == one.generalized_noun else _UNLIKE


def _union(a: dm.Box, b: Floats) -> tuple[slice, slice]:
    x0, y0 = min(a[0], b[0]), min(a[1], b[1])
    x1, y1 = max(a[2], b[2]), max(a[3], b[3])
    return slice(int(y0), int(y1)), slice(int(x0), int(x1))
