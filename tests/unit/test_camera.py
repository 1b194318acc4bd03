"""The ground's motion between sampled frames: painted motions, and the world's truth."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.clipper.survey import ScenedetectSurveyor
from strefer_core.camera import GroundSteps, display_affine
from strefer_core.config import ClipsConfig
from strefer_core.probe.ground import motion_errors_px
from strefer_core.video_io import index_video, sample_positions
from strefer_core.world import load_truth, render_video, true_camera, truth_path
from tests.true_worlds import Square, still, world

Image = NDArray[np.uint8]
SIZE_PX = (480, 270)


def ground() -> Image:
    """A place larger than the picture, textured everywhere."""
    rng = np.random.default_rng(5)
    coarse = cv2.resize(rng.integers(0, 256, (90, 140, 3), dtype=np.uint8), (1400, 900))
    return cv2.GaussianBlur(coarse, (0, 0), 2)


GROUND = ground()


def view(x: float, y: float, zoom: float = 1.0, turn_deg: float = 0.0) -> NDArray[np.float64]:
    """Ground pixel -> picture pixel (3, 3), of a camera whose middle is at (x, y) of the ground."""
    turn = cv2.getRotationMatrix2D((x, y), turn_deg, zoom)
    turn[:, 2] += np.array(SIZE_PX) / 2 - (x, y)
    return np.vstack([turn, [0, 0, 1]])


def picture(pose: NDArray[np.float64]) -> Image:
    return cv2.warpAffine(GROUND, pose[:2], SIZE_PX, flags=cv2.INTER_LINEAR)


def told(images: list[Image], every: int) -> list[dm.Affine | None]:
    """The motion between every so many frames, the others being there for small steps."""
    steps = GroundSteps()
    for i, image in enumerate(images):
        steps.see(image, is_sampled=i % every == 0)
    return [None if motion is None else display_affine(motion, 1.0) for motion in steps.motions]


def true(poses: list[NDArray[np.float64]], every: int) -> list[dm.Affine]:
    return [display_affine(b @ np.linalg.inv(a), 1.0) for a, b in pairwise(poses[::every])]


def errors(images: list[Image], poses: list[NDArray[np.float64]], every: int) -> list[float | None]:
    return motion_errors_px(told(images, every), true(poses, every), *SIZE_PX)


WAYS: dict[str, Callable[[int], NDArray[np.float64]]] = {
    "stands": lambda _: view(700, 450),
    "pans slowly": lambda i: view(650 + 0.4 * i, 450),
    "pans fast": lambda i: view(400 + 24 * i, 450),
    "shakes": lambda i: view(700 + 9 * np.sin(2.1 * i), 450 + 7 * np.cos(1.7 * i)),
    "comes nearer": lambda i: view(700, 450, zoom=1.03**i),
    "rolls": lambda i: view(700, 450, turn_deg=1.2 * i),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_ground_moves_as_the_camera_does(way: str) -> None:
    poses = [WAYS[way](i) for i in range(25)]
    found = errors([picture(pose) for pose in poses], poses, every=4)
    assert len(found) == 6
    assert max(error for error in found if error is not None) < 0.5
    assert None not in found


def with_things(image: Image, i: int, share: float) -> Image:
    """A textured thing over `share` of the picture's width that goes another way than the ground."""
    width = round(share * SIZE_PX[0])
    texture = np.random.default_rng(1).integers(0, 256, (270, width, 3), dtype=np.uint8)
    thing = cv2.GaussianBlur(texture, (0, 0), 2)
    shown = image.copy()
    left = 10 + 3 * i
    part = shown[:, left : left + width]
    part[:] = thing[:, : part.shape[1]]
    return shown


@pytest.mark.parametrize("share", [0.15, 0.4])
def test_a_moving_thing_does_not_pull_the_ground(share: float) -> None:
    poses = [view(650 - 2 * i, 450) for i in range(13)]
    images = [with_things(picture(pose), i, share) for i, pose in enumerate(poses)]
    found = errors(images, poses, every=4)
    assert None not in found
    assert max(error for error in found if error is not None) < 0.5


def test_light_that_changes_moves_nothing() -> None:
    dimmed = [
        cv2.convertScaleAbs(picture(view(700, 450)), alpha=0.5 + 0.5 * np.cos(i / 4) ** 2) for i in range(13)
    ]
    assert told(dimmed, 4) == [(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)] * 3


def blank(i: int) -> Image:
    return np.full((270, 480, 3), 90, np.uint8)


def snow(i: int) -> Image:
    return np.random.default_rng(i).integers(0, 256, (270, 480, 3), dtype=np.uint8)


def elsewhere(i: int) -> Image:
    return picture(view(300 + 420 * (i % 3), 200 + 210 * (i % 3)))


