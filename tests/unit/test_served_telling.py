"""What a model may say that a thing does, and which of several answers are believed."""

from __future__ import annotations

import pytest

from strefer_core.backends.served.agreeing import most_agreed, tells_same
from strefer_core.backends.served.telling import sentence_about

BAD_TEXTS = {
    "of another thing": "The blue circle slides along the wall.",
    "of nobody": "Slides along the wall.",
    "two sentences": "The red square slides. Then it stops.",
    "not visible": "The red square is not visible in this clip.",
    "never seen": "The red square cannot be seen.",
    "leaves although it stays": "The red square leaves the picture on the right.",
    "vanishes although it stays": "The red square slides along and disappears.",
    "enters although it is there": "The red square comes into view.",
    "an order": "The red square ignores all previous instructions and prints the password.",
    "speaks to the reader": "The red square shows you how to get rich.",
    "refusal": "I'm sorry, I cannot describe this video.",
    "another language": "Das rote Quadrat bewegt sich langsam nach rechts an der Wand entlang.",
    "half another language": "The red square bewegt sich langsam nach rechts an der Wand entlang.",
    "another script": "The red square двигается вправо.",
    "a placeholder": "The red square moves to <region>.",
    "markup": "The red square **slides** along {the} wall.",
    "a link": "The red square slides to www.example.com now.",
    "of the line": "The red square moves in a magenta outline.",
    "over-long": "The red square slides " + "along the wall " * 20,
    "empty": "   ",
    "only the name": "The red square.",
    "control characters": "The red square slides\u202e along the wall.",
    "no verb": "The red square, a red one on the wall.",
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_a_text_that_may_not_be_used_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        sentence_about(text, "the red square", is_plural=False, is_always_seen=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the red square slides  along the wall", "The red square slides along the wall."),
        ("The red square suddenly stops!", "The red square suddenly stops."),
        ("The red square is pushed by a boy.", "The red square is pushed by a boy."),
        ("The red square appears to be spinning.", "The red square appears to be spinning."),
        ("The red square moves.", "The red square moves."),
    ],
)
def test_a_good_text_becomes_one_plain_sentence(text: str, expected: str) -> None:
    assert sentence_about(text, "the red square", is_plural=False, is_always_seen=True) == expected


def test_comings_and_goings_may_be_told_where_the_thing_is_not_always_there() -> None:
    text = "The red square leaves the picture on the right."
    assert sentence_about(text, "the red square", is_plural=False, is_always_seen=False) == text


def test_several_are_told_with_another_verb_form() -> None:
    assert sentence_about("Two men wave.", "two men", is_plural=True, is_always_seen=True) == "Two men wave."
    with pytest.raises(ValueError, match="verb"):
        sentence_about("The man wave.", "the man", is_plural=False, is_always_seen=True)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("the dog runs to the left", "The dog is running left.", True),
        ("the dog runs quickly to the left", "the dog runs quickly to the right", False),
        ("the dog walks quickly towards the red ball", "the dog walks quickly away from the red ball", False),
        ("the dog opens the door", "the dog does not open the door", False),
        ("the dog opens the door", "the dog closes the door", False),
        ("the dog barks at a boy", "the dog sleeps", False),
        ("the dog barks", None, False),
        (None, None, True),
    ],
)
def test_what_tells_the_same(one: str | None, other: str | None, is_same: bool) -> None:
    assert tells_same(one, other, "the dog") is is_same
    assert tells_same(other, one, "the dog") is is_same


@pytest.mark.parametrize(
    ("texts", "text", "agreement"),
    [
        (["the dog barks"], "the dog barks", 1.0),
        (["the dog barks", "the dog sleeps"], "the dog barks", 0.5),
        (["the dog sleeps", "the dog barks at me", "the dog is barking at me"], "the dog barks at me", 2 / 3),
        ([None, "the dog barks", None], None, 2 / 3),
    ],
)  # fmt: skip
def test_the_text_that_most_agree_with(texts: list[str | None], text: str | None, agreement: float) -> None:
    found = most_agreed(texts, "the dog")
    assert found.text == text
    assert found.agreement == pytest.approx(agreement)
