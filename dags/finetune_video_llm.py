"""`finetune_video_llm`: train on a new dataset, compare with the champion, promote the better."""

from __future__ import annotations

from airflow.sdk import DAG, AssetOrTimeSchedule, Param

from operators import flow, learning
from operators.assets import DATASETS
from operators.jobs import JobOperator

DOC = """
### Fine-tune the Video LLM
Starts with every new dataset version, once a week, or by hand. `plan` counts the accepted pairs that the
champion never saw and skips the run where they are fewer than `STREFER_LEARNING__MIN_NEW_PAIRS`. `train` runs
on a worker of the queue `train`; one that died goes on from its last checkpoint. `evaluate` asks challenger
and champion the same held-out bench; `compare` resamples their difference by video. A challenger that is
better by the margin, with the confidence of `STREFER_LEARNING__...`, becomes the champion; a model card is
written, and the asset `models` tells.

| parameter | meaning |
|---|---|
| `preset`, `base` | which model, and what to start from: empty (the preset's own), `champion`, or a version |
| `weights` | share of each group in the mixture: `{"G5": 2, "G7": 1}`; empty: as the data comes |
| `seed`, `steps`, `epochs` | of the training; empty: the preset's |
| `region_mode`, `time_mode` | how masks and times are given |
| `min_new_pairs` | overrides the setting; 0 trains whatever there is |
| `ask` | a person decides on a challenger that is better (*Required Actions*) |
"""

with DAG(
    dag_id="finetune_video_llm",
    doc_md=DOC,
    schedule=AssetOrTimeSchedule(timetable=flow.at("0 5 * * 6"), assets=[DATASETS]),
    catchup=False,
    max_active_runs=1,
    default_args=flow.RETRIES,
    params={
        "preset": Param("", type="string"),
        "base": Param("", type="string"),
        "weights": Param({}, type="object", additionalProperties={"type": "number", "minimum": 0}),
        "seed": Param(None, type=["null", "integer"], minimum=0),
        "steps": Param(None, type=["null", "integer"], minimum=1),
        "epochs": Param(None, type=["null", "number"], exclusiveMinimum=0),
        "region_mode": Param(None, type=["null", "string"], enum=[None, "connector", "som", "none"]),
        "time_mode": Param(None, type=["null", "string"], enum=[None, "text", "31", "ours", "number"]),
        "min_new_pairs": Param(None, type=["null", "integer"], minimum=0),
        "ask": Param(False, type="boolean"),
    },
    tags=["strefer"],
):
    planned = learning.plan()
    trained = JobOperator(task_id="train", kind="train", spec=planned)
    evaluated = JobOperator.partial(task_id="evaluate", kind="evaluate").expand(
        spec=learning.to_evaluate(trained.output)
    )
    compared = learning.compare(trained.output, evaluated.output)
    decided = learning.PromoteOperator(task_id="promote", compared=compared, asks="{{ params.ask }}")
    decided >> learning.drop_old_models()
    learning.announce(decided.output)
