"""Frames are decoded once, kept by content, and forgotten where there is no room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from strefer_core.errors import UnreadableVideo
from strefer_core.video_io import decode_frames, sample_positions
from strefer_core.video_llm.frames import FrameStore
from tests.media import write_video


def test_footage_is_the_sampled_frames_with_their_times(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 60)
    shown = FrameStore(tmp_path / "frames", 24).footage(video)
    assert shown.pictures.shape == (32, 3, 24, 24)
    assert shown.size_px == (192, 320)
    positions = sample_positions(60)
    np.testing.assert_allclose(shown.clock.frames_s, positions / 30, atol=1e-6)
    assert shown.clock.duration_s == pytest.approx(2.0)
    exact = decode_frames(video, [positions[7]])[0].astype(float)
    blocks = exact.reshape(24, 8, 320, 3).mean(1)  # rows shrink by 8, columns by 40 / 3
    np.testing.assert_allclose(
        shown.pictures[7].mean((1, 2)), blocks.mean((0, 1)), atol=1.5
    )  # area interpolation keeps the mean colour


def test_the_same_bytes_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "a.mp4", 40)
    first = FrameStore(tmp_path / "frames", 16).footage(video)
    copy = tmp_path / "b.mp4"
    copy.write_bytes(video.read_bytes())

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("strefer_core.video_llm.frames.decode_frames", refuse)
    again = FrameStore(tmp_path / "frames", 16).footage(copy)
    assert again.video_id == first.video_id
    np.testing.assert_array_equal(again.pictures, first.pictures)


def test_a_short_video_repeats_its_last_frame(tmp_path: Path) -> None:
    shown = FrameStore(tmp_path / "frames", 16).footage(write_video(tmp_path / "a.mp4", 5))
    np.testing.assert_array_equal(shown.pictures[4], shown.pictures[31])
    assert list(np.diff(shown.clock.frames_s) >= 0) == [True] * 31


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f"{n}.mp4", 33 + n) for n in range(3)]
    size = 32 * 3 * 16 * 16
    store = FrameStore(tmp_path / "frames", 16, most_bytes=int(2.5 * size))
    for video in videos:
        store.footage(video)
    kept = {path.name[:16] for path in (tmp_path / "frames").iterdir()}
    assert len(kept) == 2
    assert store.footage(videos[2]).video_id in kept


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(UnreadableVideo):
        FrameStore(tmp_path / "frames", 16).footage(tmp_path / "a.mp4")
