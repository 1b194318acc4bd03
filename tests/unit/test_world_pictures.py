"""What knobs do to the pictures: smear, scale, light, and things that are part of the place."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path as FilePath

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from strefer_core.world import WorldTruth, expected_masks, load_truth, sets, truth_path
from strefer_core.world.render import render_script, render_video
from strefer_core.world.script import (
    Actor,
    Background,
    Board,
    Camera,
    Character,
    Light,
    Path,
    Prop,
    Scene,
    Script,
    Shot,
    Zoom,
)
from strefer_core.world.sight import Moment, moments
from strefer_core.world.truth import TrueAction

SEED = 31
FRAMES = 50


def _square(**changes: object) -> Character:
    values: dict[str, object] = {
        "entity_id": "e0",
        "noun": "square",
        "colour": "red",
        "size": "medium",
        "pattern": "plain",
        "radius_px": 40.0,
    }
    return Character(**(values | changes))  # type: ignore[arg-type]


def _script(*paths: Path, shutter_s: float = 0.0, **scene: object) -> Script:
    """Red squares, each of its own size, on snow, at 25 frames per second for two seconds."""
    characters = tuple(_square(entity_id=f"e{i}", radius_px=40.0 + 8 * i) for i in range(len(paths)))
    values: dict[str, object] = {"background": Background(kind="snow", seed=1), "camera": Camera()}
    actors = tuple(Actor(character=i, path=path) for i, path in enumerate(paths))
    return Script(
        seed=0,
        index=0,
        scenario="by hand",
        fps=Fraction(25),
        width_px=640,
        height_px=360,
        characters=characters,
        scenes=(Scene(actors=actors, **(values | scene)),),  # type: ignore[arg-type]
        shots=(Shot(scene=0, start_frame=0, end_frame=FRAMES),),
        shutter_s=shutter_s,
    )


def _rest(x: float, y: float) -> Path:
    return Path(times_s=(0.0,), points=((x, y),))


def _run(speed_px_s: float) -> Path:
    return Path(times_s=(0.0, 2.0), points=((100.0, 180.0), (100.0 + 2 * speed_px_s, 180.0)), smooth_s=0.001)


# --- the shutter ---------------------------------------------------------------------------------


def _left_edge_px(moment: Moment) -> float:
    """Width over which the square fades in at its left side."""
    edge = round(moment.seen[0].box_px[0])
    return _width_px(moment.picture[165:195, edge - 14 : edge + 14, 2].mean(axis=0))


def _width_px(blue: NDArray[np.float64], per_px: int = 1) -> float:
    """From 10 to 90 % of the way between what is left and right in a profile; snow is blue, red is not."""
    level = (blue[: 4 * per_px].mean() - blue) / (blue[: 4 * per_px].mean() - blue[-4 * per_px :].mean())
    crossed = [(int(np.argmax(level > share)), share) for share in (0.1, 0.9)]
    exact = [i - (level[i] - share) / (level[i] - level[i - 1]) for i, share in crossed]
    return float(exact[1] - exact[0]) / per_px


def _expected_width_px(smear_px: float) -> float:
    """The same of an edge reckoned by hand: snow, 1.75 px of dark outline, red; moved evenly, then seen
    through pixels of one pixel's width."""
    x = np.arange(-1400, 1400) / 100
    edge = np.select([x < -0.875, x < 0.875], [200.0, 17.0], 44.0)
    for length in (smear_px, 1.0):
        window = np.ones(max(1, round(100 * length)))
        edge = np.convolve(np.pad(edge, 1400, mode="edge"), window / len(window), "same")[1400:-1400]
    return _width_px(edge, per_px=100)


@pytest.mark.parametrize("speed_px_s", [150.0, 250.0])
def test_an_edge_smears_as_far_as_it_moves_while_the_shutter_is_open(speed_px_s: float) -> None:
    sharp, smeared = (list(moments(_script(_run(speed_px_s), shutter_s=s)))[25] for s in (0.0, 0.04))
    smear_px = speed_px_s * 0.04
    assert smeared.blur_px[0] == pytest.approx(smear_px, abs=0.05)
    assert _left_edge_px(smeared) == pytest.approx(_expected_width_px(smear_px), abs=0.6)
    assert _left_edge_px(sharp) < 2
    assert np.array_equal(sharp.seen[0].visible, smeared.seen[0].visible)  # of the middle of the time
    assert sharp.blur_px == {}


def test_half_the_shutter_time_is_half_the_smear() -> None:
    short, long = (list(moments(_script(_run(240.0), shutter_s=s)))[25] for s in (0.02, 0.04))
    assert long.blur_px[0] == pytest.approx(2 * short.blur_px[0], rel=0.02)
    assert _left_edge_px(long) > 1.5 * _left_edge_px(short)


