"""The stage `instructions`: types, shares, references, sources, English, repeatable from its seed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed
from strefer_core.backends.rules import RulesTranscriber, RulesWriter
from strefer_core.backends.rules.asking import questions
from strefer_core.config import InstructionsConfig, PipelineConfig
from strefer_core.errors import BackendError
from strefer_core.stages import instructions, transcript
from strefer_core.stages.choosing import kind_of, question_key
from strefer_core.stages.task_table import row_of_type, task_rows
from tests.samples import (
    DURATION_S,
    Actor,
    Sample,
    between,
    minimal,
    mover,
    path,
    red,
    rich,
    sample,
    task,
)

SEEDS = range(4)
NAMES = ("minimal", "mover", "rich")
TEMPLATES = Path(instructions.__file__).parent / "templates"


@cache
def scenes() -> dict[str, Sample]:
    return {"minimal": minimal(), "mover": mover(), "rich": rich()}


@cache
def told(name: str) -> dm.TranscriptResult:
    return transcript.run(task("transcript", scenes()[name], RulesTranscriber()))


def config(**values: object) -> PipelineConfig:
    return PipelineConfig(instructions=InstructionsConfig.model_validate(values))


@cache
def written(name: str, seed: int = 0, share: float = 0.2, at_most: int = 60) -> tuple[dm.Instruction, ...]:
    wanted = config(seed=seed, negative_share=share, max_per_video=at_most)
    given = task("instructions", scenes()[name], RulesWriter(), wanted, transcript=told(name))
    return instructions.run(given).instructions


def seen_of(given: str | Sample) -> Observed:
    """What is known of a sample, or of one of the scenes by name."""
    known = scenes()[given] if isinstance(given, str) else given
    return Observed(
        video=known.video,
        video_path=Path("not-read.mp4"),
        clips=known.clips,
        camera=known.camera,
        entities=known.entities,
        masklets=known.masklets,
    )


@cache
def offered(name: str, seed: str = "0") -> tuple[dm.Instruction, ...]:
    """All candidates, before the stage chooses: more than any one video keeps."""
    return tuple(RulesWriter().offer(seen_of(name), told(name).segments, InstructionsConfig(), seed))


def everything(name: str) -> Iterator[dm.Instruction]:
    yield from offered(name)
    for seed in SEEDS:
        yield from written(name, seed)


def test_all_types_and_groups_appear() -> None:
    seen = {(item.group, item.task_type) for item in written("rich")}
    assert seen == {(row.group, row.task_type) for row in task_rows()}
    assert len({task_type for _, task_type in seen}) == 11
    assert len({group for group, _ in seen}) == 8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_enough_and_not_too_many(name: str, seed: int) -> None:
    assert 10 <= len(written(name, seed)) <= 60


@pytest.mark.parametrize("at_most", [17, 25])
def test_as_many_as_asked_for(at_most: int) -> None:
    assert at_most - 1 <= len(written("rich", 0, 0.2, at_most)) <= at_most  # a set may not fit in any more


def test_nothing_visible_gives_no_pairs() -> None:
    given = sample([red(lambda _: None)])
    segments = transcript.run(task("transcript", given, RulesTranscriber()))
    made = instructions.run(task("instructions", given, RulesWriter(), transcript=segments))
    assert made.instructions == ()


def test_a_thing_seen_on_two_frames_gives_some_pairs() -> None:
    given = sample([Actor("the dog", "dog", between(2, 2.5, path((0, 100, 100))))])
    segments = transcript.run(task("transcript", given, RulesTranscriber()))
    made = instructions.run(task("instructions", given, RulesWriter(), transcript=segments)).instructions
    assert len(made) >= 5


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("seed", SEEDS)
def test_shares(share: float, seed: int) -> None:
    made = written("rich", seed, share)
    kinds = Counter(map(kind_of, made))
    assert sum(item.is_negative for item in made) == pytest.approx(share * len(made), abs=1)
    assert kinds["yes"] == kinds["no"]
    assert bool(kinds["no"] and kinds["false"]) == bool(share)


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_are_balanced(seed: int) -> None:
    given = Counter(item.group for item in offered("rich", f"{seed} {'b' * 16}"))
    groups = Counter(item.group for item in written("rich", seed))
    plenty = [groups[group] for group, count in given.items() if count >= 20]
    assert len(plenty) >= 5
    assert max(plenty) - min(plenty) <= 3


def test_the_same_seed_gives_the_same_pairs() -> None:
    given = task("instructions", scenes()["rich"], RulesWriter(), transcript=told("rich"))
    assert instructions.run(given) == instructions.run(given)
    assert written("rich", 0) != written("rich", 1)


def test_no_question_twice_and_ids_are_unique() -> None:
    for seed in SEEDS:
        made = written("rich", seed)
        assert len({question_key(item) for item in made}) == len(made)
        assert len({item.instruction_id for item in made}) == len(made)


def test_sources_exist() -> None:
    given = scenes()["rich"]
    known = {e.entity_id for e in given.entities} | {c.clip_id for c in given.clips}
    known |= {segment.segment_id for segment in told("rich").segments}
    for item in everything("rich"):
        assert item.source_ids
        assert set(item.source_ids) <= known
        assert set(item.region_entity_ids) <= set(item.source_ids)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_given_away(name: str) -> None:
    by_id = {entity.entity_id: entity for entity in scenes()[name].entities}
    for item in everything(name):
        question = item.turns[0].text
        for entity_id in item.region_entity_ids:
            telling = {*by_id[entity_id].expression.split(), by_id[entity_id].noun} - {"the", "in", "a"}
            telling |= {value for _, value in by_id[entity_id].attributes}
            assert "<region>" not in question or not telling & set(re.findall(r"\w+", question)), question


@pytest.mark.parametrize("name", NAMES)
def test_references_follow_the_table(name: str) -> None:
    rows = {(row.group, row.task_type): row for row in task_rows()}
    for item in everything(name):
        text = " ".join(turn.text for turn in item.turns)
        row = rows[item.group, item.task_type]
        assert text.count("<region>") == len(item.region_entity_ids)
        if row.mask != "any":
            assert ("<region>" in item.turns[0].text) == (row.mask == "yes")
        if row.time != "any":
            assert ("<start_time>" in text and "<end_time>" in text) == (row.time == "yes")
        assert (item.start_s is not None) == ("<start_time>" in text)
        if item.start_s is not None and item.end_s is not None:
            assert 0 <= item.start_s < item.end_s <= DURATION_S


RULES = {
    "double space": r"  ",
    "space before a mark": r" [.,;:?]",
    "double mark": r"[.,;?]{2}",
    "a before a vowel": r"\ba [aeio]\w",
    "an before a consonant": r"\ban [bcdfgjklmnpqrstvwxz]",
    "double the": r"\bthe the\b",
    "they with a singular verb": r"\bthey (is|does|has|moves|goes|travels|stays|remains|keeps)\b",
    "it with a plural verb": r"\bit (are|do|have|move|go|travel|stay|remain|keep)\b(?! to)",
    "field left over": r"[{}]|<region:|None",
    "small beginning": r"(?m)^[^A-Z(<]",
    "no end": r"(?m)[^.?]$",
}
_ASKING = re.compile(r"\b(does|can|did|Does|Can)\b[^.?]*\bit (do|have|move|go|travel|stay|remain|keep)\b")


def broken(text: str) -> list[str]:
    faults = [rule for rule, pattern in RULES.items() if re.search(pattern, text)]
    return [fault for fault in faults if not (fault == "it with a plural verb" and _ASKING.search(text))]


@pytest.mark.parametrize("name", NAMES)
def test_the_english_is_sound(name: str) -> None:
    for item in everything(name):
        for turn in item.turns:
            assert not broken(turn.text), turn.text


def test_templates_are_many_and_for_known_types() -> None:
    types = {row.task_type for row in task_rows()}
    assert {file.stem for file in TEMPLATES.glob("*.json")} == types | {"leads"}
    for task_type in types:
        forms = json.loads((TEMPLATES / f"{task_type}.json").read_text("utf-8"))["forms"]
        for form, entry in forms.items():
            assert len(set(questions(task_type, form))) >= 6, (task_type, form)
            answers = {key: value for key, value in entry.items() if key != "questions"}
            for key, listed in answers.items():
                is_told = all(re.fullmatch(r"(\{\w+\}\.? ?)+", text) for text in listed)  # whole sentences
                assert len(set(listed)) >= 4 or is_told, (task_type, form, key)


def test_the_first_row_of_a_type() -> None:
    assert row_of_type("verify").group == "G4"
    with pytest.raises(KeyError, match="riddle"):
        row_of_type("riddle")


class OffTask(RulesWriter):
    """Offers a pair of no known type."""

    def offer(self, seen: Observed, *_: object) -> list[dm.Instruction]:
        pair = written("mover")[0]
        return [replace(pair, group="G9", task_type="verify", video_id=seen.video.video_id)]


class Lossy(RulesWriter):
    """Loses a pair while it renders."""

    def render(self, _: Observed, chosen: Sequence[dm.Instruction], *__: object) -> list[dm.Instruction]:
        return list(chosen[1:])


class Meddling(RulesWriter):
    """Changes an interval while it renders."""

    def render(self, _: Observed, chosen: Sequence[dm.Instruction], *__: object) -> list[dm.Instruction]:
        return [replace(item, start_s=0.0, end_s=0.1) for item in chosen]


class Rewording(RulesWriter):
    """Only changes words."""

    def render(self, _: Observed, chosen: Sequence[dm.Instruction], *__: object) -> list[dm.Instruction]:
        return [
            replace(item, turns=tuple(replace(turn, text=f"{turn.text} Hm.") for turn in item.turns))
            for item in chosen
        ]


@pytest.mark.parametrize(
    ("writer", "message"),
    [
        (OffTask(), "G9/verify"),
        (Lossy(), r"rendered \d+ of \d+ chosen pairs"),
        (Meddling(), "more than the words"),
    ],
)
def test_a_writer_that_errs_is_refused(writer: RulesWriter, message: str) -> None:
    with pytest.raises(BackendError, match=message):
        instructions.run(task("instructions", mover(), writer, transcript=told("mover")))


def test_words_may_change_when_they_are_rendered() -> None:
    made = instructions.run(task("instructions", mover(), Rewording(), transcript=told("mover"))).instructions
    assert made
    assert all(turn.text.endswith(" Hm.") for item in made for turn in item.turns)


def test_a_pair_keeps_its_key_in_a_rerun_that_makes_the_same_pair() -> None:
    """Settings that change no pair change every id; what a person decided must still be found."""
    given = scenes()["rich"]
    first = task("instructions", given, RulesWriter(), config(), transcript=told("rich"))
    again = instructions.run(replace(first, fingerprint="f" * 32))
    before, after = written("rich"), again.instructions
    assert [item.pair_key for item in before] == [item.pair_key for item in after]
    assert not {item.instruction_id for item in before} & {item.instruction_id for item in after}
    assert len({item.pair_key for item in before}) == len(before)


def test_another_mask_under_the_same_words_is_another_pair() -> None:
    given = scenes()["rich"]
    item = next(item for item in written("rich") if item.region_entity_ids)
    masklets = {masklet.entity_id: masklet for masklet in given.masklets}
    shown = masklets[item.region_entity_ids[0]]
    masklets[shown.entity_id] = replace(shown, masks=(None, *shown.masks[1:]))
    moved = shown.masks[0] is not None
    assert (instructions.pair_key(item, masklets) != item.pair_key) is moved
