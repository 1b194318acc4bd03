"""`override_gate`: ask a person about a drop below its bars, and publish it all the same after a yes."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from operators import flow, validation

DOC = """
### Override gate
Started by `curate_dataset` for each drop that its bars keep out, or by hand. `override` asks a person
(*Required Actions*), with the bars and the rows that speak against the drop. Approve lets the drop through
until the next decision on it, and publishes a dataset version with it; Reject, or no answer in time
(`STREFER_GATE__ANSWER_WAIT_S`), leaves things as they are. Start another run to be asked again.
Meanwhile other drops are curated and published.

| parameter | meaning |
|---|---|
| `drop_id` | the drop |
"""

with DAG(
    dag_id="override_gate",
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=100,
    default_args=flow.RETRIES,
    params={"drop_id": Param(type="string", minLength=1, title="Drop")},
    tags=["strefer"],
):
    override = validation.OverrideOperator(task_id="override", drop_id="{{ params.drop_id }}")
    override >> flow.publish() >> validation.validate_dataset()
