"""Yes/no and multiple choice, at a time (G4) or on a region (G6). Wrong statements are surely wrong ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strefer_core import data_model as dm
from strefer_core.backends.rules.asking import Asker
from strefer_core.backends.rules.facts import OPPOSITE_PLACE, Fact, Thing, Window, says_same
from strefer_core.backends.rules.grammar import capital
from strefer_core.backends.rules.open_tasks import LASTING, seen_thirds
from strefer_core.backends.rules.telling import fact_sources, statement

Pairs = Iterator[dm.Instruction]
LETTERS = "ABCD"
_ACROSS = (
    "on the left side of the picture",
    "in the middle of the picture",
    "on the right side of the picture",
)


def verify(ask: Asker) -> Pairs:
    for thing in ask.scene.things:
        if ask.row.time == "yes":
            yield from _actions_in_time(ask, thing)
            yield from _places_in_time(ask, thing)
            yield from _visible_in_time(ask, thing)
        else:
            yield from _anywhere_in_video(ask, thing)


def _actions_in_time(ask: Asker, thing: Thing) -> Pairs:
    for fact in thing.facts:
        if fact.action.kind not in LASTING:
            continue
        window, wrong = fact.window, thing.falsehoods(fact.window)
        ids = fact_sources([fact])
        yield ask.ask(
            "action_time", thing, actions={"act": fact.action}, answers="yes", window=window, sources=ids
        )
        for item in wrong:
            actions = {"act": item, "true": fact.action}
            yield ask.ask(
                "action_time", thing,
                actions=actions, answers="no", window=window, sources=ids, is_negative=True,
            )  # fmt: skip
        if wrong:
            yield ask.ask("choice_time", thing, texts=_options(ask, fact, wrong), window=window, sources=ids)
        yield from _who(ask, thing, fact)


def _options(ask: Asker, fact: Fact, wrong: Sequence[dm.Action]) -> dict[str, str]:
    """The true action among up to three surely wrong ones: first those that another thing does."""
    done = [other.action for thing in ask.scene.things for other in thing.facts]
    ranked = ask.rng.sample(list(wrong), len(wrong))
    ranked.sort(key=lambda item: not any(says_same(item, action) for action in done))
    texts = [capital(ask.scene.words(item)) for item in ranked[: len(LETTERS) - 1]]
    return options(ask, capital(ask.scene.words(fact.action)), texts)


def options(ask: Asker, right: str, wrong: Sequence[str]) -> dict[str, str]:
    """Fields `options` and `chosen`; every place of the right one is as likely as any other."""
    listed = ask.rng.sample(list(wrong), len(wrong))
    place = ask.rng.randrange(len(wrong) + 1)
    listed.insert(place, right)
    lines = [f"({letter}) {text}." for letter, text in zip(LETTERS, listed, strict=False)]
    return {"options": "\n".join(lines), "chosen": lines[place]}


def _who(ask: Asker, thing: Thing, fact: Fact) -> Pairs:
    """Which of the things does this? The others surely do not."""
    if fact.action.other_entity_id is not None:
        return
    rivals = [
        other
        for other in ask.scene.things
        if other is not thing
        and other.is_visible_in(fact.window)
        and any(says_same(item, fact.action) for item in other.falsehoods(fact.window))
    ]
    if rivals:
        rivals = ask.rng.sample(rivals, min(len(rivals), len(LETTERS) - 1))
        names = [capital(ask.scene.names[other.id]) for other in rivals]
        texts = options(ask, capital(ask.scene.names[thing.id]), names)
        texts["acts"] = statement(ask.scene, thing, fact.action)
        ids = [*fact_sources([fact]), *(other.id for other in rivals)]
        yield ask.ask("choice_who_time", thing, texts=texts, window=fact.window, sources=ids)


def _places_in_time(ask: Asker, thing: Thing) -> Pairs:
    for window in seen_thirds(thing):
        for place in thing.places(window):
            texts = {"place": place, "asked": place}
            yield ask.ask("place_time", thing, texts=texts, answers="yes", window=window)
            if place in OPPOSITE_PLACE:
                texts = {"place": place, "asked": OPPOSITE_PLACE[place]}
                yield ask.ask("place_time", thing, texts=texts, answers="no", window=window, is_negative=True)
            if place in _ACROSS:
                wrong = [capital(other) for other in _ACROSS if other != place]
                texts = options(ask, capital(place), wrong)
                yield ask.ask("choice_place_time", thing, texts=texts, window=window)


def _visible_in_time(ask: Asker, thing: Thing) -> Pairs:
    for window in seen_thirds(thing):
        yield ask.ask("visible_time", thing, answers="yes", window=window)
    for window in thing.unseen:
        yield ask.ask("visible_time", thing, answers="no", window=window, is_negative=True)


def _anywhere_in_video(ask: Asker, thing: Thing) -> Pairs:
    whole: Window = ask.scene.whole
    wrong = thing.falsehoods(whole)
    for fact in thing.facts:
        ids = fact_sources([fact])
        yield ask.ask("action", thing, actions={"act": fact.action}, answers="yes", sources=ids)
        if wrong:
            yield ask.ask("choice", thing, texts=_options(ask, fact, wrong), sources=ids)
    for item in wrong:
        ids = [s.segment_id for s in thing.segments]
        yield ask.ask("action", thing, actions={"act": item}, answers="no", sources=ids, is_negative=True)
    if thing.is_always_visible:
        yield ask.ask("visible", thing, answers="yes")
    elif thing.unseen:
        yield ask.ask("visible", thing, answers="no", is_negative=True)
