"""Puts Strefer's pages into the Airflow UI.

Every Airflow process imports this file, so it imports nothing that is heavy: the application is built at
the first request, in the API server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

# Links lead through the proxy that Airflow itself is reached by.
PREFIX = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
MOUNT = "/strefer"
CATEGORY = "Strefer"
PAGES = {
    "Overview": "/",
    "Drops": "/drops",
    "Quality": "/quality",
    "Videos": "/videos",
    "Review": "/review",
    "Datasets": "/datasets",
    "Models": "/models",
}

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class LazyApp:
    """An ASGI application that is imported and built when it is first asked."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if self._app is None:
            from strefer_core.dashboards.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


def _page(name: str, path: str) -> dict[str, Any]:
    return {
        "name": name,
        "href": f"{PREFIX}{MOUNT}{path}",
        "destination": "nav",
        "category": CATEGORY,
        "url_route": f"strefer-{name.lower()}",
    }


def _tab(destination: str, path: str) -> dict[str, Any]:
    return {
        "name": CATEGORY,
        "href": f"{PREFIX}{MOUNT}{path}",
        "destination": destination,
        "url_route": f"strefer-{destination.replace('_', '-')}",
    }


class StreferPlugin(AirflowPlugin):
    """Pages in the navigation, and a tab on every run and task that leads to its drop or validation."""

    name = "strefer"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": MOUNT, "name": "strefer"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        *(_page(name, path) for name, path in PAGES.items()),
        _tab("dag_run", "/runs?dag_id={DAG_ID}&run_id={RUN_ID}"),
        _tab("task_instance", "/runs?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}"),
    ]
