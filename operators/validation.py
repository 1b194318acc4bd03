"""Validating drops and datasets, and asking a person before a gate is opened against its bars.

A drop below its bars starts a run of `override_gate`, which asks a person: nothing else waits for the answer.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from operators.alerts import Alert
from operators.flow import run_drop_ids
from strefer_core.config import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from strefer_core.store.catalog import Gate

log = logging.getLogger(__name__)


def identity(ti: Any, subject_id: str) -> str:
    """One per try, so that a clear decides anew and appends, and the same try writes over itself."""
    name = f"{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}|{ti.try_number}|{subject_id}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]


@task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def validate_drops() -> list[dict[str, Any]]:
    """Hold this run's drops (all, where none is named) against their expectations and bars.

    And every drop that a killed run left without a decision: nothing else would ever let it through. A drop
    of which a video has not ended, because a task was cancelled or failed, waits for the run that ends it:
    nobody is asked about half a drop. Returns one item per drop whose gate is closed: the run of
    `override_gate` that asks about it.
    """
    from strefer_core import worker

    catalog = worker.catalog()
    named = run_drop_ids() or [drop.drop_id for drop in catalog.drops()]
    drop_ids = dict.fromkeys([*named, *catalog.undecided_drops()])
    unfinished = catalog.unfinished_drops(drop_ids)
    for drop_id in unfinished:
        log.warning("drop=%s is not through yet: its gate is decided by the run that ends it", drop_id)
    ended = [drop_id for drop_id in drop_ids if drop_id not in unfinished]
    return [asking(gate) for drop_id in ended if not (gate := decide(drop_id)).is_open]


def asking(gate: Gate) -> dict[str, Any]:
    """A run of `override_gate`, named after the decision: one that was begun by a try is not begun again."""
    return {"conf": {"drop_id": gate.drop_id}, "trigger_run_id": f"held__{gate.gate_id}"}


def decide(drop_id: str) -> Gate:
    """Validate one drop and decide on its gate."""
    from strefer_core import worker
    from strefer_core.store.catalog import Subject
    from strefer_core.validation import bars, validating

    context: Any = get_current_context()
    catalog, objects, config = worker.catalog(), worker.objects(), settings().gate
    name, run_id = identity(context["ti"], drop_id), context["dag_run"].run_id
    validation = validating.validate(
        catalog, objects, Subject(kind="drop", id=drop_id), config, validation_id=name, dag_run_id=run_id
    )
    gate = validating.decide(catalog, validation, config, gate_id=name, dag_run_id=run_id)
    log.info("drop=%s validation=%s gate=%s", drop_id, objects.url(str(validation.docs_key)), state(gate))
    if not gate.is_open:
        log.warning("%s", bars.told(gate))
    return gate


def state(gate: Gate) -> str:
    """A gate in one word."""
    return "overridden" if gate.overridden_by else "open" if gate.is_open else "closed"


def question(gate: Gate) -> dict[str, str]:
    """What a person is asked about a closed gate, the rows in a code block: reasons are no markdown."""
    from strefer_core.validation import bars

    body = (
        f"Approve publishes drop `{gate.drop_id}` all the same, until the next decision on it. Reject, or no "
        "answer in time, keeps it unpublished; everything else is published already.\n\n"
        f"```\n{bars.told(gate).replace('```', '')}\n```"
    )
    return {"subject": f"Publish drop {gate.drop_id} below its bars?", "body": body}


class OverrideOperator(ApprovalOperator):
    """Asks a person whether a drop below its bars is published all the same; who said so is kept.

    "Reject", which is also what no answer in time means, skips what follows. A drop whose gate is open by the
    time that somebody would be asked skips it, too.

    Args:
        drop_id: whose gate is closed; a template.
    """

    # Not the question: it holds names of files, and nothing in them is a template.
    template_fields: Sequence[str] = ("drop_id",)
    ui_color = "#f8ecd8"

    def __init__(self, *, drop_id: str, **kwargs: Any) -> None:
        wait = timedelta(seconds=settings().gate.answer_wait_s)
        given = {"defaults": self.REJECT, "response_timeout": wait, "notifiers": [], **kwargs}
        super().__init__(subject="Publish a drop below its bars?", **given)
        self.drop_id = drop_id

    def execute(self, context: Context) -> Any:
        """Alert, ask, and wait without holding a slot. Fails where nothing was decided on the drop."""
        asked = question(self._closed_gate())
        self.subject, self.body = asked["subject"], asked["body"]
        self.notifiers = [*self.notifiers, Alert(kind="held", text=f"{self.subject} {self.body}")]
        return super().execute(context)

    def _closed_gate(self) -> Gate:
        from strefer_core import worker

        gate = worker.catalog().newest_gates([self.drop_id]).get(self.drop_id)
        if gate is None:
            raise AirflowFailException(f"there is no decision on a drop {self.drop_id!r}")
        if gate.is_open:
            raise AirflowSkipException(f"the gate of drop {self.drop_id} is open: nothing to ask")
        return gate

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Open the gate where the answer is yes; else skip what follows, as the parent does."""
        user, chosen = event.get("responded_by_user") or {}, event["chosen_options"]
        self.log.info("drop=%s %s by %s", self.drop_id, chosen, user.get("name") or "nobody")
        if chosen == [self.APPROVE]:
            override(self.drop_id, str(user.get("name") or user.get("id") or "unknown"), context)
        return super().execute_complete(context, event)


def override(drop_id: str, by: str, context: Any) -> None:
    """Append the decision of a person to those of the drop, with the bars that it goes against."""
    from strefer_core import worker
    from strefer_core.store.catalog import Gate

    catalog = worker.catalog()
    bars = catalog.newest_gates([drop_id])[drop_id].bars
    catalog.record_gate(
        Gate(
            gate_id=identity(context["ti"], drop_id),
            drop_id=drop_id,
            dag_run_id=context["dag_run"].run_id,
            is_open=True,
            bars=bars,
            overridden_by=by,
        )
    )


@task
def validate_dataset() -> str:
    """Hold the version that was just published against its expectations; returns the version.

    Versions are never changed, so a broken one is only told of: the task fails, and the run with it.
    """
    from strefer_core import worker
    from strefer_core.store.catalog import Subject
    from strefer_core.validation import validating

    context: Any = get_current_context()
    published = worker.catalog().latest_dataset()
    if published is None:
        raise AirflowFailException("there is no dataset version to validate")
    subject = Subject(kind="dataset", id=published.version)
    validation = validating.validate(
        worker.catalog(), worker.objects(), subject, settings().gate,
        validation_id=identity(context["ti"], subject.id), dag_run_id=context["dag_run"].run_id,
    )  # fmt: skip
    log.info("dataset=%s validation=%s", subject.id, worker.objects().url(str(validation.docs_key)))
    if not validation.is_success:
        broken = [one["expects"] for one in validation.results if not one["is_success"]]
        raise AirflowFailException(f"dataset {subject.id} breaks expectations: {'; '.join(broken)}")
    return published.version
