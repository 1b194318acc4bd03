"""Working frames: which ones, of which size, at which times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from strefer_core.footage import load_footage, working_positions
from strefer_core.video_io import sample_positions
from tests.media import read_barcode, write_video


def test_frames_times_and_scale_are_those_of_the_video(tmp_path: Path) -> None:
    ticks = np.cumsum(np.tile([20, 20, 80], 30))[:80].tolist()
    path = write_video(tmp_path / "a.mp4", 80, ticks=ticks, time_base=Fraction(1, 1000))
    footage = load_footage(path, side_px=160, fps=5.0)
    numbers = [read_barcode(image, scale=0.5) for image in footage.images]
    assert numbers == sorted(set(numbers))
    assert footage.pts_s == pytest.approx([(ticks[n] - ticks[0]) / 1000 for n in numbers])
    assert [numbers[i] for i in footage.sampled] == np.linspace(0, 79, 32).astype(int).tolist()
    assert (footage.width_px, footage.height_px, footage.scale) == (320, 192, 0.5)
    assert footage.images.shape[1:] == (96, 160, 3)


def test_a_turned_video_has_its_display_size(tmp_path: Path) -> None:
    footage = load_footage(write_video(tmp_path / "a.mp4", 5, clockwise_deg=90), side_px=160)
    assert (footage.width_px, footage.height_px) == (192, 320)
    assert footage.images.shape == (5, 160, 96, 3)


def test_a_small_video_keeps_its_size(tmp_path: Path) -> None:
    footage = load_footage(write_video(tmp_path / "a.mp4", 1))
    assert footage.images.shape == (1, 192, 320, 3)
    assert footage.scale == 1.0
    assert footage.sampled.tolist() == [0]


@pytest.mark.parametrize(
    ("frame_count", "rate", "fps", "max_frames", "least", "most"),
    [
        (300, 30, 10.0, 320, 100, 132),  # 10 s at 10 frames/s and the sampled ones between
        (9000, 30, 10.0, 320, 280, 320),  # five minutes: bounded
        (20, 30, 10.0, 320, 20, 20),  # all frames are sampled
        (1, 30, 10.0, 320, 1, 1),
        (300, 30, 10.0, 10, 32, 32),  # the sampled ones are never left out
    ],
)
def test_working_frames_are_bounded(
    frame_count: int, rate: int, fps: float, max_frames: int, least: int, most: int
) -> None:
    sampled = sample_positions(frame_count)
    found = working_positions(np.arange(frame_count) / rate, sampled, fps=fps, max_frames=max_frames)
    assert least <= len(found) <= most
    assert set(sampled.tolist()) <= set(found.tolist())
    assert np.all(np.diff(found) > 0)
