"""What calls of served models cost and what became of their replies, collected while a stage runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from strefer_core.data_model import ModelCall

RAW_TEXT_CHARS = 4000
"""So much of a reply that is not used whole is kept."""

_calls: ContextVar[list[ModelCall] | None] = ContextVar("model_calls", default=None)


@contextmanager
def recording() -> Iterator[list[ModelCall]]:
    """Yields a list that fills with every call made inside, in the order in which they end."""
    calls: list[ModelCall] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def record(call: ModelCall) -> None:
    """Note a call; outside `recording` nobody wants to know."""
    calls = _calls.get()
    if calls is not None:
        calls.append(call)


def kept(text: str) -> str:
    """The beginning of a text as it is stored, without what neither JSON in UTF-8 nor PostgreSQL can hold."""
    return text[:RAW_TEXT_CHARS].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
