"""What moves over the ground, told apart from what the camera does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from strefer_core import data_model as dm
from strefer_core.backends.rules import RulesTranscriber
from strefer_core.stages import transcript
from tests.samples import (
    HEIGHT_PX,
    TIMES_S,
    WIDTH_PX,
    Actor,
    BoxAt,
    Sample,
    box_of,
    encode,
    path,
    sample,
    task,
)

Pose = tuple[float, float, float]  # zoom, and where the ground's origin is in the picture, in pixels
Poses = Callable[[float], Pose]


def pan(right_px: float) -> Poses:
    """The camera turns to the right: what stands goes to the left in the picture."""
    return lambda t: (1.0, -right_px * t / 8, 0.0)


def zoom(ratio: float) -> Poses:
    """The camera comes nearer to the middle of the picture."""

    def pose(t: float) -> Pose:
        scale = ratio ** (t / 8)
        return scale, (1 - scale) * WIDTH_PX / 2, (1 - scale) * HEIGHT_PX / 2

    return pose


def shake(t: float) -> Pose:
    return 1.0, 9 * np.sin(5 * t), 9 * np.cos(7 * t)


def steps(poses: Poses) -> tuple[dm.Affine, ...]:
    """The camera as the clips stage tells it."""
    found = []
    for before, after in zip(map(poses, TIMES_S[:-1]), map(poses, TIMES_S[1:]), strict=True):
        scale = after[0] / before[0]
        found.append((scale, 0.0, after[1] - scale * before[1], 0.0, scale, after[2] - scale * before[2]))
    return tuple(found)


def filmed(corners: Sequence[BoxAt], poses: Poses, side_px: float = 40) -> Sample:
    """Squares of `side_px` on the ground, as a moving camera sees them."""
    given = sample([Actor(f"the box {i}", "box", path((0, 0, 0))) for i in range(len(corners))])
    masklets = [
        _filmed(masklet, corner, poses, side_px)
        for masklet, corner in zip(given.masklets, corners, strict=True)
    ]
    return replace(given, masklets=tuple(masklets), camera=steps(poses))


def _filmed(masklet: dm.Masklet, corner: BoxAt, poses: Poses, side_px: float) -> dm.Masklet:
    grids = []
    for time in TIMES_S:
        grid, at = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8), corner(time)
        if at is not None:
            scale, right, down = poses(time)
            x0, y0 = round(scale * at[0] + right), round(scale * at[1] + down)
            x1, y1 = round(scale * (at[0] + side_px) + right), round(scale * (at[1] + side_px) + down)
            grid[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = 1
        grids.append(grid)
    return replace(
        masklet,
        masks=tuple(encode(grid) for grid in grids),
        boxes_px=tuple(box_of(grid) for grid in grids),
        areas_px=tuple(int(grid.sum()) for grid in grids),
    )


def kinds_of(given: Sample) -> list[list[tuple[str, str | None]]]:
    segments = transcript.run(task("transcript", given, RulesTranscriber())).segments
    return [[(action.kind, action.direction) for action in segment.actions] for segment in segments]


@pytest.mark.parametrize("poses", [pan(110), pan(-110), shake], ids=["pan right", "pan left", "shake"])
def test_what_stands_stands_however_the_camera_moves(poses: Poses) -> None:
    assert kinds_of(filmed([path((0, 140, 100))], poses)) == [[("stand", None)]]


def test_a_zoom_makes_things_larger_and_brings_nobody_nearer() -> None:
    told = kinds_of(filmed([path((0, 90, 100)), path((0, 190, 100))], zoom(1.9)))
    assert all(set(kinds) == {("grow", None), ("stand", None)} for kinds in told)
    told = kinds_of(filmed([path((0, 90, 100)), path((0, 190, 100))], zoom(1 / 1.9)))
    assert all(set(kinds) == {("shrink", None), ("stand", None)} for kinds in told)


@pytest.mark.parametrize("poses", [pan(200), shake, zoom(1.5)], ids=["pan", "shake", "zoom"])
def test_a_walker_walks_over_the_ground(poses: Poses) -> None:
    (kinds,) = kinds_of(filmed([path((0, 60, 120), (8, 260, 120))], poses))
    assert ("move", "right") in kinds
    assert not {("move", "left"), ("stand", None)} & set(kinds)


def test_what_a_pan_brings_into_view_comes_in_over_that_border_and_stands() -> None:
    (kinds,) = kinds_of(filmed([path((0, 380, 100))], pan(200)))
    assert kinds == [("enter", "right"), ("stand", None)]


def test_nothing_is_told_across_a_cut() -> None:
    """In the middle of a clip the picture changes: the thing is elsewhere at once, and another is gone."""
    given = filmed(
        [path((0, 40, 100), (4, 40, 100), (4.01, 250, 100)), lambda t: (150, 20) if t < 4 else None], pan(0)
    )
    cut = next(i for i, time in enumerate(TIMES_S) if time > 4) - 1
    told = kinds_of(replace(given, camera=(*given.camera[:cut], None, *given.camera[cut + 1 :])))
    assert told == [[("stand", None), ("stand", None)], [("stand", None)]]


def test_where_the_camera_is_unknown_three_things_that_agree_tell_it() -> None:
    still = [path((0, 140 + 60 * i, 10 + 60 * i)) for i in range(3)]
    walker = path((0, 120, 190), (8, 220, 190))  # keeps up with the camera
    given = replace(filmed([*still, walker], pan(100)), camera=())
    told = kinds_of(given)
    assert told[:3] == [[("stand", None)]] * 3
    assert ("move", "right") in told[3]


def test_a_camera_of_another_video_is_refused() -> None:
    given = filmed([path((0, 140, 100))], pan(0))
    with pytest.raises(ValueError, match="32 sampled frames need 31 camera steps, not 3"):
        kinds_of(replace(given, camera=given.camera[:3]))
