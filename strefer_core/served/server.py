"""One OpenAI-compatible server: how many questions at a time, how long, how often; what its errors mean."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Literal

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_exponential_jitter

from strefer_core.config import ServedEndpoint
from strefer_core.errors import BackendError, ConfigError, ServerAway, StreferError
from strefer_core.served.pressure import pressure

MAX_REPLY_BYTES = 2**20
"""A longer response is cut off and not used: 1024 tokens are about 5 kB."""

RETRY_WAITS: wait_base = wait_exponential_jitter(multiplier=0.5, max=20)
"""Waits between tries of one call, unless the server says how long."""

MAX_RETRY_AFTER_S = 60.0
"""A server that asks for a longer wait is asked again after this one."""

_SAID_CHARS = 300  # of a server's own words in an error
_RETRIED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_AWAY = {  # the last three: of a server that loads its model, or of the proxy before one that is gone
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_LOOK_TIMEOUT_S = 5.0


class Unanswered(BackendError):
    """This try brought no reply; another one may.

    `cause`: "away": the server is gone or says that it has too much, whoever asks; "slow": it took too long;
    "broken": it failed on this question, and may on others.
    """

    def __init__(
        self, message: str, cause: Literal["away", "slow", "broken"] = "broken", retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Body:
    """What a server answered with status 200."""

    data: bytes
    is_whole: bool  # False: cut off at MAX_REPLY_BYTES


class Server:
    """A server inside one event loop: `async with Server("vlm", endpoint) as server`."""

    def __init__(self, name: str, endpoint: ServedEndpoint) -> None:
        """Raises ConfigError where the settings name no server."""
        self.variable = f"STREFER_{name.upper()}__"
        if not endpoint.base_url:
            raise ConfigError(
                f"no {name} server is known: set {self.variable}BASE_URL, for example http://host:8000/v1"
            )
        self.name, self.endpoint = name, endpoint
        self.pressure = pressure(endpoint)
        self._asked = 0
        self._answered = asyncio.Condition()
        self._key = endpoint.api_key.get_secret_value() if endpoint.api_key else ""
        self._http = httpx.AsyncClient(
            verify=_certificates(),
            timeout=httpx.Timeout(None, connect=endpoint.connect_timeout_s),  # the rest: see `post`
            limits=httpx.Limits(max_connections=endpoint.max_concurrency),
            follow_redirects=False,  # the key is for this host
            headers={
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # what is bounded on the wire is bounded in memory
                **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            },
        )

    def __str__(self) -> str:
        return f"the {self.name} server at {self.endpoint.base_url}"

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ready(self) -> None:
        """Wait where the server is known to be away. Raises ServerAway where it stays so for too long."""
        if not await self.pressure.hold(self.is_well):
            raise ServerAway(self.pressure.why_away)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits until one more question may be asked at the same time."""
        async with self._answered:
            await self._answered.wait_for(lambda: self._asked < self.pressure.allowed)
            self._asked += 1
        try:
            yield
        finally:
            async with self._answered:
                self._asked -= 1
                self._answered.notify_all()  # more than one may be allowed now

    async def is_well(self) -> bool:
        """Whether the server says that it can answer: `/health` of vLLM and its like, else its models."""
        root = self.endpoint.base_url.removesuffix("/v1")
        try:
            status = await self._look(f"{root}/health")
            if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
                status = await self._look(f"{self.endpoint.base_url}/models")
        except httpx.TransportError:
            return False
        return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _AWAY

    async def _look(self, url: str) -> int:
        async with self._http.stream("GET", url, timeout=_LOOK_TIMEOUT_S) as response:
            return response.status_code

    async def given_up(self, error: Unanswered) -> BackendError:
        """What to raise after the last try. Where the question may be at fault, the server is looked at."""
        said = f"{error}; tried {self.endpoint.max_tries} times"
        if error.cause != "away" and await self.is_well():
            return BackendError(said)
        self.pressure.went_away(said, error.retry_after_s)
        return ServerAway(said)

    def tries(self) -> AsyncRetrying:
        """Repeats `post` while it may help."""
        return AsyncRetrying(
            retry=retry_if_exception_type(Unanswered),
            wait=_wait,
            stop=stop_after_attempt(self.endpoint.max_tries),
            reraise=True,
        )

    async def post(self, body: bytes, call_id: str) -> Body:
        """One try of one chat completion, and what it says of the server's load; see `_post`."""
        asked_at = time.monotonic()
        try:
            answered = await self._post(body, call_id)
        except Unanswered as error:
            if error.cause != "broken":
                self.pressure.refused(asked_at)
            raise
        self.pressure.answered(self._asked)
        return answered

    async def _post(self, body: bytes, call_id: str) -> Body:
        """One try of one chat completion; `call_id` is sent along, for the server's log.

        Raises:
            Unanswered: no reply came this time.
            ConfigError: the server will not answer until a setting is changed.
        """
        url, headers = f"{self.endpoint.base_url}/chat/completions", {"X-Request-Id": call_id}
        try:
            # Over the whole reply: a server that sends a byte now and then must not hold us.
            async with (
                asyncio.timeout(self.endpoint.timeout_s),
                self._http.stream("POST", url, content=body, headers=headers) as response,
            ):
                answered = await _bounded(response)
        except TimeoutError as error:
            raise Unanswered(f"{self} gave no reply within {self.endpoint.timeout_s:g} s", "slow") from error
        except httpx.TransportError as error:
            is_away = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            said = f"{self} does not answer: {type(error).__name__}"
            raise Unanswered(said, "away" if is_away else "broken") from error
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response, answered.data)
        return answered

    def _refusal(self, response: httpx.Response, data: bytes) -> StreferError:
        """The error behind a status that is not 200. Holds no key, also where the server repeats it."""
        status, what = response.status_code, f"{self} answers HTTP {response.status_code}"
        if status in _RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait_s = retry_after_s(response.headers.get("Retry-After", ""))
            return Unanswered(what, "away" if status in _AWAY else "broken", wait_s)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ConfigError(f"{what}: check {self.variable}API_KEY")
        if status < HTTPStatus.BAD_REQUEST:
            return ConfigError(f"{what}, no reply: set {self.variable}BASE_URL to the server's own address")
        said = self._without_key(data)
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            return ConfigError(f"{what}: check {self.variable}BASE_URL and the name of the model ({said})")
        return ConfigError(f"{what}: check the model's frames, max_side_px, max_tokens and guided ({said})")

    def _without_key(self, data: bytes) -> str:
        text = " ".join(data.decode("utf-8", "replace").split())
        text = text.replace(self._key, "***") if self._key else text
        return "".join(c if c.isprintable() else "?" for c in text[:_SAID_CHARS]) or "it says nothing more"


@cache
def _certificates() -> ssl.SSLContext:
    """Whom https trusts; reading them takes longer than a short question."""
    return httpx.create_ssl_context()


async def _bounded(response: httpx.Response) -> Body:
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > MAX_REPLY_BYTES:
            return Body(bytes(data[:MAX_REPLY_BYTES]), is_whole=False)
    return Body(bytes(data), is_whole=True)


def retry_after_s(value: str) -> float:
    """Seconds that a `Retry-After` header asks for: a number or a date; 0 where it says neither."""
    try:
        return min(max(0.0, float(value)), MAX_RETRY_AFTER_S)  # in this order "nan" is 0
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    wait_s = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, Unanswered) else 0.0
    return max(asked_s, RETRY_WAITS(state))
