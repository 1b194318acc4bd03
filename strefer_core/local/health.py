"""Whether a part does its work: each is asked for what it is there for. Seconds, never long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from threading import Lock
from typing import Any

from strefer_core.local import airflow, parts, postgres
from strefer_core.local.options import AIRFLOW, QUEUES, WORKERS
from strefer_core.local.state import State

TIMEOUT_S = 5.0
IMPORTS = Lock()  # two threads that import Celery at the same time can both fail: it replaces its own module
HEARTBEATS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


class Unhealthy(Exception):
    """The part did not do what it was asked; the message says what came instead."""


def check(state: State, part: str, started_at: float) -> None:
    """Ask a part for its work.

    Args:
        state: the stack.
        part: its name.
        started_at: when its process started, Unix seconds; older signs of life are another process's.

    Raises:
        Unhealthy: with the reason.
    """
    if part in AIRFLOW:
        check_airflow(state, part, started_at)
    elif part in WORKERS:
        check_worker(state, QUEUES[WORKERS.index(part)])
    else:
        servers: dict[str, Callable[[State], None]] = {
            "postgres": check_postgres,
            "redis": check_redis,
            "s3": check_s3,
        }
        servers[part](state)


def check_postgres(state: State) -> None:
    """Run a query."""
    with IMPORTS:
        import psycopg2

    try:
        with closing(psycopg2.connect(postgres.dsn(state, "postgres"))) as connection:
            connection.cursor().execute("SELECT 1")
    except psycopg2.Error as error:
        raise Unhealthy(str(error).strip()) from error


def check_redis(state: State) -> None:
    """PING, with the password."""
    with IMPORTS:
        import redis

    client = redis.Redis.from_url(parts.redis_url(state), socket_timeout=TIMEOUT_S)
    try:
        client.ping()
    except redis.RedisError as error:
        raise Unhealthy(str(error)) from error
    finally:
        client.close()


def check_s3(state: State) -> None:
    """List the buckets, signed; ours must be among them."""
    with IMPORTS:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
        retries={"total_max_attempts": 1},
        proxies={},
    )
    session = boto3.session.Session(
        aws_access_key_id=state.secrets["s3_access_key"],
        aws_secret_access_key=state.secrets["s3_secret_key"],
        region_name="us-east-1",
    )
    client = session.client("s3", endpoint_url=parts.s3_url(state), config=config)
    try:
        names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    except (BotoCoreError, ClientError) as error:
        raise Unhealthy(str(error)) from error
    finally:
        client.close()
    if parts.BUCKET not in names:
        raise Unhealthy(f"there is no bucket {parts.BUCKET}, only {names}")


def check_airflow(state: State, part: str, started_at: float) -> None:
    """Read Airflow's own health; it answers 200 also when its parts are dead, and remembers dead ones."""
    with IMPORTS:
        import httpx

    try:
        # trust_env: a proxy of the user's must not be asked for the loopback address
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            answer = client.get(f"{airflow.base_url(state)}/api/v2/monitor/health")
        answer.raise_for_status()
        health: dict[str, dict[str, Any]] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unhealthy(f"the API does not answer: {error or type(error).__name__}") from error
    _require(health, "metadatabase")
    if part in HEARTBEATS:
        key = HEARTBEATS[part]
        _require(health, key)
        beat = datetime.fromisoformat(health[key][f"latest_{key}_heartbeat"])
        if beat.timestamp() < started_at:
            raise Unhealthy("no heartbeat since its start")


def _require(health: dict[str, dict[str, Any]], key: str) -> None:
    if health[key]["status"] != "healthy":
        raise Unhealthy(f"Airflow calls the {key} {health[key]['status'] or 'unknown'}")


def check_worker(state: State, queue: str) -> None:
    """Celery's ping, through the broker."""
    with IMPORTS:
        from celery import Celery
        from celery.utils.nodenames import gethostname
        from kombu.exceptions import KombuError
        from redis import RedisError

    name = f"{queue}@{gethostname()}"
    app = Celery("strefer-health", broker=parts.redis_url(state), set_as_current=False)
    app.conf.broker_transport_options = {"max_retries": 0, "socket_timeout": TIMEOUT_S}
    try:
        with app.connection_for_write() as connection:
            pongs = app.control.ping(destination=[name], timeout=1.0, limit=1, connection=connection)
    except (KombuError, RedisError, OSError) as error:
        raise Unhealthy(f"the broker does not answer: {error}") from error
    finally:
        app.close()
    if not pongs:
        raise Unhealthy(f"no answer from Celery node {name}")