def mostly_one_thing(i: int) -> Image:
    """All that has texture is a thing in one corner; the rest is without any."""
    image = blank(i)
    image[20:100, 20 + 3 * i : 120 + 3 * i] = GROUND[:80, :100]
    image[::45, ::45] = np.random.default_rng(i).integers(60, 120, (6, 11, 3))  # grain, new on every frame
    return image


@pytest.mark.parametrize("paint", [blank, snow, elsewhere, mostly_one_thing])
def test_none_rather_than_a_wrong_motion(paint: Callable[[int], Image]) -> None:
    assert told([paint(i) for i in range(9)], every=4) == [None, None]


def test_a_spoilt_frame_costs_no_more_than_it_must() -> None:
    poses = [view(700 + 2 * i, 450) for i in range(13)]
    images = [snow(i) if i == 6 else picture(pose) for i, pose in enumerate(poses)]
    assert told(images, every=4) == [pytest.approx((1, 0, -8, 0, 1, 0), abs=0.3)] * 3
    images[4] = snow(4)  # a sampled one: neither the motion to it nor from it can be told
    first, second, last = told(images, every=4)
    assert (first, second) == (None, None)
    assert last == pytest.approx((1, 0, -8, 0, 1, 0), abs=0.3)


@given(
    st.floats(0.8, 1.25), st.floats(-0.3, 0.3), st.floats(-50, 50), st.floats(-50, 50), st.floats(0.2, 1.0)
)
def test_display_motions_are_working_motions_seen_larger(
    zoom: float, turn: float, x: float, y: float, scale: float
) -> None:
    """A corner-based display point, the middle of a working pixel, must go where that pixel goes."""
    motion = np.array([[zoom, -turn, x], [turn, zoom, y], [0, 0, 1]])
    a, b, tx, c, d, ty = display_affine(motion, scale)
    pixel = np.array([12.0, 34.0])
    goes_to = motion[:2, :2] @ pixel + motion[:2, 2]
    shown = (pixel + 0.5) / scale
    moved = np.array([a * shown[0] + b * shown[1] + tx, c * shown[0] + d * shown[1] + ty])
    assert moved == pytest.approx((goes_to + 0.5) / scale, abs=1e-6)


@given(st.floats(-200, 200), st.floats(-200, 200), st.floats(0.5, 2), st.floats(0.01, 0.3))
@settings(max_examples=20)
def test_the_true_camera_moves_every_point_of_the_ground(
    speed_x: float, speed_y: float, zoom: float, growth: float
) -> None:
    """A thing that stands is seen where the camera's motion puts it."""
    made = world(
        Square(way=still(100, 90)),
        camera=lambda t: (speed_x * t, speed_y * t),
        zoom=lambda t: zoom * (1 + growth * t),
        cuts_s=(3.0,),
    )
    positions = [10, 25, 40, 70, 71]
    motions = true_camera(made, positions)
    assert [motion is None for motion in motions] == [False, False, True, False]
    boxes = [made.entities[0].full_boxes_px[p] for p in positions]
    for motion, here, there in zip(motions, boxes, boxes[1:], strict=False):
        if motion and here and there:
            a, b, x, c, d, y = motion
            assert (b, c) == (0, 0)
            moved = (a * here[0] + x, d * here[1] + y, a * here[2] + x, d * here[3] + y)
            assert moved == pytest.approx(there, abs=2)  # boxes are whole pixels or near it


def test_the_true_camera_has_no_frame_outside_the_video() -> None:
    made = world(Square(way=still(100, 90)))
    assert true_camera(made, [3]) == ()
    with pytest.raises(IndexError, match="frame 999"):
        true_camera(made, [0, 999])


@pytest.mark.parametrize(
    "knobs", [("camera_pan",), ("camera_zoom", "camera_shake"), ("crowding", "cuts", "lighting")]
)
def test_the_camera_of_world_videos(tmp_path: Path, knobs: tuple[str, ...]) -> None:
    path = render_video(91, 0, tmp_path, knobs)
    truth = load_truth(truth_path(path))
    true_motions = true_camera(truth, sample_positions(index_video(path).frame_count).tolist())
    found = ScenedetectSurveyor().survey(path, ClipsConfig(embedder="none")).camera
    assert all(motion is None for motion, t in zip(found, true_motions, strict=True) if t is None)
    checked = motion_errors_px(found, true_motions, truth.width_px, truth.height_px)
    known = [error for error in checked if error is not None]
    assert len(known) >= 0.9 * len(checked)
    assert float(np.median(known)) < 0.5
    assert float(np.percentile(known, 95)) < 2.0


def test_errors_are_told_for_what_is_true_only() -> None:
    shift: dm.Affine = (1, 0, 3, 0, 1, 4)
    here: dm.Affine = (1, 0, 0, 0, 1, 0)
    assert motion_errors_px([shift, None, shift], [here, here, None], 640, 360) == [pytest.approx(5.0), None]
