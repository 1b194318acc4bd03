"""Scripts with chosen difficulties: every video is thrown anew, and kept if it shows what it promises."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from strefer_core.errors import ConfigError
from strefer_core.world import casting, promises, sets, staging, troupe, words
from strefer_core.world.backgrounds import CLASHING_COLOURS
from strefer_core.world.floor import Floor, NoRoom
from strefer_core.world.knobs import KNOBS, checked
from strefer_core.world.script import (
    HEIGHT_PX,
    WIDTH_PX,
    Actor,
    Background,
    Character,
    Light,
    Prop,
    Scene,
    Script,
    Shot,
)
from strefer_core.world.troupe import Part
from strefer_core.world.truth import AbsentEntity, AmbiguousExpression

Rng = np.random.Generator

_DURATION_S = (6.05, 6.95)
_ATTEMPTS = 400
_WAYS_PER_CAST = 8  # attempts with the same cast: its pictures are drawn already


def write_script(seed: int, index: int, knobs: Collection[str]) -> Script:
    """The script of video `index` of a seed that shows exactly these knobs.

    Raises:
        ConfigError: an unknown knob, or so many that no throw of the dice shows them all; none of up to
            three is known for which this happens.
    """
    chosen = checked(knobs)
    key = [seed, index, *(i for i, name in enumerate(KNOBS) if name in chosen)]
    for attempt in range(_ATTEMPTS):
        if attempt % _WAYS_PER_CAST == 0:
            company = _company(np.random.default_rng([*key, len(KNOBS), attempt]), seed, index, chosen)
        try:
            script = _draft(np.random.default_rng([*key, len(KNOBS) + 1, attempt]), seed, index, company)
        except NoRoom:
            continue
        if not promises.broken(script):
            return script
    raise ConfigError(
        f"video {index} of world {seed} shows not all of {', '.join(sorted(chosen))} however it is tried; "
        "leave a knob out"
    )


@dataclass(frozen=True, kw_only=True)
class _Company:
    """Everything that stays while ways are tried: who plays, where, for how long, and who is missing."""

    knobs: frozenset[str]
    fps: Fraction
    end_s: float
    backgrounds: tuple[Background, ...]  # the place of those with parts, and perhaps another
    parts: tuple[Part, ...]
    absent: tuple[AbsentEntity, ...]
    ambiguous: tuple[AmbiguousExpression, ...]

    @property
    def cast(self) -> tuple[Character, ...]:
        return tuple(part.character for part in self.parts)


def _company(rng: Rng, seed: int, index: int, knobs: frozenset[str]) -> _Company:
    fps = Fraction(int(rng.choice([24, 25])))
    end_s = round(float(rng.uniform(*_DURATION_S)) * fps) / float(fps)
    places = casting.places(rng, seed, index)[: 2 if "cuts" in knobs else 1]
    clashing = {colour for place in places for colour in CLASHING_COLOURS[place.kind]}
    parts = troupe.parts(rng, knobs, clashing)
    cast = tuple(part.character for part in parts)
    return _Company(
        knobs=knobs,
        fps=fps,
        end_s=end_s,
        backgrounds=tuple(replace(place, clutter=sets.clutter(rng, knobs)) for place in places),
        parts=parts,
        absent=words.absent(rng, cast) if "absent_entities" in knobs else (),
        ambiguous=words.ambiguous(rng, cast) if "ambiguous_expressions" in knobs else (),
    )


def _draft(rng: Rng, seed: int, index: int, company: _Company) -> Script:
    """One throw of all that happens.

    Raises:
        NoRoom: the company does not fit into the frame beside one another this time.
    """
    knobs = company.knobs
    groups = _groups(rng, company.parts, len(company.backgrounds), knobs)
    light = sets.light(rng, knobs, company.end_s)
    scenes = [
        _scene(rng, company, background, group, light)
        for background, group in zip(company.backgrounds, groups, strict=True)
    ]
    return Script(
        seed=seed,
        index=index,
        scenario="+".join(sorted(knobs)) or "plain",
        fps=company.fps,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        characters=company.cast,
        scenes=tuple(scenes),
        shots=_shots(rng, company),
        knobs=tuple(sorted(knobs)),
        shutter_s=float(rng.uniform(0.85, 1.0) / company.fps) if "motion_blur" in knobs else 0.0,
        absent=company.absent,
        ambiguous=company.ambiguous,
    )


def _scene(rng: Rng, company: _Company, background: Background, group: Sequence[int], light: Light) -> Scene:
    camera = sets.camera(rng, company.knobs, company.end_s)
    floor = Floor(company.end_s, camera)
    staged = staging.staged(rng, floor, company.parts, group, company.knobs)
    figures: tuple[Prop, ...] = ()
    if "static_distractors" in company.knobs:
        taken = words.spoken_of(company.cast, company.absent)
        figures = sets.decoys(rng, floor, company.cast, taken, len(group))
    actors = [Actor(character=i, path=floor.through_camera(staged.paths[i])) for i in staged.order]
    return Scene(
        background=background,
        camera=camera,
        actors=tuple(actors),
        props=(*figures, *staged.boards),
        light=light,
    )


def _shots(rng: Rng, company: _Company) -> tuple[Shot, ...]:
    """The first place all the time, or with a visit to the other one at some time."""
    scenes, ends_s = _cuts(rng, company.end_s) if "cuts" in company.knobs else ((0,), (company.end_s,))
    edges = [0, *(round(end_s * company.fps) for end_s in ends_s)]
    return tuple(
        Shot(scene=scene, start_frame=start, end_frame=end)
        for scene, start, end in zip(scenes, edges[:-1], edges[1:], strict=True)
    )


def _cuts(rng: Rng, end_s: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Scenes and the ends of their shots in seconds: there and back, away, or back from there."""
    style = rng.integers(4)
    if style < 2:
        start_s = rng.uniform(0.25, 0.6) * end_s
        return (0, 1, 0), (start_s, start_s + rng.uniform(1.3, 1.8), end_s)
    if style == 2:
        return (0, 1), (end_s - rng.uniform(1.5, 2.4), end_s)
    return (1, 0), (rng.uniform(1.3, 1.9), end_s)


def _groups(rng: Rng, parts: Sequence[Part], places: int, knobs: frozenset[str]) -> list[tuple[int, ...]]:
    """Who plays in which place: those with a part in the first, others in the second or in both."""
    everybody = tuple(range(len(parts)))
    if places == 1:
        return [everybody]
    free = [i for i in everybody if parts[i].role == "roam"]
    there = [i for i in free if rng.random() < 0.75] or free
    shared = 1.0 if "crowding" in knobs or len(there) == len(parts) else 0.5
    back = {i for i in there if rng.random() < shared}
    return [tuple(i for i in everybody if i not in there or i in back), tuple(there)]
