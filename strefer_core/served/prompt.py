"""Prompts as files: `prompts/NAME.vN.md`, a part for the system's turn and one for the user's.

A changed prompt is a changed computation: backends put `digest` of their prompts into their ids. For a change
that is meant, write a new version and name it in the code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "prompts"
_USER = "\n# User\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """Instructions that we wrote; what a video or a model says never becomes a part of them."""

    name: str  # with its version: "recognize.v1"
    system: str
    user: str


@cache
def load(name: str) -> Prompt:
    """The prompt `name`, for example "recognize.v1". Raises ValueError where its file lacks a part."""
    head, _, user = _text(name).partition(_USER)
    system = head.removeprefix("# System\n")
    if not (head != system and system.strip() and user.strip()):
        raise ValueError(f"{name}.md needs the parts '# System' and '# User', in this order")
    return Prompt(name=name, system=system.strip(), user=user.strip())


@cache
def digest(*names: str) -> str:
    """Eight hex digits that change with any of these prompts."""
    texts = "\0".join(f"{name}\0{_text(name)}" for name in names)
    return hashlib.sha256(texts.encode()).hexdigest()[:8]


def _text(name: str) -> str:
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
