"""The application's own files, and plotly.js as its wheel brings it: nothing comes from the network."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.metadata import version

from fastapi import APIRouter, HTTPException, Response

router = APIRouter()

_TYPES = {".css": "text/css", ".js": "text/javascript"}
_DAY = "private, max-age=86400"


@cache
def _own_files() -> dict[str, tuple[bytes, str]]:
    """(content, type) by name."""
    folder = resources.files("strefer_core.dashboards") / "static"
    return {
        path.name: (path.read_bytes(), _TYPES[suffix])
        for path in folder.iterdir()
        if (suffix := f".{path.name.rpartition('.')[2]}") in _TYPES
    }


@router.get("/static/{name}")
def own_file(name: str) -> Response:
    """A file by its name; no path is ever put together."""
    if name not in _own_files():
        raise HTTPException(404, "no such file")
    content, kind = _own_files()[name]
    # Revalidated: a new version of the application brings new files under the old names.
    return Response(content, media_type=kind, headers={"Cache-Control": "private, no-cache"})


@router.get("/plotly-{wanted}.min.js")
def plotly(wanted: str) -> Response:
    """plotly.js; the version is in the address, so a browser may keep it."""
    if wanted != version("plotly"):
        raise HTTPException(404, "another version is installed")
    return Response(_plotly(), media_type="text/javascript", headers={"Cache-Control": _DAY})


@cache
def _plotly() -> bytes:
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes()
