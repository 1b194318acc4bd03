"""What the frame viewer shows: sampled frames with their times, and which entity is visible on which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from strefer_core.colours import entity_colour
from strefer_core.data_model import FRAME_COUNT
from strefer_core.store.pages import Pair, ShownEntity, VideoPage

PLACEHOLDERS = re.compile(r"(<region>|<start_time>|<end_time>)")


class SceneEntity(TypedDict):
    id: str
    index: int
    colour: str  # "#ff0000"
    expression: str
    visible: list[bool]  # per frame; empty without a masklet
    shown: bool  # at first


class Scene(TypedDict):
    video_id: str
    times_s: list[float]  # of the sampled frames
    start: int  # frame shown at first
    entities: list[SceneEntity]


class Part(TypedDict):
    """A piece of a turn: plain text, a region with its entity's colour, or a time."""

    kind: str  # "text", "region", "time"
    text: str
    colour: str


def colour_of(index: int) -> str:
    """An entity's colour as CSS has it."""
    return "#{:02x}{:02x}{:02x}".format(*entity_colour(index))


def scene(page: VideoPage, pair: Pair | None = None, frame: int | None = None) -> Scene:
    """The viewer's input for a video; with a pair, its entities alone are shown at first."""
    about = about_ids(pair) if pair else None
    times_s = frame_times(page)
    entities: list[SceneEntity] = [
        SceneEntity(
            id=entity.entity_id,
            index=entity.index,
            colour=colour_of(entity.index),
            expression=entity.expression,
            visible=entity.visible or [],
            shown=about is None or entity.entity_id in about,
        )
        for entity in page.entities
    ]
    start = best_frame(page.entities, pair, times_s) if frame is None else min(frame, len(times_s) - 1)
    return Scene(video_id=page.video_id, times_s=times_s, start=max(start, 0), entities=entities)


def about_ids(pair: Pair) -> list[str]:
    """Entities that a pair points at, else those that it was made from."""
    return pair.region_entity_ids or pair.source_ids


def frame_times(page: VideoPage) -> list[float]:
    """Presentation times of the sampled frames, in seconds; by the mean rate where no masklet tells them."""
    for entity in page.entities:
        if entity.frames_pts_s:
            return list(entity.frames_pts_s)
    if page.facts is None:
        return []
    frames = int(page.facts["frame_count"])
    count = min(FRAME_COUNT, frames)
    step = (frames - 1) / (count - 1) if count > 1 else 0.0
    return [round(i * step) / float(page.facts["fps"]) for i in range(count)]


def best_frame(entities: Sequence[ShownEntity], pair: Pair | None, times_s: Sequence[float]) -> int:
    """The frame on which most of a pair's entities are seen, inside its times, and seen largest."""
    about = set(about_ids(pair)) if pair else {entity.entity_id for entity in entities}
    wanted = [e for e in entities if e.entity_id in about and e.visible and e.areas_px]

    def worth(index: int) -> tuple[bool, int, int]:
        seen = [e for e in wanted if e.visible and e.visible[index]]
        area = sum(e.areas_px[index] for e in seen if e.areas_px)
        return _is_within(times_s[index], pair), len(seen), area

    return max(range(len(times_s)), key=worth, default=0)


def _is_within(time_s: float, pair: Pair | None) -> bool:
    if pair is None or pair.start_s is None or pair.end_s is None:
        return True
    return pair.start_s <= time_s < pair.end_s


def turn_parts(pair: Pair, entities: Sequence[ShownEntity]) -> list[dict[str, Any]]:
    """A pair's turns in pieces, placeholders told apart: `{"role", "parts": [Part, ...]}`."""
    colours = {entity.entity_id: colour_of(entity.index) for entity in entities}
    regions = iter(pair.region_entity_ids)
    return [
        {"role": turn["role"], "text": turn["text"], "parts": _parts(turn["text"], regions, colours, pair)}
        for turn in pair.turns
    ]


def _parts(text: str, regions: Any, colours: dict[str, str], pair: Pair) -> list[Part]:
    parts = []
    for piece in PLACEHOLDERS.split(text):
        if piece == "<region>":
            parts.append(Part(kind="region", text="region", colour=colours.get(next(regions, ""), "")))
        elif piece in ("<start_time>", "<end_time>"):
            time_s = pair.start_s if piece == "<start_time>" else pair.end_s
            parts.append(Part(kind="time", text="?" if time_s is None else f"{time_s:.2f} s", colour=""))
        elif piece:
            parts.append(Part(kind="text", text=piece, colour=""))
    return parts
