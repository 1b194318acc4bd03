"""A question to a served model, and the request body that puts it.

What comes from videos and models reaches a prompt only as data: JSON between markers, with every character
escaped that could end the markers, the string, or look like a model's own control token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, JsonValue

from strefer_core.config import ServedModel
from strefer_core.served.prompt import load

M = TypeVar("M", bound=BaseModel)

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # a literal of JSON
_CONTROLS = re.compile(r"[<>\[\]|]")  # </data>, <|im_end|>, [INST], <image>


def accept(_: BaseModel) -> None:
    """The check of a question that every answer of its schema fits."""


@dataclass(frozen=True, kw_only=True)
class Ask(Generic[M]):
    """One question. `reply` is a pydantic model that forbids extra fields."""

    server: Literal["vlm", "llm"]  # which endpoint of the settings
    model: ServedModel
    prompt: str  # file of served/prompts with its version, without ".md"
    reply: type[M]
    fields: Mapping[str, JsonValue]  # untrusted values, by the names that the prompt uses for them
    images: tuple[bytes, ...] = ()  # JPEG, in order
    video: bytes | None = None  # MP4
    # Raises ValueError for an answer of the right schema that cannot be used, which asks again; returns what
    # will be left out of an answer that can, and why, which is only noted.
    check: Callable[[M], Sequence[str] | None] = accept

    @cached_property
    def question(self) -> str:
        """Content hash of all that is asked, 16 hex digits."""
        return hashlib.sha256(self.body(0)).hexdigest()[:16]

    def body(self, sample: int, repair: Mapping[str, JsonValue] | None = None) -> bytes:
        """The JSON body of a chat completion.

        Args:
            sample: which reply to this question it asks for, from 0; each has a seed of its own.
            repair: the reply that could not be used and why, shown to the model.
        """
        request: dict[str, Any] = {
            "model": self.model.model,
            "messages": [
                {"role": "system", "content": load(self.prompt).system},
                {"role": "user", "content": self._content(repair)},
            ],
            "temperature": self.model.temperature,
            "max_tokens": self.model.max_tokens,
            "seed": self.model.seed + sample,
        }
        if self.model.guided:
            schema = {"name": self.reply.__name__, "schema": self._schema}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        return json.dumps(request).encode()

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return self.reply.model_json_schema()

    def _content(self, repair: Mapping[str, JsonValue] | None) -> str | list[dict[str, Any]]:
        text = self._text(repair)
        pictures = [_part("image", "image/jpeg", image) for image in self.images]
        if self.video is not None:
            pictures.append(_part("video", "video/mp4", self.video))
        return [*pictures, {"type": "text", "text": text}] if pictures else text

    def _text(self, repair: Mapping[str, JsonValue] | None) -> str:
        parts = [load(self.prompt).user]
        if self.fields:
            parts.append(fenced("data", self.fields))
        schema = json.dumps(self._schema)
        parts.append(f"Answer with one JSON object of this schema and nothing else:\n{schema}")
        if repair is not None:
            parts.append(
                "An earlier answer could not be used. Between the markers: that answer, and its fault. "
                "Answer the question again without that fault.\n" + fenced("earlier", repair)
            )
        return "\n\n".join(parts)


def fenced(name: str, values: Mapping[str, JsonValue]) -> str:
    """Values as JSON between `<name>` markers that no value can close, fake, or fill with control tokens."""
    text = json.dumps(values)  # ASCII: no invisible and no bidirectional characters
    return f"<{name}>\n{_STRING.sub(_escaped, text)}\n</{name}>"


def _escaped(literal: re.Match[str]) -> str:
    return _CONTROLS.sub(lambda character: f"\\u{ord(character[0]):04x}", literal[0])


def _part(kind: str, media_type: str, data: bytes) -> dict[str, Any]:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}}
