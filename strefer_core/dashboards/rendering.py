"""Templates: every value is escaped, links are below the address that the application is mounted at."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from strefer_core.dashboards.access import Viewer
from strefer_core.dashboards.scenes import colour_of

NOTHING = "–"
_VIDEO_ID = re.compile("[0-9a-f]{16}")


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("strefer_core.dashboards"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "share": share,
        "seconds": seconds,
        "when": when,
        "figure": figure,
        "path": lambda text: quote(str(text), safe=""),
        "colour": colour_of,
        "json_script": htmlsafe_json_dumps,
        "is_video_id": lambda text: bool(_VIDEO_ID.fullmatch(text)),
        "name": lambda key: str(key).rpartition("/")[2],
        "words": lambda name: str(name).replace("_", " "),
    }
    made.globals |= {"plotly_version": version("plotly"), "query": _query}
    return made


def page(request: Request, viewer: Viewer, template: str, **context: Any) -> HTMLResponse:
    """One page. `base` is where the application is mounted, also behind a prefix."""
    return HTMLResponse(_render(request, template, viewer=viewer, **context))


def error_page(request: Request, status: int, message: str) -> HTMLResponse:
    """What is said in place of a page, also to somebody who may not see it."""
    text = _render(request, "error.html", viewer=None, status=status, message=message)
    return HTMLResponse(text, status_code=status)


def _render(request: Request, template: str, **context: Any) -> str:
    base = request.scope.get("root_path", "").rstrip("/")
    return _templates().get_template(template).render(base=base, **context)


def number(value: float | None, digits: int = 0) -> str:
    """With thousands told apart; a dash for None."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def share(value: float | None, digits: int = 1) -> str:
    """0.023 as 2.3 %."""
    return NOTHING if value is None else f"{100 * value:.{digits}f} %"


def seconds(value: float | None) -> str:
    """At a fitting precision and unit."""
    if value is None:
        return NOTHING
    if value < 120:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def when(value: datetime | None) -> str:
    """To the minute, in UTC."""
    return NOTHING if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def figure(value: object) -> str:
    """A figure of unknown size: three digits that count."""
    return f"{value:.4g}" if isinstance(value, float) else NOTHING if value is None else str(value)


def _query(**values: object) -> str:
    """`?a=b&c=d` of what is not empty."""
    kept = {key: value for key, value in values.items() if value not in ("", None)}
    return f"?{urlencode(kept)}" if kept else ""
