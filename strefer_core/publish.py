"""From settled results to a published dataset version: the reading side of the `dataset` stage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from strefer_core.config import PipelineConfig
from strefer_core.errors import InputError
from strefer_core.pipeline import STAGES, Blobs, Ledger, fingerprints, load_result
from strefer_core.stages.dataset import VideoBundle, build_dataset, manifest_key
from strefer_core.store.catalog import Catalog
from strefer_core.store.objects import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Release:
    """A published version; not new where the same content was published before."""

    version: str
    is_new: bool
    counts: dict[str, Any]


def bundles(
    ledger: Ledger, blobs: Blobs, video_ids: Collection[str], config: PipelineConfig
) -> Iterator[VideoBundle]:
    """Results of videos whose last stage is done, one at a time; `video_ids` must be such videos."""
    for video_id in sorted(video_ids):
        chain = fingerprints(video_id, config)
        results = {stage: load_result(ledger, blobs, video_id, stage, chain[stage]) for stage in STAGES}
        yield VideoBundle.from_results(results, chain)


def publish_dataset(catalog: Catalog, objects: ObjectStore, config: PipelineConfig) -> Release:
    """Publish all accepted instructions of every video that is through, under one configuration.

    Raises InputError where no instruction was accepted.
    """
    chains = {v: fingerprints(v, config)["quality"] for v in catalog.video_ids()}
    done = {v: chains[v] for v, run in catalog.states(chains, "quality").items() if run.status == "done"}
    if not done:
        raise InputError("no video is through the quality stage yet; see the failures of the drops")
    names = catalog.video_names(list(done))
    manifest = build_dataset(bundles(catalog, objects, done, config), names, objects, config)
    is_new = not catalog.dataset_exists(manifest.version)
    catalog.record_dataset(manifest.version, manifest_key(manifest.version), manifest.counts, done)
    return Release(version=manifest.version, is_new=is_new, counts=manifest.counts)


def publish_folder(
    ledger: Ledger, objects: ObjectStore, names: Mapping[str, str], config: PipelineConfig
) -> str:
    """The same without a catalog, for the videos of `names` ({video_id: file name}); returns the version."""
    done = []
    for video_id in names:
        run = ledger.find(video_id, "quality", fingerprints(video_id, config)["quality"])
        if run is not None and run.status == "done":
            done.append(video_id)
    return build_dataset(bundles(ledger, objects, done, config), names, objects, config).version
