"""Truths drawn by hand: squares that go known ways, so that what is right to say of them is known too.

Nothing here uses the code under test; masks are rectangles, encoded by pycocotools through `tests.samples`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from strefer_core import data_model as dm
from strefer_core.world.truth import Decoy, TrueEntity, TrueEvent, WorldTruth
from tests.samples import encode

WIDTH_PX, HEIGHT_PX = 320, 180
FPS = 20
DURATION_S = 6.2  # a sampling gap is 0.2 s

Point = tuple[float, float]
Way = Callable[[float], Point | None]  # seconds -> middle on the ground; None: not in the scene


@dataclass(frozen=True, kw_only=True)
class Square:
    """A square of one colour; `hidden` says when a thing of the place is in front of it."""

    way: Way
    colour: str = "red"
    noun: str = "square"
    size: str = "medium"
    pattern: str = "plain"
    side_px: float = 30.0
    hidden: Callable[[float], bool] = lambda _: False


def along(*points: tuple[float, float, float]) -> Way:
    """Straight lines through (time_s, x, y); at rest before the first and after the last."""
    times, xs, ys = zip(*points, strict=True)
    return lambda t: (float(np.interp(t, times, xs)), float(np.interp(t, times, ys)))


def still(x: float, y: float) -> Way:
    return lambda _: (x, y)


def between(start_s: float, end_s: float, way: Way) -> Way:
    """In the scene over `[start_s, end_s)` only."""
    return lambda t: way(t) if start_s - 1e-6 <= t < end_s - 1e-6 else None


def world(
    *squares: Square,
    cuts_s: Sequence[float] = (),
    camera: Callable[[float], Point] = lambda _: (0.0, 0.0),
    zoom: Callable[[float], float] = lambda _: 1.0,
    events: Sequence[TrueEvent] = (),
    decoys: Sequence[Decoy] = (),
) -> WorldTruth:
    """The truth of squares 0, 1, ... with ids "e0", "e1", ..."""
    times = [frame / FPS for frame in range(round(DURATION_S * FPS))]
    corners, zooms = [camera(t) for t in times], [zoom(t) for t in times]
    return WorldTruth(
        seed=0,
        index=0,
        scenario="handmade",
        knobs=(),
        video_sha256="0" * 64,
        fps=Fraction(FPS),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        frames_pts_s=tuple(times),
        cuts_s=tuple(cuts_s),
        places=("plain-0",) * (len(cuts_s) + 1),
        camera_px=tuple(corners),
        camera_zoom=tuple(zooms),
        entities=tuple(_entity(i, one, times, corners, zooms) for i, one in enumerate(squares)),
        absent=(),
        ambiguous=(),
        events=tuple(events),
        decoys=tuple(decoys),
    )


def _entity(
    number: int, one: Square, times: Sequence[float], corners: Sequence[Point], zooms: Sequence[float]
) -> TrueEntity:
    ground = [one.way(t) for t in times]
    boxes = [
        _box(one, point, corner, zoom) for point, corner, zoom in zip(ground, corners, zooms, strict=True)
    ]
    masks = [
        None if box is None or one.hidden(t) else _mask(box) for box, t in zip(boxes, times, strict=True)
    ]
    inside = [_inside(box) for box in boxes]
    return TrueEntity(
        entity_id=f"e{number}",
        expression=f"the {one.colour} {one.noun}",
        noun=one.noun,
        generalized_noun="shape",
        attributes=(("colour", one.colour), ("pattern", one.pattern), ("size", one.size)),
        masks=tuple(masks),
        full_boxes_px=tuple(boxes),
        visible_fractions=tuple(part if mask else 0.0 for part, mask in zip(inside, masks, strict=True)),
        in_frame_fractions=tuple(inside),
        blur_px=(0.0,) * len(times),
        actions=(),
        ground_px=tuple(ground),
    )


def _box(one: Square, point: Point | None, corner: Point, zoom: float) -> dm.Box | None:
    if point is None:
        return None
    x, y = ((a - b) * zoom for a, b in zip(point, corner, strict=True))
    half = one.side_px * zoom / 2
    return x - half, y - half, x + half, y + half


def _clipped(box: dm.Box) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(side) for side in box)
    return max(x0, 0), max(y0, 0), min(x1, WIDTH_PX), min(y1, HEIGHT_PX)


def _mask(box: dm.Box) -> dm.Rle | None:
    x0, y0, x1, y1 = _clipped(box)
    grid = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    grid[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = 1
    return encode(grid)


def _inside(box: dm.Box | None) -> float:
    if box is None:
        return 0.0
    x0, y0, x1, y1 = _clipped(box)
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return min(1.0, max(0, x1 - x0) * max(0, y1 - y0) / whole)


def occludes(front: str, behind: str, start_s: float, end_s: float) -> TrueEvent:
    return TrueEvent(
        kind="occlude", subject_entity_id=front, object_entity_id=behind, start_s=start_s, end_s=end_s
    )


def mirrored(truth: WorldTruth) -> WorldTruth:
    """Left and right swapped, about the frame's middle; for cameras at rest in the corner of the world."""

    def box(one: dm.Box | None) -> dm.Box | None:
        return one and (WIDTH_PX - one[2], one[1], WIDTH_PX - one[0], one[3])

    return replace(
        truth,
        entities=tuple(
            replace(
                one,
                ground_px=tuple(p and (WIDTH_PX - p[0], p[1]) for p in one.ground_px),
                full_boxes_px=tuple(box(b) for b in one.full_boxes_px),
                masks=tuple(
                    _mask(flipped) if mask and (flipped := box(b)) else None
                    for mask, b in zip(one.masks, one.full_boxes_px, strict=True)
                ),
            )
            for one in truth.entities
        ),
    )


def backwards(truth: WorldTruth) -> WorldTruth:
    """The film run backwards; for worlds without cuts and events."""
    return replace(
        truth,
        camera_px=truth.camera_px[::-1],
        camera_zoom=truth.camera_zoom[::-1],
        entities=tuple(
            replace(
                one,
                ground_px=one.ground_px[::-1],
                full_boxes_px=one.full_boxes_px[::-1],
                masks=one.masks[::-1],
                visible_fractions=one.visible_fractions[::-1],
                in_frame_fractions=one.in_frame_fractions[::-1],
            )
            for one in truth.entities
        ),
    )
