"""Versions that a dataset is held against: with the pairs that its checks keep out, or with things named.

A version holds what was accepted alone. What was not is in the results that it was made of; its lineage says
which ones they are.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.errors import InputError
from strefer_core.pipeline import STAGES, Blobs, Ledger, load_result
from strefer_core.stages.dataset import Dataset, Manifest, VideoBundle, build_dataset, export_dataset
from strefer_core.stages.published import FileEntry
from strefer_core.store.files import sha256_of, whole_file
from strefer_core.store.objects import FolderObjects

REGION = "<region>"
Turns = tuple[dm.Turn, ...]


@dataclass(frozen=True, kw_only=True)
class Control:
    """What is otherwise than in the version. Raises InputError where nothing is."""

    pronouns: bool = True  # False: questions say what their regions are: "the red heart <region>"
    filtered: bool = True  # False: pairs that the checks kept out are in

    def __post_init__(self) -> None:
        if self.pronouns and self.filtered:
            raise InputError("a control differs from its version: without pronouns, or without the filter")

    def of(self, bundle: VideoBundle, published: Mapping[str, Turns]) -> VideoBundle:
        """One video's pairs as they are to be.

        Args:
            bundle: its results.
            published: turns of the version's pairs by instruction id, as people may have mended them.
        """
        items = tuple(
            replace(item, turns=published.get(item.instruction_id, item.turns))
            for item in bundle.instructions
        )
        if not self.pronouns:
            names = {one.entity_id: one.expression for one in bundle.entities}
            items = tuple(named(item, names) for item in items)
        accepted = published.keys() if self.filtered else _sound(bundle)
        ids = frozenset(item.instruction_id for item in items) & accepted
        return replace(bundle, instructions=items, accepted_ids=ids)


def named(item: dm.Instruction, names: Mapping[str, str]) -> dm.Instruction:
    """With the name of each region before it in the questions; `names` are of entities by id."""
    left = list(item.region_entity_ids)
    turns = []
    for turn in item.turns:
        first, *rest = turn.text.replace(f"the {REGION}", REGION).split(REGION)
        told = [(f"{names[left.pop(0)]} " if turn.role == "human" else "", part) for part in rest]
        text = first + "".join(f"{name}{REGION}{part}" for name, part in told)
        turns.append(replace(turn, text=text))
    return replace(item, turns=tuple(turns))


def _sound(bundle: VideoBundle) -> frozenset[str]:
    """All pairs but those that break the format: no reader would take them."""
    broken = {one.object_id for one in bundle.flags if (one.check, one.severity) == ("format", "fail")}
    return frozenset(item.instruction_id for item in bundle.instructions) - broken


def export_control(
    dataset: Dataset, ledger: Ledger, blobs: Blobs, control: Control, out_dir: Path
) -> Manifest:
    """Write a control of a published version to a folder, as `export_dataset` writes the version itself, but
    that its manifest and data card say what it is: it was never published.

    Raises:
        MissingInput: results that the version was made of are not there any more.
        StoreError: the version is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="strefer-control-") as work:
        videos = list(_lines(dataset, "lineage.jsonl", Path(work)))
        published = {
            line["instruction_id"]: tuple(dm.Turn(**turn) for turn in line["turns"])
            for line in _lines(dataset, "instructions.jsonl", Path(work))
        }
        bundles = (control.of(_bundle(ledger, blobs, video), published) for video in videos)
        names = {video["video_id"]: video["path"] for video in videos}
        config = PipelineConfig.model_validate(dataset.manifest.lineage["config"])
        objects = FolderObjects(Path(work) / "objects")
        made = build_dataset(bundles, names, objects, config)
        return _marked(export_dataset(objects, made.version, out_dir), dataset, control, out_dir)


def _marked(made: Manifest, dataset: Dataset, control: Control, folder: Path) -> Manifest:
    of, card = dataset.manifest.version, folder / "README.md"
    card.write_text(
        f"# A control of dataset {of}\n\nFor studies alone, never published. "
        f"Pronouns for regions: {control.pronouns}. Filtered: {control.filtered}.\n",
        "utf-8",
    )
    entry = FileEntry(name=card.name, sha256=sha256_of(card), bytes=card.stat().st_size)
    files = [entry if one.name == card.name else one for one in made.files]
    lineage = {**made.lineage, "control": {"of": of, **asdict(control)}}
    marked = made.model_copy(update={"files": files, "lineage": lineage})
    with whole_file(folder / "manifest.json") as part:
        part.write_text(marked.model_dump_json(indent=2) + "\n", "utf-8")
    return marked


def _lines(dataset: Dataset, name: str, work: Path) -> Iterator[dict[str, Any]]:
    dataset.fetch(name, work / name)
    with (work / name).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _bundle(ledger: Ledger, blobs: Blobs, video: Mapping[str, Any]) -> VideoBundle:
    chain = video["fingerprints"]
    results = {stage: load_result(ledger, blobs, video["video_id"], stage, chain[stage]) for stage in STAGES}
    return VideoBundle.from_results(results, chain)
