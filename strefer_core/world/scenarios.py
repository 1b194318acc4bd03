"""Six kinds of world video, each written anew by a random generator: who plays, where, and what happens.

Together they show every difficulty of this version: occlusion and approach, stop and go, late entry,
exit and re-entry, look-alikes, curved and bouncing ways, a panning and a shaking camera, and hard cuts
to another place and back, with other and with the same characters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from strefer_core.world import casting, plays, ways
from strefer_core.world.casting import Places, cast, look_alike
from strefer_core.world.script import (
    HEIGHT_PX,
    WIDTH_PX,
    Actor,
    Background,
    Camera,
    Character,
    Path,
    Scene,
    Script,
    Shot,
)


@dataclass(frozen=True, kw_only=True)
class _Play:
    """What a scenario decides; the rest of a script is the same for all."""

    characters: tuple[Character, ...]
    scenes: tuple[Scene, ...]
    shots_s: tuple[tuple[int, float], ...]  # (scene, end of the shot in seconds)


def write_script(seed: int, index: int, knobs: Collection[str] | None = None) -> Script:
    """The script of video `index` of a seed: with exactly these knobs, or a scenario, which take turns.

    Raises:
        ConfigError: an unknown knob.
    """
    if knobs is not None:
        return plays.write_script(seed, index, knobs)
    names = list(SCENARIOS)
    name = names[index % len(names)]
    rng = np.random.default_rng([seed, index])
    fps = Fraction(int(rng.choice([24, 25])))
    play = SCENARIOS[name](rng, casting.places(rng, seed, index))
    if rng.random() < 0.5:
        play = replace(play, scenes=tuple(_mirrored(scene) for scene in play.scenes))
    ends = [0, *(round(end_s * fps) for _, end_s in play.shots_s)]
    shots = [
        Shot(scene=scene, start_frame=start, end_frame=end)
        for (scene, _), start, end in zip(play.shots_s, ends[:-1], ends[1:], strict=True)
    ]
    return Script(
        seed=seed,
        index=index,
        scenario=name,
        fps=fps,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        characters=tuple(replace(c, entity_id=f"e{i}") for i, c in enumerate(play.characters)),
        scenes=play.scenes,
        shots=tuple(shots),
    )


def crossing(rng: np.random.Generator, places: Places) -> _Play:
    """Two meet in the middle; one waits while the other passes in front; a third stops and goes below."""
    end = 8.0
    a, b, c = cast(rng, places[:1], ("medium", "large", "medium"))
    high, low = rng.uniform(115, 145), rng.uniform(268, 285)
    meet = rng.uniform(270, 330)
    spins = _spins(rng, 3)
    actors = (
        ways.stop_and_go((560, high), (meet, high + 8), (110, high - 10), go_s=3.0, wait_s=1.8, end_s=end),
        ways.straight((80, high + 14), (565, high - 14), 0.6, 7.2),
        ways.stop_and_go(
            (100, low), (rng.uniform(280, 360), low), (545, low), go_s=2.4, wait_s=1.5, end_s=end
        ),
    )
    return _one_place((b, a, c), actors, spins, places[0], Camera(), end)


def coming_and_going(rng: np.random.Generator, places: Places) -> _Play:
    """One stays, one leaves and comes back, one enters late."""
    end = float(rng.uniform(8.6, 9.4))
    stays, returns, late = cast(rng, places[:1], ("medium", "medium", "large"))
    row = rng.uniform(90, 120)
    actors = (
        ways.curve(rng, (300, row), (190, 22), end, turns=1.0),
        ways.leave_and_return((330, 285), (735, 265), (400, 265), out_s=2.6, back_s=4.9, end_s=end),
        ways.enter_late((-95, 205), (190, 215), (rng.uniform(215, 260), 130), enter_s=0.38 * end, end_s=end),
    )
    return _one_place((stays, returns, late), actors, _spins(rng, 3), places[0], Camera(), end)


def look_alikes(rng: np.random.Generator, places: Places) -> _Play:
    """Two of the same noun and colour circle past each other; a hand holds the camera."""
    end = float(rng.uniform(7.4, 8.4))
    one, other = cast(rng, places[:1], ("large", "medium"))
    twin = look_alike(rng, one)
    actors = (
        ways.orbit((315, 165), (200, 62), end, start_turn=0.5, turns=1.15),
        ways.orbit((315, 165), (190, 52), end, start_turn=0.0, turns=-1.15),
        ways.hop_along(rng, (90, 305), (550, 300), 0.5, end - 0.6),
    )
    camera = Camera(shake_px=float(rng.uniform(2.0, 3.5)), shake_seed=int(rng.integers(2**31)))
    return _one_place((one, twin, other), actors, _spins(rng, 3), places[0], camera, end)


def pan(rng: np.random.Generator, places: Places) -> _Play:
    """The camera follows travellers; one comes towards them, one is left behind."""
    end = float(rng.uniform(8.4, 9.4))
    leader, follower, oncomer = cast(rng, places[:1], ("large", "medium", "medium"))
    way = Path(
        times_s=(0.8, end - 0.8), points=((0.0, 0.0), (float(rng.uniform(330, 430)), 0.0)), smooth_s=0.4
    )
    camera = Camera(path=way, shake_px=0.8, shake_seed=int(rng.integers(2**31)))
    row = rng.uniform(100, 130)
    actors = (
        ways.on_screen(ways.straight((-70, 285), (390, 275), 1.2, end - 0.4), camera),
        ways.on_screen(ways.curve(rng, (330, row + 15), (130, 45), end, turns=1.5), camera),
        ways.straight((880, 225), (60, 240), 0.4, end - 0.5),
    )
    return _one_place((follower, leader, oncomer), actors, _spins(rng, 3), places[0], camera, end)


def there_and_back(rng: np.random.Generator, places: Places) -> _Play:
    """A hard cut to another place with other characters, and back to the first ones."""
    first_s, second_s, end = 3.4, 6.2, 9.8
    a, b, c, d = cast(rng, places, ("medium", "large", "medium", "large"))
    first = Scene(
        background=places[0],
        camera=Camera(),
        actors=(
            Actor(character=1, path=ways.curve(rng, (330, 120), (200, 40), end, turns=1.5)),
            Actor(character=0, path=ways.bounce((120, 250), (105, 75), end, _room(a, top=190))),
        ),
    )
    second = Scene(
        background=places[1],
        camera=Camera(shake_px=1.5, shake_seed=int(rng.integers(2**31))),
        actors=(
            Actor(character=2, path=ways.straight((130, 120), (500, 250), first_s, second_s)),
            Actor(character=3, path=ways.straight((530, 130), (150, 200), first_s, second_s)),
        ),
    )
    return _Play(
        characters=(a, b, c, d), scenes=(first, second), shots_s=((0, first_s), (1, second_s), (0, end))
    )


def moving_house(rng: np.random.Generator, places: Places) -> _Play:
    """The same characters, two of them look-alikes, in one place and then in another; a third joins there."""
    cut_s, end = 4.0, 8.4
    one, other = cast(rng, places, ("medium", "medium"))
    twin = look_alike(rng, one)
    spin = _spins(rng, 3)
    first = Scene(
        background=places[0],
        camera=Camera(),
        actors=(
            Actor(character=0, path=ways.straight((110, 110), (520, 135), 0.2, cut_s, spin_deg_s=spin[0])),
            Actor(character=2, path=ways.bounce((480, 270), (-115, 70), end, _room(twin, top=195))),
        ),
    )
    second = Scene(
        background=places[1],
        camera=Camera(shake_px=float(rng.uniform(1.5, 2.5)), shake_seed=int(rng.integers(2**31))),
        actors=(
            Actor(character=2, path=ways.straight((540, 120), (110, 150), cut_s + 0.2, end - 0.3)),
            Actor(character=0, path=ways.straight((100, 165), (530, 110), cut_s + 0.2, end - 0.3)),
            Actor(
                character=1,
                path=ways.enter_late((735, 285), (420, 280), (130, 285), enter_s=cut_s + 1.0, end_s=end),
            ),
        ),
    )
    return _Play(characters=(one, other, twin), scenes=(first, second), shots_s=((0, cut_s), (1, end)))


SCENARIOS: dict[str, Callable[[np.random.Generator, Places], _Play]] = {
    "crossing": crossing,
    "coming_and_going": coming_and_going,
    "look_alikes": look_alikes,
    "pan": pan,
    "there_and_back": there_and_back,
    "moving_house": moving_house,
}


def _one_place(
    characters: Sequence[Character],
    paths: Sequence[Path],
    spins: Sequence[float],
    place: Background,
    camera: Camera,
    end_s: float,
) -> _Play:
    """A single shot in which character i takes path i; later ones pass in front of earlier ones."""
    actors = tuple(
        Actor(character=i, path=replace(path, spin_deg_s=spin))
        for i, (path, spin) in enumerate(zip(paths, spins, strict=True))
    )
    scene = Scene(background=place, camera=camera, actors=actors)
    return _Play(characters=tuple(characters), scenes=(scene,), shots_s=((0, end_s),))


def _spins(rng: np.random.Generator, count: int) -> list[float]:
    return [float(rng.choice([-1, 1]) * rng.uniform(15, 50)) for _ in range(count)]


def _room(character: Character, top: float) -> tuple[float, float, float, float]:
    margin = character.radius_px + 6
    return margin, top, WIDTH_PX - margin, HEIGHT_PX - margin


def _mirrored(scene: Scene) -> Scene:
    """The same scene with left and right exchanged."""
    camera_points = tuple((-x, y) for x, y in scene.camera.path.points)
    camera = replace(scene.camera, path=replace(scene.camera.path, points=camera_points))
    actors = tuple(
        replace(
            actor, path=replace(actor.path, points=tuple((WIDTH_PX - x, y) for x, y in actor.path.points))
        )
        for actor in scene.actors
    )
    return replace(scene, camera=camera, actors=actors)
