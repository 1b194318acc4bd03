"""The `dataset` stage: accepted instructions of many videos become one immutable, published version.

Under `datasets/<version>/` in the object store:

    instructions.json    the released format, a JSON list
    instructions.jsonl   one instruction a line, with ids, group, task type, provenance and fingerprints
    lineage.jsonl        one video a line: name, bytes' hash, fingerprint of every stage, counts
    README.md            the data card
    manifest.json        names, sizes and SHA-256 of the others, counts, configuration; written LAST

S3 has no rename: a version exists once its manifest does, and readers start there. The version's name is
a hash of the content, so the same content is the same version and publishing it again changes nothing.
Videos are streamed through temporary files: memory grows by about a hundred bytes a video.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.errors import InputError
from strefer_core.quality.filter_files import filter_id
from strefer_core.released_format import to_record
from strefer_core.stages.data_card import data_card
from strefer_core.stages.published import (
    FORMAT,
    PREFIX,
    Dataset,
    FileEntry,
    Manifest,
    Objects,
    export_dataset,
    manifest_key,
    open_dataset,
)
from strefer_core.store.files import sha256_of

__all__ = [
    "Dataset",
    "Manifest",
    "VideoBundle",
    "build_dataset",
    "export_dataset",
    "manifest_key",
    "open_dataset",
]

VERSION_DIGITS = 12
DATA_FILES = ("instructions.json", "instructions.jsonl", "lineage.jsonl")


@dataclass(frozen=True, kw_only=True)
class VideoBundle:
    """All that the dataset needs of one video."""

    video: dm.Video
    entities: tuple[dm.Entity, ...]
    masklets: tuple[dm.Masklet, ...]
    instructions: tuple[dm.Instruction, ...]
    flags: tuple[dm.Flag, ...]
    accepted_ids: frozenset[str]
    fingerprints: Mapping[str, str]  # stage -> fingerprint

    @classmethod
    def from_results(cls, results: Mapping[str, dm.Result], fingerprints: Mapping[str, str]) -> VideoBundle:
        """From a video's results by stage name: videos, entities, masklets, instructions, quality."""
        video, entities, masklets = results["videos"], results["entities"], results["masklets"]
        instructions, quality = results["instructions"], results["quality"]
        assert isinstance(video, dm.VideosResult)
        assert isinstance(entities, dm.EntitiesResult)
        assert isinstance(masklets, dm.MaskletsResult)
        assert isinstance(instructions, dm.InstructionsResult)
        assert isinstance(quality, dm.QualityResult)
        return cls(
            video=video.video,
            entities=entities.entities,
            masklets=masklets.masklets,
            instructions=instructions.instructions,
            flags=quality.flags,
            accepted_ids=frozenset(quality.accepted_ids),
            fingerprints=dict(fingerprints),
        )


@dataclass
class Tally:
    """Counts while videos stream by."""

    videos: int = 0
    videos_with_pairs: int = 0
    quarantined: int = 0
    instructions: int = 0
    negatives: int = 0
    with_regions: int = 0
    with_times: int = 0
    groups: Counter[str] = field(default_factory=Counter)
    task_types: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)

    def add(self, bundle: VideoBundle) -> None:
        accepted = [item for item in bundle.instructions if item.instruction_id in bundle.accepted_ids]
        self.videos += 1
        self.videos_with_pairs += bool(accepted)
        self.quarantined += len(bundle.instructions) - len(accepted)
        self.instructions += len(accepted)
        self.negatives += sum(item.is_negative for item in accepted)
        self.with_regions += sum(bool(item.region_entity_ids) for item in accepted)
        self.with_times += sum(item.start_s is not None for item in accepted)
        self.groups.update(item.group for item in accepted)
        self.task_types.update(item.task_type for item in accepted)
        self.checks.update(flag.check for flag in bundle.flags)
        self.findings.update(f"{flag.check} {flag.severity}" for flag in bundle.flags)

    def counts(self) -> dict[str, Any]:
        return {
            key: dict(sorted(value.items())) if isinstance(value, Counter) else value
            for key, value in vars(self).items()
        }


def build_dataset(
    bundles: Iterable[VideoBundle],
    names: Mapping[str, str],
    objects: Objects,
    config: PipelineConfig | None = None,
) -> Manifest:
    """Publish the accepted instructions of some videos as a version; the same content is the same version.

    Args:
        bundles: one per video, in any order; read once.
        names: video id -> the record's `path`; a video without a name goes by `<video_id>.mp4`.
        objects: where to publish.
        config: what the results depend on; noted in the manifest.

    Returns:
        The manifest of the version, also where it was published before.

    Raises:
        InputError: no instruction was accepted, or a video is given twice.
        StoreError: the object store failed; nothing half-made can be read.
    """
    with tempfile.TemporaryDirectory(prefix="strefer-dataset-") as folder:
        work = Path(folder)
        tally = _write_files(bundles, names, work)
        if not tally.instructions:
            raise InputError(
                f"no accepted instruction in {tally.videos} videos ({tally.quarantined} quarantined); "
                "look at the flags of their quality runs"
            )
        manifest = _manifest(work, tally, config or PipelineConfig())
        _publish(manifest, work, objects)
    return manifest


