"""`annotate_videos`: who, where and when in each video, written as instruction-response pairs."""

from __future__ import annotations

from airflow.sdk import DAG, task_group
from airflow.sdk.bases.operator import chain

from operators import alerts, flow
from operators.assets import VIDEOS
from operators.stage import StageOperator

DOC = """
### Annotate videos
Starts when `ingest_videos` has taken in a drop. Five stages per video, batch by batch:
`clips` (cpu) and `entities` (llm), then `masklets` (gpu), `transcript` (llm), `instructions` (llm).
The heavy work is done by Celery workers with warm models; these tasks wait in the triggerer.

| parameter | meaning |
|---|---|
| `drop_ids` | drops to annotate, besides those that started the run; with neither: all |
| `failure_tolerance` | share of failed videos above which a batch, and the run, fails |

Then the asset `instructions` starts `curate_dataset`. Changing one stage's settings and running this
again recomputes that stage and what follows it, nothing else.
"""

with DAG(
    dag_id="annotate_videos",
    doc_md=DOC,
    schedule=[VIDEOS],
    catchup=False,
    max_active_runs=2,
    deadline=alerts.deadlines(),
    default_args=flow.RETRIES,
    params={"drop_ids": flow.DROP_IDS, "failure_tolerance": flow.TOLERANCE},
    tags=["strefer"],
):

    @task_group
    def batch(video_ids: list[str]) -> None:
        """One batch of videos through the five stages."""
        stage = {
            name: StageOperator(
                task_id=name,
                stage=name,
                video_ids=video_ids,
                failure_tolerance="{{ params.failure_tolerance }}",
            )
            for name in flow.ANNOTATE_STAGES
        }
        [stage["clips"], stage["entities"]] >> stage["masklets"]
        chain(stage["masklets"], stage["transcript"], stage["instructions"])

    done = batch.expand(video_ids=flow.find_videos(after="videos", before="clips"))
    done >> flow.announce_instructions() >> flow.gate(flow.ANNOTATE_STAGES)
