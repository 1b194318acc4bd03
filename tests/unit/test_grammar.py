"""Words: articles, agreement, and every way to say an action in all of its forms."""

from __future__ import annotations

import re

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.rules import grammar
from strefer_core.stages.transcript import ACTION_KINDS

VARIANTS = range(12)


@pytest.mark.parametrize(
    ("expression", "inside", "first_time"),
    [
        ("the orange square", "the orange square", "an orange square"),
        ("red square", "the red square", "a red square"),
        ("A unicorn.", "the unicorn", "a unicorn"),
        ("an hour glass", "the hour glass", "an hour glass"),
        ("two men", "two men", None),
        ("Bello", "Bello", None),
        ("", "the object", None),
    ],
)
def test_articles(expression: str, inside: str, first_time: str | None) -> None:
    assert grammar.name(expression) == inside
    if first_time:
        assert grammar.indefinite(expression) == first_time


def entity(noun: str, broad: str) -> dm.Entity:
    return dm.Entity(
        entity_id="e", video_id="v", index=0, expression=f"the tall {noun}", noun=noun, generalized_noun=broad
    )


@pytest.mark.parametrize(
    ("noun", "broad", "pronoun", "be", "general"),
    [
        ("man", "person", "they", "are", "the person"),
        ("dog", "animal", "it", "is", "the animal"),
        ("children", "person", "they", "are", "the person"),
        ("scissors", "object", "they", "are", "the object"),
    ],
)
def test_pronouns_agree(noun: str, broad: str, pronoun: str, be: str, general: str) -> None:
    slots = grammar.pronoun(entity(noun, broad)).slots("p")
    assert (slots["p"], slots["p_is"], slots["p_Is"]) == (pronoun, be, be.capitalize())
    assert grammar.general(entity(noun, broad)).subject == general


def action(kind: str, direction: str | None = None) -> dm.Action:
    return dm.Action(kind=kind, start_s=0, end_s=1, direction=direction)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ACTION_KINDS)
def test_every_kind_is_said_in_every_form(kind: str, variant: int) -> None:
    said = grammar.phrase(action(kind, "left" if kind == "move" else None), "the red square", variant)
    verb, third, participle = (form.split()[0] for form in (said.base, said.third, said.participle))
    assert third in (f"{verb}s", f"{verb}es")
    assert participle.endswith("ing")
    assert participle[:2] == verb[:2]
    assert said.base.split()[1:] == said.third.split()[1:] == said.participle.split()[1:]
    assert not re.search(r"[{}]|  |None", said.base)


@pytest.mark.parametrize(
    ("direction", "moves", "enters", "leaves"),
    [
        ("left", "to the left", "from the left", "on the left"),
        ("right", "to the right", "from the right", "on the right"),
        ("up", "upward", "from the top", "at the top"),
        ("down", "downward", "from the bottom", "at the bottom"),
    ],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_directions(direction: str, moves: str, enters: str, leaves: str, variant: int) -> None:
    for kind, words in (("move", moves), ("enter", enters), ("leave", leaves)):
        assert grammar.phrase(action(kind, direction), "", variant).base.endswith(words)


def test_the_first_way_is_the_plainest() -> None:
    assert grammar.phrase(action("move", "left")).third == "moves to the left"
    assert grammar.phrase(action("stand")).third == "stays in place"
    assert grammar.phrase(action("approach"), "the dog").participle == "moving towards the dog"


def test_lists() -> None:
    assert grammar.listing([]) == ""
    assert grammar.listing(["a"]) == "a"
    assert grammar.listing(["a", "b", "c"]) == "a, b and c"
    assert grammar.sequence(["a", "b", "c"]) == "a, b, then c"
