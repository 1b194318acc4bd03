"""What is known of a whole video: its things, their names, what happens once, and its thirds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules.denials import never
from strefer_core.backends.rules.facts import (
    FRAME_S,
    LASTING,
    Fact,
    Thing,
    Window,
    at,
    length,
    meaning,
    says_same,
)
from strefer_core.backends.rules.grammar import name
from strefer_core.backends.rules.occasions import COULD, MIGHT, RULED, WOULD, Sense, occasions

PARTS = ("beginning", "middle", "end")
_COMINGS = ("enter", "appear", "leave", "disappear")
_WAYS = ("approach", "move_away")
LEAST_S = 1.0  # shorter rests and ways to another thing are vague, and a hop is no way up or down
SHOWN = 0.75  # share of a window in which one must see what is said to be done all through it

Doing = tuple[str, str | None, str | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """All that is known of one video."""

    video: dm.Video
    clips: tuple[dm.Clip, ...]
    entities: tuple[dm.Entity, ...]  # also those without a masklet: found in words, not in the picture
    things: tuple[Thing, ...]
    names: dict[str, str]  # entity id -> name in a sentence
    _denied: dict[tuple[str, Doing, Window], bool] = field(default_factory=dict)
    _occasions: dict[tuple[str, Doing, Window, Sense], list[Window] | None] = field(default_factory=dict)
    _once: dict[Fact, Window | None] = field(default_factory=dict)

    @property
    def whole(self) -> Window:
        return 0.0, self.video.duration_s

    @cached_property
    def is_silent(self) -> bool:
        """Whether nothing is known of what any thing does."""
        return not any(thing.facts for thing in self.things)

    @cached_property
    def by_id(self) -> dict[str, Thing]:
        return {thing.id: thing for thing in self.things}

    def never(self, thing: Thing, action: dm.Action, window: Window) -> bool:
        """Whether the thing surely does not do this within the window: see `denials`."""
        key = thing.id, meaning(action), window
        if key not in self._denied:
            self._denied[key] = never(self.by_id, thing, action, window)
        return self._denied[key]

    def once(self, thing: Thing, fact: Fact) -> Window | None:
        """When the thing does this, as widely as one could put it; None unless it is once in the video.

        Words alone then name the event.
        """
        if fact not in self._once:
            self._once[fact] = self._only_time(thing, fact)
        return self._once[fact]

    def _only_time(self, thing: Thing, fact: Fact) -> Window | None:
        if sum(says_same(other.action, fact.action) for other in thing.facts) > 1:
            return None
        if fact.action.kind in _COMINGS:
            return thing.passage(fact.window) if thing.stretches(True) == 1 else None
        times = self._in_all_senses(thing, fact)
        return times[1] if times else None

    def _in_all_senses(self, thing: Thing, fact: Fact) -> tuple[Window, ...]:
        """When it happens in each sense, from the widest on; none where it is not once in each."""
        found = [self.occasions(thing, fact.action, thing.extent, sense) for sense in (MIGHT, COULD, WOULD)]
        once = [times[0] for times in found if times and len(times) == 1]
        return tuple(once) if len(once) == len(found) else ()

    def occasions(self, thing: Thing, action: dm.Action, window: Window, sense: Sense) -> list[Window] | None:
        """Every time in the window that the thing does this: see `occasions`."""
        key = thing.id, meaning(action), window, sense
        if key not in self._occasions:
            self._occasions[key] = occasions(self.by_id, thing, action, window, sense)
        return self._occasions[key]

    def shows(self, thing: Thing, fact: Fact, window: Window) -> bool:
        """Whether the window alone shows that the thing does it all through: a part of a fact need not.

        Of kinds that have no rule to look by, the fact itself is believed, over its own interval.
        """
        if fact.action.kind not in RULED:
            return fact.window == window
        found = self.occasions(thing, fact.action, window, WOULD) or []
        return sum(map(length, found)) >= SHOWN * length(window)

    def doing(self, thing: Thing, window: Window) -> Fact | None:
        """What it does all through the window, its motion first; None where nothing fills it."""
        fills = [
            fact
            for fact in thing.filling(window)
            if self.shows(thing, fact, window)
            and (fact.action.kind not in _WAYS or length(window) >= LEAST_S)
        ]
        return min(fills, key=lambda fact: LASTING.index(fact.action.kind), default=None)

    def times_of(self, thing: Thing, fact: Fact, window: Window) -> list[Window]:
        """Every time about the fact, while the thing is seen well, that it could be said to do it.

        Empty where that is not known: then nothing tells when it begins.
        """
        if fact.action.kind in _COMINGS:
            return [fact.window]
        part = thing.known_about(fact.window)
        if part is None:
            return []
        within = max(part[0], window[0]), min(part[1], window[1])
        return self.occasions(thing, fact.action, within, COULD) or []

    def is_timed(self, thing: Thing, fact: Fact) -> bool:
        """Whether it happens once and nobody would time it more than a sampling gap off the fact."""
        if fact.action.kind in _COMINGS or self.once(thing, fact) is None:
            return False
        return all(
            abs(one - other) <= thing.gap_s + FRAME_S
            for window in self._in_all_senses(thing, fact)[1:]
            for one, other in zip(window, fact.window, strict=True)
        )

    def part_of(self, window: Window, gap_s: float) -> str | None:
        """The third of the video that holds the whole window, None where one lies too near to call."""
        third = self.video.duration_s / len(PARTS)
        for index, part in enumerate(PARTS):
            low = index * third + (gap_s if index else 0.0)
            high = (index + 1) * third - (gap_s if index < len(PARTS) - 1 else 0.0)
            if low <= window[0] and window[1] <= high + FRAME_S:
                return part
        return None


def scene_of(seen: Observed, segments: Sequence[dm.TranscriptSegment]) -> Scene:
    """Gather the facts. Actions towards something that has no masklet of its own are left out."""
    by_id = {entity.entity_id: entity for entity in seen.entities}
    trails = geo.trails_of(seen.masklets, seen.video.width_px, seen.video.height_px, seen.camera)
    shown = {trail.entity_id for trail in trails if trail.visible.any()}
    things = [
        _thing(by_id[trail.entity_id], trail, segments, shown, seen.video.duration_s)
        for trail in trails
        if trail.entity_id in shown
    ]
    told = Scene(
        video=seen.video,
        clips=tuple(seen.clips),
        entities=tuple(seen.entities),
        things=tuple(things),
        names={entity.entity_id: name(entity.expression) for entity in seen.entities},
    )
    return replace(told, things=tuple(_confirmed(told, thing) for thing in things))


def _confirmed(told: Scene, thing: Thing) -> Thing:
    """The thing without those facts that its masks do not bear out, whoever told them."""
    return replace(thing, facts=tuple(fact for fact in thing.facts if _is_borne_out(told, thing, fact)))


def _is_borne_out(told: Scene, thing: Thing, fact: Fact) -> bool:
    if not fact.is_lasting:
        return True
    is_sideways = fact.action.direction in ("left", "right")
    return (is_sideways or length(fact.window) >= LEAST_S) and told.shows(thing, fact, fact.window)


def _thing(
    entity: dm.Entity,
    trail: geo.Trail,
    segments: Sequence[dm.TranscriptSegment],
    shown: set[str],
    duration_s: float,
) -> Thing:
    own = sorted((s for s in segments if s.entity_id == entity.entity_id), key=lambda s: s.start_s)
    return Thing(
        entity=entity,
        trail=trail,
        facts=_facts(own, shown, 1.5 * trail.frame_gap_s),
        segments=tuple(own),
        duration_s=duration_s,
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
    return _joined(sorted(found, key=_order), gap_s)


def _order(fact: Fact) -> tuple[Window, str]:
    return fact.window, fact.action.kind


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
        window = before.window[0], max(before.window[1], fact.window[1])
        sources = tuple(dict.fromkeys(before.source_ids + fact.source_ids))
        joined[joined.index(before)] = replace(before, action=at(before.action, window), source_ids=sources)
    return tuple(sorted(joined, key=_order))
