"""Clips: exact cuts and changes of painted media, and intervals that cover the video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from strefer_core import data_model as dm
from strefer_core.backends.clipper.survey import ScenedetectSurveyor
from strefer_core.backends.interfaces import Survey
from strefer_core.backends.shots import cut_positions
from strefer_core.config import ClipsConfig
from strefer_core.pipeline import StageTask
from strefer_core.stages.clips import clip_intervals, intervals, run, snapped
from strefer_core.video_io import index_video, sample_positions
from tests.media import Image, write_video

LONG = 1e9
PLACES = ((60, 90, 160), (190, 120, 40), (40, 140, 70), (200, 200, 190))
Painter = Callable[[int], Image]


def place(number: int) -> Image:
    """The textured ground of one place, 320 x 192."""
    rng = np.random.default_rng(number)
    texture = rng.integers(-30, 30, (24, 40, 1)).repeat(8, axis=0).repeat(8, axis=1)
    return np.clip(np.array(PLACES[number % len(PLACES)]) + texture, 0, 255).astype(np.uint8)


def paint_cuts(*cuts: int) -> Painter:
    """A painter of shots: another textured ground from each cut on, and a block that moves through all."""

    def paint(i: int) -> Image:
        image = place(sum(i >= cut for cut in cuts))
        image[80:120, i * 2 % 280 : i * 2 % 280 + 40] = (230, 30, 30)
        return image

    return paint


def survey(path: Path, **settings: Any) -> Survey:
    return ScenedetectSurveyor().survey(path, ClipsConfig(**settings))


def clips_of(path: Path, **settings: Any) -> list[tuple[float, float]]:
    config = ClipsConfig(**settings)
    return clip_intervals(ScenedetectSurveyor().survey(path, config), index_video(path).duration_s, config)


@pytest.mark.parametrize("cuts", [(), (30,), (20, 45), (3,), (57,)])
def test_cuts_are_found_on_their_very_frame(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    path = write_video(tmp_path / "a.mp4", 60, paint=paint_cuts(*cuts), rate=Fraction(30000, 1001))
    assert survey(path, embedder="none").cuts == cuts


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ten_bits.mp4", {"pixel_format": "yuv420p10le"}),
        ("turned.mp4", {"clockwise_deg": 90}),
        ("a.mkv", {}),
    ],
)
def test_cuts_in_other_files(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = write_video(tmp_path / name, 50, paint=paint_cuts(25), **options)
    assert survey(path, embedder="none").cuts == (25,)


def test_clips_of_variable_rate_begin_at_exact_times(tmp_path: Path) -> None:
    steps = np.tile([20, 20, 100], 20)
    ticks = np.concatenate([[0], np.cumsum(steps)])[:60].tolist()
    path = write_video(tmp_path / "a.mp4", 60, paint=paint_cuts(31), ticks=ticks, time_base=Fraction(1, 1000))
    starts = [start for start, _ in clips_of(path)]
    assert starts == [0.0, pytest.approx(ticks[31] / 1000, abs=1e-9)]


@pytest.mark.parametrize("frame_count", [0, 1, 2])
def test_hardly_any_frame_has_no_cut(frame_count: int) -> None:
    assert cut_positions([np.zeros((90, 160, 3), np.uint8)] * frame_count) == []


def paint_arrival(first: int, size_px: int = 56) -> Painter:
    """One wanders about all the time; another one stands there from a frame on, without any cut."""

    def paint(i: int) -> Image:
        image = place(1)
        image[20:60, 20 + i : 60 + i] = (30, 60, 220)
        shown = min(max(i - first, 0) * 14, size_px)  # comes in over the border within a few frames
        image[110 : 110 + size_px, 320 - shown :] = (20, 200, 60)
        return image

    return paint


def test_a_clip_begins_where_somebody_comes_in(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 120, paint=paint_arrival(66), rate=Fraction(24))
    (_, border), (start, _) = clips_of(path)
    assert start == border
    assert border in index_video(path).times_s
    assert abs(border - 68 / 24) <= 0.25  # features are a fifth of a second apart
    assert len(clips_of(path, embedder="none")) == 1
    assert len(clips_of(path, min_change=100.0)) == 1


def still(i: int) -> Image:
    noise = np.random.default_rng(i).integers(-10, 11, (192, 320, 3))
    return np.clip(place(0) + noise, 0, 255).astype(np.uint8)


def wandering(i: int) -> Image:
    image = place(2)
    x, y = int(140 + 110 * np.sin(i / 9)), int(76 + 60 * np.cos(i / 13))
    image[y : y + 40, x : x + 40] = (230, 30, 30)
    return image


def panning(i: int) -> Image:
    """A window that slides over grounds of which the colours pass from one into the other."""
    wide = np.concatenate([place(0), place(3)], axis=1).astype(np.float64)
    share = np.linspace(0, 1, wide.shape[1])[None, :, None]
    mixed = wide * 0.4 + 0.6 * ((1 - share) * np.array(PLACES[0]) + share * np.array(PLACES[1]))
    return mixed[:, 3 * i : 3 * i + 320].astype(np.uint8)


def flashing(i: int) -> Image:
    return np.full((192, 320, 3), 250, np.uint8) if i in (50, 51) else wandering(i)


@pytest.mark.parametrize("paint", [still, wandering, panning, flashing])
def test_noise_movement_a_pan_and_a_flash_begin_no_clip(tmp_path: Path, paint: Painter) -> None:
    path = write_video(tmp_path / "a.mp4", 96, paint=paint, rate=Fraction(24))
    assert len(clips_of(path)) == 1


def test_a_place_that_comes_back_is_a_clip_of_its_own(tmp_path: Path) -> None:
    def paint(i: int) -> Image:
        return place(1) if 48 <= i < 96 else place(0)

    path = write_video(tmp_path / "a.mp4", 144, paint=paint, rate=Fraction(24))
    assert clips_of(path) == [pytest.approx((t, t + 2)) for t in (0, 2, 4)]


@pytest.mark.parametrize(
    ("cuts_s", "duration_s", "min_s", "max_s", "expected"),
    [
        ([], 5.0, 1.0, LONG, [(0, 5)]),
        ([2.0], 5.0, 1.0, LONG, [(0, 2), (2, 5)]),
        ([2.0, 2.5], 5.0, 1.0, LONG, [(0, 2.5), (2.5, 5)]),  # the short one joins its shorter neighbour
        ([0.5], 5.0, 1.0, LONG, [(0, 5)]),
        ([4.5], 5.0, 1.0, LONG, [(0, 5)]),
        ([0.3, 0.6, 0.9], 1.2, 1.0, LONG, [(0, 1.2)]),
        ([], 0.4, 1.0, LONG, [(0, 0.4)]),  # shorter than the least: one clip all the same
        ([], 25.0, 1.0, 10.0, [(0, 25 / 3), (25 / 3, 50 / 3), (50 / 3, 25)]),
        ([5.0], 25.0, 1.0, 20.0, [(0, 5), (5, 25)]),  # exactly as long as allowed
        ([0.0, 5.0, 7.0], 5.0, 1.0, LONG, [(0, 5)]),  # cuts at or behind the ends are none
    ],
)
def test_intervals(
    cuts_s: list[float], duration_s: float, min_s: float, max_s: float, expected: list[tuple[float, float]]
) -> None:
    found = intervals(cuts_s, duration_s, min_s=min_s, max_s=max_s)
    assert found == [pytest.approx(piece) for piece in expected]


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    """Any video: even or variable rate, cuts anywhere, features that stay, drift or jump."""
    count = draw(st.integers(1, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps_s = rng.choice(draw(st.sampled_from([[1 / 24], [0.02, 0.1], [0.04, 3.0]])), count)
    times_s = np.concatenate([[0.0], np.cumsum(steps_s)])[:count]
    cuts = sorted(set(rng.integers(1, max(count, 2), rng.integers(0, 12)).tolist())) if count > 1 else []
    looked = np.unique(np.append(rng.integers(0, count, count // 3), 0))
    walk = np.cumsum(rng.normal(size=(len(looked), 4)) * (rng.random((len(looked), 1)) < 0.1), axis=0) + 1
    return Survey(
        times_s=times_s,
        cuts=tuple(cuts),
        looked=looked,
        features=(walk / np.linalg.norm(walk, axis=1, keepdims=True)).astype(np.float32),
        change=0.01,
        camera=(),
    )


@given(surveys(), st.sampled_from([(0.0, 4.0), (1.0, 4.0), (1.0, 20.0), (2.5, 5.0)]))
def test_clips_cover_without_gap_or_overlap(seen: Survey, limits: tuple[float, float]) -> None:
    min_s, max_s = limits
    duration_s = float(seen.times_s[-1]) + 0.04
    found = clip_intervals(seen, duration_s, ClipsConfig(min_s=min_s, max_s=max_s))
    assert found[0][0] == 0.0
    assert found[-1][1] == duration_s
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(0 < end - start <= max_s + 1e-6 for start, end in found)
    assert len(found) == 1 or all(end - start >= min_s - 1e-6 for start, end in found)


@given(surveys())
def test_borders_lie_on_frames_where_nothing_had_to_be_split(seen: Survey) -> None:
    duration_s = float(seen.times_s[-1]) + 0.04
    found = clip_intervals(seen, duration_s, ClipsConfig(max_s=1e6))
    assert {start for start, _ in found} <= set(seen.times_s.tolist())


@given(surveys())
def test_features_take_no_cut_between_unlike_pieces(seen: Survey) -> None:
    """Without features every far enough cut is a border; features may only join what is alike."""
    duration_s = float(seen.times_s[-1]) + 0.04
    config = ClipsConfig(min_s=0.0, max_s=1e6)
    strict = replace(seen, change=1e-12)
    borders = {start for start, _ in clip_intervals(strict, duration_s, config)}
    apart = [cut for cut in strict.cuts if _differ(strict, cut)]
    assert {float(strict.times_s[cut]) for cut in apart} <= borders


def _differ(seen: Survey, cut: int) -> bool:
    """Whether all that was looked at in the second before a cut differs from all in the second behind."""
    assert seen.features is not None
    times_s, at_s = seen.times_s[seen.looked], seen.times_s[cut]
    before = seen.features[(times_s >= at_s - 1) & (times_s < at_s)]
    behind = seen.features[(times_s >= at_s) & (times_s < at_s + 1)]
    return bool(len(before) and len(behind) and (before.min(axis=0) > behind.max(axis=0)).any())


def test_even_splits_move_to_frames_but_keep_the_limits() -> None:
    times_s = np.array([0.0, 1.2, 2.1, 3.4])
    assert snapped([(0.0, 2.0), (2.0, 4.0)], times_s, min_s=1.0, max_s=2.5) == [(0.0, 2.1), (2.1, 4.0)]
    assert snapped([(0.0, 2.0), (2.0, 4.0)], times_s, min_s=1.0, max_s=2.0) == [(0.0, 2.0), (2.0, 4.0)]


def test_the_stage_gives_clips_and_the_camera_of_the_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 90, paint=paint_cuts(45))
    task = StageTask(
        video_id="0" * 16,
        fingerprint="abcdef012345" + "0" * 20,
        video_path=path,
        config=ClipsConfig(),
        backend=ScenedetectSurveyor(),
        inputs={"videos": dm.VideosResult(video=video(duration_s=3.0))},
    )
    result = run(task)
    assert [(c.start_s, c.end_s) for c in result.clips] == [
        pytest.approx((0.0, 1.5)),
        pytest.approx((1.5, 3.0)),
    ]
    assert [c.clip_id for c in result.clips] == ["clip-abcdef012345-0000", "clip-abcdef012345-0001"]
    assert {c.video_id for c in result.clips} == {"0" * 16}
    crosses = [a < 45 <= b for a, b in pairwise(sample_positions(90).tolist())]
    assert [motion is None for motion in result.camera] == crosses
    assert {motion for motion in result.camera if motion} == {(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)}


def video(duration_s: float) -> dm.Video:
    figures = dm.Figures(
        motion_px=1.0, black_share=0.0, frozen_share=0.0, sharpness=100.0, perceptual_hashes=()
    )
    return dm.Video(
        video_id="0" * 16, sha256="0" * 64, size_bytes=1, container="mp4", codec="h264",
        pixel_format="yuv420p", width_px=320, height_px=192, rotation_deg=0, fps=Fraction(30), frame_count=90,
        duration_s=duration_s, is_variable_rate=False, has_audio=False, figures=figures,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"min_s": 5.0, "max_s": 8.0}, "at least twice"), ({"embedder": "siglip"}, "needs clips.siglip_path")],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClipsConfig(**settings)
