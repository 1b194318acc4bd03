"""Exact frames and times: every test video carries each frame's number as a barcode in its pixels."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from strefer_core.errors import LimitExceeded, UnreadableVideo
from strefer_core.video_io import decode_frames, index_video, iter_frames, position_at, sample_positions
from tests.media import Image, barcode_frame, cut_bytes, read_barcode, write_audio, write_video

VARIABLE_MS = [i * 33 for i in range(30)] + [990 + i * 100 for i in range(30)]
MS = Fraction(1, 1000)
OPEN_GROUPS = {"g": "12", "bf": "3", "x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0"}
OPEN_HEVC = "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0:log-level=none"
VP9 = {"deadline": "realtime", "cpu-used": "8"}
VP8 = {"threads": "1", "deadline": "realtime", "cpu-used": "16", "b": "300k"}


def case(name: str, **options: Any) -> Any:
    return pytest.param(name, options, id=name + "".join(f"-{key}" for key in options))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        case("a.mp4"),
        case("a.mp4", ticks=VARIABLE_MS, time_base=MS),
        case("a.mkv", ticks=VARIABLE_MS, time_base=MS),
        case("a.mp4", ticks=range(500, 500 + 33 * 60, 33), time_base=MS),
        case("a.ts", ticks=range(500, 500 + 33 * 60, 33), time_base=MS),
        case("a.mkv", rate=Fraction(30000, 1001)),
        case("a.avi"),
        case("a.avi", codec="mpeg4"),
        case("a.flv"),
        case("a.mpg", codec="mpeg2video"),
        case("a.mp4", options=OPEN_GROUPS),
        case("a.mp4", codec="libx265", options={"preset": "ultrafast", "x265-params": OPEN_HEVC}),
        case("a.mp4", options={"g": "24", "x264-params": "intra-refresh=1:keyint=24"}),
        case("a.mp4", options={"g": "3", "bf": "2", "x264-params": "min-keyint=1:b-adapt=0"}),
        case("a.mp4", pixel_format="yuv420p10le"),
        case("a.mp4", muxer_options={"movflags": "frag_keyframe+empty_moov"}),
        case("a.mp4", has_audio=True, has_cover=True),
        case("a.webm", codec="libvpx-vp9", options=VP9),
        case("a.webm", codec="libvpx", options=VP8),
        case("a.mov", codec="mjpeg", pixel_format="yuvj420p"),
    ],
)
def test_frames_are_the_ones_asked_for(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = write_video(tmp_path / name, 60, **options)
    index = index_video(path)
    assert index.frame_count == 60
    for wanted in (range(60), sample_positions(60), [59], [13, 40], [11, 12, 35, 13], [23, 0, 23]):
        frames = decode_frames(path, wanted, index)
        assert frames.dtype == np.uint8
        assert [read_barcode(frame) for frame in frames] == list(wanted)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.webm"])
def test_times_are_the_ones_written(tmp_path: Path, name: str) -> None:
    codec: dict[str, Any] = {"codec": "libvpx-vp9", "options": VP9} if name.endswith("webm") else {}
    ticks = [700 + t for t in VARIABLE_MS]  # a start that is not zero
    index = index_video(write_video(tmp_path / name, 60, ticks=ticks, time_base=MS, **codec))
    assert index.times_s == pytest.approx(np.array(VARIABLE_MS) / 1000, abs=1e-4)
    assert index.is_variable_rate
    assert index.duration_s == pytest.approx(3.89 + 0.1, abs=0.1)
    assert float(index.fps) == pytest.approx(60 / index.duration_s)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25), Fraction(7)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_constant_rate_is_exact(tmp_path: Path, name: str, rate: Fraction) -> None:
    index = index_video(write_video(tmp_path / name, 40, rate=rate))
    assert index.fps == rate
    assert not index.is_variable_rate
    assert index.duration_s == pytest.approx(float(40 / rate), abs=2e-3)


def test_key_positions_begin_the_groups_of_pictures(tmp_path: Path) -> None:
    index = index_video(write_video(tmp_path / "a.mp4", 40))
    assert index.key_positions.tolist() == [0, 12, 24, 36]


@pytest.mark.parametrize(("turn", "is_mirrored"), [(d, m) for d in (0, 90, 180, 270) for m in (False, True)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_pictures_come_upright(tmp_path: Path, name: str, turn: int, is_mirrored: bool) -> None:
    def stored(i: int) -> Image:
        upright = barcode_frame(i)
        mirrored = upright[:, ::-1] if is_mirrored else upright
        return np.ascontiguousarray(np.rot90(mirrored, turn // 90))

    path = write_video(tmp_path / name, 5, paint=stored, clockwise_deg=turn, is_mirrored=is_mirrored)
    frames = decode_frames(path, [1, 4])
    assert frames.shape == (2, 192, 320, 3)
    assert [read_barcode(frame) for frame in frames] == [1, 4]
    assert decode_frames(path, [1], max_side_px=160).shape == (1, 96, 160, 3)


def patches(i: int) -> Image:
    image = np.zeros((64, 192, 3), np.uint8)
    for place, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (128, 128, 128)]):
        image[:, place * 32 : (place + 1) * 32] = colour
    return image


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuv444p", "yuv422p10le"])
def test_colours_are_right_in_8_and_10_bits(tmp_path: Path, pixel_format: str) -> None:
    path = write_video(tmp_path / "a.mp4", 2, paint=patches, pixel_format=pixel_format, options={"crf": "1"})
    frame = decode_frames(path, [1])[0].astype(int)
    for place in range(6):
        at = (slice(24, 40), slice(place * 32 + 12, place * 32 + 20))
        assert np.abs(frame[at] - patches(0)[at]).max() <= 6


@pytest.mark.parametrize("size_px", [(321, 193), (161, 97), (320, 192)])
@pytest.mark.parametrize("max_side_px", [None, 100])
def test_odd_sizes(tmp_path: Path, size_px: tuple[int, int], max_side_px: int | None) -> None:
    def paint(i: int) -> Image:
        return barcode_frame(i, size_px)

    path = write_video(tmp_path / "a.mp4", 3, paint=paint, pixel_format="yuv444p")
    width, height = size_px
    scale = 1 if max_side_px is None else max_side_px / width
    frames = decode_frames(path, [2], max_side_px=max_side_px)
    assert frames.shape == (1, round(height * scale), round(width * scale), 3)


def test_downscaled_frames_are_the_right_ones(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30)
    frames = decode_frames(path, [7, 29], max_side_px=160)
    assert [read_barcode(frame, scale=0.5) for frame in frames] == [7, 29]
    assert decode_frames(path, [7], max_side_px=5000).shape == (1, 192, 320, 3)  # never scaled up


def patch_edit_list(path: Path, first_tick: int, duration_ms: int) -> Path:
    """Make an mp4 show only `duration_ms` from `first_tick` of its media (ISO/IEC 14496-12, 8.6.6)."""
    data = bytearray(path.read_bytes())
    (at,) = [match.start() for match in re.finditer(b"elst", data)]
    assert data[at + 4 : at + 12] == bytes([0, 0, 0, 0, 0, 0, 0, 1])  # version 0, one edit
    data[at + 12 : at + 20] = duration_ms.to_bytes(4) + first_tick.to_bytes(4)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("first", "count"), [(17, 20), (12, 24), (1, 59)])
def test_an_edit_list_is_obeyed(tmp_path: Path, first: int, count: int) -> None:
    path = write_video(tmp_path / "a.mp4", 60)
    tick = 512  # 15360 ticks a second at 30 frames a second; B-frames delay the first picture by two frames
    patch_edit_list(path, (first + 2) * tick, count * 1000 // 30)
    index = index_video(path)
    assert index.frame_count == count
    assert index.times_s[0] == 0
    wanted = [0, 1, count // 2, count - 1]
    assert [read_barcode(f) for f in decode_frames(path, wanted, index)] == [first + i for i in wanted]


def packet_bytes(path: Path, which: int) -> tuple[int, int]:
    """Where the bytes of a packet of the video stream lie in the file."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    start = path.read_bytes().index(packets[which])
    return start, start + len(packets[which])


