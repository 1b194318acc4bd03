"""Which of two drops goes first: what somebody waits for, or what may take until the morning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strefer_core.worker import Urgency


def urgency_of(context: Any) -> Urgency:
    """`interactive` where a person started the run, or the run whose assets started this one; else `nightly`.

    A person's runs are those by hand: the form, the API, `strefer drop`. What the clock or a new object in
    the bucket starts is `nightly`.
    """
    run = context.get("dag_run")
    if run is not None and run.run_type == "manual":
        return "interactive"
    events = [e for es in (context.get("triggering_asset_events") or {}).values() for e in es]
    return "interactive" if any(e.extra.get("urgency") == "interactive" for e in events) else "nightly"
