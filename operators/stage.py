"""`StageOperator`: one stage over a batch of videos, on Celery workers, while no Airflow slot is held.

`execute` writes one request per unsettled video, sends one Celery message for each, and defers. The trigger
ends the task itself: a task that is resumed on a worker can be marked failed by Airflow 3.3.2 when it is
resumed before the scheduler has seen its first half end; one that is ended in the triggerer cannot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from operators.triggers import StageTrigger, counts, verdict
from operators.urgency import urgency_of
from strefer_core.config import settings
from strefer_core.pipeline import STAGES, fingerprints, is_settled

if TYPE_CHECKING:
    from airflow.sdk import Context

    from strefer_core.config import PipelineConfig
    from strefer_core.store.catalog import Catalog


def batch_id(ti: Any) -> str:
    """One per try: a late cancel of the try before it must not drop what this one asks for."""
    name = f"{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}|{ti.try_number}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class StageOperator(BaseOperator):
    """Bring a batch of videos to a settled state in one stage.

    Videos whose earlier stages are not done (failed, filtered) are passed over: their state stands in
    that stage. Videos that fail are rows in `stage_runs`; the task fails only when more than
    `failure_tolerance` of the batch failed, and then names them. Running it again, also after a clear,
    computes only what is missing.

    Args:
        stage: name of a per-video stage.
        video_ids: the batch.
        failure_tolerance: share of failed videos, 0..1, above which the task fails; may be a template.
        wait_limit: after it the task fails; what is queued stays queued and a retry waits on.
    """

    template_fields: Sequence[str] = ("video_ids", "failure_tolerance")
    ui_color = "#e0ecf8"

    def __init__(
        self,
        *,
        stage: str,
        video_ids: Sequence[str],
        failure_tolerance: float | str = 0.2,
        wait_limit: timedelta = timedelta(hours=12),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if stage not in STAGES:
            raise ValueError(f"unknown stage {stage!r}; known: {', '.join(STAGES)}")
        self.stage = stage
        self.video_ids = video_ids
        self.failure_tolerance = failure_tolerance
        self.wait_limit = wait_limit
        self._batch_id = ""

    def execute(self, context: Context, event: Any = None) -> dict[str, int]:
        """Ask for what is missing and defer. Run again (retry, clear, resumed) it re-attaches."""
        from strefer_core import worker

        config = settings().pipeline
        batch = self._batch_id = batch_id(context["ti"])
        catalog = worker.catalog()
        eligible = eligible_fingerprints(catalog, self.stage, list(self.video_ids or ()), config)
        states = catalog.states(eligible, self.stage)
        missing = {v: f for v, f in eligible.items() if not is_settled(states.get(v))}
        self.log.info(
            "stage=%s batch=%s videos=%d eligible=%d already=%d",
            self.stage, batch, len(self.video_ids or ()), len(eligible), len(eligible) - len(missing),
        )  # fmt: skip
        # What another try or run has asked for already is on its way: attach to it, send no second message.
        to_send = catalog.open_batch(batch, self.stage, eligible, missing)
        urgency = urgency_of(context)
        worker.send(self.stage, [(v, f) for v, f in missing.items() if v in to_send], config, urgency)
        tolerance = float(self.failure_tolerance)
        if not missing:
            outcome = catalog.batch_outcome(batch)
            if message := verdict(self.stage, outcome, tolerance):
                raise AirflowFailException(message)
            return counts(outcome)
        self.defer(
            trigger=StageTrigger(
                batch_id=batch,
                stage=self.stage,
                config=config.model_dump(mode="json"),
                failure_tolerance=tolerance,
                urgency=urgency,
            ),
            method_name="execute",
            timeout=self.wait_limit,
        )
        raise AssertionError("defer() raises")

    def on_kill(self) -> None:
        """Killed before it deferred: drop what it queued. Afterwards the trigger's `on_kill` does so."""
        from strefer_core import worker

        if self._batch_id:
            worker.catalog().cancel_batch(self._batch_id)


def eligible_fingerprints(
    catalog: Catalog, stage: str, video_ids: list[str], config: PipelineConfig
) -> dict[str, str]:
    """Fingerprint in `stage` of each video whose needed stages are all done."""
    chains = {video_id: fingerprints(video_id, config) for video_id in video_ids}
    ready = set(video_ids)
    for need in STAGES[stage].needs:
        states = catalog.states({v: chains[v][need] for v in ready}, need)
        ready = {v for v in ready if v in states and states[v].status == "done"}
    return {v: chains[v][stage] for v in video_ids if v in ready}
