"""Text alone answers nothing: twins, rotations and shared premises, by construction."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.rules.absent import phantoms
from strefer_core.backends.rules.asking import Asker
from strefer_core.backends.rules.choice_tasks import layout
from strefer_core.backends.rules.scene import scene_of
from strefer_core.stages.choosing import kind_of
from strefer_core.stages.task_table import row_of_type
from tests.samples import Actor, path, sample
from tests.unit.test_instructions import offered, seen_of, written

SEEDS = ("0", "1", "2")


def sets(seed: str, name: str = "rich") -> Iterator[list[dm.Instruction]]:
    found: dict[str, list[dm.Instruction]] = defaultdict(list)
    for item in offered(name, seed):
        if item.set_key:
            found[item.set_key].append(item)
    yield from found.values()


def words_only(item: dm.Instruction, names: tuple[str, ...] = ()) -> str:
    """The question without options and, where asked for, without names."""
    text = item.turns[0].text.split("\n(A)")[0]
    for name in names:
        text = re.sub(rf"\b{name}\b", "NAME", text, flags=re.IGNORECASE)
    return text


NAMES = ("the red square", "the blue circle", "the man in a white shirt", "the orange triangle")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_yes_has_its_no_in_the_same_words(seed: str) -> None:
    closed = [unit for unit in sets(seed) if {kind_of(item) for item in unit} & {"yes", "no"}]
    assert len(closed) >= 10
    for unit in closed:
        assert sorted(kind_of(item) for item in unit) == ["no", "yes"]
        one, other = (words_only(item, NAMES) for item in unit)
        assert one == other
        references = {(item.region_entity_ids, item.start_s, item.turns[0].text) for item in unit}
        assert len(references) == 2
    alone = [item for item in offered("rich", seed) if not item.set_key]
    assert not {kind_of(item) for item in alone} & {"yes", "no"}


@pytest.mark.parametrize("seed", SEEDS)
def test_on_regions_and_of_one_thing_twins_differ_in_nothing_that_is_read(seed: str) -> None:
    for unit in sets(seed):
        is_of_one = unit[0].group == "G6" or len({item.source_ids[0] for item in unit}) == 1
        if is_of_one and kind_of(unit[0]) in ("yes", "no"):
            assert len({item.turns[0].text for item in unit}) == 1


def test_yes_and_no_are_said_with_the_same_variety() -> None:
    answers = Counter((kind_of(item), item.turns[1].text in ("Yes.", "No.")) for item in offered("rich"))
    bare = {
        kind: answers[kind, True] / (answers[kind, True] + answers[kind, False]) for kind in ("yes", "no")
    }
    assert bare["yes"] == pytest.approx(bare["no"], abs=0.2)


def options_of(item: dm.Instruction) -> list[str]:
    return [line[4:] for line in item.turns[0].text.splitlines() if re.match(r"\([A-D]\) ", line)]


@pytest.mark.parametrize("seed", SEEDS)
def test_in_a_rotation_each_option_is_right_once(seed: str) -> None:
    rotations = [unit for unit in sets(seed) if options_of(unit[0]) and not unit[0].region_entity_ids[1:]]
    assert rotations
    for unit in rotations:
        shared = sorted(options_of(unit[0]))
        assert 2 <= len(shared) == len(set(shared)) == len(unit) <= 4
        assert all(sorted(options_of(item)) == shared for item in unit)
        assert sorted(item.turns[1].text[4:] for item in unit) == shared
        assert len({words_only(item) for item in unit}) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_in_a_set_each_place_is_right_once(seed: str) -> None:
    choices = [unit for unit in sets(seed) if options_of(unit[0])]
    assert any(unit[0].template_id.startswith("verify.choice_region") for unit in choices)
    for unit in choices:
        letters = [item.turns[1].text[1] for item in unit]
        assert sorted(letters) == list("ABCD"[: len(options_of(unit[0]))])
    assert not any(options_of(item) for item in offered("rich", seed) if not item.set_key)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_is_one_of_its_options(seed: str) -> None:
    for item in offered("rich", seed):
        if options := options_of(item):
            letter, text = item.turns[1].text[1], item.turns[1].text[4:]
            assert options["ABCD".index(letter)] == text


def asker() -> Asker:
    given = seen_of("mover")
    return Asker(row_of_type("verify"), scene_of(given, ()), random.Random(7))


def test_the_right_option_is_anywhere() -> None:
    ask = asker()
    texts = ["w", "x", "y", "z"]
    for place, letter in enumerate("ABCD"):
        laid = [layout(ask, texts, "x", place) for _ in range(50)]
        assert {fields["chosen"] for fields in laid} == {f"({letter}) X."}
        assert len({fields["options"] for fields in laid}) == 6  # the others in any order


@pytest.mark.parametrize("seed", SEEDS)
def test_a_false_premise_goes_with_a_true_one_in_the_same_words(seed: str) -> None:
    false = [item for item in offered("rich", seed) if item.group == "G8"]
    kinds = {item.template_id.split(".")[1].split("_")[0] for item in false}
    assert {"absent", "unseen", "wrong"} <= kinds
    by_key = {item.set_key: unit for unit in sets(seed) for item in unit}
    for item in false:
        (true,) = (other for other in by_key[item.set_key] if other is not item)
        assert item.is_negative
        assert not true.is_negative
        assert true.group != "G8"
        assert item.template_id.split(".")[2] == true.template_id.split(".")[2]  # the same question
        assert "Why" not in item.turns[0].text


def test_sets_are_kept_whole() -> None:
    for seed in range(3):
        sizes = Counter(item.set_key for item in written("rich", seed) if item.set_key)
        whole = Counter(item.set_key for item in offered("rich", f"{seed} {'b' * 16}") if item.set_key)
        assert sizes
        assert all(whole[key] == size for key, size in sizes.items())


def test_absent_things_are_recoloured_ones_that_fit_nothing() -> None:
    scene = scene_of(seen_of("rich"), ())
    found = {phantom.entity.expression for phantom in phantoms(scene)}
    # The man has no colour, so that colours of the video are not all known: only unlikely things are safe.
    assert all(not set(name.split()) & {"square", "circle", "man", "triangle"} for name in found)
    given = sample(
        [
            Actor("the red square", "square", path((0, 100, 100)), attributes=(("colour", "red"),)),
            Actor("the blue circle", "circle", path((0, 200, 100)), attributes=(("colour", "blue"),)),
        ]
    )
    found = {phantom.entity.expression for phantom in phantoms(scene_of(seen_of(given), ()))}
    assert {"the green square", "the yellow circle"} <= found
    assert not {"the red circle", "the blue square"} & found  # a thing of the place may look like that
    assert (
        not {"the orange square", "the pink square", "the turquoise circle"} & found
    )  # near to what is there


def test_a_broad_noun_is_never_recoloured() -> None:
    given = sample([Actor("the red object", "object", path((0, 100, 100)), attributes=(("colour", "red"),))])
    names = [phantom.entity.expression for phantom in phantoms(scene_of(seen_of(given), ()))]
    assert names
    assert all("object" not in name for name in names)
