"""From settled results to a published dataset version: the reading side of the `dataset` stage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from strefer_core.config import PipelineConfig
from strefer_core.errors import InputError
from strefer_core.pipeline import STAGES, Blobs, Ledger, fingerprints, load_result
from strefer_core.quality.filter_files import filter_id, filter_text
from strefer_core.stages.dataset import VideoBundle, build_dataset, manifest_key
from strefer_core.store.catalog import Catalog
from strefer_core.store.objects import ObjectStore
from strefer_core.store.reviews import Review


class AllHeld(InputError):
    """Every video that is through is in drops that their gates keep out."""


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


def reviewed(bundle: VideoBundle, reviews: Mapping[tuple[str, str], Review]) -> VideoBundle:
    """What people decided in place of what the checks did: rejected pairs left out, accepted and mended ones
    in, the mended with their new turns.

    Args:
        bundle: one video's.
        reviews: the newest decision of each pair, by video id and pair key.
    """
    decided = {
        item.instruction_id: found
        for item in bundle.instructions
        if (found := reviews.get((item.video_id, item.pair_key))) is not None
    }
    mended = tuple(
        replace(item, turns=found.turns)
        if (found := decided.get(item.instruction_id)) is not None and found.turns is not None
        else item
        for item in bundle.instructions
    )
    rejected = {one for one, found in decided.items() if found.decision == "reject"}
    accepted = (bundle.accepted_ids | decided.keys()) - rejected
    return replace(bundle, instructions=mended, accepted_ids=frozenset(accepted))


def publish_dataset(catalog: Catalog, objects: ObjectStore, config: PipelineConfig) -> Release:
    """Publish all accepted instructions of every video that is through, under one configuration.

    Videos that are only in drops which a gate keeps out stay out; what a person decided about a pair holds
    against the checks. Two that publish at once do so one after the other, each with what the other saw.

    Raises InputError where no instruction was accepted, AllHeld where the gates leave nothing.
    """
    with catalog.publishing():
        return _publish(catalog, objects, config)


def _publish(catalog: Catalog, objects: ObjectStore, config: PipelineConfig) -> Release:
    chains = {v: fingerprints(v, config)["quality"] for v in catalog.video_ids()}
    through = {v: chains[v] for v, run in catalog.states(chains, "quality").items() if run.status == "done"}
    if not through:
        raise InputError("no video is through the quality stage yet; see the failures of the drops")
    held = catalog.held_video_ids()
    done = {v: fingerprint for v, fingerprint in through.items() if v not in held}
    if not done:
        raise AllHeld(
            f"all {len(through)} videos are in drops that their gates keep out; see the table `gates`"
        )
    names = catalog.video_names(list(done))
    reviews = catalog.reviews(done)
    decided = (reviewed(bundle, reviews) for bundle in bundles(catalog, objects, done, config))
    manifest = build_dataset(decided, names, objects, config)
    is_new = not catalog.dataset_exists(manifest.version)
    if config.quality.filter:
        catalog.record_filter(filter_id(config.quality.filter), filter_text(config.quality.filter))
    catalog.record_dataset(
        manifest.version,
        manifest_key(manifest.version),
        manifest.counts,
        done,
        filter_id=filter_id(config.quality.filter),
    )
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
