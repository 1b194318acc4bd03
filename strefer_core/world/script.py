"""What a world video shows, as plain values: who plays, on which scenes, seen in which shots.

A script is complete: rendering adds nothing random of its own to it. Coordinates are world pixels; a
camera at (0, 0) sees x in [0, width_px) and y in [0, height_px). Paths run on the video's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from strefer_core.world.figures import generalized_noun
from strefer_core.world.truth import AbsentEntity, AmbiguousExpression

Point = tuple[float, float]

WIDTH_PX, HEIGHT_PX = 640, 360

COLOURS: dict[str, tuple[int, int, int]] = {  # RGB, saturated: backgrounds stay duller than any of them
    "red": (222, 38, 44),
    "orange": (245, 135, 18),
    "yellow": (248, 214, 36),
    "green": (52, 176, 62),
    "turquoise": (22, 190, 196),
    "blue": (42, 88, 226),
    "purple": (150, 58, 196),
    "pink": (244, 100, 172),
}
RADIUS_PX = {"small": 27.0, "medium": 40.0, "large": 58.0}
PATTERNS = ("plain", "striped", "spotted", "checked")


@dataclass(frozen=True, kw_only=True, slots=True)
class Character:
    """One identity: the same wherever it appears in the video."""

    entity_id: str
    noun: str  # a key of `figures.FIGURES`
    colour: str  # a key of `COLOURS`
    size: str  # a key of `RADIUS_PX`
    pattern: str  # one of `PATTERNS`
    radius_px: float  # the figure fits in a circle of about this radius

    @property
    def generalized_noun(self) -> str:
        return generalized_noun(self.noun)

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        return (("colour", self.colour), ("pattern", self.pattern), ("size", self.size))


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """A way through the world: straight between waypoints, corners rounded over about `smooth_s`."""

    times_s: tuple[float, ...]  # ascending; before the first and after the last the character rests there
    points: tuple[Point, ...]
    smooth_s: float = 0.15
    hop_px: float = 0.0  # height of hops while it moves
    hop_s: float = 0.7  # length of one hop
    spin_deg_s: float = 0.0  # turning of the figure itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """A character's part in one scene."""

    character: int  # place in `Script.characters`
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Zoom:
    """Frame pixels per world pixel over time, about the middle of the frame."""

    times_s: tuple[float, ...] = (0.0,)
    scales: tuple[float, ...] = (1.0,)
    smooth_s: float = 0.25  # corners are rounded over about this long


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """Pan along a path (of the frame's top left corner at zoom 1) plus smooth shake, and zoom."""

    path: Path = Path(times_s=(0.0,), points=((0.0, 0.0),), smooth_s=0.3)
    shake_px: float = 0.0  # standard deviation, in world pixels
    shake_seed: int = 0
    zoom: Zoom = Zoom()


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """How bright each colour channel is over time, as factors on the picture; 1 changes nothing."""

    times_s: tuple[float, ...] = (0.0,)
    gains: tuple[tuple[float, float, float], ...] = ((1.0, 1.0, 1.0),)  # red, green, blue
    flicker: float = 0.0  # amplitude, as a share of the gain
    flicker_hz: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """A plain thing to stand behind: a pillar, a panel, a hedge."""

    width_px: float
    height_px: float
    seed: int  # of its tone and grain


@dataclass(frozen=True, kw_only=True, slots=True)
class Prop:
    """A thing that is part of the place: it never moves and is no entity."""

    look: Board | Character
    at: Point  # its middle, in world pixels
    angle_deg: float = 0.0
    layer: int = 0  # how many of the scene's actors pass behind it; 0: everybody passes in front


@dataclass(frozen=True, kw_only=True, slots=True)
class Background:
    kind: str  # a key of `backgrounds.KINDS`
    seed: int
    clutter: int = 0  # coloured and textured things strewn over it, per frame's area


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    background: Background
    camera: Camera
    actors: tuple[Actor, ...]  # from the back to the front
    props: tuple[Prop, ...] = ()
    light: Light = Light()


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """Frames `[start_frame, end_frame)` show one scene; between two shots lies a hard cut."""

    scene: int  # place in `Script.scenes`
    start_frame: int
    end_frame: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    seed: int
    index: int  # place among the videos of this seed
    scenario: str  # a key of `scenarios.SCENARIOS`, or what `plays` makes of the knobs
    fps: Fraction
    width_px: int
    height_px: int
    characters: tuple[Character, ...]
    scenes: tuple[Scene, ...]
    shots: tuple[Shot, ...]  # in order, without gaps, from frame 0
    knobs: tuple[str, ...] = ()  # names of `knobs.KNOBS`, sorted
    shutter_s: float = 0.0  # how long it stays open about each frame's time; 0: every picture is sharp
    absent: tuple[AbsentEntity, ...] = ()
    ambiguous: tuple[AmbiguousExpression, ...] = ()

    @property
    def frame_count(self) -> int:
        return self.shots[-1].end_frame


def expressions(characters: tuple[Character, ...]) -> tuple[str, ...]:
    """One expression per character that fits no other: the fewest attributes that do it.

    Raises:
        ValueError: two characters share noun, colour, size and pattern.
    """
    return tuple(_expression(one, [c for c in characters if c is not one]) for one in characters)


def _expression(one: Character, others: list[Character]) -> str:
    for names in (("colour",), ("pattern", "colour"), ("size", "colour"), ("size", "pattern", "colour")):
        wanted = [getattr(one, name) for name in (*names, "noun")]
        if all([getattr(other, name) for name in (*names, "noun")] != wanted for other in others):
            return "the " + " ".join(wanted)
    raise ValueError(f"no expression tells {one.entity_id} from the others: same noun and attributes")
