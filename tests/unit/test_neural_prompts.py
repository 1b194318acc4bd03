"""Nouns become texts; one token per letter here, so that every expected text can be read off."""

from __future__ import annotations

import pytest

from strefer_core.backends.neural.prompts import Marks, Prompt, prompts_of

MARKS = Marks(start=1, end=2, stop=ord("."), special={1, 2, ord("."), ord("?")})


def letters(noun: str) -> list[int]:
    return [ord(letter) for letter in noun]


def texts(prompts: list[Prompt]) -> list[str]:
    return ["".join({1: "<", 2: ">"}.get(i, chr(i)) for i in prompt.ids) for prompt in prompts]


def test_every_noun_ends_with_a_stop_and_its_place_is_known() -> None:
    (prompt,) = prompts_of(["dog", "cat"], letters, MARKS, 20)
    assert texts([prompt]) == ["<dog.cat.>"]
    assert prompt.spans == {0: (1, 4), 1: (5, 8)}
    assert [prompt.ids[slice(*span)] for span in prompt.spans.values()] == [(*b"dog",), (*b"cat",)]


def test_more_nouns_than_fit_are_asked_for_in_several_texts() -> None:
    prompts = prompts_of(["dog", "cat", "cow", "a"], letters, MARKS, 10)
    assert texts(prompts) == ["<dog.cat.>", "<cow.a.>"]
    assert [set(prompt.spans) for prompt in prompts] == [{0, 1}, {2, 3}]
    assert prompts[1].spans == {2: (1, 4), 3: (5, 6)}


def test_a_text_is_as_long_as_it_may_be_and_no_longer() -> None:
    assert texts(prompts_of(["ab", "cd"], letters, MARKS, 8)) == ["<ab.cd.>"]
    assert texts(prompts_of(["ab", "cd"], letters, MARKS, 7)) == ["<ab.>", "<cd.>"]


def test_a_noun_that_is_longer_than_a_text_is_cut() -> None:
    (prompt,) = prompts_of(["elephant"], letters, MARKS, 7)
    assert texts([prompt]) == ["<elep.>"]


@pytest.mark.parametrize("noun", ["st. bernard", "st? bernard", "st.? bernard."])
def test_what_would_end_a_phrase_is_left_out_of_a_noun(noun: str) -> None:
    assert texts(prompts_of([noun], letters, MARKS, 20)) == ["<st bernard.>"]


def test_nouns_without_tokens_are_in_no_text() -> None:
    assert prompts_of([], letters, MARKS, 20) == []
    assert prompts_of(["", "?."], letters, MARKS, 20) == []
    (prompt,) = prompts_of(["", "dog", "..."], letters, MARKS, 20)
    assert prompt.spans == {1: (1, 4)}


def test_nouns_of_the_same_tokens_share_their_place() -> None:
    (prompt,) = prompts_of(["dog", "cat", "dog."], letters, MARKS, 20)
    assert texts([prompt]) == ["<dog.cat.>"]
    assert prompt.spans == {0: (1, 4), 2: (1, 4), 1: (5, 8)}
