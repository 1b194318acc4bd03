"""What a dataset is held against: the same results with the filter's pairs left in, or with things named."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.rules import RulesTranscriber, RulesWriter
from strefer_core.config import PipelineConfig, QualityConfig
from strefer_core.errors import InputError, StreferError
from strefer_core.experiments.controls import Control, export_control
from strefer_core.pipeline import StageRequest, dump_document, fingerprints
from strefer_core.publish import publish_folder
from strefer_core.stages import instructions, quality, transcript
from strefer_core.stages.dataset import Dataset, Manifest, VideoBundle, open_dataset
from strefer_core.store.files import sha256_of
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from tests.samples import Sample, rich, task

CONFIG = PipelineConfig(quality=QualityConfig(min_visible_frames=dm.FRAME_COUNT))  # what is not always seen
Lines = dict[str, Any]


@dataclass(frozen=True)
class Published:
    dataset: Dataset
    ledger: FolderLedger
    objects: FolderObjects
    names: dict[str, str]  # by entity id
    written: int  # pairs

    def export(self, control: Control, folder: Path) -> dict[str, Lines]:
        made = export_control(self.dataset, self.ledger, self.objects, control, folder)
        found = _lines(folder)
        assert len(found) == made.counts["instructions"]
        told = Manifest.model_validate_json((folder / "manifest.json").read_text("utf-8"))
        assert told == made
        assert told.lineage["control"]["of"] == self.dataset.manifest.version
        assert all(sha256_of(folder / one.name) == one.sha256 for one in told.files)
        assert "never published" in (folder / "README.md").read_text("utf-8")
        return found


def _results(sample: Sample) -> dict[str, dm.Result]:
    told = transcript.run(task("transcript", sample, RulesTranscriber()))
    made = instructions.run(task("instructions", sample, RulesWriter(), transcript=told))
    checked = quality.run(task("quality", sample, None, CONFIG, transcript=told, instructions=made))
    return {
        "videos": dm.VideosResult(video=sample.video),
        "clips": dm.ClipsResult(clips=sample.clips),
        "entities": dm.EntitiesResult(entities=sample.entities),
        "masklets": dm.MaskletsResult(masklets=sample.masklets),
        "transcript": told,
        "instructions": made,
        "quality": checked,
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder, sample = tmp_path_factory.mktemp("store"), rich()
    ledger, objects = FolderLedger(folder / "runs"), FolderObjects(folder / "objects")
    video_id = sample.video.video_id
    results = _results(sample)
    for stage, fingerprint in fingerprints(video_id, CONFIG).items():
        request = StageRequest(stage=stage, video_id=video_id, fingerprint=fingerprint, config=CONFIG)
        key = objects.put_content(dump_document(request, results[stage]), "results", ".json")
        done = dm.StageRun(
            video_id=video_id, stage=stage, fingerprint=fingerprint, status="done", result_key=key
        )
        ledger.finish(done, results[stage])
    version = publish_folder(ledger, objects, {video_id: "one.mp4"}, CONFIG)
    names = {one.entity_id: one.expression for one in sample.entities}
    made = results["instructions"]
    assert isinstance(made, dm.InstructionsResult)
    return Published(open_dataset(objects, version), ledger, objects, names, len(made.instructions))


def _lines(folder: Path) -> dict[str, Lines]:
    lines = map(json.loads, (folder / "instructions.jsonl").read_text("utf-8").splitlines())
    return {line["instruction_id"]: line for line in lines}


@pytest.fixture(scope="module")
def own(published: Published, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lines]:
    path = tmp_path_factory.mktemp("own") / "instructions.jsonl"
    published.dataset.fetch(path.name, path)
    return _lines(path.parent)


def test_without_the_filter_every_pair_is_in(
    published: Published, own: dict[str, Lines], tmp_path: Path
) -> None:
    found = published.export(Control(filtered=False), tmp_path)
    assert len(found) == published.written > len(own) > 0
    assert {key: found[key] for key in own} == own


def test_without_pronouns_the_same_questions_name_their_regions(
    published: Published, own: dict[str, Lines], tmp_path: Path
) -> None:
    found = published.export(Control(pronouns=False), tmp_path)
    assert found.keys() == own.keys()
    asked = [line for line in found.values() if "<region>" in line["turns"][0]["text"]]
    assert len(asked) >= 10
    for line in asked:
        question, answer = (turn["text"] for turn in line["turns"])
        before = own[line["instruction_id"]]["turns"]
        assert f"{published.names[line['region_entity_ids'][0]]} <region>" in question
        assert answer == before[1]["text"]
        bare = question
        for name in published.names.values():
            bare = bare.replace(f"{name} <region>", "<region>")
        assert bare == before[0]["text"].replace("the <region>", "<region>")


def test_what_a_person_mended_stays_mended(published: Published) -> None:
    bundle = VideoBundle.from_results(_results(rich()), {})
    item = next(one for one in bundle.instructions if len(one.region_entity_ids) == 1)
    turns = (dm.Turn(role="human", text="What is <region>?"), dm.Turn(role="gpt", text="A star."))
    found = Control(pronouns=False).of(bundle, {item.instruction_id: turns})
    assert found.accepted_ids == {item.instruction_id}
    (kept,) = (one for one in found.instructions if one.instruction_id == item.instruction_id)
    name = published.names[item.region_entity_ids[0]]
    assert [turn.text for turn in kept.turns] == [f"What is {name} <region>?", "A star."]


def test_pairs_that_break_the_format_stay_out() -> None:
    bundle = VideoBundle.from_results(_results(rich()), {})
    first = bundle.instructions[0].instruction_id
    flags = tuple(
        replace(flag, severity="fail") if (flag.object_id, flag.check) == (first, "format") else flag
        for flag in bundle.flags
    )
    found = Control(filtered=False).of(replace(bundle, flags=flags), {})
    assert {one.instruction_id for one in bundle.instructions} - found.accepted_ids == {first}


def test_a_control_that_changes_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="differs"):
        Control()


def test_results_that_are_gone_are_named(published: Published, tmp_path: Path) -> None:
    empty = FolderLedger(tmp_path / "empty")
    with pytest.raises(StreferError, match=r"videos of b+ is absent"):
        export_control(published.dataset, empty, published.objects, Control(filtered=False), tmp_path / "out")
