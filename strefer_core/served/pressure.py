"""How much a served model takes now, as this process sees it: fewer questions at a time, or none for a while.

One `Pressure` per server and process. The number of questions at a time rises by one for every round of
answers and is halved where the server says that it has too many (additive increase, multiplicative decrease:
Chiu and Jain 1989, as in TCP). A server that is away is not asked at all; it is looked at until it is well.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable

from strefer_core.config import ServedEndpoint

log = logging.getLogger(__name__)

HOLD_S = 20.0
"""So long a question waits for a server that is away; then its stage goes back into the queue."""

LOOK_S = 1.0
"""How often a server that is away is looked at."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 30.0
"""How long a server is left alone that is well but took nothing: doubled as long as it goes on so."""


class Pressure:
    """State of one server. Safe to share between threads."""

    def __init__(self, most: int) -> None:
        """`most`: questions at a time where the server keeps up."""
        self.most = most
        self._allowed = float(most)
        self._lowered_at = -1.0
        self._pause_s = FIRST_PAUSE_S
        self._resumes_at = 0.0
        self._why_away = ""
        self._guard = threading.Lock()

    @property
    def allowed(self) -> int:
        """Questions at a time now, from 1 to `most`."""
        return int(self._allowed)

    @property
    def why_away(self) -> str:
        """Why the server is not asked now; "": it is."""
        return self._why_away

    def answered(self, at_a_time: int) -> None:
        """A question got a reply while so many were asked. More are allowed only where all that were are."""
        with self._guard:
            if at_a_time >= int(self._allowed):
                self._allowed = min(float(self.most), self._allowed + 1 / self._allowed)
            self._pause_s = FIRST_PAUSE_S

    def refused(self, asked_at: float) -> None:
        """A question asked at this time (`time.monotonic`) was too much: half as many at a time.

        Questions that were on their way together are refused together; they count once.
        """
        with self._guard:
            if asked_at >= self._lowered_at:
                self._allowed = max(1.0, self._allowed / 2)
                self._lowered_at = time.monotonic()

    def went_away(self, why: str, retry_after_s: float = 0.0) -> None:
        """A question was given up because of the server: for a while, or as long as it says, nobody asks."""
        with self._guard:
            self._why_away = why
            self._allowed = 1.0
            self._resumes_at = time.monotonic() + max(retry_after_s, self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def hold(self, is_well: Callable[[], Awaitable[bool]], hold_s: float | None = None) -> bool:
        """Wait until the server may be asked, at most `hold_s` (default `HOLD_S`); whether it may."""
        ends_at = time.monotonic() + (HOLD_S if hold_s is None else hold_s)
        while self._why_away:
            now = time.monotonic()
            if now >= self._resumes_at and await is_well():
                log.info("a server is back: %s", self._why_away)
                self._why_away = ""
            elif now >= ends_at:
                return False
            else:
                await asyncio.sleep(min(LOOK_S, max(0.0, ends_at - now)))
        return True


_of_process: dict[str, Pressure] = {}
_guard = threading.Lock()


def pressure(endpoint: ServedEndpoint) -> Pressure:
    """The state of a server, by its address; shared by all that ask it in this process."""
    with _guard:
        found = _of_process.get(endpoint.base_url)
        if found is None or found.most != endpoint.max_concurrency:
            found = _of_process[endpoint.base_url] = Pressure(endpoint.max_concurrency)
        return found


def forget() -> None:
    """Think well of every server again; for tests."""
    with _guard:
        _of_process.clear()
