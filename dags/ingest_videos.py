"""`ingest_videos`: every night, on a new drop, or by hand: objects become videos, checked and measured."""

from __future__ import annotations

from airflow.sdk import DAG, AssetOrTimeSchedule, Param, task_group

from operators import alerts, flow
from operators.assets import DROPS
from operators.stage import StageOperator

DOC = """
### Ingest videos
Finds objects under the drop prefix that no drop holds yet (a folder there is a drop), gives each its
identity (the hash of its bytes), probes and measures it on the `cpu` workers, and filters what is black,
frozen, too short or a near-duplicate. A file that is no video becomes a failed row with the reason; the
rest goes on. Finding nothing, with the last drop older than `STREFER_ALERTS__DROP_EXPECTED_S`, it alerts.

| parameter | meaning |
|---|---|
| `drop_id` | one drop, taken in whole; empty: whatever is new under the drop prefix |
| `failure_tolerance` | share of failed videos above which the run fails |

Then the asset `videos` starts `annotate_videos`. Clear any task to compute only what is missing.
"""

with DAG(
    dag_id="ingest_videos",
    doc_md=DOC,
    schedule=AssetOrTimeSchedule(timetable=flow.at("0 2 * * *"), assets=[DROPS]),
    catchup=False,
    max_active_runs=1,
    deadline=alerts.deadlines(),
    default_args=flow.RETRIES,
    params={
        "drop_id": Param("", type="string", title="Drop", pattern=r"^[^/]{0,100}$"),
        "failure_tolerance": flow.TOLERANCE,
    },
    tags=["strefer"],
):

    @task_group
    def batch(keys: list[str]) -> None:
        """One batch of objects."""
        StageOperator(
            task_id="videos",
            stage="videos",
            video_ids=flow.register(keys),
            failure_tolerance="{{ params.failure_tolerance }}",
        )

    keys = flow.find_drops()
    filtered, judged = flow.filter_near_duplicates(), flow.gate(flow.INGEST_STAGES, keys)
    batch.expand(keys=keys) >> filtered >> flow.announce_videos(keys) >> judged
    alerts.watch_arrivals(keys) >> judged
