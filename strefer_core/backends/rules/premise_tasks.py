"""Questions on a false premise (G8): the answer says what is wrong with it, and what is true instead."""

from __future__ import annotations

from collections.abc import Iterator

from strefer_core import data_model as dm
from strefer_core.backends.rules.asking import Asker
from strefer_core.backends.rules.facts import Fact, Thing, says_same
from strefer_core.backends.rules.grammar import indefinite
from strefer_core.backends.rules.open_tasks import LASTING
from strefer_core.backends.rules.scene import Scene
from strefer_core.backends.rules.telling import fact_sources, names_of, statement
from strefer_core.stages.leaks import words

Pairs = Iterator[dm.Instruction]

# Things that no everyday video shows by chance. An entity without a masklet is never used as an absent
# one: that a track was not found proves nothing.
UNLIKELY = (
    "elephant", "giraffe", "helicopter", "snowman", "submarine", "penguin", "camel", "lighthouse",
    "hot-air balloon", "kangaroo", "steam locomotive", "octopus",
)  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
NEAR_COLOURS = {
    frozenset(pair)
    for pair in (
        ("red", "orange"),
        ("red", "pink"),
        ("orange", "yellow"),
        ("blue", "purple"),
        ("purple", "pink"),
    )
}
MAX_ABSENT = 8


def false_premise(ask: Asker) -> Pairs:
    yield from _absent(ask)
    for thing in ask.scene.things:
        by_mask = ask.rng.random() < 0.5
        yield from _wrong_time(ask, thing, by_mask)
        yield from _wrong_action(ask, thing, by_mask)
        yield from _swapped(ask, thing)


def _absent(ask: Asker) -> Pairs:
    shown = ask.scene.things
    things = names_of(shown[:3])
    clip_ids = [clip.clip_id for clip in ask.scene.clips]
    phantoms = [(noun, None) for noun in _unlikely(ask.scene)] + _recoloured(ask.scene)
    for phantom, model in ask.rng.sample(phantoms, min(len(phantoms), MAX_ABSENT)):
        yield ask.ask(
            "absent", model or shown[0],
            texts={"phantom": phantom, "a_phantom": indefinite(phantom), "things": things},
            sources=[*(thing.id for thing in shown[:3]), *clip_ids],
            is_negative=True, mask=False,
        )  # fmt: skip


def _unlikely(scene: Scene) -> list[str]:
    told = {word for entity in scene.entities for word in words(f"{entity.expression} {entity.noun}")}
    told |= {word for thing in scene.things for s in thing.segments for word in words(s.text or "")}
    return [noun for noun in UNLIKELY if not told & set(words(noun))]


def _recoloured(scene: Scene) -> list[tuple[str, Thing | None]]:
    """A thing of the video in a colour that no thing of that noun has, nor one close to it."""
    found: list[tuple[str, Thing | None]] = []
    for thing in scene.things:
        kin = [e for e in scene.entities if e.noun == thing.entity.noun]
        worn = {dict(entity.attributes).get("colour") for entity in kin}
        if None in worn:
            continue
        for colour in COLOURS:
            if not any(colour == other or frozenset((colour, other)) in NEAR_COLOURS for other in worn):
                found.append((f"{colour} {thing.entity.noun}", thing))
    return found


def _wrong_time(ask: Asker, thing: Thing, by_mask: bool) -> Pairs:
    for window in thing.unseen:
        yield ask.ask("wrong_time", thing, window=window, is_negative=True, mask=by_mask)


def _wrong_action(ask: Asker, thing: Thing, by_mask: bool) -> Pairs:
    lasting = [fact for fact in thing.facts if fact.action.kind in LASTING]
    for fact in lasting:
        for item in thing.falsehoods(fact.window):
            yield ask.ask(
                "wrong_action_time", thing,
                actions={"act": item, "true": fact.action}, window=fact.window,
                sources=fact_sources([fact]), is_negative=True, mask=by_mask,
            )  # fmt: skip
    for item in thing.falsehoods(ask.scene.whole) if lasting else []:
        fact = ask.rng.choice(lasting)
        yield ask.ask(
            "wrong_action", thing,
            actions={"act": item, "true": fact.action},
            sources=fact_sources([fact]), is_negative=True, mask=by_mask,
        )  # fmt: skip


def _swapped(ask: Asker, thing: Thing) -> Pairs:
    """What another thing does, asked of this one, which surely never does it."""
    for item in thing.falsehoods(ask.scene.whole):
        doers = [
            (other, fact)
            for other in ask.scene.things
            for fact in other.facts
            if other is not thing and says_same(fact.action, item)
        ]
        if len({other.id for other, _ in doers}) == 1 and item.other_entity_id is None:
            other, fact = doers[0]
            yield _swap(ask, thing, other, item, fact)


def _swap(ask: Asker, thing: Thing, other: Thing, item: dm.Action, fact: Fact) -> dm.Instruction:
    return ask.ask(
        "swapped", thing,
        actions={"act": item},
        texts={
            "other": ask.scene.names[other.id],
            "other_acts": statement(ask.scene, other, fact.action),
        },
        sources=fact_sources([fact]), is_negative=True, mask=False,
    )  # fmt: skip
