"""Things that a video does not show, in words like those of the things that it does show."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from strefer_core import data_model as dm
from strefer_core.backends.rules.facts import Thing
from strefer_core.backends.rules.scene import Scene
from strefer_core.stages.leaks import words

COLOURS = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink")
_NEAR = (
    {"red", "orange", "pink"},
    {"orange", "yellow"},
    {"pink", "purple", "blue"},
    {"blue", "turquoise", "green"},
)
# Things that no everyday video shows by chance, for videos whose own things cannot be recoloured.
_UNLIKELY = (
    "elephant", "giraffe", "helicopter", "snowman", "submarine", "penguin", "camel", "lighthouse",
    "kangaroo", "steam locomotive", "octopus", "windmill",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """Somebody who is not there, and the thing that lends the words."""

    entity: dm.Entity  # with an empty id: it is no entity of the video
    model: Thing | None  # None: the words are nobody's


def phantoms(scene: Scene) -> list[Phantom]:
    """Things of the video in colours that nothing in it has; where there are none, unlikely things.

    That no masklet was found for a name proves nothing, so named things never count as absent. Nor does a
    colour that something else has: a thing of the place may have been put together so.
    """
    return _recoloured(scene) or _unlikely(scene)


def _recoloured(scene: Scene) -> list[Phantom]:
    worn = {_colour(entity) for entity in scene.entities}
    if None in worn:
        return []
    free = [colour for colour in COLOURS if colour not in worn]
    return [
        Phantom(entity=_in_colour(thing.entity, colour), model=thing)
        for thing in scene.things
        if _is_of_its_own(thing.entity)
        for colour in free
        if not any({colour, _colour(kin)} <= near for near in _NEAR for kin in _kin(scene, thing))
    ]


def _colour(entity: dm.Entity) -> str | None:
    return dict(entity.attributes).get("colour")


def _is_of_its_own(entity: dm.Entity) -> bool:
    """Named by more than a broad noun, which might fit anything, and by a colour, once."""
    has_noun = entity.noun.lower() != entity.generalized_noun.lower()
    return has_noun and words(entity.expression).count(str(_colour(entity))) == 1


def _kin(scene: Scene, thing: Thing) -> list[dm.Entity]:
    return [entity for entity in scene.entities if entity.noun == thing.entity.noun]


def _in_colour(entity: dm.Entity, colour: str) -> dm.Entity:
    expression = re.sub(rf"\b{_colour(entity)}\b", colour, entity.expression)
    return replace(entity, entity_id="", expression=expression)


def _unlikely(scene: Scene) -> list[Phantom]:
    told = {word for entity in scene.entities for word in words(f"{entity.expression} {entity.noun}")}
    told |= {word for thing in scene.things for s in thing.segments for word in words(s.text or "")}
    return [
        Phantom(entity=_stranger(scene, noun), model=None)
        for noun in _UNLIKELY
        if not told & set(words(noun))
    ]


def _stranger(scene: Scene, noun: str) -> dm.Entity:
    return dm.Entity(
        entity_id="",
        video_id=scene.video.video_id,
        index=len(scene.entities),
        expression=f"the {noun}",
        noun=noun,
        generalized_noun="object",
    )
