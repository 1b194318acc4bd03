"""Asking about a held drop: what is asked, what an answer does, and that nothing in a name is a template."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from operators import flow, validation
from operators.validation import OverrideOperator, asking, identity, question
from strefer_core import publish, worker
from strefer_core.store.gates import Gate

TI = SimpleNamespace(dag_id="d", run_id="r", task_id="override", map_index=0, try_number=1)
CONTEXT: Any = {"ti": TI, "dag_run": SimpleNamespace(dag_id="d", run_id="r")}
BAR = {
    "bar": "accepted_share", "means": "smallest share", "value": 0.1, "limit": 0.2, "is_met": False,
    "rows": [{"id": "ins-1", "why": "area_jump ``` {{ 7 * 7 }}"}],
}  # fmt: skip
CLOSED = Gate(gate_id="g", drop_id="monday", dag_run_id="r", is_open=False, bars=[BAR])


@dataclass
class FakeCatalog:
    """Decisions in memory."""

    kept: list[Gate] = field(default_factory=lambda: [CLOSED])

    def newest_gates(self, drop_ids: list[str]) -> dict[str, Gate]:
        return {gate.drop_id: gate for gate in self.kept if gate.drop_id in drop_ids}

    def gates_of_run(self, dag_run_id: str) -> list[Gate]:
        return list(self.newest_gates([g.drop_id for g in self.kept if g.dag_run_id == dag_run_id]).values())

    def undecided_drops(self) -> list[str]:
        return ["monday", "left by a killed run"]

    def unfinished_drops(self, drop_ids: Collection[str]) -> set[str]:
        return {"half a drop"} & set(drop_ids)

    def record_gate(self, gate: Gate) -> None:
        self.kept.append(gate)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> FakeCatalog:
    fake = FakeCatalog()
    monkeypatch.setattr(worker, "catalog", lambda: fake)
    return fake


def answer(option: str, user: dict[str, str] | None) -> dict[str, Any]:
    """The event with which Airflow wakes the task."""
    return {
        "chosen_options": [option], "params_input": {}, "responded_at": datetime(2026, 1, 1, tzinfo=UTC),
        "responded_by_user": user, "timedout": user is None,
    }  # fmt: skip


def operator(drop_id: str = "monday") -> OverrideOperator:
    return OverrideOperator(task_id="override", drop_id=drop_id)


def test_an_approval_opens_the_gate_with_the_name_of_who_said_so(catalog: FakeCatalog) -> None:
    operator().execute_complete(CONTEXT, answer("Approve", {"id": "7", "name": "ada"}))
    opened = catalog.kept[-1]
    assert (opened.drop_id, opened.is_open, opened.overridden_by) == ("monday", True, "ada")
    assert opened.bars == CLOSED.bars
    assert opened.gate_id != CLOSED.gate_id


@pytest.mark.parametrize("user", [{"id": "7", "name": "ada"}, None], ids=["said", "by timeout"])
def test_a_no_leaves_it_closed_and_skips_what_follows(
    catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch, user: dict[str, str] | None
) -> None:
    skipped: list[Any] = []
    with DAG("d", schedule=None):
        asked, following = operator(), EmptyOperator(task_id="publish")
        asked >> following
    monkeypatch.setattr(asked, "skip", lambda *, ti, tasks: skipped.extend(tasks))
    asked.execute_complete(CONTEXT | {"task": asked}, answer("Reject", user))
    assert catalog.kept == [CLOSED]
    assert skipped == [following]


def test_nobody_is_asked_about_a_drop_that_is_open_or_unknown(catalog: FakeCatalog) -> None:
    catalog.record_gate(replace(CLOSED, gate_id="o", is_open=True, overridden_by="ada"))
    with pytest.raises(AirflowSkipException, match="drop monday is open"):
        operator().execute(CONTEXT)
    with pytest.raises(AirflowFailException, match="no decision on a drop 'tuesday'"):
        operator("tuesday").execute(CONTEXT)


def test_no_answer_is_a_no_after_the_time_of_the_settings() -> None:
    asked = operator()
    assert asked.defaults == ["Reject"]
    assert asked.response_timeout is not None
    assert asked.response_timeout.total_seconds() == 3600


def test_the_question_names_bar_and_rows_as_plain_text() -> None:
    asked = question(CLOSED)
    assert asked["subject"] == "Publish drop monday below its bars?"
    assert "accepted_share is 0.1, the bar is 0.2" in asked["body"]
    assert asked["body"].count("```") == 2, "a reason cannot end the code block"
    assert not {"subject", "body"} & set(OverrideOperator.template_fields)


def test_a_retry_or_a_clear_is_another_decision() -> None:
    again = SimpleNamespace(**{**vars(TI), "try_number": 2})
    assert identity(TI, "a") == identity(TI, "a")
    assert len({identity(TI, "a"), identity(TI, "b"), identity(again, "a")}) == 3


def test_the_leaf_fails_for_a_held_drop_and_says_why(catalog: FakeCatalog) -> None:
    with pytest.raises(AirflowFailException, match=r"drop monday is below its bars[\s\S]*ins-1 \(area_jump"):
        flow._fail_if_held("r")
    flow._fail_if_held("another run")
    catalog.record_gate(Gate(**{**{n: getattr(CLOSED, n) for n in CLOSED.__slots__}, "is_open": True}))
    flow._fail_if_held("r")


def test_where_every_drop_is_held_publishing_is_skipped(
    catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: object) -> None:
        raise publish.AllHeld("all 3 videos are held")

    monkeypatch.setattr(publish, "publish_dataset", held)
    monkeypatch.setattr(worker, "objects", lambda: None)
    with pytest.raises(AirflowSkipException, match="all 3 videos"):
        list(flow.publish.function())


def test_every_drop_of_the_run_is_decided_on_and_the_closed_are_asked_about(
    catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Gate(gate_id="o", drop_id="sunday", dag_run_id="r", is_open=True, bars=[])
    decided: list[str] = []

    def decide(drop_id: str) -> Gate:
        decided.append(drop_id)
        return CLOSED if drop_id == "monday" else opened

    monkeypatch.setattr(validation, "run_drop_ids", lambda: ["sunday", "half a drop", "monday"])
    monkeypatch.setattr(validation, "decide", decide)
    assert validation.validate_drops.function() == [asking(CLOSED)]
    assert decided == ["sunday", "monday", "left by a killed run"]
