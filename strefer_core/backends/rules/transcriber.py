"""The weight-free transcriber: actions from the masklets' geometry, and a sentence from the actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed, Told
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.actions import clip_actions
from strefer_core.backends.rules.clauses import sentence
from strefer_core.config import TranscriptConfig


class RulesTranscriber:
    """Implements `backends.interfaces.Transcriber`."""

    def transcribe(self, seen: Observed, config: TranscriptConfig) -> list[list[Told]]:
        names = {entity.entity_id: grammar.name(entity.expression) for entity in seen.entities}
        voices = {entity.entity_id: grammar.named(entity) for entity in seen.entities}
        trails = geo.trails_of(seen.masklets, seen.video.width_px, seen.video.height_px, seen.camera)
        told: list[list[Told]] = []
        for clip in seen.clips:
            per_thing = clip_actions(trails, clip, is_camera_known=bool(seen.camera))
            told.append(
                [
                    _told(
                        geo.inside(trail, clip.start_s, clip.end_s), actions, voices[trail.entity_id], names
                    )
                    for trail, actions in zip(trails, per_thing, strict=True)
                ]
            )
        return told


def _told(
    trail: geo.Trail, actions: Sequence[dm.Action], voice: grammar.Voice, names: dict[str, str]
) -> Told:
    if not trail.visible.any():
        return Told(text=None)
    name_of: Callable[[str], str] = names.__getitem__
    return Told(text=sentence(voice, actions, name_of), actions=tuple(actions))
