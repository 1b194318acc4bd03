"""Who is told that something went wrong: a drop below its bars, failures, no drop, a run that is late.

`Alert` is an Airflow notifier like any other: put more of them (Slack, SMTP) beside it in the same lists. It
logs always, and posts JSON to `STREFER_ALERTS__WEBHOOK_URL` where that is set:

    {"kind", "text", "dag_id", "run_id", "task_id", "url"}

`kind` is "held" (a person is asked about a drop), "failed" (a run failed; the text says whether by its gate,
by too many failures or otherwise), "late" (a run takes too long) or "no_drop".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseNotifier, get_current_context, task
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from strefer_core.config import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

Kind = Literal["held", "failed", "late", "no_drop"]
MAX_TEXT = 4000

log = logging.getLogger(__name__)


class Alert(BaseNotifier):
    """Tells of one kind of trouble, in the words of the failed task where `text` is not given.

    An alert that cannot be delivered is logged and fails nothing.
    """

    template_fields: Sequence[str] = ()  # texts hold names of files: nothing in them is a template

    def __init__(self, *, kind: Kind, text: str = "", context: Context | None = None) -> None:
        super().__init__(context)
        self.kind = kind
        self.text = text

    def notify(self, context: Context) -> None:
        """Tell of it, from a task or from the DAG processor."""
        alert = alert_of(self.kind, self.text, context)
        log.error("alert %(kind)s of %(dag_id)s %(run_id)s: %(text)s", alert)
        deliver(alert)

    async def async_notify(self, context: Context) -> None:
        """The same from the triggerer, where deadlines end."""
        await asyncio.to_thread(self.notify, context)


def alert_of(kind: Kind, text: str, context: Mapping[str, Any]) -> dict[str, str]:
    """What is sent. Knows as much as the context: a task's is full, a deadline's holds its run only."""
    run, ti = context.get("dag_run"), context.get("ti")
    dag_id, run_id = _of(run, "dag_id"), _of(run, "run_id") or _of(run, "dag_run_id")
    said = text or str(context.get("exception") or "") or _SAYS[kind]
    return {
        "kind": kind,
        "text": said[:MAX_TEXT],
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": _of(ti, "task_id"),
        "url": _run_url(dag_id, run_id),
    }


_SAYS: dict[Kind, str] = {
    "held": "a drop is below its bars: see the required actions of the run",
    "failed": "the run failed: see the logs of its tasks",
    "late": "the run is not finished in the expected time",
    "no_drop": "no drop came in the expected time",
}


def _of(thing: Any, name: str) -> str:
    """A field of an object or, in a deadline's context, of a mapping."""
    found = thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)
    return str(found or "")


def _run_url(dag_id: str, run_id: str) -> str:
    from urllib.parse import quote

    from airflow.sdk.configuration import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/dags/{quote(dag_id)}/runs/{quote(run_id)}" if base and dag_id and run_id else ""


def deliver(alert: Mapping[str, str]) -> None:
    """Post an alert to the webhook, if there is one. Its address may hold a token: it is never logged."""
    options = settings().alerts
    if options.webhook_url is None:
        return
    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs the address of every request
    try:
        answer = httpx.post(
            options.webhook_url.get_secret_value(), json=dict(alert), timeout=options.webhook_timeout_s
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log.warning("the webhook did not take an alert: %s", type(error).__name__)
        return
    if answer.is_error:
        log.warning("the webhook refused an alert: HTTP %d", answer.status_code)


def deadlines() -> list[DeadlineAlert]:
    """For a DAG: alerts where a run takes much longer than its last ones did.

    Not DAGRUN_QUEUED_AT: in Airflow 3.3.2 a run with such a deadline cannot be cleared (the API answers 500).
    """
    return [
        DeadlineAlert(
            name="expected time",
            reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=10, min_runs=1),
            interval=timedelta(seconds=settings().alerts.run_late_s),
            callback=AsyncCallback(Alert, kwargs={"kind": "late"}),
        )
    ]


def overdue(newest: datetime | None, now: datetime, expected_s: float | None) -> str:
    """Why a drop should have come by now; "" where none should."""
    if expected_s is None:
        return ""
    if newest is None:
        return "no drop has ever come"
    age_s = (now - newest).total_seconds()
    if age_s <= expected_s:
        return ""
    return f"no drop for {age_s / 3600:.1f} hours, the last one came at {newest:%Y-%m-%d %H:%M} UTC"


@task
def watch_arrivals(batches_of_keys: list[list[str]]) -> str:
    """Alert where this run found nothing and the last drop is too old; returns what it said.

    A deadline cannot say this: it is about runs, and the nightly run comes whether or not a drop does.
    """
    from strefer_core import worker

    if batches_of_keys:
        return ""
    drops = worker.catalog().drops()
    newest = max((drop.created_at for drop in drops), default=None)
    text = overdue(newest, datetime.now(UTC), settings().alerts.drop_expected_s)
    if text:
        Alert(kind="no_drop", text=text)(get_current_context())
    return text