def test_a_panning_camera_smears_what_stands_still() -> None:
    pan = Camera(path=Path(times_s=(0.0, 2.0), points=((0.0, 0.0), (400.0, 0.0)), smooth_s=0.001))
    smeared, sharp = (
        list(moments(_script(_rest(400, 180), shutter_s=s, camera=pan)))[25] for s in (0.04, 0.0)
    )
    assert smeared.blur_px[0] == pytest.approx(8, abs=0.1)
    details = [
        float(cv2.Sobel(cv2.cvtColor(moment.picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F, 1, 0)[:, :80].std())
        for moment in (smeared, sharp)
    ]
    assert details[0] < 0.6 * details[1]


# --- zoom ----------------------------------------------------------------------------------------

_NEARER = Camera(zoom=Zoom(times_s=(0.4, 1.4), scales=(0.8, 1.4)))


def test_zoom_scales_the_mask_and_moves_nobody(tmp_path: FilePath) -> None:
    truth = render_script(_script(_rest(420, 200), camera=_NEARER), tmp_path / "zoom.mp4")
    entity = truth.entities[0]
    assert truth.camera_zoom[0] == pytest.approx(0.8, abs=0.005)
    assert truth.camera_zoom[-1] == pytest.approx(1.4, abs=0.005)
    for frame in (0, 20, 30, 49):
        zoom, corner = truth.camera_zoom[frame], truth.camera_px[frame]
        x0, y0, x1, y1 = entity.full_boxes_px[frame] or (0, 0, 0, 0)
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx(
            ((420 - corner[0]) * zoom, (200 - corner[1]) * zoom), abs=1
        )
        (mask,) = expected_masks(truth, [frame])["e0"]
        # The square's side is 0.78 of its radius to either side, and the outline's outer half.
        side_px = (2 * 0.78 + 0.045) * 40 * zoom
        assert float(np.sqrt(mask.sum())) == pytest.approx(side_px, abs=1.5)
    # It walked not a step, though its box crossed the frame.
    assert entity.actions == (TrueAction(kind="stand", start_s=0.0, end_s=2.0),)


def test_zoom_scales_the_place_about_the_middle(tmp_path: FilePath) -> None:
    path = tmp_path / "zoom.mp4"
    truth = render_script(
        _script(_rest(60, 60), camera=_NEARER, background=Background(kind="cobbles", seed=3)), path
    )
    frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in _frames(path)]
    mask = np.zeros((360, 640), np.uint8)
    mask[60:300, 220:560] = 255  # away from the square
    for a, b in ((20, 23), (26, 29)):
        corners = cv2.goodFeaturesToTrack(frames[a], 200, 0.01, 8, mask=mask)
        found, ok, _ = cv2.calcOpticalFlowPyrLK(frames[a], frames[b], corners, corners.copy())
        fit, _ = cv2.estimateAffinePartial2D(corners[ok == 1], found[ok == 1])
        scale = truth.camera_zoom[b] / truth.camera_zoom[a]
        assert scale > 1.05
        assert fit[0, 0] == pytest.approx(scale, abs=0.004)
        # The frame's middle stays where it is; OpenCV counts from pixel middles.
        assert fit @ (319.5, 179.5, 1) == pytest.approx((319.5, 179.5), abs=0.6)


# --- things of the place -------------------------------------------------------------------------


def test_who_goes_behind_a_board_is_occluded_by_nobody(tmp_path: FilePath) -> None:
    board = Prop(look=Board(width_px=120, height_px=160, seed=4), at=(300.0, 180.0), layer=1)
    truth = render_script(_script(_run(200.0), props=(board,)), tmp_path / "board.mp4")
    # The square reaches 32 pixels from its middle; all of it is behind the board from x = 272 to 328.
    visible = np.array(truth.entities[0].visible_fractions)
    hidden = np.flatnonzero(visible == 0) / 25 * 200 + 100
    assert hidden.min() == pytest.approx(272, abs=8)
    assert hidden.max() == pytest.approx(328, abs=8)
    (occluded,) = [action for action in truth.entities[0].actions if action.kind == "occluded"]
    assert occluded.other_entity_id is None
    # More than half is hidden while its middle is behind the board: from x = 240 to 360.
    assert (occluded.start_s, occluded.end_s) == pytest.approx((0.7, 1.3), abs=0.05)
    assert truth.events == ()


def test_a_board_hides_those_of_its_layer_only() -> None:
    board = Prop(look=Board(width_px=120, height_px=160, seed=4), at=(300.0, 180.0), layer=1)
    (moment, *_) = moments(_script(_rest(300, 180), _rest(300, 200), props=(board,)))
    assert moment.seen[0].visible_fraction == 0
    assert moment.seen[1].visible_fraction == 1


