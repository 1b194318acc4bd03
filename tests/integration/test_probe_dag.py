"""`probe_masklets` on the real stack: figures arrive in Postgres, and the bar decides the run."""

from __future__ import annotations

import pytest

from strefer_core import local, worker
from strefer_core.airflow_client import AirflowClient, DagRun
from strefer_core.config import settings
from tests.integration.platform_drops import rows, wait_for

pytestmark = pytest.mark.stack

CONF = {"seed": 3, "videos": 1, "perception": "world-exact", "knobs": "default"}


def finish(client: AirflowClient, conf: dict[str, object]) -> DagRun:
    begun = client.trigger("probe_masklets", conf)

    def ended() -> DagRun | None:
        run = client.run(begun.dag_id, begun.run_id)
        return run if run.state in ("success", "failed") else None

    found: DagRun = wait_for("the probe", ended, timeout_s=240, poll_s=0.5)
    return found


def test_the_dag_stores_a_probe_and_fails_below_the_bar(stack: local.StackInfo) -> None:
    with AirflowClient(settings()) as client:
        passed = finish(client, {**CONF, "min_j_and_f": 0.5})
        assert passed.state == "success", client.failures(passed)
        below = finish(client, {**CONF, "min_j_and_f": 1.0})
        assert (below.state, client.failures(below)) == ("failed", ["gate"])
    first, second = worker.catalog().probes()
    assert (first.seed, first.videos, first.perception) == (3, 1, "world-exact")
    assert first.probe_id != second.probe_id
    one, two = worker.catalog().probe_history("strefer", "j_and_f")
    assert one.value == two.value == two.previous_value
    assert one.previous_value is None
    named = rows("select distinct cascade_name as name from probe_history order by 1")
    assert [row["name"] for row in named] == ["first_frame", "paper", "strefer"]
