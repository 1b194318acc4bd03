"""Words of options exchanged, questions rewritten for visual prompts, frames drawn on, text alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from strefer_core.data_model import Rle
from strefer_core.errors import ConfigError
from strefer_core.evaluation.items import Item
from strefer_core.evaluation.prompting import (
    EvaluationModes,
    drawn,
    frame_name,
    prompted,
    with_regions,
)
from strefer_core.evaluation.text_only import by_text
from strefer_core.evaluation.wording import (
    LOOKS,
    PLACES,
    first_clause,
    lettered_options,
    renamed,
    swapped,
    turned,
    verbs,
    ways,
)
from strefer_core.masks import encode
from strefer_core.video_llm.samples import Sample

RNG = random.Random(0)


def test_directions_are_exchanged_everywhere_alike() -> None:
    text = "It moves to the left, then moves upward."
    found = set(turned(text, PLACES, RNG))
    assert len(found) == 3
    assert text not in found
    assert all(len(ways(one)) == 2 for one in found)


def test_a_side_stays_a_side_and_a_capital_a_capital() -> None:
    assert set(turned("On the left side of the picture.", PLACES, RNG)) == {
        "On the right side of the picture.",
        "In the upper part of the picture.",
        "In the lower part of the picture.",
        "In the top part of the picture.",
        "In the bottom part of the picture.",
    }
    assert "Red." in set(turned("Green.", LOOKS, RNG))


def test_text_without_such_words_has_no_other_forms() -> None:
    assert list(turned("It stays in place.", PLACES, RNG)) == []


def test_names_change_with_their_article() -> None:
    assert renamed("I cannot see an orange star; the orange star", "orange star", "red star") == (
        "I cannot see a red star; the red star"
    )
    assert renamed("a red star", "red star", "orange star") == "an orange star"
    assert list(swapped("The red star.", ["red star", "blue star"])) == ["The blue star."]
    assert list(swapped("The red star and the blue star.", ["red star", "blue star"])) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It never moves; it stays in place.", "It never moves."),
        ("There is none. You can see others.", "There is none."),
        ("Sorry, no", "Sorry, no."),
    ],
)
def test_first_clauses(text: str, expected: str) -> None:
    assert first_clause(text) == expected


def test_options_and_verbs_are_found() -> None:
    assert lettered_options("Which?\n(A) One.\n(B) The <region>.") == [("A", "One."), ("B", "The <region>.")]
    assert verbs("It is travelling up and goes down") == {"travel", "go"}


# --- visual prompts -----------------------------------------------------------------------------------------


def mask(x: int) -> Rle:
    grid = np.zeros((60, 80), np.bool_)
    grid[20:40, x : x + 20] = True
    code = encode(grid)
    assert code is not None
    return code


def sample(question: str, *, regions: Sequence[dict[int, Rle]] = (), times: bool = False) -> Sample:
    return Sample(
        sample_id="s",
        video=Path("v.mp4"),
        turns=((question, ""),),
        regions=tuple(regions),
        start_s=1.0 if times else None,
        end_s=3.1 if times else None,
    )


PTS = [0.0, 1.0, 2.0, 3.0, 4.0]
A, B = {0: mask(0)}, {0: mask(40)}


def test_regions_become_marked_things() -> None:
    one = sample("The <region> and <region>: which of them, the [<region>], is red?", regions=[A, B, A])
    found = prompted(one, PTS, region_mode="som")
    assert found.turns[0][0] == (
        "The thing marked 1 and the thing marked 2: which of them, the thing marked 1, is red?"
    )
    assert (found.marked, found.labels) == ((A, B), ("1", "2")), "a thing that is named twice has one mark"


def test_without_regions_the_text_names_a_thing() -> None:
    found = prompted(
        sample("Look at the <region>.\n<region> is what?", regions=[A, B]), PTS, region_mode="none"
    )
    assert found.turns[0][0] == "Look at the thing.\nThe thing is what?"
    assert found.marked == ()


def test_times_become_numbers_of_the_nearest_frames_or_seconds() -> None:
    one = sample("From <start_time> to <end_time>?", times=True)
    assert prompted(one, PTS, time_mode="number").turns[0][0] == "From frame 1 to frame 3?"
    shown = prompted(one, PTS[::2], time_mode="number", numbers=[0, 2, 4])
    assert shown.turns[0][0] == "From frame 0 to frame 4?", "1.0 s lies as near to 0 s: the earlier one"
    assert prompted(one, PTS, time_mode="text").turns[0][0] == "From 1.0 seconds to 3.1 seconds?"
    assert prompted(one, PTS).turns == one.turns


def test_times_that_are_missing_are_refused_and_modes_that_are_unknown() -> None:
    with pytest.raises(ValueError, match="has none"):
        prompted(sample("At <start_time>?"), PTS, time_mode="text")
    with pytest.raises(ValueError, match="0 names for 1 regions"):
        with_regions([("<region>?", "")], [])
    with pytest.raises(ConfigError, match="no region mode 'magic'"):
        EvaluationModes(region_mode="magic")  # type: ignore[arg-type]


def test_the_nearest_frame_is_named() -> None:
    assert [frame_name(t, PTS) for t in (-1, 0.4, 0.6, 9)] == ["frame 0", "frame 0", "frame 1", "frame 4"]


def test_marks_are_drawn_where_the_masks_are_and_numbers_on_every_frame() -> None:
    images = np.full((2, 60, 80, 3), 128, np.uint8)
    asked = prompted(sample("<region>, <region>?", regions=[A, B]), [0.0, 1.0], region_mode="som")
    marked = drawn(images, asked, [0, 7])
    changed = (marked[0] != 128).any(axis=2)
    assert changed[20:40, :20].all()
    assert changed[20:40, 40:60].all()
    assert not changed[:, 61:].any()
    assert (marked[1] == 128).all(), "no mask on this frame"
    numbered = drawn(images, asked, [0, 7], numbers=[0, 7])
    assert all((one[50:, 60:] != 128).any() for one in numbered)
    assert (images == 128).all(), "new pictures"


# --- text alone ---------------------------------------------------------------------------------------------


def item(place: int, *, tells: bool) -> Item:
    """Of options red and blue; where text tells, red is right whenever the question is about roses."""
    flower = ("rose", "violet")[place % 2]
    right = place % 2 if tells else random.Random(place).randrange(2)
    return Item(
        item_id=str(place),
        video=f"v{place % 20}",
        group="G1",
        task_type="t",
        form="open",
        template=f"t.{flower}.0.answers.0",
        question=f"What colour is the {flower}?",
        answer="",
        options=("red", "blue"),
        right=right,
    )


def test_text_alone_finds_what_text_tells_and_nothing_else() -> None:
    told = by_text([item(place, tells=True) for place in range(200)])
    hidden = by_text([item(place, tells=False) for place in range(200)])
    assert told["rates"].mean() == 1.0
    for values in hidden.values():
        assert 0.3 <= values.mean() <= 0.7


def test_text_alone_may_be_fitted_to_other_items() -> None:
    train, test = ([item(place, tells=True) for place in range(n)] for n in (100, 3))
    assert by_text(test, fit=train)["rates"].tolist() == [1.0, 1.0, 1.0]
    assert by_text(test[:1]) == {}, "a single video"
