"""The tasks between stages: find a drop, cut it into batches, pass it on, judge the run, publish.

Every function takes plain values and the task context, and does its work through `strefer_core`.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Metadata, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from operators.assets import DATASETS, INSTRUCTIONS, VIDEOS
from strefer_core.batching import batches
from strefer_core.config import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Asset

log = logging.getLogger(__name__)

INGEST_STAGES = ("videos",)
ANNOTATE_STAGES = ("clips", "entities", "masklets", "transcript", "instructions")
CURATE_STAGES = ("quality",)


def run_drop_id() -> str:
    """The drop that this run delivers: named in the form, else after the run itself."""
    context: Any = get_current_context()
    named: str | None = context["params"].get("drop_id")
    run = context["dag_run"]
    return named or f"{run.run_after:%Y%m%dT%H%M%S}-{hashlib.sha256(run.run_id.encode()).hexdigest()[:6]}"


def run_drop_ids() -> list[str]:
    """Drops that this run is about: those of the asset events that started it, or those in the form."""
    context: Any = get_current_context()
    named = context["params"].get("drop_ids") or []
    events = [e for es in (context.get("triggering_asset_events") or {}).values() for e in es]
    told = [drop_id for event in events for drop_id in event.extra.get("drop_ids", [])]
    return list(dict.fromkeys([*named, *told]))


@task
def find_drop() -> list[list[str]]:
    """Claim what is new under the prefix; keys in batches."""
    from strefer_core import worker
    from strefer_core.ingest import open_drop

    context: Any = get_current_context()
    prefix = context["params"].get("prefix") or settings().drop_prefix
    return batches(open_drop(worker.objects(), worker.catalog(), run_drop_id(), prefix))


@task
def register(keys: list[str]) -> list[str]:
    """Object keys to video ids, bytes kept under the id."""
    from strefer_core import worker
    from strefer_core.ingest import register_videos

    registered = register_videos(worker.objects(), worker.catalog(), run_drop_id(), keys)
    for key, reason in registered.unread.items():
        log.error("cannot read %s: %s; the next ingest tries it again", key, reason)
    return registered.video_ids


@task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def filter_near_duplicates() -> int:
    """Filter videos that repeat an earlier one but for encoding; returns how many."""
    from strefer_core import worker
    from strefer_core.near_duplicates import near_duplicates

    catalog, config = worker.catalog(), settings().pipeline
    found = {v.video_id: v for v in catalog.video_hashes()}
    repeats = near_duplicates(
        [(v.video_id, v.perceptual_hashes) for v in found.values()], config.near_duplicates.max_distance_bits
    )
    for video_id, first in repeats.items():
        reason = f"near-duplicate of {first}"
        catalog.set_filtered(video_id, "videos", found[video_id].fingerprint, reason)
    return len(repeats)


@task
def find_videos() -> list[list[str]]:
    """Videos of this run's drops (of all drops where none is named), in batches."""
    from strefer_core import worker

    catalog = worker.catalog()
    drop_ids = run_drop_ids() or [drop.drop_id for drop in catalog.drops()]
    ids = dict.fromkeys(video_id for drop_id in drop_ids for video_id in catalog.drop_videos(drop_id))
    return batches(list(ids))


def _announce(asset: Asset, drop_ids: list[str]) -> Iterator[Metadata]:
    yield Metadata(asset, {"drop_ids": drop_ids})


@task(outlets=[VIDEOS], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def announce_videos() -> Iterator[Metadata]:
    """Tell `annotate_videos` about this drop."""
    yield from _announce(VIDEOS, [run_drop_id()])


@task(outlets=[INSTRUCTIONS], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def announce_instructions() -> Iterator[Metadata]:
    """Tell `curate_dataset` about these drops."""
    yield from _announce(INSTRUCTIONS, run_drop_ids())


@task(outlets=[DATASETS], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def publish() -> Iterator[Metadata]:
    """Write a dataset version of everything accepted; the same content is the same version."""
    from strefer_core import worker
    from strefer_core.publish import publish_dataset

    release = publish_dataset(worker.catalog(), worker.objects(), settings().pipeline)
    yield Metadata(DATASETS, {"version": release.version, "is_new": release.is_new, "counts": release.counts})


@task(trigger_rule=TriggerRule.ALL_DONE)
def gate(stages: Sequence[str]) -> dict[str, dict[str, int]]:
    """The run's only leaf: fails where any task failed or too large a share of a drop's videos did."""
    from strefer_core import worker

    context: Any = get_current_context()
    run, tolerance = context["dag_run"], float(context["params"]["failure_tolerance"])
    states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])[run.run_id]
    if broken := sorted(name for name, state in states.items() if state in ("failed", "upstream_failed")):
        raise AirflowFailException(f"tasks failed: {', '.join(broken)}; their logs name videos and reasons")
    seen: dict[str, dict[str, int]] = {}
    for drop_id in run_drop_ids() or [run_drop_id()]:
        for progress in worker.catalog().drop_progress(drop_id):
            if progress.stage in stages and progress.failed > tolerance * progress.videos:
                raise AirflowFailException(
                    f"{progress.failed} of {progress.videos} videos of drop {drop_id} failed in "
                    f"{progress.stage}: see the view `failures`"
                )
            seen.setdefault(drop_id, {})[progress.stage] = progress.done
    return seen
