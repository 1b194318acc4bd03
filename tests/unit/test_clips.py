"""Clips: exact cuts from painted media, and intervals that cover the video."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from strefer_core import data_model as dm
from strefer_core.backends.shots import SceneDetectShots, cut_positions
from strefer_core.config import ClipsConfig
from strefer_core.pipeline import StageTask
from strefer_core.stages.clips import intervals, run
from strefer_core.video_io import index_video
from tests.media import Image, write_video

LONG = 1e9
PLACES = ((60, 90, 160), (190, 120, 40), (40, 140, 70), (200, 200, 190))


def paint_cuts(*cuts: int) -> Callable[[int], Image]:
    """A painter of shots: another textured ground from each cut on, and a block that moves through all."""

    def paint(i: int) -> Image:
        shot = sum(i >= cut for cut in cuts)
        rng = np.random.default_rng(shot)
        texture = rng.integers(-30, 30, (24, 40, 1)).repeat(8, axis=0).repeat(8, axis=1)
        image = np.clip(np.array(PLACES[shot % len(PLACES)]) + texture, 0, 255).astype(np.uint8)
        image[80:120, i * 2 % 280 : i * 2 % 280 + 40] = (230, 30, 30)
        return image

    return paint


@pytest.mark.parametrize("cuts", [(), (30,), (20, 45), (3,), (57,)])
def test_cuts_are_found_on_their_very_frame(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    path = write_video(tmp_path / "a.mp4", 60, paint=paint_cuts(*cuts), rate=Fraction(30000, 1001))
    times_s = index_video(path).times_s
    assert SceneDetectShots().shots(path) == [pytest.approx(times_s[cut], abs=1e-9) for cut in cuts]


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
    assert SceneDetectShots().shots(path) == [pytest.approx(index_video(path).times_s[25])]


def test_cuts_of_variable_rate_have_exact_times(tmp_path: Path) -> None:
    steps = np.tile([20, 20, 100], 20)
    ticks = np.concatenate([[0], np.cumsum(steps)])[:60].tolist()
    path = write_video(tmp_path / "a.mp4", 60, paint=paint_cuts(31), ticks=ticks, time_base=Fraction(1, 1000))
    assert SceneDetectShots().shots(path) == [pytest.approx(ticks[31] / 1000)]


@pytest.mark.parametrize("frame_count", [0, 1, 2])
def test_hardly_any_frame_has_no_cut(frame_count: int) -> None:
    assert cut_positions([np.zeros((90, 160, 3), np.uint8)] * frame_count) == []


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


@pytest.mark.parametrize("seed", range(20))
def test_intervals_cover_without_gap_or_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    duration_s = float(rng.uniform(1, 90))
    cuts_s = rng.uniform(0, duration_s, rng.integers(0, 40)).tolist()
    found = intervals(cuts_s, duration_s, min_s=1.0, max_s=8.0)
    assert found[0][0] == 0.0
    assert found[-1][1] == duration_s
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(1.0 - 1e-6 <= end - start <= 8.0 + 1e-6 for start, end in found)


def test_the_stage_gives_clips_of_the_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 90, paint=paint_cuts(45))
    task = StageTask(
        video_id="0" * 16,
        fingerprint="abcdef012345" + "0" * 20,
        video_path=path,
        config=ClipsConfig(),
        backend=SceneDetectShots(),
        inputs={"videos": dm.VideosResult(video=video(duration_s=3.0))},
    )
    result = run(task)
    assert [(c.start_s, c.end_s) for c in result.clips] == [
        pytest.approx((0.0, 1.5)),
        pytest.approx((1.5, 3.0)),
    ]
    assert [c.clip_id for c in result.clips] == ["clip-abcdef012345-0000", "clip-abcdef012345-0001"]
    assert {c.video_id for c in result.clips} == {"0" * 16}


def video(duration_s: float) -> dm.Video:
    figures = dm.Figures(
        motion_px=1.0, black_share=0.0, frozen_share=0.0, sharpness=100.0, perceptual_hashes=()
    )
    return dm.Video(
        video_id="0" * 16, sha256="0" * 64, size_bytes=1, container="mp4", codec="h264",
        pixel_format="yuv420p", width_px=320, height_px=192, rotation_deg=0, fps=Fraction(30), frame_count=90,
        duration_s=duration_s, is_variable_rate=False, has_audio=False, figures=figures,
    )  # fmt: skip


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least twice"):
        ClipsConfig(min_s=5.0, max_s=8.0)
