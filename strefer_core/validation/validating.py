"""A drop or a dataset validated: rows read, expectations evaluated, page and row written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strefer_core.config import GateConfig
from strefer_core.store.gates import Gate
from strefer_core.store.validations import Subject, Validation
from strefer_core.validation import bars, pages, running, suites

if TYPE_CHECKING:
    from strefer_core.store.catalog import Catalog
    from strefer_core.store.objects import ObjectStore


def validate(
    catalog: Catalog,
    objects: ObjectStore,
    subject: Subject,
    config: GateConfig,
    *,
    validation_id: str,
    dag_run_id: str = "",
) -> Validation:
    """Hold a subject against its suite and keep what came out; again under the same id it is replaced.

    Raises:
        ConfigError: Great Expectations is not installed.
        StoreError: the catalog or the object store did not answer.
    """
    expected = suites.suite(subject.kind, config)
    results = running.evaluate(running.frames(catalog, subject), expected)
    validation = Validation(
        validation_id=validation_id,
        suite=subject.kind,
        subject_kind=subject.kind,
        subject_id=subject.id,
        dag_run_id=dag_run_id,
        is_success=not any(one["severity"] == "critical" and not one["is_success"] for one in results),
        results=results,
        docs_key=pages.docs_key(validation_id),
    )
    pages.write(validation, objects)
    catalog.record_validation(validation)
    return validation


def decide(
    catalog: Catalog, validation: Validation, config: GateConfig, *, gate_id: str, dag_run_id: str = ""
) -> Gate:
    """Open or close the gate of a validated drop. An earlier override ends here: this is a new decision."""
    drop_id = validation.subject_id
    found = bars.judge(catalog, drop_id, validation, config)
    gate = bars.decision(drop_id, found, gate_id=gate_id, dag_run_id=dag_run_id)
    catalog.record_gate(gate)
    return gate
