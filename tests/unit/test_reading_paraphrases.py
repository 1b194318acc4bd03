"""The same said in other words reads the same; anything more, less or else does not."""

# ruff: noqa: E501  (tables of sentences: one pair a line)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strefer_core import data_model as dm
from strefer_core.claims import Reading
from strefer_core.reading import Unreadable, read

KNOWN = ("the red square", "the blue circle", "the small green star", "person in blue on the left")
T = "between <start_time> and <end_time>"
Pair = tuple[str, str]


def reading_of(pair: Pair) -> tuple[Reading, ...] | None:
    """None where it cannot be read."""
    turns = [dm.Turn(role="human", text=pair[0]), dm.Turn(role="gpt", text=pair[1])]
    try:
        return read(turns, KNOWN)
    except Unreadable:
        return None


# fmt: off
SAME: list[list[Pair]] = [
    [
        (f"What is the red square doing {T}?", "It moves to the left."),
        ("From <start_time> to <end_time>, what does the red square do?", "The red square is heading left."),
        (f"Please describe what the red square does in the video {T}.", "In the video, it goes leftwards then."),
        (f"Could you tell me what the red square is doing {T}?", "Travelling to the left."),
        ("What happens to the red square in the interval from <start_time> until <end_time>?", "Sure, it slides left."),
    ],
    [
        ("What does the red square do?", "It enters the picture from the left, moves up, then stops."),
        ("How does the red square behave in the video?",
         "First it comes into the frame from the left. It then rises. Finally, it comes to a halt."),
        ("Tell me what the red square does.",
         "It comes in from the left and travels upwards before coming to rest."),
    ],
    [
        (f"Does the red square follow the blue circle {T}?", "No, it stays in place."),
        (f"Is the red square trailing the blue circle {T}?", "No. It is standing still."),
        (f"Is it true that the red square goes behind the blue circle {T}?", "No, the red square remains in place."),
    ],
    [
        ("When does the <region> get larger?", "From <start_time> to <end_time>."),
        ("At what time is the <region> growing in size?", "It grows between <start_time> and <end_time>."),
        ("Look at the <region> and answer the question.\nGive the time at which it becomes bigger.",
         "Between <start_time> and <end_time>."),
    ],
    [
        ("Which happens first: the red square vanishing or the blue circle appearing in view?",
         "The blue circle comes into view first."),
        ("Two things happen in the video: the red square going out of sight and the blue circle coming into view. "
         "Which of them comes first?", "First, the blue circle appears in view."),
    ],
    [
        ("While the blue circle moves up, what is the red square doing?", "It approaches the blue circle."),
        ("What is the red square doing as the blue circle is moving upward?", "It is getting closer to it."),
    ],
    [
        (f"What is the blue dog doing {T}?", "There is no blue dog in the video; it shows the red square."),
        (f"What does the blue dog do {T}?", "Sorry, I can't see any blue dog in this video. You can see the red square."),
    ],
    [
        ("In which third of the video can the red square be seen?", "The beginning."),
        ("Is the red square visible at the beginning, in the middle or at the end of the video?",
         "It can be seen only in the first third of the video."),
    ],
]

