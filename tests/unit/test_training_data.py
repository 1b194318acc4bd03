"""Reading data sets, mixing their parts, and the stream of batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strefer_core.errors import ConfigError, InputError
from strefer_core.training.batches import Batches
from strefer_core.training.mixing import Mixture
from strefer_core.training.reading import Skipped, index, prepare
from tests.training_data import record, write_released, write_version


def test_a_version_is_read_with_its_groups_and_masks(tmp_path: Path) -> None:
    write_version(tmp_path / "set", videos=2)
    lines = prepare(tmp_path / "set", tmp_path / "records")
    assert Counter(lines.groups) == {"G5": 4, "G3": 2}
    samples = [lines.sample(number, (tmp_path / "set").joinpath) for number in range(len(lines))]
    first = samples[0]
    assert (first.group, first.task_type) == ("G5", "describe_entity")
    assert first.turns == (("What colour is the <region>?", "It is red."),)
    assert sorted(first.regions[0]) == [0, 9, 31]
    assert first.video == tmp_path / "set" / "v0.mp4"
    timed = samples[2]
    assert (timed.start_s, timed.end_s) == (0.5, 1.25)


def test_a_foreign_file_is_a_part_of_its_own(tmp_path: Path) -> None:
    path = write_released(tmp_path / "videorefer.json", [record("v0.mp4"), record("v1.mp4")])
    lines = prepare(path, tmp_path / "records", "base")
    assert lines.groups == ("base", "base")
    assert index(lines.path).groups == lines.groups


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    write_version(tmp_path / "set", videos=1)
    rich = tmp_path / "set" / "instructions.jsonl"
    rich.write_text("\n".join(rich.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match="other numbers of records"):
        prepare(tmp_path / "set", tmp_path / "records")
    with pytest.raises(InputError, match="is no dataset"):
        prepare(tmp_path / "nothing", tmp_path / "records")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(InputError, match="list of records"):
        prepare(tmp_path / "bad.json", tmp_path / "records")


def test_bad_records_are_counted_and_too_many_are_an_error(tmp_path: Path) -> None:
    broken = record("v0.mp4")
    broken["annotation"] = []
    lines = prepare(write_released(tmp_path / "set.json", [record("v0.mp4"), broken]), tmp_path / "records")
    with pytest.raises(InputError, match=r"no video v0\.mp4"):
        lines.sample(0, tmp_path.joinpath)
    with pytest.raises(InputError, match="one annotation dict per <region>"):
        lines.sample(1, tmp_path.joinpath)
    skipped = Skipped(tolerance=0.1, tried=100)
    for _ in range(10):
        skipped.note("no video")
    with pytest.raises(InputError, match="11 of 100 records cannot be used: no video"):
        skipped.note("no video")


def mixture(**given: object) -> Mixture:
    groups = ["G5"] * 60 + ["G3"] * 30 + ["base"] * 10
    videos = [f"v{number % 7}" for number in range(100)]
    words = np.random.default_rng(0).integers(20, 200, 100).astype(np.int32)
    settings = {"videos_per_batch": 2, "questions_per_video": 3, **given}
    return Mixture(groups=groups, videos=videos, words=words, **settings)  # type: ignore[arg-type]


def test_an_epoch_holds_every_record_once_where_nothing_is_weighed() -> None:
    drawn = [record for batch in mixture().epoch(0) for record in batch]
    assert sorted(drawn) == list(range(100))


def test_weights_give_the_shares_and_small_parts_go_round() -> None:
    mixed = mixture(weights={"G5": 1.0, "base": 1.0})
    counts = Counter(record for number in (0, 1) for batch in mixed.epoch(number) for record in batch)
    by_part = Counter(mixed.groups[record] for record in counts.elements())
    assert by_part == {"G5": 70, "base": 70}  # two epochs of the 70 records of the two parts
    assert {counts[record] for record in range(90, 100)} == {7}  # each of the ten as often as the others
    assert {counts[record] for record in range(60)} <= {1, 2}


def test_batches_hold_few_videos_and_few_questions_of_each() -> None:
    mixed = mixture()
    for batch in mixed.epoch(0):
        per_video = Counter(mixed.videos[record] for record in batch)
        assert len(batch) <= 6
        assert max(per_video.values()) <= 6
        runs = [mixed.videos[record] for record in batch]
        assert len([1 for a, b in pairwise(runs) if a != b]) <= 1


def test_the_plan_depends_on_seed_and_epoch_alone() -> None:
    assert mixture(seed=3).epoch(5) == mixture(seed=3).epoch(5)
    assert mixture(seed=3).epoch(5) != mixture(seed=3).epoch(6)
    assert mixture(seed=3).epoch(5) != mixture(seed=4).epoch(5)


def test_the_first_batches_are_of_their_own_mixture_wherever_one_begins() -> None:
    class Numbered(Batches):
        def batch(self, number: int, records: Sequence[int]) -> Any:
            return number, list(records)

    def some(first: int) -> list[Any]:
        always, opening = mixture(), mixture(weights={"base": 1.0})
        stream = Numbered(
            sources=[], videos={}, store=None, processor=None, mixture=always, mask_frames="all",
            most_tokens=0, skipped=Skipped(0.0), first=first, opening=opening, opening_batches=4,
        )  # type: ignore[arg-type]  # fmt: skip
        return list(islice(stream, 8 - first))

    found = some(0)
    assert [number for number, _ in found] == list(range(8))
    assert all(record >= 90 for number, records in found if number < 4 for record in records)
    assert [records for _, records in found[4:]] == mixture().epoch(0)[:4]
    assert [some(first) for first in (2, 6)] == [found[2:], found[6:]]


def test_alike_lengths_come_together() -> None:
    words = np.arange(1, 401, dtype=np.int32)
    rng = np.random.default_rng(0)
    rng.shuffle(words)
    mixed = Mixture(
        groups=["G5"] * 400, videos=[str(n) for n in range(400)], words=words,
        videos_per_batch=8, questions_per_video=1,
    )  # fmt: skip
    spreads = [float(np.ptp(words[batch])) for batch in mixed.epoch(0)]
    assert np.median(spreads) < 20  # of 400; a batch drawn at random spreads over 310 or so


def test_weights_must_name_parts() -> None:
    with pytest.raises(ConfigError, match="weighs 'G9'"):
        mixture(weights={"G9": 1.0})
    with pytest.raises(ConfigError, match="not all are 0"):
        mixture(weights={"G5": 0.0})


def test_prepared_lines_are_one_record_each(tmp_path: Path) -> None:
    write_version(tmp_path / "set", videos=1)
    lines = prepare(tmp_path / "set", tmp_path / "records")
    raw = [json.loads(text) for text in lines.path.read_text("utf-8").splitlines()]
    assert [lines.read(number) for number in range(len(lines))] == raw
