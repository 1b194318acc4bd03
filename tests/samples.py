"""Tiny hand-made videos: entities and masklets whose truth is known because it was drawn.

A scene is a list of `Actor`s, each with a box per sampled frame or None. Nothing here uses the code under
test: masks are drawn as rectangles and encoded by pycocotools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.pipeline import StageTask

WIDTH_PX, HEIGHT_PX = 320, 240
DURATION_S = 8.0
TIMES_S = tuple(float(t) for t in np.linspace(0, DURATION_S - 1 / 25, dm.FRAME_COUNT))

BoxAt = Callable[[float], tuple[float, float] | None]


@dataclass(frozen=True)
class Actor:
    """A rectangle: words, size and the place of its upper left corner at each time (None: not there)."""

    expression: str
    noun: str
    corner: BoxAt
    side_px: int = 40
    generalized_noun: str = "object"
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Sample:
    video: dm.Video
    clips: tuple[dm.Clip, ...]
    entities: tuple[dm.Entity, ...]
    masklets: tuple[dm.Masklet, ...]
    camera: tuple[dm.Affine | None, ...] = ()  # empty: nobody measured it

    def entity_id(self, noun: str) -> str:
        return next(e.entity_id for e in self.entities if e.noun == noun)

    def masklet(self, noun: str) -> dm.Masklet:
        return next(m for m in self.masklets if m.entity_id == self.entity_id(noun))


def sample(
    actors: Sequence[Actor],
    cuts_s: Sequence[float] = (),
    times_s: Sequence[float] = TIMES_S,
    duration_s: float = DURATION_S,
    digit: str = "a",
    camera: Sequence[dm.Affine | None] = (),
) -> Sample:
    """Draw a video. `cuts_s` are the inner borders of its clips; `digit` makes its id."""
    video_id = digit * 16
    edges = [0.0, *cuts_s, duration_s]
    clips = tuple(
        dm.Clip(clip_id=f"clip-{digit}-{i}", video_id=video_id, index=i, start_s=edges[i], end_s=edges[i + 1])
        for i in range(len(edges) - 1)
    )
    entities = tuple(_entity(actor, i, video_id) for i, actor in enumerate(actors))
    masklets = tuple(_masklet(actor, i, video_id, tuple(times_s)) for i, actor in enumerate(actors))
    return Sample(_video(video_id, duration_s), clips, entities, masklets, tuple(camera))


def _video(video_id: str, duration_s: float) -> dm.Video:
    figures = dm.Figures(
        motion_px=1.0, black_share=0.0, frozen_share=0.0, sharpness=100.0, perceptual_hashes=("0" * 16,)
    )
    return dm.Video(
        video_id=video_id,
        sha256=video_id * 4,
        size_bytes=1000,
        container="mov,mp4",
        codec="h264",
        pixel_format="yuv420p",
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        rotation_deg=0,
        fps=Fraction(25),
        frame_count=round(duration_s * 25),
        duration_s=duration_s,
        is_variable_rate=False,
        has_audio=False,
        figures=figures,
    )


def _entity(actor: Actor, index: int, video_id: str) -> dm.Entity:
    return dm.Entity(
        entity_id=f"ent-{video_id[0]}-{index}",
        video_id=video_id,
        index=index,
        expression=actor.expression,
        noun=actor.noun,
        generalized_noun=actor.generalized_noun,
        attributes=actor.attributes,
    )


def _masklet(actor: Actor, index: int, video_id: str, times_s: tuple[float, ...]) -> dm.Masklet:
    grids = [_grid(actor.corner(time), actor.side_px) for time in times_s]
    return dm.Masklet(
        masklet_id=f"mas-{video_id[0]}-{index}",
        video_id=video_id,
        entity_id=f"ent-{video_id[0]}-{index}",
        frames_pts_s=times_s,
        masks=tuple(encode(grid) for grid in grids),
        boxes_px=tuple(box_of(grid) for grid in grids),
        areas_px=tuple(int(grid.sum()) for grid in grids),
        detector_score=0.9,
        assignment_margin=0.4,
        start_frame_index=16,
        forward_backward_iou=0.9,
    )


def _grid(corner: tuple[float, float] | None, side_px: int) -> Any:
    grid = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    if corner is not None:
        x, y = round(corner[0]), round(corner[1])
        grid[max(0, y) : max(0, y + side_px), max(0, x) : max(0, x + side_px)] = 1
    return grid


def encode(grid: Any) -> dm.Rle | None:
    if not grid.any():
        return None
    rle = coco.encode(np.asfortranarray(grid))
    return dm.Rle(size=[int(side) for side in rle["size"]], counts=rle["counts"].decode())


def box_of(grid: Any) -> dm.Box | None:
    if not grid.any():
        return None
    ys, xs = np.nonzero(grid)
    return float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)


def path(*points: tuple[float, float, float]) -> BoxAt:
    """Corner along (time_s, x, y) points: straight lines between them, still before and after."""
    times, xs, ys = zip(*points, strict=True)
    return lambda t: (float(np.interp(t, times, xs)), float(np.interp(t, times, ys)))


def between(start_s: float, end_s: float, corner: BoxAt) -> BoxAt:
    """There only over `[start_s, end_s)`."""
    return lambda t: corner(t) if start_s <= t < end_s else None


def red(corner: BoxAt) -> Actor:
    return Actor("the red square", "square", corner, attributes=(("colour", "red"),))


def minimal() -> Sample:
    """One square that never moves, no attributes, one clip: the least that must give ten pairs."""
    return sample([Actor("the square", "square", path((0, 140, 100)))])


def mover() -> Sample:
    """The red square moves left for four seconds, then stops."""
    return sample([red(path((0, 250, 100), (4, 90, 100)))])


def rich() -> Sample:
    """Four things in two clips.

    The red square moves left until 4 s, then stays. The blue circle comes in over the right edge at
    about 3 s, moves left until 5 s, stays. The person in a white shirt moves up from 1 s to 3.5 s and is
    gone after 6 s, all at once. The orange triangle stays where it is.
    """
    return sample(
        [
            red(path((0, 250, 100), (4, 90, 100))),
            Actor(
                "the blue circle",
                "circle",
                between(3, 9, path((3, 330, 20), (5, 230, 20))),
                attributes=(("colour", "blue"), ("size", "small")),
            ),
            Actor(
                "the man in a white shirt",
                "man",
                between(0, 6, path((1, 20, 190), (3.5, 20, 60))),
                generalized_noun="person",
            ),
            Actor(
                "the orange triangle",
                "triangle",
                path((0, 150, 190)),
                attributes=(("colour", "orange"),),
            ),
        ],
        cuts_s=(5.0,),
        digit="b",
    )


def task(
    stage: str,
    given: Sample,
    backend: object = None,
    config: PipelineConfig | None = None,
    **inputs: dm.Result,
) -> StageTask:
    """A stage's task with the sample as its earlier results; more results by name."""
    return StageTask(
        video_id=given.video.video_id,
        fingerprint=f"{given.video.video_id}{'0' * 16}",
        video_path=Path("not-read.mp4"),
        config=getattr(config or PipelineConfig(), stage),
        backend=backend,
        inputs={
            "videos": dm.VideosResult(video=given.video),
            "clips": dm.ClipsResult(clips=given.clips, camera=given.camera),
            "entities": dm.EntitiesResult(entities=given.entities),
            "masklets": dm.MaskletsResult(masklets=given.masklets),
            **inputs,
        },
    )
