"""The page of a validation, one file without script or network, and its JSON beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any

from strefer_core.validation.suites import VIEWS

if TYPE_CHECKING:
    from strefer_core.store.catalog import Validation
    from strefer_core.store.objects import ObjectStore

PREFIX = "validations"
SHOWN_IDS = 200


def docs_key(validation_id: str) -> str:
    """Object key of a validation's page."""
    return f"{PREFIX}/{validation_id}.html"


def page(validation: Validation) -> str:
    """The page as HTML; everything in it that came from outside is escaped."""
    from jinja2 import Environment

    # Jinja itself: everything is escaped, whatever the template is called.
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("strefer_core.validation") / "page.html").read_text("utf-8"))
    results = validation.results
    return template.render(
        subject={"kind": validation.subject_kind, "id": validation.subject_id},
        suite=validation.suite,
        dag_run_id=validation.dag_run_id,
        is_success=validation.is_success,
        at=(validation.validated_at or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        results=results,
        held=sum(one["is_success"] for one in results),
        views=_by_view(results),
        shown=SHOWN_IDS,
    )


def _by_view(results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Views in their own order; in each what is broken first, critical before the rest."""
    order = list(VIEWS)
    ranked = sorted(results, key=lambda one: (order.index(one["view"]), one["is_success"], one["severity"]))
    return {view: list(rows) for view, rows in groupby(ranked, key=lambda one: one["view"])}


def write(validation: Validation, objects: ObjectStore) -> None:
    """Put the page and the JSON into the object store, the page last. Raises StoreError."""
    key = docs_key(validation.validation_id)
    body = {"suite": validation.suite, "subject": [validation.subject_kind, validation.subject_id]}
    text = json.dumps({**body, "is_success": validation.is_success, "results": validation.results}, indent=1)
    objects.put_bytes(key.removesuffix(".html") + ".json", text.encode())
    objects.put_bytes(key, page(validation).encode())
