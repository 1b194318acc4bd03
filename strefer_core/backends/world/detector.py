"""Boxes of what can be seen, with the errors of an open-vocabulary detector.

A thing is missed with chance `miss`, raised by what strains the eye (see `Scene.strain`): one try for a
large, sharp, open thing, one more for every unit of strain; its score falls likewise. Misses come in streaks
(`Noise.streak`). Half of the spurious boxes stand fixed in their place and keep their noun, as a thing does
that the detector takes for another. A box scores on every asked noun, as GroundingDINO's logits do: high on
those that name its thing, specific or general, below 0.15 on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection
from strefer_core.backends.world.dice import Dice, raised
from strefer_core.backends.world.noise import Noise
from strefer_core.backends.world.scene import Scene, clipped, ious
from strefer_core.world.truth import TrueEntity

Floats = NDArray[np.float64]

_BEST, _WORST, _SPREAD = 0.85, 0.35, 0.1  # mean scores of easy and of hopeless things, and their spread
_SPURIOUS, _SPURIOUS_SPREAD = 0.4, 0.12  # lower, yet overlapping with real ones
_OTHER_NOUN = 0.15  # scores of nouns that do not fit lie below it
_STANDING = 0.5  # share of the spurious boxes that stand in one spot of the place
_SPOTS, _SPOT_SHOWS = 6, 0.7  # possible spots per place; share of the frames on which one gets a box
_KNOB_FACTORS = {"static_distractors": 3.0, "clutter": 2.0}  # assumption: on spots, on fleeting boxes
_MOST_FLEETING = 8
_ON_A_THING = 0.1  # a spurious box overlaps nothing more than this


@dataclass(frozen=True)
class _Call:
    """One question to the detector."""

    scene: Scene
    dice: Dice
    noise: Noise
    nouns: tuple[str, ...]


def detect(
    scene: Scene, dice: Dice, noise: Noise, frames: Sequence[int], nouns: Sequence[str]
) -> list[list[Detection]]:
    """Boxes per asked sampled frame, best score first."""
    call = _Call(scene, dice, noise, tuple(nouns))
    return [sorted(_on_frame(call, frame), key=lambda one: (-one.score, one.box)) for frame in frames]


def _on_frame(call: _Call, frame: int) -> Iterator[Detection]:
    if not call.nouns:
        return
    for entity in np.flatnonzero(call.scene.visible[frame]):
        yield from _of_entity(call, frame, int(entity))
    for spot in range(_SPOTS):
        yield from _on_spot(call, frame, spot)
    for number in range(_fleeting_count(call, frame)):
        yield from _fleeting(call, frame, number)


def _of_entity(call: _Call, frame: int, entity: int) -> Iterator[Detection]:
    """The box of a visible thing, and its duplicate."""
    scene, dice, noise = call.scene, call.dice, call.noise
    position, strain = scene.position(frame), float(scene.strain[frame, entity])
    missed = dice.by_stretch("miss", entity, share=noise.streak)[position]
    if missed < raised(noise.miss, 1 + strain):
        return
    likely = _BEST - (_BEST - _WORST) * (1 - exp(-strain / 2))
    draws = dice.normal("box", entity, columns=10)[position]
    coins = dice.uniform("box", entity, columns=8)[position]
    true_box = scene.boxes[frame, entity]
    score = _score(noise, likely + _SPREAD * draws[0])
    named = _noun_scores(call, scene.truth.entities[entity], score, coins)
    if named is None:
        return
    yield from _detection(call, frame, _jittered(true_box, noise.jitter * draws[1:5]), named)
    if coins[4] < noise.duplicate:
        shift = (0.12 + 0.15 * coins[5:7]) * np.where(draws[5:7] < 0, -1, 1)
        double = _jittered(true_box + np.tile(shift * _size(true_box), 2), noise.jitter * draws[6:10])
        lower = 0.6 + 0.3 * coins[7]
        yield from _detection(call, frame, double, tuple(one * lower for one in named))


def _noun_scores(call: _Call, entity: TrueEntity, score: float, coins: Floats) -> tuple[float, ...] | None:
    """One per asked noun; None where none names the thing and the detector sees that.

    A thing that no asked noun names gets a box by `wrong_noun` only.
    """
    fits = [noun in (entity.noun, entity.generalized_noun) for noun in call.nouns]
    others = [place for place, one in enumerate(fits) if not one]
    is_wrong = bool(coins[0] < call.noise.wrong_noun)
    if not any(fits) and not is_wrong:
        return None
    named = np.where(fits, score, _floor(call, coins[1]))
    if others:
        other = others[int(coins[2] * len(others))]
        if is_wrong:
            named[:] = _floor(call, coins[1])
            named[other] = score
        elif coins[3] < call.noise.merged:
            named[other] = 0.9 * score
    return tuple(float(one) for one in named)


def _floor(call: _Call, coin: float) -> Floats:
    """Low scores of nouns that do not fit; different per noun."""
    turns = np.arange(1, len(call.nouns) + 1) * 0.618
    return np.asarray(call.noise.doubt * _OTHER_NOUN * ((coin + turns) % 1))


def _score(noise: Noise, realistic: float) -> float:
    return float(np.clip(1 - noise.doubt * (1 - realistic), 0.01, 1))


def _on_spot(call: _Call, frame: int, spot: int) -> Iterator[Detection]:
    """A box on something of the place that looks like a thing, on most frames on which it is open."""
    scene, dice = call.scene, call.dice
    shot = int(scene.shots[frame])
    place = scene.truth.places.index(scene.truth.places[shot])
    factor = _KNOB_FACTORS["static_distractors"] if "static_distractors" in scene.truth.knobs else 1.0
    exists = factor * call.noise.spurious * _STANDING / (_SPOTS * _SPOT_SHOWS)
    if dice.once("spot", place, spot) >= exists:
        return
    if dice.uniform("spot shows", place, spot)[scene.position(frame), 0] >= _SPOT_SHOWS:
        return
    # Drawn in the frame that shows the place first; from there it keeps to the place as the camera moves.
    first = int(np.flatnonzero(np.isin(scene.shots, _shots_of(scene, place)))[0])
    box = _random_box(scene, dice.uniform("spot box", place, spot, columns=4)[0])
    there = scene.carried(box, int(scene.sampled[first]), int(scene.sampled[frame]))
    if there is not None and _is_free(scene, frame, there):
        yield from _spurious(call, frame, there, ("spot", place, spot))


def _shots_of(scene: Scene, place: int) -> list[int]:
    return [shot for shot, one in enumerate(scene.truth.places) if one == scene.truth.places[place]]


def _fleeting_count(call: _Call, frame: int) -> int:
    """Poisson, by inverting its distribution, so that a higher rate adds boxes to those of a lower one."""
    factor = _KNOB_FACTORS["clutter"] if "clutter" in call.scene.truth.knobs else 1.0
    mean = factor * call.noise.spurious * (1 - _STANDING)
    draw = call.dice.uniform("fleeting")[call.scene.position(frame), 0]
    count, chance = 0, exp(-mean)
    below = chance
    while draw >= below and count < _MOST_FLEETING:
        count += 1
        chance *= mean / count
        below += chance
    return count


def _fleeting(call: _Call, frame: int, number: int) -> Iterator[Detection]:
    draws = call.dice.uniform("fleeting box", number, columns=40)[call.scene.position(frame)]
    boxes = (_random_box(call.scene, draws[i : i + 4]) for i in range(0, 40, 4))
    box = next((one for one in boxes if _is_free(call.scene, frame, one)), None)
    if box is not None:
        yield from _spurious(call, frame, box, ("fleeting", number, 0))


def _spurious(call: _Call, frame: int, box: dm.Box, key: tuple[str, int, int]) -> Iterator[Detection]:
    """A box on nothing, under one of the asked nouns; a spot keeps its noun."""
    kind, *numbers = key
    position = call.scene.position(frame)
    draws = call.dice.normal(kind + " score", *numbers)[position]
    row = 0 if kind == "spot" else position
    coins = call.dice.uniform(kind + " noun", *numbers, columns=2)[row]
    named = _floor(call, coins[1])
    named[int(coins[0] * len(named))] = np.clip(_SPURIOUS + _SPURIOUS_SPREAD * draws[0], 0.05, 0.95)
    yield from _detection(call, frame, np.asarray(box), tuple(float(one) for one in named))


def _random_box(scene: Scene, draws: Floats) -> dm.Box:
    """Anywhere wholly within the frame, of 1 % to 6 % of its area."""
    area = 0.01 * 6 ** draws[0] * scene.width_px * scene.height_px
    aspect = 2 ** (2 * draws[1] - 1)
    width, height = (float(side) for side in (np.sqrt(area * aspect), np.sqrt(area / aspect)))
    x, y = draws[2] * (scene.width_px - width), draws[3] * (scene.height_px - height)
    return float(x), float(y), float(x + width), float(y + height)


def _is_free(scene: Scene, frame: int, box: dm.Box) -> bool:
    return not (ious(np.asarray(box), scene.boxes[frame]) > _ON_A_THING).any()


def _size(box: Floats) -> Floats:
    return np.asarray(box[2:] - box[:2])


def _jittered(box: Floats, shares: Floats) -> Floats:
    return np.asarray(box + shares * np.tile(_size(box), 2))


def _detection(call: _Call, frame: int, box: Floats, noun_scores: tuple[float, ...]) -> Iterator[Detection]:
    inside = clipped(box, call.scene.width_px, call.scene.height_px)
    if inside is not None:
        yield Detection(frame_index=frame, box=inside, score=max(noun_scores), noun_scores=noun_scores)
