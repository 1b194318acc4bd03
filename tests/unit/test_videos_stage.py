"""The `videos` stage on made and real files: what it reports, filters and refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image as Pictures

from strefer_core.config import VideosConfig
from strefer_core.data_model import Video
from strefer_core.errors import LimitExceeded, MismatchError, UnreadableVideo
from strefer_core.pipeline import Filtered, StageTask
from strefer_core.stages.videos import run
from strefer_core.video.figures import VECTOR_BUDGET_FRAMES, fastest_motion_px, vector_positions
from strefer_core.video_io import index_video
from tests.media import Image, barcode_frame, cut_bytes, write_audio, write_video

REAL = ["01_dog.mp4", "03_blocks.mp4", "05_default_juggle.mp4"]


def videos_task(path: Path, **config: Any) -> StageTask:
    return StageTask(
        video_id=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        fingerprint="0" * 32,
        video_path=path,
        config=VideosConfig(**config),
        backend=None,
    )


def probe(path: Path, **config: Any) -> Video:
    return run(videos_task(path, **config)).video


def filtered(path: Path, **config: Any) -> tuple[str, Video]:
    with pytest.raises(Filtered) as caught:
        run(videos_task(path, **config))
    assert caught.value.result is not None
    return caught.value.reason, caught.value.result.video  # type: ignore[union-attr]


def test_every_field_of_a_plain_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 60, rate=Fraction(30000, 1001), has_audio=True)
    data = path.read_bytes()
    video = probe(path)
    expected = {
        "video_id": hashlib.sha256(data).hexdigest()[:16],
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "pixel_format": "yuv420p",
        "width_px": 320,
        "height_px": 192,
        "rotation_deg": 0,
        "fps": Fraction(30000, 1001),
        "frame_count": 60,
        "duration_s": pytest.approx(60 * 1001 / 30000),
        "is_variable_rate": False,
        "has_audio": True,
        "figures": video.figures,
    }
    assert dataclasses.asdict(video) == expected | {"figures": dataclasses.asdict(video.figures)}


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.mp4", {"clockwise_deg": 90}, {"rotation_deg": 90, "width_px": 192, "height_px": 320}),
        ("a.mp4", {"clockwise_deg": 270}, {"rotation_deg": 270, "width_px": 192, "height_px": 320}),
        ("a.mkv", {"clockwise_deg": 180}, {"rotation_deg": 180, "width_px": 320, "height_px": 192}),
        ("a.mp4", {"pixel_format": "yuv420p10le"}, {"pixel_format": "yuv420p10le"}),
        ("a.ts", {}, {"container": "mpegts", "frame_count": 60, "duration_s": pytest.approx(2.0)}),
        ("a.mkv", {"muxer_options": {"live": "1"}}, {"duration_s": pytest.approx(2.0), "fps": 30}),
        ("a.mp4", {"has_cover": True}, {"codec": "h264", "frame_count": 60}),
        ("a.mkv", {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none"}},
         {"codec": "hevc"}),
        ("a.mp4", {"ticks": [i * i for i in range(60)], "time_base": Fraction(1, 1000)},
         {"is_variable_rate": True, "frame_count": 60}),
    ],
)  # fmt: skip
def test_fields_of_unusual_files(
    tmp_path: Path, name: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    video = probe(write_video(tmp_path / name, 60, **options))
    assert {field: getattr(video, field) for field in expected} == expected


@pytest.mark.parametrize("name", REAL)
def test_real_videos_pass(name: str) -> None:
    path = Path(__file__).parents[2] / "../shared/data" / name
    if not path.exists():
        pytest.skip("the three real videos are not here")
    video = probe(path)
    assert (video.width_px, video.height_px, video.rotation_deg) == (1280, 720, 0)
    assert len(video.figures.perceptual_hashes) == 8


def small_mover(i: int) -> Image:
    """A 24 px square that moves one pixel a frame through 640 x 360: 0.25 % of the picture."""
    image = barcode_frame(0, (640, 360), 0)
    image[200:224, 50 + i : 74 + i] = (250, 240, 30)
    return image


def test_one_small_slow_thing_is_not_still(tmp_path: Path) -> None:
    assert probe(write_video(tmp_path / "a.mp4", 60, paint=small_mover)).figures.motion_px


def black(i: int) -> Image:
    return np.full((192, 320, 3), 3, np.uint8)


def half_black(i: int) -> Image:
    return black(i) if i < 30 else barcode_frame(i)


def still(i: int) -> Image:
    return barcode_frame(5)


def half_still(i: int) -> Image:
    return barcode_frame(max(30, i), step_px=16)


def blurred(i: int) -> Image:
    """Smooth waves that travel: motion without one edge."""
    wave = np.sin((np.arange(320) + 8 * i) / 50) * 90 + 128
    return np.broadcast_to(wave[None, :, None], (192, 320, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("paint", "frame_count", "reason"),
    [
        (black, 60, r"black: 1\.000 of the frames, at most 0\.9"),
        (still, 60, r"frozen: 1\.000 of the frames, at most 0\.98"),
        (blurred, 60, r"blurred: sharpness [01]\.\d\d, at least 2\.0"),
        (barcode_frame, 9, r"too short: 0\.300 s, at least 0\.5 s"),
        (barcode_frame, 1, r"too short: 0\.033 s"),
    ],
)
def test_what_shows_nothing_is_filtered_with_value_and_threshold(
    tmp_path: Path, paint: Any, frame_count: int, reason: str
) -> None:
    said, video = filtered(write_video(tmp_path / "a.mp4", frame_count, paint=paint))
    assert video.frame_count == frame_count
    assert re.search(reason, said)


def test_a_picture_that_only_flickers_is_still(tmp_path: Path) -> None:
    """Brightness goes up and down and nothing moves: not frozen, but no vector is longer than zero."""

    def paint(i: int) -> Image:
        return np.full((192, 320, 3), 100 + 60 * (i % 2), np.uint8)

    reason, _ = filtered(
        write_video(tmp_path / "a.mp4", 60, paint=paint, options={"bf": "0"}), min_sharpness=0
    )
    assert re.search(r"still: motion 0\.00\d\d px, at least 0\.02 px", reason)


def test_thresholds_are_settings(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 9)
    assert probe(path, min_duration_s=0.1).frame_count == 9
    assert filtered(path, min_duration_s=0.1, min_sharpness=1e9)[0].startswith("blurred")


def test_shares_of_black_and_frozen_frames(tmp_path: Path) -> None:
    # 32 of 64 frames are sampled, 16 of the first 30 or so are black: linspace(0, 63, 32) has 15 below 30.
    figures = probe(write_video(tmp_path / "a.mp4", 64, paint=half_black)).figures
    sampled = np.linspace(0, 63, 32).astype(int)
    assert figures.black_share == (sampled < 30).mean()
    figures = probe(write_video(tmp_path / "b.mp4", 64, paint=half_still)).figures
    assert figures.frozen_share == (sampled[1:] <= 30).mean()


def sliding(i: int) -> Image:
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 255, (24, 200, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return np.ascontiguousarray(texture[:192, 4 * i : 4 * i + 320])


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_motion_of_a_sliding_picture_is_its_speed(tmp_path: Path, codec: str) -> None:
    options = {"bf": "0", "refs": "1", "g": "30", "qmin": "2", "qmax": "4"}
    video = probe(write_video(tmp_path / "a.mp4", 40, paint=sliding, codec=codec, options=options))
    assert video.figures.motion_px == pytest.approx(4.0, rel=0.15)


def test_a_codec_without_vectors_has_no_motion_figure(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mov", 30, codec="mjpeg", pixel_format="yuvj420p")
    assert probe(path).figures.motion_px is None


def test_fastest_motion_covers_one_percent_of_the_picture() -> None:
    fields = [("w", "u1"), ("h", "u1"), ("motion_x", "i4"), ("motion_y", "i4"), ("motion_scale", "u2")]
    vectors = np.array(
        [(16, 16, 0, 0, 4)] * 398 + [(8, 16, 24, 32, 4), (16, 8, 0, -8, 4), (16, 16, 4, 0, 4)], dtype=fields
    )
    # 1 % of 400 blocks of 256 px is 1024 px: 128 px at 10, 128 px at 2, 256 px at 1 and the rest at 0.
    expected = (128 * 10 + 128 * 2 + 256 * 1) / 1024
    assert fastest_motion_px(vectors, 400 * 256) == pytest.approx(expected)


def test_hashes_are_those_of_the_painted_pictures(tmp_path: Path) -> None:
    def paint(i: int) -> Image:
        return barcode_frame(i, step_px=6)

    hashes = probe(write_video(tmp_path / "a.mp4", 32, paint=paint)).figures.perceptual_hashes
    assert len(hashes) == 8
    for place, got in enumerate(hashes):
        truth = imagehash.phash(Pictures.fromarray(paint(4 * place + 2)))  # the middle of each eighth
        assert truth - imagehash.hex_to_hash(got) <= 4


@pytest.mark.parametrize(
    ("group", "frame_count", "starts"), [(250, 500_000, 8), (500_000, 500_000, 1), (300_000, 500_000, 2)]
)
def test_the_frames_looked_at_for_motion_are_bounded(
    tmp_path: Path, group: int, frame_count: int, starts: int
) -> None:
    short = index_video(write_video(tmp_path / "a.mp4", 30))
    assert vector_positions(short).tolist() == list(range(30))
    pts = np.arange(frame_count)
    long = dataclasses.replace(short, pts=pts, times_s=pts / 30, key_positions=pts[::group])
    positions = vector_positions(long)
    assert len(positions) <= VECTOR_BUDGET_FRAMES
    assert (np.diff(positions) > 1).sum() + 1 == starts
    assert positions.max() > frame_count / 2 or starts == 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_side_px": 319}, r"320 x 192 px, more than 319 px a side"),
        ({"max_frames": 59}, r"more than 59 frames; split it, or raise videos\.max_frames"),
        ({"max_duration_s": 1.9}, r"lasts 2\.0 s, more than 1\.9 s"),
    ],
)
def test_limits_are_checked_before_decoding(tmp_path: Path, limits: dict[str, Any], message: str) -> None:
    path = write_video(tmp_path / "a.mp4", 60)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start + 1000 : start + 9000] = bytes(8000)  # decoding it would fail
    path.write_bytes(data)
    with pytest.raises(LimitExceeded, match=message):
        probe(path, **limits)
    with pytest.raises(UnreadableVideo, match="damaged"):
        probe(path)


def test_another_file_than_asked_for_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 20)
    task = dataclasses.replace(videos_task(path), video_id="0123456789abcdef")
    with pytest.raises(MismatchError, match="not 0123456789abcdef"):
        run(task)


def test_bad_files_fail_with_their_name_and_a_way_out(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 60)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "page.mp4").write_text("<html>not found</html>" * 20)
    cut_bytes(whole, tmp_path / "cut.mp4", 0.6)
    write_audio(tmp_path / "sound.mp4")
    for name in ("empty.mp4", "page.mp4", "cut.mp4", "sound.mp4"):
        with pytest.raises(UnreadableVideo, match=rf"^{name} .*; "):
            probe(tmp_path / name)


def test_the_last_frame_is_looked_at(tmp_path: Path) -> None:
    """A transport stream says nowhere how long it is: its cut end shows only when decoded."""
    path = cut_bytes(write_video(tmp_path / "whole.ts", 60), tmp_path / "cut.ts", 0.7)
    with pytest.raises(UnreadableVideo, match="damaged or cut off there"):
        probe(path)