def _write_files(bundles: Iterable[VideoBundle], names: Mapping[str, str], work: Path) -> Tally:
    """Write the data files with the videos in order of id, whatever order they came in."""
    tally = Tally()
    places: dict[str, list[tuple[int, int]]] = {}  # video id -> (offset, bytes) in each spool
    spools = [(work / f"{name}.spool").open("w+b") for name in DATA_FILES]
    try:
        for bundle in bundles:
            if bundle.video.video_id in places:
                raise InputError(f"video {bundle.video.video_id} is given twice; pass each video once")
            path = names.get(bundle.video.video_id, f"{bundle.video.video_id}.mp4")
            parts = _parts(bundle, path)
            places[bundle.video.video_id] = [
                (spool.tell(), spool.write(part)) for spool, part in zip(spools, parts, strict=True)
            ]
            tally.add(bundle)
        for index, (name, spool) in enumerate(zip(DATA_FILES, spools, strict=True)):
            is_list = name.endswith(".json")
            with (work / name).open("wb") as file:
                file.write(b"[" if is_list else b"")
                separator = b"\n"
                for video_id in sorted(places):
                    offset, count = places[video_id][index]
                    spool.seek(offset)
                    if count:
                        file.write((separator if is_list else b"") + spool.read(count))
                        separator = b",\n"
                file.write(b"\n]\n" if is_list else b"")
    finally:
        for spool in spools:
            spool.close()
            Path(spool.name).unlink()
    return tally


def _parts(bundle: VideoBundle, path: str) -> tuple[bytes, bytes, bytes]:
    """One video's share of each data file."""
    masklets = {masklet.entity_id: masklet for masklet in bundle.masklets}
    accepted = [item for item in bundle.instructions if item.instruction_id in bundle.accepted_ids]
    records = [_dump(to_record(item, path, masklets)) for item in accepted]
    fingerprints = dict(sorted(bundle.fingerprints.items()))
    lines = [
        _dump({**asdict(item), "path": path, "lineage": _own_lineage(item, masklets, fingerprints)})
        for item in accepted
    ]
    video = {
        "video_id": bundle.video.video_id,
        "sha256": bundle.video.sha256,
        "path": path,
        "fingerprints": fingerprints,
        "entities": len(bundle.entities),
        "masklets": len(bundle.masklets),
        "accepted": len(accepted),
        "quarantined": len(bundle.instructions) - len(accepted),
    }
    rich = "".join(line + "\n" for line in lines)
    return ",\n".join(records).encode(), rich.encode(), (_dump(video) + "\n").encode()


def _own_lineage(
    item: dm.Instruction, masklets: Mapping[str, dm.Masklet], fingerprints: Mapping[str, str]
) -> dict[str, Any]:
    ids = [masklets[entity_id].masklet_id for entity_id in item.region_entity_ids]
    return {"masklet_ids": ids, "fingerprints": fingerprints}


def _dump(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _entry(path: Path) -> FileEntry:
    return FileEntry(name=path.name, sha256=sha256_of(path), bytes=path.stat().st_size)


def _manifest(work: Path, tally: Tally, config: PipelineConfig) -> Manifest:
    """Name the version by its data and configuration, write the data card, and list everything."""
    files = [_entry(work / name) for name in DATA_FILES]
    filtered_by = filter_id(config.quality.filter)
    lineage = {
        "file": "lineage.jsonl",
        "config": config.model_dump(mode="json"),
        "filter_id": filtered_by,
    }
    content = json.dumps([[entry.sha256 for entry in files], lineage["config"], filtered_by], sort_keys=True)
    version = hashlib.sha256(content.encode()).hexdigest()[:VERSION_DIGITS]
    counts, made_by = tally.counts(), installed_version("strefer")
    card = work / "README.md"
    card.write_text(data_card(version, counts, made_by, filtered_by, config.quality.target_error), "utf-8")
    return Manifest(
        format=FORMAT,
        version=version,
        strefer_version=made_by,
        counts=counts,
        files=[*files, _entry(card)],
        lineage=lineage,
    )


def _publish(manifest: Manifest, work: Path, objects: Objects) -> None:
    """Upload the files, the manifest last; nothing where the version is there already."""
    if objects.exists(manifest_key(manifest.version)):
        return
    for entry in manifest.files:
        objects.put_file(f"{PREFIX}/{manifest.version}/{entry.name}", work / entry.name)
    body = manifest.model_dump_json(indent=2) + "\n"
    objects.put_bytes(manifest_key(manifest.version), body.encode())
