"""Text alone: it must find what text gives away, and must find nothing where there is nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import replace

import pytest

from strefer_core import claims as cl
from strefer_core import data_model as dm
from strefer_core.audit.checking import Verdict
from strefer_core.audit.examples import Example, Form, examples_of, question_template
from strefer_core.audit.text_only import guess, guess_premise

COLOURS = ("red", "blue", "green", "pink")


def example(
    video: int, question: str, label: Hashable, form: Form = "yes_no", options: tuple[str, ...] = ()
) -> Example:
    return Example(
        video=f"v{video}",
        task_type="verify",
        template="verify.action.0",
        form=form,
        question=question,
        options=options,
        label=label,
        is_negative=False,
        skeleton=question,
    )


def many(make: Callable[[int, random.Random], Example], count: int = 400) -> list[Example]:
    rng = random.Random(5)
    return [make(i % 40, rng) for i in range(count)]


def test_coin_flips_are_guessed_like_coin_flips() -> None:
    examples = many(
        lambda v, rng: example(v, f"Is the {rng.choice(COLOURS)} one moving?", rng.choice(["yes", "no"]))
    )
    found = guess(examples)
    assert found.chance == 0.5
    assert found.accuracy == pytest.approx(0.5, abs=0.08)


def test_a_word_that_gives_the_answer_away_is_found() -> None:
    def make(video: int, rng: random.Random) -> Example:
        colour = rng.choice(COLOURS)
        return example(video, f"Is the {colour} one moving?", "yes" if colour in ("red", "blue") else "no")

    found = guess(many(make))
    assert found.accuracy == 1.0
    assert found.edge == 0.5


def test_a_template_that_gives_the_answer_away_is_found() -> None:
    def make(video: int, rng: random.Random) -> Example:
        label = rng.choice(["yes", "no"])
        return replace(example(video, "Is it so?", label), template=f"t.{label}")

    assert guess(many(make)).accuracy == 1.0


def test_what_holds_within_one_video_only_is_no_use_in_others() -> None:
    """Every video has words of its own: whoever learnt from it would know, but it is never learnt from."""
    rng = random.Random(9)
    answers = {video: rng.choice(["yes", "no"]) for video in range(200)}
    examples = [example(v, f"Is thing{v} there?", answers[v]) for v in range(200) for _ in range(5)]
    accuracy = guess(examples).accuracy
    assert accuracy is not None
    assert accuracy < 0.62


def test_options_that_are_right_in_turn_cannot_be_guessed() -> None:
    def make(video: int, rng: random.Random) -> Example:
        options = tuple(rng.sample(["Moving left.", "Moving right.", "Staying in place."], 3))
        return example(video, "What is it doing?", rng.randrange(3), "choice", options)

    found = guess(many(make))
    assert found.chance == pytest.approx(1 / 3)
    assert found.accuracy == pytest.approx(1 / 3, abs=0.08)


@pytest.mark.parametrize("habit", ["words", "place"])
def test_habits_of_the_right_option_are_found(habit: str) -> None:
    def make(video: int, rng: random.Random) -> Example:
        options = tuple(rng.sample(["Moving left.", "Moving right.", "Staying in place."], 3))
        label = options.index("Staying in place.") if habit == "words" else 1
        return example(video, "What is it doing?", label, "choice", options)

    assert guess(many(make)).accuracy == 1.0


def test_open_answers_have_a_chance_only_where_they_repeat() -> None:
    parts = many(lambda v, rng: example(v, "When?", rng.choice(["beginning", "end", "end"]), "open"))
    share = sum(one.label == "end" for one in parts) / len(parts)
    assert guess(parts).chance == pytest.approx(share)
    stories = many(lambda v, rng: example(v, "What happens?", rng.random(), "open"))
    assert guess(stories).chance is None
    assert guess(stories).accuracy == 0.0


def test_a_single_video_gives_no_accuracy() -> None:
    found = guess([example(0, "Is it so?", "yes")] * 8)
    assert (found.accuracy, found.edge) == (None, None)


def test_false_premises_are_compared_with_true_ones_of_the_same_shape() -> None:
    def make(video: int, rng: random.Random) -> Example:
        return example(video, f"What is the {rng.choice(COLOURS)} one doing?", rng.random(), "open")

    true = many(make)
    timed = [replace(one, question=f"{one.question} <start_time>") for one in true]
    false = [replace(one, is_negative=True) for one in many(make)]
    assert guess_premise(false, true + timed, seed=1).accuracy == pytest.approx(0.5, abs=0.08)
    why = [replace(one, question=one.question.replace("What", "Why")) for one in false]
    assert guess_premise(why, true + timed, seed=1).accuracy == 1.0
    assert guess_premise(false, timed, seed=1).questions == 0, "none of the same shape"


IT = cl.Who(words="red square")
MOVES = cl.Does(who=IT, what=cl.Predicate(kind="move", direction="left"), window="video", span="sometime")


def verdict(question: str, answer: str, *claims: cl.Claim) -> Verdict:
    pair = dm.Instruction(
        instruction_id="i",
        video_id="v",
        group="G6",
        task_type="verify",
        turns=(dm.Turn(role="human", text=question), dm.Turn(role="gpt", text=answer)),
        template_id="verify.action.3.yes.1",
    )
    reading = cl.Reading(asks="what", about=(IT,), claims=frozenset(claims))
    return Verdict(pair=pair, faults=(), leaked=(), readings=(reading,))


def test_labels_of_the_three_forms() -> None:
    (yes,) = examples_of("v", verdict("Does the red square move?", "Yes, it does.", MOVES))
    assert (yes.form, yes.label, yes.template) == ("yes_no", "yes", "verify.action.3")
    assert yes.skeleton == "Does the X move?"
    (choice,) = examples_of("v", verdict("What does it do?\n(A) Stays.\n(B) Moves.", "(B) Moves.", MOVES))
    assert (choice.form, choice.label, choice.options) == ("choice", 1, ("Stays.", "Moves."))
    assert choice.question == "What does it do?"


def test_an_open_answer_is_what_it_says_of_whomever() -> None:
    other = cl.Who(words="blue circle")
    (one,) = examples_of("v", verdict("What does it do?", "It moves to the left.", MOVES))
    (same,) = examples_of("v", verdict("What does it do?", "The red square goes left.", MOVES))
    (differs,) = examples_of("v", verdict("What does it do?", "It goes.", replace(MOVES, who=other)))
    assert one.label == same.label != differs.label


def test_of_an_answer_in_times_the_times_are_the_answer() -> None:
    when = verdict("When does it move left?", "From <start_time> to <end_time>.", MOVES)
    early, late = (
        examples_of("v", replace(when, pair=replace(when.pair, start_s=start_s, end_s=start_s + 2)))[0].label
        for start_s in (0.2, 3.9)
    )
    assert (early, late) == ("0 to 2 s", "4 to 6 s")


def test_a_template_asks_as_its_question_does() -> None:
    assert question_template("verify.action_time.3.yes.0") == question_template("verify.action_time.3.no.1")
    assert question_template("verify.action_time.3.yes.0") != question_template("verify.action_time.2.yes.0")
