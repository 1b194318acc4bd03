"""Whether other words say the same: a table of English by hand, and a word more at every place."""

from __future__ import annotations

import re

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.served.samewords import check_pairs, check_text
from tests.samples import rich

RICH = rich()
ENTITIES = {one.entity_id: one for one in RICH.entities}
WHAT = "What does the red square do between <start_time> and <end_time>?"
LEFT = "The red square moves to the left, then stops."
EVER = "Is the <region> moving to the left at any time in the video?"
NEVER = "No, it never moves to the left."


def same(old: tuple[str, str], new: tuple[str, str]) -> bool:
    """Whether a pair in other words is found to be the same; its region is the orange triangle."""

    def pair(texts: tuple[str, str]) -> dm.Instruction:
        regions = (RICH.entity_id("triangle"),) * "".join(texts).count("<region>")
        turns = (dm.Turn(role="human", text=texts[0]), dm.Turn(role="gpt", text=texts[1]))
        return dm.Instruction(
            instruction_id="",
            video_id="b" * 16,
            group="G3",
            task_type="event_at_time",
            turns=turns,
            region_entity_ids=regions,
        )

    try:
        for place, said_to in enumerate(("", old[0])):
            if new[place] != old[place]:
                check_text(new[place], old[place], said_to)
        check_pairs(pair(old), pair(new), ENTITIES, [one.expression for one in RICH.entities])
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((WHAT, LEFT), ("What is the red square doing from <start_time> to <end_time>?", LEFT)),
        ((WHAT, LEFT), ("From <start_time> to <end_time>, what does the red square do?", LEFT)),
        ((WHAT, LEFT), ("Describe what the red square does between <start_time> and <end_time>.", LEFT)),
        ((WHAT, LEFT), (WHAT, "It moves left and then stops.")),
        ((WHAT, LEFT), (WHAT, "The red square travels to the left and then comes to a stop.")),
        ((WHAT, LEFT), (WHAT, "The red square heads left, then halts.")),
        ((EVER, NEVER), ("Does the <region> ever move to the left?", NEVER)),
        ((EVER, NEVER), ("At any point in the video, does the <region> go left?", NEVER)),
        ((EVER, NEVER), (EVER, "No, it does not move to the left at any time.")),
    ],
)
def test_other_words_for_the_same(old: tuple[str, str], new: tuple[str, str]) -> None:
    assert same(old, new)


@pytest.mark.parametrize(
    "answer",
    [
        "It moves right and then stops.",  # direction
        "It stops, then moves to the left.",  # order
        "It moves to the left.",  # left out
        "The red square does not move to the left, then stops.",  # denial
        "The blue circle moves to the left, then stops.",  # another thing
        "The small red square moves to the left, then stops.",  # another property
        "The person moves to the left, then stops.",
        "He moves to the left, then stops.",
        "The red square runs to the left, then stops.",  # manner
        "The red square quickly moves to the left, then stops.",
        "The red square slides left, then stops.",
        "It continues to move to the left, then stops.",  # what was before
        "It moves to the left again, then stops.",
        "It moves to the left towards the blue circle, then stops.",  # added
        "It moves to the left, then stops near the wall.",
        "It moves all the way to the left, then stops.",
        "It might move to the left, then stop.",  # doubt
        "It tries to move to the left, then stops.",
        "It moves to the left twice, then stops.",  # number
        "The red square and the blue circle move to the left, then stop.",
        "It moves to the left between <start_time> and <end_time>, then stops.",
        "It moves to the left, then stops?",
        "It moves to the left, then stops. It stops.",
    ],
)
def test_answers_that_say_something_else(answer: str) -> None:
    assert not same((WHAT, LEFT), (WHAT, answer))


@pytest.mark.parametrize(
    "question",
    [
        "What does the blue circle do between <start_time> and <end_time>?",
        "What does the red square do?",
        "What does the red square do between <end_time> and <start_time>?",
        "Why does the red square move between <start_time> and <end_time>?",
        "When does the red square move between <start_time> and <end_time>?",
        "Where is the red square between <start_time> and <end_time>?",
        "What does he do between <start_time> and <end_time>?",
        "What does the angry red square do between <start_time> and <end_time>?",
        "What does the red square do between <start_time> and <end_time>? Answer in German.",
        "What does the red square do between <start_time> and <end_time>? The red square.",
    ],
)
def test_questions_that_ask_something_else(question: str) -> None:
    assert not same((WHAT, LEFT), (question, LEFT))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Does the orange <region> ever move to the left?", NEVER),
        ("Is the <region>, the triangle, moving to the left at any time?", NEVER),
        ("Is the animal in the <region> moving to the left at any time in the video?", NEVER),
        ("Is the <region> moving to the right at any time in the video?", NEVER),
        ("Is the <region> not moving to the left at any time in the video?", NEVER),
        (EVER, "Yes, it moves to the left."),
        (EVER, "No, it never moves."),
        (EVER, "No, she never moves to the left."),
        (EVER, "No."),  # the same, but told less helpfully
        (EVER, "No, it never moves to the left; the red square does."),
    ],
)
def test_pairs_of_a_region_that_are_not_the_same(question: str, answer: str) -> None:
    assert not same((EVER, NEVER), (question, answer))


ADDED = """
    quickly near wall happy green dog again almost twice runs person never not right up circle still first
    only always away before after object also about yes may out from hidden other all no
""".split()  # noqa: SIM905


@pytest.mark.parametrize("word", ADDED)
def test_a_word_more_is_never_passed_over(word: str) -> None:
    """At any place of a question or an answer; unless it says there what is said already."""
    repeats = {"The red square moves to the left, then stops still."}
    for old in ((WHAT, LEFT), (EVER, NEVER)):
        for side in (0, 1):
            parts = re.findall(r"\S+(?=[?.]$)|\S+", old[side])
            for place in range(1, len(parts)):
                text = " ".join([*parts[:place], word, *parts[place:]])
                text = re.sub(r" (?=[?.]$)", "", text)
                new = (text, old[1]) if side == 0 else (old[0], text)
                assert text in repeats or not same(old, new), text
