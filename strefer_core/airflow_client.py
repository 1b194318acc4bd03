"""The few calls to Airflow's REST API (v2) that the command line needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import httpx

from strefer_core.config import Settings
from strefer_core.errors import ConfigError, StoreError

FINISHED = ("success", "failed")


@dataclass(frozen=True)
class DagRun:
    """One run of one DAG, as much as a follower needs."""

    dag_id: str
    run_id: str
    state: str

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


class AirflowClient:
    """A logged-in client; a context manager. Raises StoreError where Airflow does not answer or refuses."""

    def __init__(self, settings: Settings) -> None:
        if not settings.airflow_url:
            raise ConfigError("no Airflow is known: run `strefer up`, or set STREFER_AIRFLOW_URL")
        self.url = settings.airflow_url.rstrip("/")
        self._settings = settings
        self._http = httpx.Client(base_url=self.url, timeout=30, transport=httpx.HTTPTransport(retries=3))
        try:
            self._http.headers["Authorization"] = f"Bearer {self._token()}"
        except StoreError:
            self._http.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> DagRun:
        """Start a run now with the given params."""
        return _run(self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf}))

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return _run(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def events_of(self, run: DagRun) -> list[dict[str, Any]]:
        """Asset events that a run emitted, each with the runs that it started."""
        query = {"source_dag_id": run.dag_id, "source_run_id": run.run_id}
        events: list[dict[str, Any]] = self.call("GET", "/assets/events", params=query)["asset_events"]
        return events

    def started_by(self, run: DagRun) -> list[DagRun]:
        """Runs that the asset events of a run started."""
        started = {(r["dag_id"], r["run_id"]) for e in self.events_of(run) for r in e["created_dagruns"]}
        return [self.run(dag_id, run_id) for dag_id, run_id in sorted(started)]

    def consumers_of(self, run: DagRun) -> set[str]:
        """DAGs that are scheduled on an asset that a run emitted."""
        assets = [self.call("GET", f"/assets/{event['asset_id']}") for event in self.events_of(run)]
        return {dag["dag_id"] for asset in assets for dag in asset["scheduled_dags"]}

    def unfinished(self, dag_id: str) -> list[DagRun]:
        """Runs of a DAG that are queued or running."""
        query = {"state": ["queued", "running"]}
        return [_run(row) for row in self.call("GET", f"/dags/{dag_id}/dagRuns", params=query)["dag_runs"]]

    def failures(self, run: DagRun) -> list[str]:
        """Names of a run's failed tasks."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        found = self.call("GET", path, params={"state": ["failed"], "limit": 100})["task_instances"]
        return sorted({t["task_id"] + (f"[{t['map_index']}]" if t["map_index"] >= 0 else "") for t in found})

    def link(self, run: DagRun) -> str:
        """Page of a run in Airflow's UI."""
        return f"{self.url}/dags/{run.dag_id}/runs/{run.run_id}"

    def _token(self) -> str:
        password = self._settings.airflow_password
        body = {
            "username": self._settings.airflow_user,
            "password": password.get_secret_value() if password else "",
        }
        token: str = self._send("POST", "/auth/token", json=body)["access_token"]
        return token

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Any call of the API, as JSON; `path` without the /api/v2."""
        return self._send(method, f"/api/v2{path}", **options)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            # Not the body: a refused login echoes what was sent.
            raise StoreError(f"Airflow refused {method} {path}: {error.response.status_code}") from None
        except httpx.HTTPError as error:
            raise StoreError(f"Airflow at {self.url} does not answer: {error}") from error
        return answer.json()


def _run(row: dict[str, Any]) -> DagRun:
    return DagRun(row["dag_id"], row["dag_run_id"], row["state"])