def test_static_distractors_are_in_the_picture_and_nowhere_else(tmp_path: FilePath) -> None:
    truth, frames = _rendered(tmp_path, "static_distractors")
    bare = _without_entities(truth, frames)
    assert _colourful(bare) > 0.005  # of the frame: no place alone is so saturated
    for a, b in pairwise(range(0, len(frames), 30)):
        still = ~_anybody(truth, a) & ~_anybody(truth, b)
        assert np.abs(frames[a].astype(int) - frames[b])[still].mean() < 3  # nothing of them moves
    plain_truth, plain = _rendered(tmp_path, *())
    assert _colourful(_without_entities(plain_truth, plain)) < 0.001


def test_clutter_is_all_over_the_place(tmp_path: FilePath) -> None:
    truth, frames = _rendered(tmp_path, "clutter")
    bare = _without_entities(truth, frames)
    corners = [bare[y : y + 180, x : x + 320] for y in (0, 180) for x in (0, 320)]
    assert min(_colourful(corner) for corner in corners) > 0.02
    hues = cv2.cvtColor(bare, cv2.COLOR_RGB2HSV)
    assert len(np.unique(hues[hues[..., 1] > 150, 0] // 20)) >= 6  # of nine parts of the colour wheel


def _colourful(picture: NDArray[np.uint8]) -> float:
    """Share of pixels more saturated than any place by itself."""
    return float((cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 1] > 0.55 * 255).mean())


def _without_entities(truth: WorldTruth, frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Each pixel from the first frames on which no entity is near it; black where there are none."""
    picture = np.zeros_like(frames[0])
    empty = np.ones((360, 640), np.bool_)
    for position in range(0, len(frames), 10):
        free = empty & ~_anybody(truth, position)
        picture[free] = frames[position][free]
        empty &= ~free
    return picture


def _anybody(truth: WorldTruth, position: int) -> NDArray[np.bool_]:
    masks = [mask[0] for mask in expected_masks(truth, [position]).values()]
    return np.asarray(cv2.dilate(np.any(masks, axis=0).astype(np.uint8), np.ones((13, 13), np.uint8)) > 0)


# --- light ---------------------------------------------------------------------------------------


def test_light_follows_its_gains(tmp_path: FilePath) -> None:
    light = Light(times_s=(0.0, 1.96), gains=((1.0, 1.0, 1.0), (0.4, 0.5, 0.6)))
    script = _script(_rest(600, 300))
    lit, plain = (
        list(moments(replace(script, scenes=(replace(script.scenes[0], light=one),))))
        for one in (light, Light())
    )
    for frame in (0, 24, 49):
        expected = 1 - np.array((0.6, 0.5, 0.4)) * frame / 49
        means = [moment.picture[:200].mean(axis=(0, 1)) for moment in (lit[frame], plain[frame])]
        assert means[0] / means[1] == pytest.approx(expected, abs=0.01)
        assert np.array_equal(lit[frame].seen[0].visible, plain[frame].seen[0].visible)


@pytest.mark.parametrize("seed", range(30))
def test_any_light_gets_brighter_or_darker_by_half(seed: int) -> None:
    light = sets.light(np.random.default_rng(seed), frozenset({"lighting"}), 6.4)
    assert len(light.times_s) == len(light.gains)
    assert list(light.times_s) == sorted(light.times_s)
    assert light.times_s[-1] <= 6.4
    levels = np.array(light.gains).mean(axis=1)
    assert levels.max() > 1.5 * levels.min()
    assert light.flicker == 0 or 2 <= light.flicker_hz < 12  # seen at 24 frames per second


def test_the_lighting_knob_changes_the_light_of_the_place(tmp_path: FilePath) -> None:
    truth, frames = _rendered(tmp_path, "lighting")
    assert len(set(truth.camera_px)) == 1
    levels = []
    for position in range(0, len(frames), 3):
        free = ~_anybody(truth, position)
        levels.append(frames[position][free].mean(axis=0))
    brightness = np.array(levels).mean(axis=1)
    assert brightness.max() > 1.5 * brightness.min()
    balance = np.array(levels)[:, 0] / np.array(levels)[:, 2]
    assert balance.max() > 1.1 * balance.min()  # a cast of colour


def _rendered(out_dir: FilePath, *knobs: str) -> tuple[WorldTruth, list[NDArray[np.uint8]]]:
    path = render_video(SEED, 1, out_dir / ("-".join(knobs) or "plain"), knobs)
    return load_truth(truth_path(path)), _frames(path)


def _frames(path: FilePath) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
