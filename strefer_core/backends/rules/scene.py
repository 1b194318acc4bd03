"""What is known of a whole video: its things, their names, and its thirds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules.facts import Fact, Thing, Window, says_same
from strefer_core.backends.rules.grammar import name, phrase

PARTS = ("beginning", "middle", "end")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that is known of one video."""

    video: dm.Video
    clips: tuple[dm.Clip, ...]
    entities: tuple[dm.Entity, ...]  # also those without a masklet: found in words, not in the picture
    things: tuple[Thing, ...]
    names: dict[str, str] = field(default_factory=dict)  # entity id -> name in a sentence

    @property
    def whole(self) -> Window:
        return 0.0, self.video.duration_s

    def thing(self, entity_id: str) -> Thing | None:
        return next((thing for thing in self.things if thing.id == entity_id), None)

    def words(self, action: dm.Action) -> str:
        """The action as a participle, to tell two of them apart or to list them."""
        return phrase(action, self.names.get(action.other_entity_id or "", "")).participle

    def part_of(self, window: Window) -> str | None:
        """The third of the video that holds the whole window, None where it lies across two."""
        third = self.video.duration_s / 3
        for index, part in enumerate(PARTS):
            if index * third <= window[0] and window[1] <= (index + 1) * third + 1e-9:
                return part
        return None


def scene_of(
    video: dm.Video,
    clips: Sequence[dm.Clip],
    entities: Sequence[dm.Entity],
    masklets: Sequence[dm.Masklet],
    segments: Sequence[dm.TranscriptSegment],
) -> Scene:
    """Gather the facts. Actions towards something that has no masklet of its own are left out."""
    by_id = {entity.entity_id: entity for entity in entities}
    shown = {masklet.entity_id for masklet in masklets}
    things = []
    for masklet in masklets:
        trail = geo.trail_of(masklet, video.width_px, video.height_px)
        if not trail.visible.any():
            continue
        own = sorted((s for s in segments if s.entity_id == masklet.entity_id), key=lambda s: s.start_s)
        things.append(
            Thing(
                entity=by_id[masklet.entity_id],
                trail=trail,
                facts=_facts(own, shown, 1.5 * trail.frame_gap_s),
                segments=tuple(own),
                duration_s=video.duration_s,
            )
        )
    return Scene(
        video=video,
        clips=tuple(clips),
        entities=tuple(entities),
        things=tuple(things),
        names={entity.entity_id: name(entity.expression) for entity in entities},
    )


def _facts(segments: Sequence[dm.TranscriptSegment], shown: set[str], gap_s: float) -> tuple[Fact, ...]:
    """Facts in order; the same action on both sides of a clip's border is one."""
    found: list[Fact] = []
    for segment in segments:
        for action in segment.actions:
            if action.other_entity_id is not None and action.other_entity_id not in shown:
                continue
            sources = (segment.entity_id, segment.clip_id, segment.segment_id)
            found.append(Fact(entity_id=segment.entity_id, action=action, source_ids=sources))
    return _joined(sorted(found, key=lambda fact: (fact.window, fact.action.kind)), gap_s)


def _joined(facts: Sequence[Fact], gap_s: float) -> tuple[Fact, ...]:
    """Join an action that goes on over a clip's border."""
    joined: list[Fact] = []
    for fact in facts:
        before = next((f for f in reversed(joined) if says_same(f.action, fact.action)), None)
        if (
            before is None
            or before.source_ids == fact.source_ids
            or fact.window[0] - before.window[1] > gap_s
        ):
            joined.append(fact)
            continue
        action = replace(before.action, end_s=max(before.window[1], fact.window[1]))
        sources = tuple(dict.fromkeys(before.source_ids + fact.source_ids))
        joined[joined.index(before)] = replace(before, action=action, source_ids=sources)
    return tuple(sorted(joined, key=lambda fact: (fact.window, fact.action.kind)))
