"""What pairs claim, judged by hand from their English: a table of pairs, and what may not be read at all."""

# ruff: noqa: E501  (tables of sentences: one pair a line)

from __future__ import annotations

import pytest

from strefer_core import data_model as dm
from strefer_core.claims import (
    Absent,
    Before,
    Claim,
    Does,
    Event,
    FirstOf,
    InPart,
    IsA,
    Others,
    Predicate,
    Reading,
    Shown,
    Story,
    Timed,
    While,
    Who,
)
from strefer_core.reading import Unreadable, read

KNOWN = (
    "the red square",
    "the blue circle",
    "the small green star",
    "the man in a white shirt",
    "person in blue on the left",
    "the yellow fish that moves left",
    "the small moving green fish",
    "two men",
)
RED, BLUE, STAR, MAN = (
    Who(words=words) for words in ("red square", "blue circle", "small green star", "man in a white shirt")
)
R0, R1, R2 = (Who(region=number) for number in range(3))
LEFT, RIGHT, UP, DOWN = (Predicate(kind="move", direction=way) for way in ("left", "right", "up", "down"))
STAND, VISIBLE, GROW, SHRINK = (Predicate(kind=kind) for kind in ("stand", "visible", "grow", "shrink"))
APPEAR, DISAPPEAR = Predicate(kind="appear"), Predicate(kind="disappear")
AT_LEFT, AT_MIDDLE, AT_UPPER = (Predicate(kind="at", place=place) for place in ("left", "middle", "upper"))
ENTER_LEFT, ENTER_TOP = (Predicate(kind="enter", direction=way) for way in ("left", "up"))
LEAVE_RIGHT = Predicate(kind="leave", direction="right")
T = "between <start_time> and <end_time>"


def to(kind: str, other: Who) -> Predicate:
    return Predicate(kind=kind, other=other)


def asked(who: Who, what: Predicate, denied: bool = False) -> Does:
    """Over most of the asked window."""
    return Does(who=who, what=what, window="asked", span="through", is_denied=denied)


def once(who: Who, what: Predicate, denied: bool = False) -> Does:
    """At some time in the video."""
    return Does(who=who, what=what, window="video", span="sometime", is_denied=denied)


def unseen(who: Who) -> Does:
    return Does(who=who, what=VISIBLE, window="asked", span="sometime", is_denied=True)


def story(who: Who, *what: Predicate, window: str = "video") -> Story:
    return Story(who=who, what=what, window="asked" if window == "asked" else "video")


def before(
    one: Who, what: Predicate | None, two: Who, then: Predicate | None, at_once: bool = False
) -> Before:
    return Before(first=Event(who=one, what=what), second=Event(who=two, what=then), at_once=at_once)


def told(*texts: str, known: tuple[str, ...] = KNOWN) -> tuple[Reading, ...]:
    turns = [dm.Turn(role="gpt" if i % 2 else "human", text=text) for i, text in enumerate(texts)]
    return read(turns, known)


def claims(*texts: str) -> frozenset[Claim]:
    (reading,) = told(*texts)
    return reading.claims


