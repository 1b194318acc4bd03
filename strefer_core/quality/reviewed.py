"""People's decisions as examples: what they rejected or mended was wrong, what they accepted was right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.pipeline import STAGES, fingerprints, load_result
from strefer_core.quality.features import features
from strefer_core.quality.fitting import Example
from strefer_core.quality.measured import Measured
from strefer_core.stages.quality import measure
from strefer_core.store.catalog import Catalog
from strefer_core.store.objects import ObjectStore
from strefer_core.store.reviews import Review


def reviewed_examples(catalog: Catalog, objects: ObjectStore, config: PipelineConfig) -> Iterator[Example]:
    """Every pair of the catalog that somebody decided about and that the present settings still make.

    Of several decisions about one pair the newest counts. Raises StoreError where results cannot be read.
    """
    by_video: dict[str, dict[str, Review]] = defaultdict(dict)
    for (video_id, pair_key), review in catalog.reviews(catalog.video_ids()).items():
        by_video[video_id][pair_key] = review
    chains = {video_id: fingerprints(video_id, config)["instructions"] for video_id in by_video}
    for video_id, run in sorted(catalog.states(chains, "instructions").items()):
        if run.status == "done":
            yield from _of_video(_results(catalog, objects, video_id, config), by_video[video_id])


def _results(
    catalog: Catalog, objects: ObjectStore, video_id: str, config: PipelineConfig
) -> dict[str, dm.Result]:
    chain = fingerprints(video_id, config)
    needed = ("videos", *STAGES["instructions"].needs[1:], "instructions")
    return {stage: load_result(catalog, objects, video_id, stage, chain[stage]) for stage in needed}


def _of_video(results: dict[str, dm.Result], decided: dict[str, Review]) -> Iterator[Example]:
    videos = results["videos"]
    assert isinstance(videos, dm.VideosResult)
    given = Measured.of(videos.video, results)
    values = measure(given)
    for item in given.instructions:
        if (review := decided.get(item.pair_key)) is not None:
            yield Example(
                video=videos.video.video_id,
                features=features(item, given, values),
                is_wrong=review.decision != "accept",
                set_key=item.set_key,
            )
