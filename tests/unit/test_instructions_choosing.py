"""What is chosen of what is offered: sets whole, shares kept, groups balanced, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strefer_core import data_model as dm
from strefer_core.stages.choosing import SMALL_SET, choose, kind_of, question_key, units_of


def pair(
    question: str, answer: str, *, is_negative: bool = False, group: str = "G4", key: str = ""
) -> dm.Instruction:
    return dm.Instruction(
        instruction_id="",
        video_id="v",
        group=group,
        task_type={"G4": "verify", "G8": "false_premise"}.get(group, "event_at_time"),
        turns=(dm.Turn(role="human", text=question), dm.Turn(role="gpt", text=answer)),
        is_negative=is_negative,
        template_id=f"x.form{group}.0.answers.0",
        set_key=key,
    )


def twin(number: int) -> list[dm.Instruction]:
    return [
        pair(f"{number} now?", "Yes.", key=f"t{number}"),
        pair(f"{number} then?", "No.", is_negative=True, key=f"t{number}"),
    ]


def premise(number: int) -> list[dm.Instruction]:
    return [
        pair(f"what {number}?", "Not so.", is_negative=True, group="G8", key=f"p{number}"),
        pair(f"what {number} else?", "So.", group="G3", key=f"p{number}"),
    ]


def single(number: int, group: str = "G1") -> list[dm.Instruction]:
    return [pair(f"tell {number} {group}?", "That.", group=group)]


def offer(twins: int, premises: int, singles: int) -> list[dm.Instruction]:
    found = [item for i in range(twins) for item in twin(i)]
    found += [item for i in range(premises) for item in premise(i)]
    return found + [item for i in range(singles) for item in single(i, f"G{1 + i % 3}")]


COUNTS = st.integers(0, 25)


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS, COUNTS, st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.2, 0.5]), st.randoms())
def test_sets_stay_whole_and_shares_hold(
    twins: int, premises: int, singles: int, at_most: int, share: float, rng: object
) -> None:
    offered = offer(twins, premises, singles)
    rng.shuffle(offered)  # type: ignore[attr-defined]
    chosen = choose(offered, at_most, share, "seed")
    assert len(chosen) <= at_most
    assert len({question_key(item) for item in chosen}) == len(chosen)
    assert all(item in offered for item in chosen)
    sizes = Counter(item.set_key for item in chosen if item.set_key)
    assert set(sizes.values()) <= {2}
    negatives = sum(item.is_negative for item in chosen)
    assert negatives <= share * len(chosen) + 1
    assert len(chosen) <= SMALL_SET or negatives >= share * len(chosen) - 1


@pytest.mark.parametrize(("singles", "chosen"), [(3, 3), (12, 12), (40, 12)])
def test_where_nothing_false_can_be_asked_a_small_set_goes_without(singles: int, chosen: int) -> None:
    assert len(choose(offer(0, 0, singles), 60, 0.2, "seed")) == chosen


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_half_of_the_negatives_say_no(share: float) -> None:
    kinds = Counter(map(kind_of, choose(offer(30, 30, 60), 60, share, "s")))
    assert kinds["yes"] == kinds["no"]
    assert abs(kinds["no"] - kinds["false"]) <= 1
    assert kinds["no"] + kinds["false"] == round(60 * share)


def test_one_kind_of_negatives_stands_in_for_the_other() -> None:
    kinds = Counter(map(kind_of, choose(offer(1, 30, 60), 50, 0.2, "s")))
    assert (kinds["no"], kinds["false"]) == (1, 9)
    kinds = Counter(map(kind_of, choose(offer(30, 0, 60), 50, 0.2, "s")))
    assert (kinds["no"], kinds["false"]) == (10, 0)


def test_groups_are_balanced_where_there_is_a_choice() -> None:
    offered = [item for i in range(40) for group in ("G1", "G2", "G3") for item in single(i, group)]
    counts = Counter(item.group for item in choose(offered, 30, 0.0, "s"))
    assert set(counts.values()) == {10}


def test_a_share_that_cannot_be_had_gives_fewer_pairs() -> None:
    only_negative = [pair(f"{i}?", "No.", is_negative=True) for i in range(20)]
    assert choose(only_negative, 10, 0.2, "s") == []
    assert len(choose(only_negative + offer(0, 0, 8), 20, 0.2, "s")) == 10


def test_the_same_seed_chooses_the_same() -> None:
    offered = offer(20, 20, 40)
    assert choose(offered, 30, 0.2, "a") == choose(offered, 30, 0.2, "a")
    assert choose(offered, 30, 0.2, "a") != choose(offered, 30, 0.2, "b")


def keys(units: Sequence[Sequence[dm.Instruction]]) -> list[int]:
    return sorted(len(unit) for unit in units)


def test_a_repeated_question_goes_and_its_set_with_it() -> None:
    assert keys(units_of([*twin(1), *twin(2)])) == [2, 2]
    assert keys(units_of([*twin(1), pair("1 now?", "Yes.")])) == [2]  # the set stays
    same = [pair("1 now?", "Yes.", key="a"), pair("1 now?", "No.", is_negative=True, key="a")]
    assert units_of(same) == []
    assert len(units_of([*single(1), *single(1)])) == 1
