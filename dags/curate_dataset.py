"""`curate_dataset`: check every pair, keep what passes, publish an immutable dataset version."""

from __future__ import annotations

from airflow.sdk import DAG, task_group

from operators import flow
from operators.assets import INSTRUCTIONS
from operators.stage import StageOperator

DOC = """
### Curate dataset
Starts when `annotate_videos` has written instructions. Runs the row checks of the `quality` stage, then
publishes everything accepted so far as one dataset version: the released JSON format, JSONL, a manifest
with checksums and lineage, and a data card. A version is named by its content: publishing the same
content again makes nothing new, and readers see a whole version or none.

| parameter | meaning |
|---|---|
| `drop_ids` | drops whose videos to check, besides those that started the run; with neither: all |
| `failure_tolerance` | share of failed videos above which the run fails |

Then the asset `datasets` carries the version and its counts.
"""

with DAG(
    dag_id="curate_dataset",
    doc_md=DOC,
    schedule=[INSTRUCTIONS],
    catchup=False,
    max_active_runs=1,
    default_args=flow.RETRIES,
    params={"drop_ids": flow.DROP_IDS, "failure_tolerance": flow.TOLERANCE},
    tags=["strefer"],
):

    @task_group
    def batch(video_ids: list[str]) -> None:
        """One batch of videos through the row checks."""
        StageOperator(
            task_id="quality",
            stage="quality",
            video_ids=video_ids,
            failure_tolerance="{{ params.failure_tolerance }}",
        )

    done = batch.expand(video_ids=flow.find_videos(after="instructions", before="quality"))
    done >> flow.publish() >> flow.gate(flow.CURATE_STAGES)
