"""Leaks: no question with a region tells what only its mask should, in any form, whoever said it before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strefer_core import data_model as dm
from strefer_core.stages.leaks import leaks, stem, telling_words, turn_leaks

FOX = dm.Entity(
    entity_id="fox",
    video_id="v",
    index=0,
    expression="the small red fox",
    noun="fox",
    generalized_noun="animal",
    attributes=(("colour", "red"), ("size", "small")),
)
MAN = dm.Entity(
    entity_id="man",
    video_id="v",
    index=1,
    expression="the tall man in a white shirt",
    noun="man",
    generalized_noun="person",
)
BY_ID = {entity.entity_id: entity for entity in (FOX, MAN)}


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("What is the <region> doing?", "It moves.", []),
        ("What is the person at the <region> doing?", "They walk.", []),
        ("What is the man at the <region> doing?", "They walk.", ["man"]),
        ("Which of the men is the <region>?", "That one.", ["man"]),
        ("What is the man's place, <region>?", "There.", ["man"]),
        ("Is the tall one, <region>, moving?", "Yes.", ["tall"]),
        ("Is TALL, <region>, moving?", "Yes.", ["tall"]),
        ("Where are the shirts of <region>?", "There.", ["shirt"]),
        ("Does the <region> walk?", "Walk.", ["walk"]),
        ("Is the <region> moving?", "The moving one.", []),
        ("Does the <region> walk?", "Yes.", []),  # the question of a yes/no says what is asked
        ("Where is <region>?\n(A) Left.\n(B) Right.", "(A) Left.", []),
        ("When does <region> walk?", "From <start_time> to <end_time>.", []),
        ("What is the tall man doing?", "They walk.", []),  # no region: nothing to give away
    ],
)
def test_what_a_question_gives_away(question: str, answer: str, expected: list[str]) -> None:
    assert leaks(question, answer, [MAN]) == expected


def test_a_broad_noun_gives_nothing_away() -> None:
    assert telling_words(FOX) == {"small", "red", "fox"}
    assert telling_words(MAN) == {"tall", "man", "white", "shirt"}


@given(st.sampled_from(sorted(telling_words(MAN))), st.sampled_from(["{}", "{}s", "{}'s", "The {},"]))
def test_every_telling_word_is_found_in_any_form(word: str, form: str) -> None:
    assert leaks(f"Look at <region>. {form.format(word)} is it?", "Hm.", [MAN])


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("foxes", "fox"), ("dogs", "dog"), ("men", "man"), ("women's", "woman"), ("people", "person"),
        ("butterflies", "butterfly"), ("glass", "glass"), ("octopus", "octopus"), ("moves", "move"),
        ("reddish", "reddish"), ("boxes", "box"), ("this", "this"), ("bus", "bus"), ("benches", "bench"),
    ],
)  # fmt: skip
def test_plain_forms(word: str, plain: str) -> None:
    assert stem(word) == plain


@given(st.from_regex(r"[a-z]{2,9}", fullmatch=True))
def test_a_plain_form_is_that_of_its_plural_too(word: str) -> None:
    assert stem(f"{stem(word)}") in (stem(word), stem(stem(word)))
    assert stem(f"{word}'s") == stem(word)


def talk(*texts: str, regions: tuple[str, ...]) -> dm.Instruction:
    roles = ("human", "gpt") * (len(texts) // 2)
    return dm.Instruction(
        instruction_id="i",
        video_id="v",
        group="G5",
        task_type="describe_entity",
        turns=tuple(dm.Turn(role=role, text=text) for role, text in zip(roles, texts, strict=True)),
        region_entity_ids=regions,
    )


def test_an_earlier_answer_gives_a_later_question_away() -> None:
    one = talk("What is <region>?", "A red fox.", "Does <region> move?", "Yes.", regions=("fox", "fox"))
    assert turn_leaks(one, BY_ID) == ["fox", "red"]


def test_words_about_others_give_nothing_away() -> None:
    one = talk("What is <region>?", "A red fox.", "Does <region> move?", "Yes.", regions=("fox", "man"))
    assert turn_leaks(one, BY_ID) == []


def test_regions_of_answers_are_counted() -> None:
    one = talk(
        "Which moves: <region> or <region>?", "The <region>.", "Is the man <region>?", "Yes.",
        regions=("fox", "fox", "fox", "man"),
    )  # fmt: skip
    assert turn_leaks(one, BY_ID) == ["man"]


def test_an_earlier_turn_answers_a_later_one() -> None:
    one = talk(
        "What does <region> do?", "It jumps high.", "And <region>?", "Jumps high.", regions=("fox", "man")
    )
    assert turn_leaks(one, BY_ID) == ["high", "jump"]
