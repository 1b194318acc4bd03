"""`probe_masklets`: every week, how good the masklet cascades are, against videos whose truth is known."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from operators import flow
from operators.probe import ProbeOperator, gate

DOC = """
### Probe masklets
Renders videos whose truth is known exactly, runs the cascades `first_frame`, `paper` and `strefer` on them,
and stores every figure, overall and per difficulty, with its confidence interval. The view `probe_history`
has each figure beside that of the probe before.

| parameter | meaning |
|---|---|
| `seed`, `videos` | which world, and how many of its videos |
| `perception` | what the cascades see with: the truth with errors, the truth, or the pictures |
| `knobs` | difficulties: `plan` (all, alone and mixed), `default`, `none`, or names with commas between |
| `noise` | error rates of `world-noisy` that differ from the defaults: `miss=0.2,switch=0.05` |
| `min_j_and_f` | the run fails where J&F of `strefer` is below it |

The same by hand, with pictures of the worst cases: `strefer probe --videos 24 --out folder`.
"""

with DAG(
    dag_id="probe_masklets",
    doc_md=DOC,
    schedule=flow.at("0 4 * * 0"),
    catchup=False,
    max_active_runs=1,
    default_args=flow.RETRIES,
    params={
        "seed": Param(7, type="integer", minimum=0),
        "videos": Param(24, type="integer", minimum=1, maximum=1000),
        "perception": Param("world-noisy", enum=["world-noisy", "world-exact", "classical"]),
        "knobs": Param("plan", type="string", minLength=1),
        "noise": Param("", type="string"),
        "min_j_and_f": Param(0.7, type="number", minimum=0, maximum=1),
    },
    tags=["strefer"],
):
    probe = ProbeOperator(
        task_id="probe",
        seed="{{ params.seed }}",
        videos="{{ params.videos }}",
        perception="{{ params.perception }}",
        knobs="{{ params.knobs }}",
        noise="{{ params.noise }}",
        execution_timeout=timedelta(hours=2),
    )
    gate(probe.output)
