"""What an id in an address may look like; anything else is refused before it is used."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from strefer_core.data_model import FRAME_COUNT

_WORD = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"
_FREE = r"^[^\x00-\x1f/\\]{0,200}$"

VideoId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
WordId = Annotated[str, Path(pattern=_WORD)]
"""Ids that stages made, versions, names of checks."""
DropId = Annotated[str, Path(min_length=1, pattern=_FREE)]
FrameIndex = Annotated[int, Path(ge=0, lt=FRAME_COUNT)]
Text = Annotated[str, Query(max_length=200, pattern=_FREE)]
"""A short free text."""
Word = Annotated[str, Query(max_length=100, pattern=r"^[A-Za-z0-9._:-]*$")]
Place = Annotated[str, Query(max_length=1200, pattern=r"^[^\x00]*$")]
"""Where a list goes on."""
