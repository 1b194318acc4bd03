"""A published version: immutable, whole or absent, named by its content, checked on reading."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from strefer_core import data_model as dm
from strefer_core.backends.rules import RulesTranscriber, RulesWriter
from strefer_core.config import ClipsConfig, PipelineConfig
from strefer_core.errors import InputError, StoreError
from strefer_core.pipeline import fingerprints
from strefer_core.released_format import read_records
from strefer_core.stages import instructions, quality, transcript
from strefer_core.stages.data_card import data_card
from strefer_core.stages.dataset import VideoBundle, build_dataset, export_dataset, open_dataset
from strefer_core.store.objects import FolderObjects
from tests.samples import Sample, minimal, mover, rich, task

CONFIG = PipelineConfig()
NAMES = {"a" * 16: "night/one.mp4", "b" * 16: "night/zwei ü.mp4"}


def bundle_of(given: Sample) -> VideoBundle:
    told = transcript.run(task("transcript", given, RulesTranscriber()))
    made = instructions.run(task("instructions", given, RulesWriter(), transcript=told))
    checked = quality.run(task("quality", given, transcript=told, instructions=made))
    results: dict[str, dm.Result] = {
        "videos": dm.VideosResult(video=given.video),
        "entities": dm.EntitiesResult(entities=given.entities),
        "masklets": dm.MaskletsResult(masklets=given.masklets),
        "instructions": made,
        "quality": checked,
    }
    return VideoBundle.from_results(results, fingerprints(given.video.video_id, CONFIG))


@cache
def bundles() -> tuple[VideoBundle, VideoBundle]:
    return bundle_of(mover()), bundle_of(rich())


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


def keys(objects: FolderObjects) -> list[str]:
    return [info.key for info in objects.list("")]


def test_a_version_holds_everything(objects: FolderObjects, tmp_path: Path) -> None:
    manifest = build_dataset(bundles(), NAMES, objects, CONFIG)
    prefix = f"datasets/{manifest.version}/"
    names = ["README.md", "instructions.json", "instructions.jsonl", "lineage.jsonl", "manifest.json"]
    assert keys(objects) == [prefix + name for name in names]
    for entry in manifest.files:
        data = objects.get_bytes(prefix + entry.name)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.bytes, entry.sha256)

    accepted = [i for b in bundles() for i in b.instructions if i.instruction_id in b.accepted_ids]
    out = tmp_path / "out"
    assert export_dataset(objects, manifest.version, out) == manifest
    records = list(read_records(out / "instructions.json"))
    lines = [json.loads(line) for line in (out / "instructions.jsonl").read_text("utf-8").splitlines()]
    assert len(records) == len(lines) == len(accepted) == manifest.counts["instructions"]
    for record, line, item in zip(records, lines, accepted, strict=True):
        assert line["instruction_id"] == item.instruction_id
        assert record.path == line["path"] == NAMES[item.video_id]
        assert record.conversations[0].value == f"<image>\n{item.turns[0].text}"
        assert len(record.annotation) == len(item.region_entity_ids)
        assert line["lineage"]["fingerprints"] == fingerprints(item.video_id, CONFIG)
    assert manifest.counts["groups"] == Counter(item.group for item in accepted)
    assert manifest.counts["task_types"] == Counter(item.task_type for item in accepted)
    assert manifest.counts["negatives"] == sum(item.is_negative for item in accepted)

    lineage = [json.loads(line) for line in (out / "lineage.jsonl").read_text("utf-8").splitlines()]
    assert {line["video_id"]: line["fingerprints"] for line in lineage} == {
        video_id: fingerprints(video_id, CONFIG) for video_id in NAMES
    }
    assert manifest.lineage["config"] == CONFIG.model_dump(mode="json")
    card = (out / "README.md").read_text("utf-8")
    assert "No noise filter was used" in card
    assert f"version {manifest.version}" in card
    for group, pairs in manifest.counts["groups"].items():
        assert any(line.startswith(f"| {group} |") and f"| {pairs} |" in line for line in card.splitlines())


def test_masks_are_those_of_the_entity_asked_about(objects: FolderObjects, tmp_path: Path) -> None:
    manifest = build_dataset(bundles(), NAMES, objects, CONFIG)
    export_dataset(objects, manifest.version, tmp_path)
    masklets = {m.masklet_id: m for b in bundles() for m in b.masklets}
    lines = [json.loads(line) for line in (tmp_path / "instructions.jsonl").read_text("utf-8").splitlines()]
    pairs = list(zip(read_records(tmp_path / "instructions.json"), lines, strict=True))
    assert any(len(record.annotation) == 2 for record, _ in pairs)
    for record, line in pairs:
        for masks, masklet_id in zip(record.annotation, line["lineage"]["masklet_ids"], strict=True):
            expected = {
                str(i): mask["counts"]
                for i, mask in enumerate(masklets[masklet_id].masks)
                if mask is not None
            }
            assert {index: mask.segmentation.counts for index, mask in masks.items()} == expected


def test_the_same_content_is_the_same_version(objects: FolderObjects, tmp_path: Path) -> None:
    first = build_dataset(bundles(), NAMES, objects, CONFIG)
    second = build_dataset(reversed(bundles()), NAMES, FolderObjects(tmp_path / "other"), CONFIG)
    assert first == second


def test_other_content_is_another_version(objects: FolderObjects) -> None:
    one, two = bundles()
    fewer = replace(two, accepted_ids=frozenset(sorted(two.accepted_ids)[:-1]))
    versions = {
        build_dataset(given, names, objects, config).version
        for given, names, config in (
            ((one, two), NAMES, CONFIG),
            ((one,), NAMES, CONFIG),
            ((one, fewer), NAMES, CONFIG),
            ((one, two), {}, CONFIG),
            ((one, two), NAMES, PipelineConfig(clips=ClipsConfig(max_s=5))),
        )
    }
    assert len(versions) == 5


class Recording(FolderObjects):
    """Notes what is written, and stops as a lost connection does after `limit` writes."""

    def __init__(self, folder: Path, limit: int = 99) -> None:
        super().__init__(folder)
        self.limit = limit
        self.written: list[str] = []

    def put_bytes(self, key: str, data: bytes) -> None:
        self._note(key)
        super().put_bytes(key, data)

    def put_file(self, key: str, path: Path) -> None:
        self._note(key)
        super().put_file(key, path)

    def _note(self, key: str) -> None:
        if len(self.written) == self.limit:
            raise StoreError("connection lost")
        self.written.append(key.rsplit("/", 1)[1])


def test_publishing_again_writes_nothing(tmp_path: Path) -> None:
    store = Recording(tmp_path)
    first = build_dataset(bundles(), NAMES, store, CONFIG)
    assert store.written[-1] == "manifest.json"
    assert len(store.written) == 5
    assert build_dataset(bundles(), NAMES, store, CONFIG) == first
    assert len(store.written) == 5


@pytest.mark.parametrize("limit", range(5))
def test_a_half_published_version_is_refused_and_then_completed(tmp_path: Path, limit: int) -> None:
    with pytest.raises(StoreError, match="connection lost"):
        build_dataset(bundles(), NAMES, Recording(tmp_path, limit), CONFIG)
    version = build_dataset(bundles(), NAMES, FolderObjects(tmp_path / "elsewhere"), CONFIG).version
    with pytest.raises(InputError, match=f"no dataset '{version}'"):
        open_dataset(FolderObjects(tmp_path), version)
    build_dataset(bundles(), NAMES, FolderObjects(tmp_path), CONFIG)
    assert open_dataset(FolderObjects(tmp_path), version).manifest.version == version


@pytest.mark.parametrize("name", ["README.md", "instructions.json", "instructions.jsonl", "lineage.jsonl"])
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_version_is_refused(objects: FolderObjects, tmp_path: Path, name: str, damage: str) -> None:
    version = build_dataset(bundles(), NAMES, objects, CONFIG).version
    key = f"datasets/{version}/{name}"
    data = objects.get_bytes(key)
    if damage == "gone":
        objects.delete(key)
    else:
        objects.put_bytes(key, data[:-1] if damage == "cut" else data[:-2] + b"!\n")
    with pytest.raises(StoreError, match=name):
        open_dataset(objects, version)
    with pytest.raises(StoreError, match=name):
        export_dataset(objects, version, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_damaged_manifest_is_refused(objects: FolderObjects) -> None:
    version = build_dataset(bundles(), NAMES, objects, CONFIG).version
    key = f"datasets/{version}/manifest.json"
    objects.put_bytes(key, objects.get_bytes(key)[:-20])
    with pytest.raises(StoreError, match="manifest of dataset"):
        open_dataset(objects, version)


def test_export_leaves_other_files_alone(objects: FolderObjects, tmp_path: Path) -> None:
    version = build_dataset(bundles(), NAMES, objects, CONFIG).version
    (tmp_path / "overlay.png").write_bytes(b"picture")
    (tmp_path / "instructions.json").write_text("old", "utf-8")
    export_dataset(objects, version, tmp_path)
    assert (tmp_path / "overlay.png").read_bytes() == b"picture"
    assert list(read_records(tmp_path / "instructions.json"))


def test_quarantined_pairs_stay_out(objects: FolderObjects, tmp_path: Path) -> None:
    one, two = bundles()
    none = replace(one, accepted_ids=frozenset())
    manifest = build_dataset([none, two], NAMES, objects, CONFIG)
    export_dataset(objects, manifest.version, tmp_path)
    assert {record.path for record in read_records(tmp_path / "instructions.json")} == {NAMES["b" * 16]}
    assert manifest.counts["quarantined"] == len(one.instructions)
    assert (manifest.counts["videos"], manifest.counts["videos_with_pairs"]) == (2, 1)


def test_nothing_to_publish_is_said(objects: FolderObjects) -> None:
    none = replace(bundles()[0], accepted_ids=frozenset())
    with pytest.raises(InputError, match="no accepted instruction in 1 videos"):
        build_dataset([none], NAMES, objects, CONFIG)
    with pytest.raises(InputError, match="no accepted instruction in 0 videos"):
        build_dataset([], NAMES, objects, CONFIG)
    assert keys(objects) == []


def test_a_video_given_twice_is_refused(objects: FolderObjects) -> None:
    with pytest.raises(InputError, match=f"video {'a' * 16} is given twice"):
        build_dataset([bundles()[0], bundle_of(minimal())], NAMES, objects, CONFIG)


def test_videos_are_streamed(objects: FolderObjects, tmp_path: Path) -> None:
    """Peak memory does not grow with the number of videos: 330 of them stay far below their files' size."""
    script = """
import resource, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.test_dataset import CONFIG, bundle_of, mover
from strefer_core.stages.data_card import data_card
from strefer_core.stages.dataset import build_dataset
from strefer_core.store.objects import FolderObjects
one = bundle_of(mover())
def many(count):
    for i in range(count):
        yield replace(one, video=replace(one.video, video_id=f"{i:016x}"))
build_dataset(many(2), {}, FolderObjects(Path(sys.argv[1])), CONFIG)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
manifest = build_dataset(many(330), {}, FolderObjects(Path(sys.argv[1])), CONFIG)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
size = sum(entry.bytes for entry in manifest.files)
assert size > 16_000_000, size
assert grown < size / 4, (grown, size)
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(root)], check=True, timeout=120)


def test_order_does_not_matter_for_many(objects: FolderObjects, tmp_path: Path) -> None:
    def many(seed: int) -> Iterator[VideoBundle]:
        ids = [f"{i:016x}" for i in range(12)]
        random.Random(seed).shuffle(ids)
        base = bundles()[0]
        for video_id in ids:
            yield replace(base, video=replace(base.video, video_id=video_id))

    versions = {build_dataset(many(seed), {}, objects, CONFIG).version for seed in range(3)}
    assert len(versions) == 1


def test_the_card_names_the_filter_and_what_it_was_to_keep_to() -> None:
    counts = {
        "instructions": 3, "quarantined": 1, "videos": 2, "videos_with_pairs": 2, "with_regions": 1,
        "with_times": 1, "negatives": 1, "groups": {}, "task_types": {}, "checks": {}, "findings": {},
    }  # fmt: skip
    assert "Noise filter `abc` estimated" in data_card("v", counts, "0", "abc", 0.02)
    assert "at most 2.0% wrong pairs" in data_card("v", counts, "0", "abc", 0.02)
