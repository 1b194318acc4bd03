"""Expectations evaluated by Great Expectations, on rows read from the catalog's views.

The rows are read once, by our own query, and handed over in memory: all expectations see the same moment, a
view is evaluated once and not once per metric, and the database's password never comes near the library.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from strefer_core.errors import ConfigError
from strefer_core.validation.suites import VIEWS, Expected

if TYPE_CHECKING:
    import pandas as pd

    from strefer_core.store.catalog import Catalog, Subject

MAX_IDS = 10_000
"""Rows that one expectation names at most; its count tells the rest."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations says 200 lines at import, warns of its own imports, and would phone home."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logger = logging.getLogger("great_expectations")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def frames(catalog: Catalog, subject: Subject) -> dict[str, pd.DataFrame]:
    """The rows of each view about a subject."""
    import pandas as pd

    found = {}
    for view in VIEWS:
        parts = [
            pd.DataFrame(rows, columns=columns) for columns, rows in catalog.validated_rows(view, subject)
        ]
        found[view] = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    return found


def evaluate(rows: Mapping[str, pd.DataFrame], expected: Sequence[Expected]) -> list[dict[str, Any]]:
    """One result per expectation, in their order; its shape is `Validation.results`.

    An expectation that cannot be evaluated counts as broken and says why. Raises ConfigError where the
    library is not installed.
    """
    with _quiet():
        try:
            import great_expectations as gx
        except ModuleNotFoundError as error:
            raise ConfigError("validation needs strefer[quality]; install it where this runs") from error
        context = gx.get_context(mode="ephemeral", project_config=_in_memory())
        source = context.data_sources.add_pandas("catalog")
        found: dict[str, dict[str, Any]] = {}
        for view in rows:
            if wanted := [one for one in expected if one.view == view]:
                found |= _evaluate_view(gx, context, source, view, rows[view], wanted)
    return [found[one.name] for one in expected]


def _in_memory() -> Any:
    """A project without files, pages of its own, or progress bars."""
    from great_expectations.data_context.types import base

    stores = base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    bars = base.ProgressBarsConfig(globally=False)
    return base.DataContextConfig(store_backend_defaults=stores, progress_bars=bars)


def _evaluate_view(
    gx: Any, context: Any, source: Any, view: str, rows: pd.DataFrame, expected: Sequence[Expected]
) -> dict[str, dict[str, Any]]:
    suite = context.suites.add(gx.ExpectationSuite(name=view))
    for one in expected:
        kind = getattr(gx.expectations, f"Expect{one.kind}")
        suite.add_expectation(kind(**one.options, severity=one.severity, meta={"name": one.name}))
    whole = source.add_dataframe_asset(view).add_batch_definition_whole_dataframe("whole")
    definition = gx.ValidationDefinition(name=view, data=whole, suite=suite)
    outcome = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": rows}, result_format=_result_format(VIEWS[view])
    )
    by_name = {one.name: one for one in expected}
    results = [result.to_json_dict() for result in outcome.results]
    named = {result["expectation_config"]["meta"]["name"]: result for result in results}
    return {name: _result(by_name[name], len(rows), result) for name, result in named.items()}


def _result_format(row_id: str) -> dict[str, Any]:
    return {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": [row_id],
        "partial_unexpected_count": MAX_IDS,
        "return_unexpected_index_query": False,
    }


def _result(expected: Expected, rows: int, result: Mapping[str, Any]) -> dict[str, Any]:
    """One item of `Validation.results`."""
    detail = result.get("result") or {}
    return {
        "name": expected.name,
        "view": expected.view,
        "column": expected.column,
        "expects": expected.means,
        "severity": expected.severity,
        "is_success": bool(result["success"]),
        "rows": rows,
        "unexpected": int(detail.get("unexpected_count") or 0),
        "ids": list(_ids(expected, detail)),
        "error": _error(result.get("exception_info") or {}),
    }


def _ids(expected: Expected, detail: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    row_id = VIEWS[expected.view]
    for row in (detail.get("unexpected_index_list") or ())[:MAX_IDS]:
        yield {"id": row[row_id], "value": row.get(expected.column, row[row_id])}


def _error(info: Mapping[str, Any]) -> str | None:
    """What was raised, from one exception or several by metric; None: nothing."""
    several = [info] if "raised_exception" in info else list(info.values())
    raised = [str(one["exception_message"]) for one in several if one.get("raised_exception")]
    return "; ".join(raised) or None