# fmt: off
PAIRS: list[tuple[str, str, str, set[Claim]]] = [  # question, answer, kind of question, claims
    # What somebody does
    (f"What is the red square doing {T}?", "It moves to the left.", "what_does", {asked(RED, LEFT)}),
    (f"What is the red square doing {T}?", "Drifting leftwards.", "what_does", {asked(RED, LEFT)}),
    (f"{T}, what does the red square do?", "The square keeps still.", "what_does", {asked(RED, STAND)}),
    ("Describe what the red square does.", "It goes up.", "what_does", {once(RED, UP)}),
    ("What does the red square do in the video?", "It enters the picture from the left, moves upward, then stops.",
     "what_does", {story(RED, ENTER_LEFT, UP, STAND)}),
    (f"What is the red square doing {T}?", "It moves to the left towards the blue circle.",
     "what_does", {asked(RED, LEFT), asked(RED, to("approach", BLUE))}),
    (f"What is the red square doing {T}?", "It moves right away from the blue circle and then grows.",
     "what_does", {story(RED, RIGHT, to("move_away", BLUE), GROW, window="asked")}),
    ("Tell me how the red square behaves.", "First it appears. After that it follows the blue circle.",
     "what_does", {story(RED, APPEAR, to("follow", BLUE))}),
    ("What does the man in a white shirt do?", "He stays put all the time.",
     "what_does", {Does(who=MAN, what=STAND, window="video", span="through")}),
    ("What does the <region> do?", "The red square passes in front of the blue circle.",
     "what_does", {once(R0, to("occlude", BLUE)), IsA(who=R0, words="red square")}),
    ("Look at the <region>. What does the shape do?", "It vanishes.", "what_does", {once(R0, DISAPPEAR)}),
    # The whole scene
    (f"What happens {T}?", "The red square moves left, then stops. The blue circle stays in place.",
     "what_happens", {story(RED, LEFT, STAND, window="asked"), asked(BLUE, STAND)}),
    ("What happens?", "The red square moves left. It then comes to rest.", "what_happens", {story(RED, LEFT, STAND)}),
    ("What can be seen in the video?", "The red square and the blue circle.", "things", {Shown(who=(BLUE, RED))}),
    ("What does the video show?", "You can see a red square.", "things", {Shown(who=(RED,))}),
    # Yes and no
    (f"Is the red square moving to the left {T}?", "Yes.", "yes_no", {asked(RED, LEFT)}),
    (f"Does the red square go left {T}?", "No, it is travelling to the right.",
     "yes_no", {asked(RED, LEFT, denied=True), asked(RED, RIGHT)}),
    ("Does the red square ever leave the picture on the right?", "No, it does not.",
     "yes_no", {once(RED, LEAVE_RIGHT, denied=True)}),
    ("Does the <region> move away from the <region> at any point?", "Yes, it does.",
     "yes_no", {once(R0, to("move_away", R1))}),
    (f"Is the red square visible {T}?", "No, it can't be seen then.", "yes_no", {unseen(RED)}),
    ("Is the red square visible all through the video?", "Yes, it can be seen all the time.",
     "yes_no", {Does(who=RED, what=VISIBLE, window="video", span="through")}),
    ("Is the red square visible all through the video?", "No, there is a time when it cannot be seen.",
     "yes_no", {Does(who=RED, what=VISIBLE, window="video", span="through", is_denied=True)}),
    (f"Is the red square on the left of the picture {T}?", "No. It is in the middle of the frame.",
     "yes_no", {asked(RED, AT_LEFT, denied=True), asked(RED, AT_MIDDLE)}),
    ("Is there a purple dog in the video?", "No, there is not.", "yes_no", {Absent(words="purple dog")}),
    ("Does the red square move left before the blue circle stops?", "No.",
     "yes_no", {before(BLUE, STAND, RED, LEFT)}),
    # Multiple choice
    (f"What is the red square doing {T}?\n(A) Moving to the left.\n(B) Staying in place.", "(B) Staying in place.",
     "choice", {asked(RED, LEFT, denied=True), asked(RED, STAND)}),
    (f"Where is the red square {T}?\n(A) In the middle.\n(B) In the upper part.\n(C) On the left.", "(A)",
     "choice", {asked(RED, AT_MIDDLE), asked(RED, AT_UPPER, denied=True), asked(RED, AT_LEFT, denied=True)}),
    (f"Which of these moves up {T}?\n(A) The red square.\n(B) The blue circle.", "(A) The red square.",
     "choice", {asked(RED, UP), asked(BLUE, UP, denied=True)}),
    ("Which of these things grows in the video?\n(A) The <region>.\n(B) The <region>.", "(B) The <region>.",
     "choice", {once(R0, GROW, denied=True), once(R1, GROW)}),
    # When
    ("When does the red square move left?", "From <start_time> to <end_time>.", "when", {Timed(who=RED, what=LEFT)}),
    ("From when to when is the red square out of sight?", "It cannot be seen between <start_time> and <end_time>.",
     "when", {Timed(who=RED, what=VISIBLE, is_denied=True)}),
    ("When is the <region> getting closer to the <region>?", "It approaches the blue circle from <start_time> to <end_time>.",
     "when", {Timed(who=R0, what=to("approach", R1)), IsA(who=R1, words="blue circle")}),
    ("In which third of the video does the red square shrink?", "The middle.",
     "which_part", {InPart(who=RED, what=SHRINK, part="middle")}),
    ("Can the red square be seen at the beginning, in the middle or at the end of the video?", "Only at the end.",
     "which_part", {InPart(who=RED, what=VISIBLE, part="end")}),
    ("During which part of the video does the red square appear?", "In all of them: it can be seen all the time.",
     "which_part", {InPart(who=RED, what=VISIBLE, part="throughout")}),
    # Order
    ("Which happens first: the red square moving up or the blue circle stopping?", "The blue circle stops first.",
     "which_first", {before(BLUE, STAND, RED, UP)}),
    ("Is the red square or the blue circle the first to appear?", "The red square.",
     "who_first", {before(RED, None, BLUE, None)}),
    ("Which of <region> and <region> can be seen earlier?", "The red square appears first.",
     "who_first", {FirstOf(who=RED, among=(R0, R1))}),
    ("What does the red square do after it moves left?", "It stops.", "next", {before(RED, LEFT, RED, STAND, True)}),
    ("The red square enters the picture from the top. What happens to it next?", "Then it moves down.",
     "next", {before(RED, ENTER_TOP, RED, DOWN, True)}),
    ("Who or what appears before the <region>?", "The blue circle and the red square can be seen earlier.",
     "before", {Others(who=R0, others=(BLUE, RED), side="before")}),
    ("What comes into the video before the red square?", "Nothing does; it can be seen from the very beginning.",
     "before", {Others(who=RED, others=(), side="before")}),
    ("What comes into the video later than the red square?", "After it comes the blue circle.",
     "after", {Others(who=RED, others=(BLUE,), side="after")}),
    # Meanwhile
    ("What is the red square doing while the blue circle moves up?", "At that time it is moving left.",
     "while", {While(who=RED, what=LEFT, other=Event(who=BLUE, what=UP))}),
    ("As the blue circle moves up, what does the red square do?", "It trails it.",
     "while", {While(who=RED, what=to("follow", BLUE), other=Event(who=BLUE, what=UP))}),
    # False premises
    (f"Where is the red square {T}?", f"The red square is not visible {T}; it can be seen at other times.",
     "where", {unseen(RED), once(RED, VISIBLE)}),
    ("What is the blue star doing in the video?", "There is no blue star in the video; it shows the red square.",
     "what_does", {Absent(words="blue star"), Shown(who=(RED,))}),
    ("What does the purple object do?", "There is no purple object in this video. You can see the red square.",
     "what_does", {Absent(words="purple object"), Shown(who=(RED,))}),
    ("Where is the person in green?", "The video does not show a person in green; you can see the red square.",
     "where", {Absent(words="person in green"), Shown(who=(RED,))}),
    ("When does the blue star appear?", "Sorry, I cannot see a blue star in this video. It shows the red square.",
     "when", {Absent(words="blue star"), Shown(who=(RED,))}),
    ("When does the red square move left?", "It never moves left in the video; instead it stays in place.",
     "when", {once(RED, LEFT, denied=True), once(RED, STAND)}),
    (f"Why is the red square moving up {T}?", "It is not moving up at that time but staying in place.",
     "why", {asked(RED, UP, denied=True), asked(RED, STAND)}),
    ("When does the red square move left?", "It is not the red square but the blue circle that moves to the left.",
     "when", {once(RED, LEFT, denied=True), once(BLUE, LEFT)}),
    ("When does the <region> move away from the <region>?",
     "At no time does it move away from the blue circle; it moves to the right.",
     "when", {once(R0, to("move_away", BLUE), denied=True), once(R0, RIGHT)}),
    ("When does the red square move left?", "The red square does not; the blue circle does.",
     "when", {once(RED, LEFT, denied=True), once(BLUE, LEFT)}),
    # What somebody is, and where
    ("What is the <region>?", "This is a red square.", "what_is", {IsA(who=R0, words="red square")}),
    ("Name the object in <region>.", "A man in a white shirt.", "what_is", {IsA(who=R0, words="man in a white shirt")}),
    ("Describe the <region> and what it does.", "These are two men. They walk to the right.",
     "describe", {IsA(who=R0, words="two men"), once(R0, RIGHT)}),
    ("What colour is the <region>?", "Dark red.", "colour", {IsA(who=R0, words="dark red")}),
    (f"In which part of the picture is the red square {T}?", "It can be seen on the left side of the picture.",
     "where", {asked(RED, AT_LEFT)}),
    # Names that hold words of the grammar
    ("What does the yellow fish that moves left do?", "It moves right.",
     "what_does", {once(Who(words="yellow fish that moves left"), RIGHT)}),
    ("Is the small moving green fish moving to the left?", "No, the moving pink fish is moving left.",
     "yes_no", {once(Who(words="small moving green fish"), LEFT, denied=True), once(Who(words="moving pink fish"), LEFT)}),
    ("What does the person in blue on the left do?", "They stay still.",
     "what_does", {once(Who(words="person in blue on the left"), STAND)}),
]
# fmt: on


