"""Alerts: what they say, where they go, and that the webhook's address stands in no log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from operators import alerts
from operators.alerts import Alert
from strefer_core import worker
from strefer_core.config import settings
from strefer_core.errors import ConfigError
from tests.webhook import Posted, listening

TOKEN = "a-token-that-nobody-may-see"
CONTEXT: Any = {
    "dag_run": SimpleNamespace(dag_id="curate_dataset", run_id="manual__1"),
    "ti": SimpleNamespace(task_id="gate"),
    "exception": AirflowFailException("drop monday is below its bars"),
}


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Posted]:
    with listening() as posted:
        monkeypatch.setenv("STREFER_ALERTS__WEBHOOK_URL", f"{posted.url}/{TOKEN}")
        monkeypatch.setenv("STREFER_ALERTS__WEBHOOK_TIMEOUT_S", "5")
        settings.cache_clear()
        yield posted
    settings.cache_clear()


def test_a_failed_task_alerts_in_its_own_words(webhook: Posted, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Alert(kind="failed")(CONTEXT)
    assert webhook.paths == [f"/{TOKEN}"]
    assert webhook.types == ["application/json"]
    (alert,) = webhook.documents
    assert alert["text"] == "drop monday is below its bars"
    assert (alert["kind"], alert["dag_id"], alert["run_id"], alert["task_id"]) == (
        "failed", "curate_dataset", "manual__1", "gate"
    )  # fmt: skip
    assert set(alert) == {"kind", "text", "dag_id", "run_id", "task_id", "url"}
    assert "drop monday is below its bars" in caplog.text
    assert TOKEN not in caplog.text


def test_a_missed_deadline_alerts_from_the_triggerer(webhook: Posted) -> None:
    """With what Airflow gives a deadline's callback: the run as a mapping."""
    context: Any = {
        "dag_run": {"dag_id": "ingest_videos", "dag_run_id": "scheduled__1"},
        "deadline": {"id": "d"},
    }

    async def miss() -> None:
        await Alert(kind="late", context=context)

    asyncio.run(miss())
    (alert,) = webhook.documents
    assert (alert["kind"], alert["dag_id"], alert["run_id"]) == ("late", "ingest_videos", "scheduled__1")
    assert alert["text"] == "the run is not finished in the expected time"


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_refusing_webhook_fails_nothing_and_is_not_named(
    webhook: Posted, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    webhook.status = status
    with caplog.at_level(logging.DEBUG):
        Alert(kind="failed")(CONTEXT)
    assert f"HTTP {status}" in caplog.text
    assert TOKEN not in caplog.text


def test_an_absent_webhook_fails_nothing_and_is_not_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STREFER_ALERTS__WEBHOOK_URL", f"http://127.0.0.1:9/{TOKEN}")
    settings.cache_clear()
    with caplog.at_level(logging.DEBUG):
        Alert(kind="failed")(CONTEXT)
    settings.cache_clear()
    assert "the webhook did not take an alert: ConnectError" in caplog.text
    assert TOKEN not in caplog.text


def test_without_a_webhook_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    Alert(kind="no_drop", text="{{ not a template }}")({})
    assert "alert no_drop" in caplog.text
    assert "{{ not a template }}" in caplog.text


def test_an_address_that_is_none_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_ALERTS__WEBHOOK_URL", f"ftp://host/{TOKEN}")
    settings.cache_clear()
    with pytest.raises(ConfigError, match=r"alerts\.webhook_url") as caught:
        settings()
    settings.cache_clear()
    assert TOKEN not in str(caught.value)


NOW = datetime(2026, 1, 10, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "expected_s", "says"),
    [
        (timedelta(hours=30), 86400.0, "no drop for 30.0 hours, the last one came at 2026-01-08 20:00 UTC"),
        (timedelta(hours=24), 86400.0, ""),
        (timedelta(days=90), None, ""),
        (None, 86400.0, "no drop has ever come"),
        (None, None, ""),
    ],
)
def test_a_drop_is_overdue_after_the_expected_time(
    age: timedelta | None, expected_s: float | None, says: str
) -> None:
    newest = None if age is None else NOW - age
    assert alerts.overdue(newest, NOW, expected_s) == says


@pytest.mark.parametrize(("found", "is_told"), [([], True), ([["drops/a/1.mp4"]], False)])
def test_the_nightly_run_alerts_where_it_found_nothing(
    webhook: Posted, monkeypatch: pytest.MonkeyPatch, found: list[list[str]], is_told: bool
) -> None:
    monkeypatch.setenv("STREFER_ALERTS__DROP_EXPECTED_S", "3600")
    settings.cache_clear()
    old = SimpleNamespace(created_at=datetime.now(UTC) - timedelta(hours=2))
    monkeypatch.setattr(worker, "catalog", lambda: SimpleNamespace(drops=lambda: [old]))
    monkeypatch.setattr(alerts, "get_current_context", lambda: CONTEXT)
    said = alerts.watch_arrivals.function(found)
    assert bool(said) is is_told
    assert [one["kind"] for one in webhook.documents] == (["no_drop"] if is_told else [])