OTHER: list[tuple[Pair, list[Pair]]] = [
    (
        (f"What is the red square doing {T}?", "It moves to the left."),
        [
            (f"What is the red square doing {T}?", "It moves to the right."),
            (f"What is the red square doing {T}?", "It does not move to the left."),
            (f"What is the red square doing {T}?", "It moves to the left towards the blue circle."),
            (f"What is the red square doing {T}?", "It moves to the left and stops."),
            (f"What is the red square doing {T}?", "It moves to the left in the end."),
            (f"What is the blue circle doing {T}?", "It moves to the left."),
            (f"What is the small red square doing {T}?", "It moves to the left."),
            ("What is the red square doing?", "It moves to the left."),
            (f"When is the red square moving to the left {T}?", "It moves to the left."),
            (f"Is the red square moving to the left {T}?", "Yes, it moves to the left."),
            ("What is the red square doing at any point in the video?", "It moves to the left."),
        ],
    ),
    (
        ("What does the red square do?", "It moves left, then stops."),
        [
            ("What does the red square do?", "It stops, then moves left."),
            ("What does the red square do?", "It moves left."),
            ("What does the red square do?", "It moves left, then stops. The blue circle grows."),
        ],
    ),
    (
        ("Does the red square follow the blue circle?", "Yes."),
        [
            ("Does the red square follow the blue circle?", "No."),
            ("Does the blue circle follow the red square?", "Yes."),
            ("Does the red square follow the small green star?", "Yes."),
            ("Does the red square approach the blue circle?", "Yes."),
            ("Does the red square follow the blue circle?", "Yes, all the time."),
        ],
    ),
    (
        ("Which appears first, the <region> or the <region>?", "The first one."),
        [
            ("Which appears first, the <region> or the <region>?", "The second one."),
            ("Which appears first, the <region> or the <region>?", "The first one, the red square."),
        ],
    ),
    (
        ("Who appears before the red square?", "The blue circle."),
        [
            ("Who appears after the red square?", "The blue circle."),
            ("Who appears before the red square?", "The blue circle and the small green star."),
            ("Who appears before the red square?", "Nothing does."),
        ],
    ),
    (
        (f"What moves up {T}?\n(A) The red square.\n(B) The blue circle.", "(A) The red square."),
        [
            (f"What moves up {T}?\n(A) The red square.\n(B) The blue circle.", "(B) The blue circle."),
            (f"What moves up {T}?\n(A) The blue circle.\n(B) The red square.", "(B) The red square."),
            (f"What moves up {T}?\n(A) The red square.\n(B) The small green star.", "(A) The red square."),
        ],
    ),
    (
        ("What does the <region> do after it grows?", "It stops."),
        [
            ("What does the <region> do after it grows?", "The red square stops."),
            ("What does the <region> do after it stops?", "It grows."),
            ("What does the <region> do while the blue circle grows?", "It stops."),
            ("What does the <region> do after it grows?", "It stops again."),
        ],
    ),
    (
        ("When does the <region> follow the <region>?", "From <start_time> to <end_time>."),
        [
            ("When does the <region> follow the <region>?", "It follows the red square from <start_time> to <end_time>."),
            ("When does the <region> follow the <region>?", "It follows something from <start_time> to <end_time>."),
            ("When does the <region> follow the <region>?", "The red square does from <start_time> to <end_time>."),
        ],
    ),
    (
        ("What is the <region>?", "This is a red square."),
        [("What is the <region>?", "This is a bright red square."), ("What colour is the <region>?", "It is red.")],
    ),
]
# fmt: on


@pytest.mark.parametrize("pairs", SAME, ids=lambda pairs: pairs[0][0])
def test_other_words_for_the_same_read_the_same(pairs: list[Pair]) -> None:
    first, *others = (reading_of(pair) for pair in pairs)
    assert first is not None
    for other in others:
        assert other == first


@pytest.mark.parametrize(("pair", "others"), OTHER, ids=lambda item: str(item[0]))
def test_what_says_something_else_does_not_read_the_same(pair: Pair, others: list[Pair]) -> None:
    reading = reading_of(pair)
    assert reading is not None
    for other in others:
        assert reading_of(other) != reading, other


READABLE = [pair for pairs in SAME for pair in pairs] + [pair for pair, _ in OTHER]
STRANGE = (
    "happily",
    "purple",
    "dog",
    "seventeen",
    "quickly",
    "almost",
    "probably",
    "unless",
    "wearing",
    "kicks",
)


@given(
    pair=st.sampled_from(READABLE),
    word=st.one_of(st.sampled_from(STRANGE), st.from_regex(r"\A[qxz][a-z]{3,9}\Z")),
    side=st.sampled_from((0, 1)),
    place=st.integers(0, 60),
)
def test_a_word_that_is_not_known_is_never_passed_over(pair: Pair, word: str, side: int, place: int) -> None:
    pieces = pair[side].split(" ")
    place %= len(pieces) + 1
    longer = " ".join([*pieces[:place], word, *pieces[place:]])
    changed = (longer, pair[1]) if side == 0 else (pair[0], longer)
    assert reading_of(changed) != reading_of(pair)


@given(pair=st.sampled_from(READABLE), side=st.sampled_from((0, 1)), place=st.integers(0, 60))
def test_nothing_fails_in_another_way_where_a_word_is_lost(pair: Pair, side: int, place: int) -> None:
    pieces = pair[side].split(" ")
    del pieces[place % len(pieces)]
    shorter = " ".join(pieces)
    reading_of((shorter, pair[1]) if side == 0 else (pair[0], shorter))


@given(text=st.text(max_size=80), other=st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str, other: str) -> None:
    reading_of((text, other))