@pytest.mark.parametrize(("question", "answer", "asks", "expected"), PAIRS)
def test_what_a_pair_claims(question: str, answer: str, asks: str, expected: set[Claim]) -> None:
    (reading,) = told(question, answer)
    assert reading.claims == expected
    assert reading.asks == asks


@pytest.mark.parametrize(
    ("question", "about"),
    [
        (f"What is the red square doing {T}?", (RED,)),
        ("Consider the <region> in this video.\nWhat does it do?", (R0,)),
        (f"What happens {T}?", ()),
    ],
)
def test_whom_a_question_is_about(question: str, about: tuple[Who, ...]) -> None:
    (reading,) = told(question, "The red square moves left.")
    assert reading.about == about


def test_options_are_kept_in_order() -> None:
    (reading,) = told("What does the red square do?\n(A) It stops.\n(B) It grows.", "(B) It grows.")
    assert reading.options == ("It stops.", "It grows.")


def test_regions_are_counted_over_all_turns_and_it_is_who_was_spoken_of_last() -> None:
    first, second, third = told(
        "What does the <region> do?", "It stops.",
        "Does the <region> follow the <region>?", "Yes.",
        "Does it grow?", "No.",
    )  # fmt: skip
    assert first.claims == {once(R0, STAND)}
    assert second.claims == {once(R1, to("follow", R2))}
    assert third.claims == {once(R1, GROW, denied=True)}


