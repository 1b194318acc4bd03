"""The weight-free transcriber: actions from the masklets' geometry, and a sentence from the actions."""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.backends.rules.actions import clip_actions
from strefer_core.backends.rules.clauses import sentence
from strefer_core.backends.rules.geometry import inside, trail_of


class RulesTranscriber:
    """Implements `backends.interfaces.Transcriber`."""

    def transcribe(
        self,
        video: dm.Video,
        clip: dm.Clip,
        entities: Sequence[dm.Entity],
        masklets: Sequence[dm.Masklet],
    ) -> list[tuple[str | None, tuple[dm.Action, ...]]]:
        by_id = {entity.entity_id: entity for entity in entities}
        trails = [
            inside(trail_of(masklet, video.width_px, video.height_px), clip.start_s, clip.end_s)
            for masklet in masklets
        ]

        def name_of(entity_id: str) -> str:
            return grammar.name(by_id[entity_id].expression)

        told: list[tuple[str | None, tuple[dm.Action, ...]]] = []
        for trail, actions in zip(trails, clip_actions(trails), strict=True):
            if trail.visible.any():
                voice = grammar.named(by_id[trail.entity_id])
                told.append((sentence(voice, actions, name_of), actions))
            else:
                told.append((None, ()))
        return told