def test_frames_that_vp8_never_shows_do_not_count(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.webm", 20, codec="libvpx", options=VP8)
    data = bytearray(path.read_bytes())
    data[packet_bytes(path, 7)[0]] &= ~(1 << 4)  # show_frame of the frame tag, RFC 6386 section 9.1
    path.write_bytes(data)
    index = index_video(path)
    numbers = [read_barcode(frame) for frame in decode_frames(path, range(index.frame_count), index)]
    assert numbers == [i for i in range(20) if i != 7]


def test_files_joined_byte_by_byte_are_refused(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.ts", 40).read_bytes()
    (tmp_path / "b.ts").write_bytes(data + data)
    with pytest.raises(UnreadableVideo, match="time stamps start again"):
        index_video(tmp_path / "b.ts")


def test_a_picture_track_before_the_video_is_not_the_video(tmp_path: Path) -> None:
    """As a cover, but not marked as one."""
    path = write_video(tmp_path / "a.mkv", 40, has_cover=True, is_cover_marked=False)
    assert (index_video(path).codec, index_video(path).frame_count) == ("h264", 40)


def test_a_stream_cut_out_of_a_longer_one_starts_at_its_first_key_frame(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.ts", 60).read_bytes()
    (tmp_path / "b.ts").write_bytes(data[188 * 40 :])  # whole transport packets
    index = index_video(tmp_path / "b.ts")
    numbers = [read_barcode(f) for _, f in iter_frames(tmp_path / "b.ts", range(index.frame_count), index)]
    assert numbers == list(range(60 - len(numbers), 60))
    assert numbers[0] in (12, 24)


def test_iter_frames_yields_each_once_in_order(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30)
    got = [(position, read_barcode(frame)) for position, frame in iter_frames(path, [20, 3, 3, 28])]
    assert got == [(3, 3), (20, 20), (28, 28)]


@pytest.mark.parametrize("positions", [[-1], [30], [0, 31]])
def test_positions_outside_are_refused(tmp_path: Path, positions: list[int]) -> None:
    path = write_video(tmp_path / "a.mp4", 30)
    with pytest.raises(IndexError, match=r"of 30 frames of a\.mp4"):
        decode_frames(path, positions)


def test_no_positions_no_frames(tmp_path: Path) -> None:
    assert len(decode_frames(write_video(tmp_path / "a.mp4", 3), [])) == 0


@pytest.mark.parametrize(
    ("frame_count", "n", "expected"),
    [(1, 32, [0]), (3, 32, [0, 1, 2]), (32, 32, list(range(32))), (100, 5, [0, 24, 49, 74, 99])],
)
def test_sample_positions(frame_count: int, n: int, expected: list[int]) -> None:
    assert sample_positions(frame_count, n).tolist() == expected


def test_sample_positions_of_the_released_format() -> None:
    truncated = [int(i * 288 / 31) for i in range(32)]  # linspace(0, 288, 32) cut to whole numbers
    assert sample_positions(289).tolist() == truncated


@pytest.mark.parametrize(
    ("t_s", "position"),
    [(-1.0, 0), (0.0, 0), (0.0329, 0), (0.033, 1), (0.99, 30), (1.0899, 30), (1.09, 31), (3.9, 59), (99, 59)],
)
def test_position_at_is_the_frame_shown(tmp_path: Path, t_s: float, position: int) -> None:
    path = write_video(tmp_path / "a.mkv", 60, ticks=VARIABLE_MS, time_base=MS)
    assert position_at(index_video(path), t_s) == position


FASTSTART = {"muxer_options": {"movflags": "+faststart"}}
FRAGMENTED = {"muxer_options": {"movflags": "frag_keyframe+empty_moov"}}


@pytest.mark.parametrize(
    ("name", "options", "share", "message"),
    [
        ("a.mp4", {}, 0.7, "should have at least"),
        ("a.mp4", {}, 0.99, "should have at least"),
        ("a.mp4", FASTSTART, 0.7, r"truncated .* pictures end at 1\.\d\d s of 2\.00 s"),
        ("a.mp4", FASTSTART, 0.99, "truncated .* of 2.00 s"),
        ("a.mp4", FRAGMENTED, 0.7, "truncated"),
        ("a.mkv", {}, 0.7, "truncated .* of 2.00 s"),
        ("a.mkv", {"has_audio": True}, 0.7, "truncated .* of 2.0"),
        ("a.webm", {"codec": "libvpx-vp9", "options": VP9}, 0.7, "truncated .* of 2.00 s"),
        ("a.flv", {}, 0.7, "truncated .* of 2.0"),
        ("a.avi", {}, 0.7, r"truncated .* pictures end at 1\.\d\d s of 2\.00 s"),
    ],
)
def test_a_truncated_file_is_refused(
    tmp_path: Path, name: str, options: dict[str, Any], share: float, message: str
) -> None:
    whole = write_video(tmp_path / f"whole-{name}", 60, **options)
    index_video(whole)
    with pytest.raises(UnreadableVideo, match=message) as caught:
        index_video(cut_bytes(whole, tmp_path / name, share))
    assert str(caught.value).startswith(name)
    assert "send it again" in str(caught.value)


def test_a_cut_transport_stream_fails_at_its_last_frame(tmp_path: Path) -> None:
    path = cut_bytes(write_video(tmp_path / "whole.ts", 60), tmp_path / "cut.ts", 0.7)
    index = index_video(path)
    with pytest.raises(UnreadableVideo, match="damaged or cut off there"):
        decode_frames(path, [index.frame_count - 1], index)


def test_damage_fails_the_frames_that_depend_on_it_and_no_other(tmp_path: Path) -> None:
    """A broken picture in the second group of pictures leaves the first and the third one alone."""
    path = write_video(tmp_path / "a.mkv", 36)
    data = bytearray(path.read_bytes())
    start, end = packet_bytes(path, 12)
    data[start + 40 : end - 40] = bytes(end - start - 80)
    path.write_bytes(data)
    index = index_video(path)
    for position in (0, 9, 24, 35):
        assert read_barcode(decode_frames(path, [position], index)[0]) == position
    for position in (12, 20):
        with pytest.raises(UnreadableVideo, match=rf"frame {position} at 0\.\d+ s of 1\.200 s"):
            decode_frames(path, [position], index)


def html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>" * 9)


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/hostname\n")


def png(path: Path) -> None:
    from PIL import Image as Pictures

    Pictures.fromarray(barcode_frame(1)).save(path, format="png")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (html, "is an HTML page, not a video"),
        (lambda path: path.write_text("nothing to see\n" * 50), "is text, not a video"),
        (playlist, "is text, not a video"),
        (lambda path: path.write_text("ffconcat version 1.0\nfile b.mp4\n"), "is text, not a video"),
        (png, "is a single PNG image"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), "is a ZIP archive"),
        (lambda path: path.write_bytes(bytes(9999)), "zero bytes only"),
        (lambda path: path.write_bytes(np.random.default_rng(0).bytes(9999)), "in no video format"),
        (write_audio, "audio only"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_what_is_no_video_says_what_it_is(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(UnreadableVideo, match=message) as caught:
        index_video(path)
    assert str(caught.value).startswith("clip.mp4 ")
    assert ";" in str(caught.value)  # what is wrong; the way out


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 20)
    path.write_bytes(path.read_bytes() + b"appended by some tool" * 9)
    assert index_video(path).frame_count == 20


def test_too_many_frames_are_refused_while_reading(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30)
    assert index_video(path, max_frames=30).frame_count == 30
    with pytest.raises(LimitExceeded, match="more than 29 frames"):
        index_video(path, max_frames=29)


REAL = {"01_dog.mp4": 289, "03_blocks.mp4": 292, "05_default_juggle.mp4": 247}


@pytest.mark.parametrize("name", REAL)
def test_real_videos_agree_with_a_full_sequential_decode(name: str) -> None:
    path = Path(__file__).parents[2] / "../shared/data" / name
    if not path.exists():
        pytest.skip("the three real videos are not here")
    wanted = [0, 7, 130, REAL[name] - 1]
    with av.open(str(path)) as container:
        sequential = [
            f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i in wanted
        ]
    assert index_video(path).frame_count == REAL[name]
    assert (decode_frames(path, wanted) == np.stack(sequential)).all()
