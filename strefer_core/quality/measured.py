"""One video's results side by side, as every check looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from strefer_core import data_model as dm
from strefer_core.quality.tracks import Tracks

Values = dict[str, dict[str, float]]
"""Object id -> check -> value; a check without a value for an object is left out."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything of one video that the checks look at."""

    video: dm.Video
    clips: Sequence[dm.Clip]
    camera: Sequence[dm.Affine | None]
    entities: dict[str, dm.Entity]
    masklets: dict[str, dm.Masklet]  # by entity id
    segments: dict[str, dm.TranscriptSegment]
    instructions: Sequence[dm.Instruction]

    @classmethod
    def of(cls, video: dm.Video, results: dict[str, dm.Result]) -> Measured:
        """From the results of the stages before, by stage name."""
        clips, entities, masklets = results["clips"], results["entities"], results["masklets"]
        transcript, instructions = results["transcript"], results["instructions"]
        assert isinstance(clips, dm.ClipsResult)
        assert isinstance(entities, dm.EntitiesResult)
        assert isinstance(masklets, dm.MaskletsResult)
        assert isinstance(transcript, dm.TranscriptResult)
        assert isinstance(instructions, dm.InstructionsResult)
        return cls(
            video=video,
            clips=clips.clips,
            camera=clips.camera,
            entities={one.entity_id: one for one in entities.entities},
            masklets={one.entity_id: one for one in masklets.masklets},
            segments={one.segment_id: one for one in transcript.segments},
            instructions=instructions.instructions,
        )

    @cached_property
    def tracks(self) -> Tracks:
        return Tracks(
            video=self.video,
            clips=self.clips,
            camera=self.camera,
            masklets=list(self.masklets.values()),
            nouns={one.entity_id: one.generalized_noun for one in self.entities.values()},
        )

    @cached_property
    def expressions(self) -> tuple[str, ...]:
        return tuple(one.expression for one in self.entities.values())

    def things(self, item: dm.Instruction) -> list[str]:
        """Ids of the entities that a pair rests on, in order of mention."""
        told = (self.segments[one].entity_id for one in item.source_ids if one in self.segments)
        named = (one for one in item.source_ids if one in self.entities)
        return list(dict.fromkeys([*item.region_entity_ids, *named, *told]))
