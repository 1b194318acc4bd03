"""A reply at the door: a chat completion, its text, the answer of the asked schema in it.

Everything here comes from a server and a model, so nothing of it is believed: bytes are bounded by whoever
read them, numbers by what the catalog can hold, words by the question's own check.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from strefer_core.served.ask import Ask, M

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)
_CAUSES = 5  # of a failed validation that are named

_Tokens = Annotated[int, Field(ge=0, lt=2**31)] | None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class Usage(BaseModel):
    model_config = ConfigDict(frozen=True)

    prompt_tokens: _Tokens = None
    completion_tokens: _Tokens = None


class Completion(BaseModel):
    """The parts of a chat completion that are read."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: list[_Choice] = Field(min_length=1)
    usage: Usage | None = None

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""


class Unusable(ValueError):
    """A reply came and nothing of it may be used; says why, in words of ours."""


def completion_of(data: bytes) -> Completion:
    """The chat completion in a response's body. Raises Unusable where it is none."""
    try:
        return Completion.model_validate_json(data)
    except ValidationError as error:
        raise Unusable(f"the response is no chat completion: {_causes(error)}") from error


def answer_of(ask: Ask[M], completion: Completion) -> tuple[M, Sequence[str]]:
    """The checked answer in a completion, and what of it the check leaves out.

    Raises Unusable where the model refused, was cut off, did not keep to the schema, or the check says no.
    """
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise Unusable("the model refuses")
    if choice.finish_reason == "length":
        raise Unusable(f"the answer was cut off at {ask.model.max_tokens} tokens")
    fenced = _FENCE.match(completion.text)
    try:
        answer = ask.reply.model_validate_json(fenced[1] if fenced else completion.text)
    except ValidationError as error:
        raise Unusable(f"not of the schema: {_causes(error)}") from error
    try:
        return answer, ask.check(answer) or ()
    except ValueError as error:
        raise Unusable(str(error)) from error


def _causes(error: ValidationError) -> str:
    """Where and what, without the values: they are the model's words."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    causes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in found]
    return "; ".join(causes[:_CAUSES])
