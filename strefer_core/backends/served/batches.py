"""Many small things asked in few calls, each by its number; of a reply, what passes its own check is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from strefer_core.config import ServedModel
from strefer_core.served.ask import Ask
from strefer_core.served.client import ask_all

SIZE = 8
"""Things in one call."""


class Item(BaseModel):
    """What a model gives for one thing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int = Field(ge=0, lt=SIZE)


I = TypeVar("I", bound=Item)  # noqa: E741
T = TypeVar("T")
U = TypeVar("U")


class Items(BaseModel, Generic[I]):
    """One reply."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: list[I] = Field(max_length=2 * SIZE)


@dataclass(frozen=True, kw_only=True)
class Batch(Generic[T, I, U]):
    """Things asked about together."""

    things: Sequence[T]
    use: Callable[[T, I], U]  # raises ValueError with a reason that can be stored

    def used(self, reply: Items[I]) -> dict[int, U]:
        return self._judged(reply)[0]

    def check(self, reply: Items[I]) -> list[str]:
        """What of the reply is left out. Raises ValueError where that is all of it."""
        used, faults = self._judged(reply)
        if not used:
            raise ValueError(f"nothing of it can be used: {'; '.join(faults)}")
        return faults

    def _judged(self, reply: Items[I]) -> tuple[dict[int, U], list[str]]:
        counts = Counter(item.id for item in reply.items)
        used: dict[int, U] = {}
        faults = [f"{i}: is missing" for i in range(len(self.things)) if not counts[i]]
        for item in reply.items:
            try:
                used[item.id] = self._one(item, counts)
            except ValueError as error:
                faults.append(f"{item.id}: {error}")
        return used, faults

    def _one(self, item: I, counts: Counter[int]) -> U:
        if item.id >= len(self.things):
            raise ValueError("nothing has this id")
        if counts[item.id] > 1:
            raise ValueError("is given more than once")
        return self.use(self.things[item.id], item)


def ask_each(
    things: Sequence[T],
    *,
    model: ServedModel,
    prompt: str,
    reply: type[Items[I]],
    shown: Callable[[T], dict[str, JsonValue]],
    use: Callable[[T, I], U],
) -> list[U | None]:
    """What the LLM gives for each thing, in order; None where nothing that passes.

    Args:
        things: to ask about.
        model: which model, and how.
        prompt: see `Ask`; its data hold a list `items` of what `shown` gives, each with its `id`.
        reply: the schema of a reply.
        shown: a thing as data.
        use: makes what is used of a thing and its item; raises ValueError where it may not be used.

    Raises:
        BackendError: the server does not answer.
    """
    starts = range(0, len(things), SIZE)
    batches = [Batch(things=things[start : start + SIZE], use=use) for start in starts]
    replies = ask_all([_ask(batch, model, prompt, reply, shown) for batch in batches])
    found: list[U | None] = []
    for batch, answer in zip(batches, replies, strict=True):
        used = batch.used(answer) if answer else {}
        found += [used.get(i) for i in range(len(batch.things))]
    return found


def _ask(
    batch: Batch[T, I, Any],
    model: ServedModel,
    prompt: str,
    reply: type[Items[I]],
    shown: Callable[[T], dict[str, JsonValue]],
) -> Ask[Items[I]]:
    items: list[JsonValue] = [{"id": i, **shown(thing)} for i, thing in enumerate(batch.things)]
    return Ask(
        server="llm", model=model, prompt=prompt, reply=reply, fields={"items": items}, check=batch.check
    )
