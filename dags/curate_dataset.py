"""`curate_dataset`: check every pair, keep what passes, publish an immutable dataset version."""

from __future__ import annotations

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task_group

from operators import alerts, flow, validation
from operators.assets import INSTRUCTIONS
from operators.stage import StageOperator

DOC = """
### Curate dataset
Starts when `annotate_videos` has written instructions. Runs the row checks of the `quality` stage, and holds
each drop against expectations of its tables and against bars (`STREFER_GATE__...`): failed videos, accepted
pairs, estimated error, what one check stops, drift from the last drop that was let through.

A drop below a bar stays unpublished: `gate` fails and names the bar and the rows, and `ask` starts a run of
`override_gate`, which asks a person. Clear `validate_drops` to decide again.

Everything accepted so far, of drops that are not held, becomes one dataset version: the released JSON
format, JSONL, a manifest with checksums and lineage, and a data card. A version is named by its content:
publishing the same content again makes nothing new, and readers see a whole version or none.

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
    deadline=alerts.deadlines(),
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
    held = validation.validate_drops()
    asked = TriggerDagRunOperator.partial(
        task_id="ask", trigger_dag_id="override_gate", logical_date=None, skip_when_already_exists=True
    ).expand_kwargs(held)
    published = flow.publish()
    done >> held >> published
    [asked, published >> validation.validate_dataset()] >> flow.gate(flow.CURATE_STAGES, with_bars=True)
