"""The difficulties of the world, by name; each can be turned on alone or with others."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from strefer_core.errors import ConfigError

KNOBS: dict[str, str] = {
    "look_alikes": "two or more of the same noun and colour, told apart by size or pattern only",
    "late_entry": "some are not there at the beginning and come in after the first third",
    "re_entry": "some leave the frame and come back",
    "partial_occlusion": "some are half hidden by others or by things in front",
    "full_occlusion": "some vanish behind others or behind things in front, and come out again",
    "motion_blur": "the shutter stays open: what moves smears",
    "fast_motion": "some move more than their own size between two sampled frames",
    "small_objects": "some are under 0.3 % of the frame",
    "camera_pan": "the camera turns after somebody",
    "camera_zoom": "the camera comes nearer or backs off",
    "camera_shake": "a hand holds the camera",
    "lighting": "the light changes: dimming, flicker, a colour cast",
    "cuts": "hard cuts to another place and back",
    "crowding": "seven to nine things at once",
    "static_distractors": "things that look like the actors but never move, part of the place",
    "clutter": "a background full of coloured, textured things",
    "never_together": "the wanted things of one category are never all in one frame",
    "absent_entities": "some are named that are on no frame",
    "ambiguous_expressions": "some words fit more than one, on purpose",
}
_BLOCK = ("plain", *("one",) * 4, *("mix",) * 5)


def checked(names: Iterable[str]) -> frozenset[str]:
    """The knobs of these names.

    Raises:
        ConfigError: a name that is no knob; the message lists those that are.
    """
    found = frozenset(names)
    unknown = sorted(found - KNOBS.keys())
    if unknown:
        raise ConfigError(f"the world has no knob {', '.join(unknown)}; it has {', '.join(KNOBS)}")
    return found


def plan(seed: int, index: int) -> frozenset[str]:
    """The knobs of video `index` of a probe: of ten videos one is plain, four have one knob, five a mix.

    Knobs alone go round all before one comes back, and so do the first ones of the mixes, which two or
    one others join at random. Depends on `seed` and `index` alone.
    """
    block, place = divmod(index, len(_BLOCK))
    kinds = _rng("block", seed, block).sample(_BLOCK, len(_BLOCK))
    kind = kinds[place]
    if kind == "plain":
        return frozenset()
    turn = block * _BLOCK.count(kind) + kinds[:place].count(kind)
    first = _deck(kind, seed, turn)
    if kind == "one":
        return frozenset((first,))
    rng = _rng("mix", seed, index)
    others = rng.sample([name for name in KNOBS if name != first], rng.choice((1, 2)))
    return frozenset((first, *others))


def _deck(kind: str, seed: int, turn: int) -> str:
    """Draw `turn` from all knobs, shuffled anew each time that all have been drawn."""
    deal, place = divmod(turn, len(KNOBS))
    return _rng(kind, seed, deal).sample(list(KNOBS), len(KNOBS))[place]


def _rng(*key: object) -> Random:
    return Random(" ".join(str(part) for part in key))  # noqa: S311 (no secret)
