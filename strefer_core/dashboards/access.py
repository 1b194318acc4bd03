"""Who may see the pages and who may decide. The only module of the dashboards that imports Airflow.

A mounted app has no login by itself: `viewer` is a dependency of the whole application. Seeing needs the
right to read the DAG `curate_dataset`, deciding the right to edit it, for a decision changes what that DAG
publishes; so each auth manager's own roles apply (SimpleAuthManager: `viewer` reads, `user` decides).

What is imported here is not declared public by Airflow; it was read and tried in 3.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from airflow.models.asset import AssetEvent
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials
from sqlalchemy import select

DAG_ID = "curate_dataset"


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewer:
    """The logged-in user of one request."""

    name: str
    may_review: bool


async def logged_in(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)],
) -> BaseUser:
    """The Airflow user. Raises 401 also for a token that is no longer valid: logging in again helps."""
    try:
        return await get_user(request, None, bearer)
    except HTTPException as error:
        raise HTTPException(401, error.detail) from error


def viewer(request: Request, user: Annotated[BaseUser, Depends(logged_in)]) -> Viewer:
    """The user, if the pages are theirs to see. Raises 401 and 403."""
    requires_access_dag("GET", None, DAG_ID)(request, user)
    return Viewer(name=user.get_name(), may_review=_may_edit(request, user))


def run_viewer(request: Request, dag_id: str, user: Annotated[BaseUser, Depends(logged_in)]) -> None:
    """Raise 403 where the user may not see the runs of the DAG that the request names."""
    requires_access_dag("GET", DagAccessEntity.RUN, dag_id)(request, user)


def login_url(next_url: str) -> str:
    """Where somebody without a login is sent to come back to `next_url`."""
    return get_auth_manager().get_url_login(next_url=next_url)


def drops_of_run(dag_id: str, run_id: str) -> list[str]:
    """Drops that an Airflow run is about: named in its form, by what started it, or by what it announced."""
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return []
        told = session.scalars(
            select(AssetEvent).where(AssetEvent.source_dag_id == dag_id, AssetEvent.source_run_id == run_id)
        )
        extras = [event.extra for event in [*run.consumed_asset_events, *told]]
        return _named([run.conf, *extras])


def _named(extras: list[Any]) -> list[str]:
    found: list[Any] = []
    for extra in extras:
        if isinstance(extra, dict):
            found += [extra.get("drop_id"), *(extra.get("drop_ids") or [])]
    return [drop_id for drop_id in dict.fromkeys(found) if isinstance(drop_id, str) and drop_id]


def _may_edit(request: Request, user: BaseUser) -> bool:
    try:
        requires_access_dag("PUT", None, DAG_ID)(request, user)
    except HTTPException:
        return False
    return True
