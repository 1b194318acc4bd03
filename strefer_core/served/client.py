"""Asks many questions at once; every answer that comes back has passed its question's door.

An answer belongs to its question by construction: each question has its own task, its own HTTP exchange and
its own place in the result, and questions share nothing that changes. Call from ordinary (not async) code.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from pydantic import JsonValue

from strefer_core.config import ServedEndpoint, settings
from strefer_core.data_model import ModelCall, Outcome
from strefer_core.errors import BackendError, ConfigError, StreferError
from strefer_core.served import accounting
from strefer_core.served.ask import Ask, M
from strefer_core.served.pressure import pressure
from strefer_core.served.reply import Unusable, Usage, answer_of, completion_of
from strefer_core.served.server import MAX_REPLY_BYTES, Body, Server, Unanswered

__all__ = ["Ask", "ask_all", "hold_for"]


def ask_all(asks: Sequence[Ask[M]], endpoints: Mapping[str, ServedEndpoint] | None = None) -> list[M | None]:
    """The answers in the order of the questions; None where no reply was usable within `model.samples`.

    `endpoints` stand in for those of the settings, by name. Every call is recorded, whatever becomes of it:
    see `accounting.recording`.

    Raises:
        ServerAway: a server is gone or takes nothing more; the other questions are given up.
        BackendError: a server did not answer a question after all tries, though it is well; the same.
        ConfigError: a setting must be changed before a server can answer.
    """
    return asyncio.run(_ask_all(asks, endpoints or {})) if asks else []


def hold_for(names: Collection[str]) -> None:
    """Wait a while where one of these servers ("vlm", "llm") is known to be away. Raises ServerAway."""
    known = {name: endpoint for name in sorted(names) if (endpoint := getattr(settings(), name)).base_url}
    if away := {name: endpoint for name, endpoint in known.items() if pressure(endpoint).why_away}:
        asyncio.run(_hold_for(away))


async def _hold_for(endpoints: Mapping[str, ServedEndpoint]) -> None:
    for name, endpoint in endpoints.items():
        async with Server(name, endpoint) as server:
            await server.ready()


async def _ask_all(asks: Sequence[Ask[M]], endpoints: Mapping[str, ServedEndpoint]) -> list[M | None]:
    async with AsyncExitStack() as open_servers:
        servers: dict[str, Server] = {}
        for name in sorted({ask.server for ask in asks}):
            endpoint: ServedEndpoint = endpoints.get(name) or getattr(settings(), name)
            servers[name] = await open_servers.enter_async_context(Server(name, endpoint))
            await servers[name].ready()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_answer(ask, servers[ask.server])) for ask in asks]
        except ExceptionGroup as failed:  # the first one ended the others
            raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _answer(ask: Ask[M], server: Server) -> M | None:
    """One question's answer. It keeps its slot between tries, so that a busy server gets fewer questions."""
    if not ask.model.model:
        raise ConfigError(f"{ask.prompt} has no model to ask: set `model` in the stage's section")
    limit_s = server.endpoint.question_timeout_s
    async with server.slot():
        try:
            async with asyncio.timeout(limit_s):
                return await _sample(ask, server)
        except TimeoutError as error:
            raise BackendError(f"{server} gave no usable answer within {limit_s:g} s") from error
        except Unanswered as error:
            raise await server.given_up(error) from error


async def _sample(ask: Ask[M], server: Server) -> M | None:
    earlier: dict[str, JsonValue] = {}
    for sample in range(ask.model.samples):
        # What was wrong is shown once; if that did not help, the question is asked afresh.
        body = ask.body(sample, earlier if sample == 1 else None)
        call, answered = await _post(ask, sample, body, server)
        try:
            return _judge(ask, call, answered)
        except Unusable as error:
            earlier = {"answer": call.raw_text, "fault": str(error)}
    return None


async def _post(ask: Ask[M], sample: int, body: bytes, server: Server) -> tuple[_Call, Body]:
    """A response and the try that brought it. Each try is a call of its own."""
    async for attempt in server.tries():
        with attempt:
            call = _Call(ask, sample, server.endpoint)
            try:
                return call, await server.post(body, call.call_id)
            except StreferError as error:
                call.end("failed", str(error))
                raise
            except asyncio.CancelledError:
                call.end("failed", "given up: out of time, or another question failed")
                raise
    raise AssertionError("tenacity ends with a result or an error")


def _judge(ask: Ask[M], call: _Call, answered: Body) -> M:
    """The answer in a response, recorded. Raises Unusable where there is none."""
    call.raw_text = accounting.kept(answered.data.decode("utf-8", "replace"))
    try:
        if not answered.is_whole:
            raise Unusable(f"the response is longer than {MAX_REPLY_BYTES} bytes")
        completion = completion_of(answered.data)
        call.raw_text, call.usage = accounting.kept(completion.text), completion.usage or Usage()
        answer, left_out = answer_of(ask, completion)
    except Unusable as error:
        call.end("rejected", str(error))
        raise
    if left_out:
        call.end("used_in_part", "; ".join(left_out))
    else:
        call.raw_text = ""
        call.end("used")
    return answer


class _Call:
    """One try of one sample: its id, its clock, what came of it."""

    def __init__(self, ask: Ask[Any], sample: int, endpoint: ServedEndpoint) -> None:
        self.call_id = uuid.uuid4().hex
        self.raw_text = ""
        self.usage = Usage()
        self._ask, self._sample, self._endpoint = ask, sample, endpoint
        self._started = time.perf_counter()

    def end(self, outcome: Outcome, reason: str | None = None) -> None:
        """Record it."""
        accounting.record(
            ModelCall(
                call_id=self.call_id,
                question=self._ask.question,
                prompt=self._ask.prompt,
                server=self._ask.server,
                model=self._ask.model.model,
                sample=self._sample,
                outcome=outcome,
                reason=accounting.kept(reason) if reason else None,
                raw_text=self.raw_text or None,
                elapsed_s=round(time.perf_counter() - self._started, 3),
                prompt_tokens=self.usage.prompt_tokens,
                completion_tokens=self.usage.completion_tokens,
                cost=self._cost(),
            )
        )

    def _cost(self) -> float | None:
        parts = (
            (self.usage.prompt_tokens, self._endpoint.prompt_price),
            (self.usage.completion_tokens, self._endpoint.completion_price),
        )
        known = [tokens * price / 1e6 for tokens, price in parts if tokens is not None and price is not None]
        return sum(known) if len(known) == len(parts) else None