# fmt: off
UNREADABLE = [  # question, answer, and why it is none
    (f"What is the red square doing {T}?", "It slowly moves left.", "slowly is not known"),
    (f"What is the red square doing {T}?", "It moves left and looks happy.", "says more"),
    (f"What is the red square doing {T}?", "The blue circle moves left.", "about somebody else"),
    (f"What is the red square doing {T}?", "It moves left, the lamp", "a rest"),
    (f"What is the red square doing {T}?", "", "no answer"),
    (f"What is the red square doing {T}?", "Yes.", "no yes-or-no question"),
    ("What colour is the red square?", "It moves left.", "no colour"),
    (f"Where is the red square {T}?", "It moves left.", "no place"),
    (f"Is the red square moving left {T}?", "Yes, it is not moving left.", "contradicts itself"),
    (f"Is the red square moving left {T}?", "No, it moves left.", "contradicts itself"),
    (f"Is the red square moving left towards the blue circle {T}?", "No.", "which of the two is not so?"),
    ("Does the red square move left and then stop?", "No.", "which of the two is not so?"),
    ("When does the red square move left?", "It moves right from <start_time> to <end_time>.", "another deed"),
    ("When does the red square move left?", "The blue circle from <start_time> to <end_time>.", "somebody else"),
    ("When does the red square move left?", "At <start_time>.", "no end"),
    ("When does the red square move left?", "Until <end_time>.", "no start"),
    ("In which third does the red square move left?", "The beginning and the end.", "two parts"),
    (f"What moves left {T}?\n(A) The red square.\n(B) The blue circle.", "(A) The blue circle.", "letter and text differ"),
    (f"What moves left {T}?\n(A) The red square.\n(B) The blue circle.", "(C) A dog.", "no such letter"),
    (f"What moves left {T}?\n(A) The red square.\n(C) The blue circle.", "(A)", "letters jump"),
    (f"What moves left {T}?\n(A) The red square.\n(B) The red square.", "(A)", "alike"),
    (f"What moves left {T}?\n(A) The red square.", "(A)", "no choice"),
    ("Which appears first, the red square or the blue circle?", "The small green star.", "neither"),
    ("Which appears first, the red square or the blue circle?", "The red square at the end.", "says more"),
    ("Which happens first, the red square stopping or the blue circle stopping?", "The red square grows first.", "neither"),
    ("Who appears before the red square?", "The red square.", "itself"),
    ("Who appears before the red square?", "The blue circle can be seen after it.", "the other order"),
    ("Who appears before the red square?", "The blue circle can be seen before the small green star.", "somebody else"),
    ("What is the blue star doing?", "There is no green star in the video.", "another one"),
    ("What does the red square do at the beginning of the video?", "It stops.", "no claim is about a third"),
    ("What colour is the red square between <start_time> and <end_time>?", "Red.", "a time of no use"),
    ("Look at the <region>. What happens?", "The red square stops.", "pointed at for nothing"),
    ("Who or what can be seen in the video? The blue circle.", "The red square.", "named for nothing"),
    ("Regarding the blue circle, what does the red square do?", "It stops.", "named for nothing"),
    ("Is the red square always moving left at any time in the video?", "Yes.", "always or once?"),
    ("What object does the red square do?", "It stops.", "no English"),
    ("Describe the red square and what the blue circle does.", "It stops.", "two subjects"),
    ("What is it doing?", "It stops.", "nobody said who"),
    ("What does the <place> do?", "It stops.", "no such placeholder"),
    ("How many squares are there?", "Two.", "no kind of question that we have"),
    ("What does the red square do after the blue circle moves left, stops and grows?", "It stops.", "no one event"),
]
# fmt: on


@pytest.mark.parametrize(("question", "answer", "why"), UNREADABLE)
def test_what_is_not_understood_is_refused(question: str, answer: str, why: str) -> None:
    with pytest.raises(Unreadable):
        told(question, answer)


@pytest.mark.parametrize(
    "turns",
    [
        (),
        (dm.Turn(role="human", text="What happens?"),),
        (dm.Turn(role="gpt", text="It stops."), dm.Turn(role="human", text="What happens?")),
    ],
)
def test_turns_have_to_alternate(turns: tuple[dm.Turn, ...]) -> None:
    with pytest.raises(Unreadable, match="in turn"):
        read(turns, KNOWN)


def test_the_message_says_what_was_not_understood() -> None:
    with pytest.raises(Unreadable, match="slowly"):
        told("What does the red square do?", "It slowly moves left.")


def test_a_very_long_text_is_refused_at_once() -> None:
    with pytest.raises(Unreadable, match="words"):
        told("What happens?", "the red square moves left and " * 1000)
