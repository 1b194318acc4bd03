"""The tasks between stages: find a drop, cut it into batches, pass it on, judge the run, publish.

Every function takes plain values and the task context, and does its work through `strefer_core`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import CronTriggerTimetable, Metadata, Param, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from operators.alerts import Alert
from operators.assets import DATASETS, INSTRUCTIONS, VIDEOS
from operators.urgency import urgency_of
from strefer_core.batching import batches
from strefer_core.config import settings
from strefer_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Asset
    from pydantic import JsonValue

log = logging.getLogger(__name__)

RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=10)}
"""For every task, because of outages. A bad video is a row, and no retry of a task computes it again."""

TOLERANCE = Param(0.5, type="number", minimum=0, maximum=1)
DROP_IDS = Param([], type="array", items={"type": "string"}, title="Drops")


def at(cron: str) -> CronTriggerTimetable:
    """Runs at these times (UTC), and at none that is past.

    By itself Airflow runs a new DAG's last time at once where it is less than a tenth of the gap ago: a stack
    that comes up at 4 o'clock would begin with the night's run, beside the drop that somebody gives it.
    """
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0))


INGEST_STAGES = ("videos",)
ANNOTATE_STAGES = ("clips", "entities", "masklets", "transcript", "instructions")
CURATE_STAGES = ("quality",)


def run_drop_ids(batches_of_keys: Sequence[Sequence[str]] = ()) -> list[str]:
    """Drops that this run is about: of these keys, of the form, of the asset events that started it."""
    from strefer_core.ingest import drop_of

    context: Any = get_current_context()
    named = [context["params"].get("drop_id"), *(context["params"].get("drop_ids") or [])]
    of_keys = [drop_of(key, settings().drop_prefix) for keys in batches_of_keys for key in keys]
    events = [e for es in (context.get("triggering_asset_events") or {}).values() for e in es]
    told = [drop_id for event in events for drop_id in event.extra.get("drop_ids", [])]
    return [drop_id for drop_id in dict.fromkeys([*named, *of_keys, *told]) if drop_id]


@task
def find_drops() -> list[list[str]]:
    """Keys of the drop that the form names, else whatever is new under the drop prefix; in batches."""
    from strefer_core import worker
    from strefer_core.ingest import find_keys

    drop_id = get_current_context()["params"].get("drop_id") or ""
    return batches(find_keys(worker.objects(), worker.catalog(), settings().drop_prefix, drop_id))


@task
def register(keys: list[str]) -> list[str]:
    """Object keys to video ids, bytes kept under the id."""
    from strefer_core import worker
    from strefer_core.ingest import register_videos

    registered = register_videos(worker.objects(), worker.catalog(), settings().drop_prefix, keys)
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
def find_videos(after: str, before: str) -> list[list[str]]:
    """Videos of this run's drops (of all drops where none is named), in batches.

    And every video that is through stage `after` and was never begun in stage `before`: should a killed
    run or a lost asset event have left one behind, the next run takes it along.
    """
    from strefer_core import worker

    catalog = worker.catalog()
    drop_ids = run_drop_ids() or [drop.drop_id for drop in catalog.drops()]
    ids = [video_id for drop_id in drop_ids for video_id in catalog.drop_videos(drop_id)]
    return batches(list(dict.fromkeys([*ids, *catalog.left_behind(after, before)])))


def _announce(asset: Asset, drop_ids: Sequence[JsonValue]) -> Iterator[Metadata]:
    urgency = urgency_of(get_current_context())
    yield Metadata(asset, {"drop_ids": list(drop_ids), "urgency": urgency})


@task(outlets=[VIDEOS], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def announce_videos(batches_of_keys: list[list[str]]) -> Iterator[Metadata]:
    """Tell `annotate_videos` about these drops."""
    yield from _announce(VIDEOS, run_drop_ids(batches_of_keys))


@task(outlets=[INSTRUCTIONS], trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def announce_instructions() -> Iterator[Metadata]:
    """Tell `curate_dataset` about these drops."""
    yield from _announce(INSTRUCTIONS, run_drop_ids())


@task(outlets=[DATASETS])
def publish() -> Iterator[Metadata]:
    """Write a dataset version of all that is accepted and not held; the same content is the same version."""
    from strefer_core import worker
    from strefer_core.publish import AllHeld, publish_dataset

    try:
        release = publish_dataset(worker.catalog(), worker.objects(), settings().pipeline)
    except AllHeld as error:  # the gate's leaf says which bars
        raise AirflowSkipException(str(error)) from error
    except InputError as error:  # nothing was accepted: a retry cannot help
        raise AirflowFailException(str(error)) from error
    yield Metadata(DATASETS, {"version": release.version, "is_new": release.is_new, "counts": release.counts})


@task(trigger_rule=TriggerRule.ALL_DONE, on_failure_callback=Alert(kind="failed"))
def gate(
    stages: Sequence[str], batches_of_keys: list[list[str]] | None = None, *, with_bars: bool = False
) -> dict[str, dict[str, int]]:
    """The run's only leaf: fails where any task failed or too large a share of a drop's videos did.

    With `with_bars` also where a drop is below its bars and nobody let it through.
    """
    from strefer_core import worker

    context: Any = get_current_context()
    run, tolerance = context["dag_run"], float(context["params"]["failure_tolerance"])
    if with_bars:
        _fail_if_held(run.run_id)
    states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])[run.run_id]
    if broken := sorted(name for name, state in states.items() if state in ("failed", "upstream_failed")):
        raise AirflowFailException(f"tasks failed: {', '.join(broken)}; their logs name videos and reasons")
    seen: dict[str, dict[str, int]] = {}
    for drop_id in run_drop_ids(batches_of_keys or ()):
        for progress in worker.catalog().drop_progress(drop_id):
            if progress.stage in stages and progress.failed > tolerance * progress.videos:
                raise AirflowFailException(
                    f"{progress.failed} of {progress.videos} videos of drop {drop_id} failed in "
                    f"{progress.stage}: see the view `failures`"
                )
            seen.setdefault(drop_id, {})[progress.stage] = progress.done
    return seen


def _fail_if_held(dag_run_id: str) -> None:
    from strefer_core import worker
    from strefer_core.validation import bars

    gates = worker.catalog().gates_of_run(dag_run_id)
    if held := [bars.told(one) for one in gates if not one.is_open]:
        raise AirflowFailException("\n".join(held))
