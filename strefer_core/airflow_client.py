"""The few calls to Airflow's REST API (v2) that the command line needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    """A logged-in client. Raises StoreError where Airflow does not answer or refuses."""

    def __init__(self, settings: Settings) -> None:
        if not settings.airflow_url:
            raise ConfigError("no Airflow is known: run `strefer up`, or set STREFER_AIRFLOW_URL")
        self.url = settings.airflow_url.rstrip("/")
        self._settings = settings
        self._http = httpx.Client(base_url=self.url, timeout=30, transport=httpx.HTTPTransport(retries=3))
        self._http.headers["Authorization"] = f"Bearer {self._token()}"

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> DagRun:
        """Start a run now with the given params."""
        return _run(self._call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf}))

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return _run(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def started_by(self, run: DagRun) -> list[DagRun]:
        """Runs that the asset events of a run started."""
        query = {"source_dag_id": run.dag_id, "source_run_id": run.run_id}
        events = self._call("GET", "/assets/events", params=query)["asset_events"]
        started = {(r["dag_id"], r["run_id"]) for event in events for r in event["created_dagruns"]}
        return [self.run(dag_id, run_id) for dag_id, run_id in sorted(started)]

    def expects_follower(self, run: DagRun) -> bool:
        """Whether a run announced an asset that some DAG is scheduled on."""
        query = {"source_dag_id": run.dag_id, "source_run_id": run.run_id}
        events = self._call("GET", "/assets/events", params=query)["asset_events"]
        assets = [self._call("GET", f"/assets/{event['asset_id']}") for event in events]
        return any(asset["scheduled_dags"] for asset in assets)

    def failures(self, run: DagRun) -> list[str]:
        """Names of a run's failed tasks."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        found = self._call("GET", path, params={"state": ["failed"], "limit": 100})["task_instances"]
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

    def _call(self, method: str, path: str, **options: Any) -> Any:
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
