"""The application that the plugin mounts into Airflow's API server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from strefer_core.dashboards import assets, pages, reviewing, videos
from strefer_core.dashboards.access import login_url, viewer
from strefer_core.dashboards.errors import NotFound
from strefer_core.dashboards.rendering import error_page
from strefer_core.errors import ConfigError, InputError, StoreError, StreferError

_STATUS: tuple[tuple[type[StreferError], int], ...] = (
    (NotFound, 404),
    (InputError, 400),
    (StoreError, 503),
    (ConfigError, 503),
)
_HEADERS = {
    # No script but our files, nothing from elsewhere, no frame but Airflow's. plotly.js writes styles.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def create_app() -> FastAPI:
    """The pages. Every route, also for files and pictures, asks for the Airflow user first."""
    app = FastAPI(
        title="strefer", dependencies=[Depends(viewer)], openapi_url=None, docs_url=None, redoc_url=None
    )
    for part in (assets, pages, videos, reviewing):
        app.include_router(part.router)
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(StreferError, _failed)
    app.middleware("http")(_with_headers)
    return app


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in {**_HEADERS, "Cache-Control": "no-store"}.items():
        response.headers.setdefault(name, value)
    return response


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    if error.status_code == 401 and _wants_page(request):
        return RedirectResponse(login_url(str(request.url)), status_code=307)
    return _said(request, error.status_code, str(error.detail))


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    where = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors()}))
    return _said(request, 422, f"the address or the form is malformed: {where}")


def _failed(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _said(request, status, str(error))


def _said(request: Request, status: int, message: str) -> Response:
    """A page for people, JSON for scripts."""
    if _wants_page(request):
        return error_page(request, status, message)
    return JSONResponse({"detail": message}, status_code=status)


def _wants_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")
