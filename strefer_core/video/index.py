"""The packet index of a video file: every frame's exact time, with nothing decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from strefer_core.data_model import FRAME_COUNT
from strefer_core.errors import LimitExceeded, UnreadableVideo
from strefer_core.video.faults import explain, mp4_end

CONTAINERS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,mxf,ivf,mp3,wav,flac,aac"
"""Demuxers that may open a file. Left out on purpose: playlists (hls, dash, concat, sdp), which make the
demuxer read other files, and single images. The audio ones are there for a clear message."""

_DECLARES_DURATION = ("matroska,webm", "flv")  # in the header, from what was written
_TRUNCATION_TOLERANCE_S = 0.25
_INTERVAL_JITTER_S = 0.0015  # muxers that round to milliseconds let constant intervals differ by 1 ms
_RATE_TOLERANCE = 0.005
_MAX_REORDER = 32  # pictures; H.264 and H.265 reorder over 16 at most
_MAX_REPEATS = 0.01  # share of stamps that a sloppy live muxer may write twice; one frame of each is kept


@dataclass(frozen=True, kw_only=True)
class VideoIndex:
    """The frames of one video stream, in presentation order.

    Frames that cannot be shown are left out: those cut off by the file's edit list, those before the first
    key frame, and reference frames that VP8 never shows.
    """

    pts: NDArray[np.int64]  # (N,) presentation time stamps, stream ticks, strictly increasing
    times_s: NDArray[np.float64]  # (N,) seconds from the first frame
    key_positions: NDArray[np.int64]  # (K,) positions of key frames
    seek_pts: NDArray[np.int64]  # (S,) stamps where decoding can begin: key frames, also ones not shown
    duration_s: float  # end of the last frame, counted from the start of the first
    fps: Fraction  # exact average rate
    is_variable_rate: bool
    is_counted: bool  # stamps name no frames (AVI with B-frames): count decoded frames from the start
    time_base: Fraction  # seconds per tick
    stream_index: int
    container: str  # as the demuxer names it
    codec: str
    pixel_format: str
    width_px: int  # as stored, before rotation
    height_px: int
    has_audio: bool

    @property
    def frame_count(self) -> int:
        return len(self.pts)


def index_video(path: Path, max_frames: int | None = None) -> VideoIndex:
    """Read the packet index of a file's main video stream; nothing is decoded.

    Raises:
        UnreadableVideo: no readable video stream, or cut off; the message says what is wrong and the way out.
        LimitExceeded: more than `max_frames` frames.
    """
    with open_video(path) as container:
        stream = main_stream(container, path)
        packets, end_s = _read_packets(container, stream, path, max_frames)
        _check_whole(path, container, stream, packets, end_s)
        return _build_index(container, stream, packets, path)


def open_video(path: Path) -> InputContainer:
    """Open a file with the allowed demuxers; the caller closes it. Raises UnreadableVideo."""
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", "fflags": "+genpts"}
    try:
        # Tags in another encoding than UTF-8 must not make a sound file unreadable.
        return av.open(str(path.absolute()), mode="r", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableVideo(explain(path, error)) from error


def main_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that a player would show; cover pictures do not count. Raises UnreadableVideo."""
    cover = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        kind = "audio only" if container.streams.audio else "no video stream"
        raise UnreadableVideo(f"{path.name} holds {kind}; send the file that has the pictures")
    best = container.streams.best("video")
    stream = next((stream for stream in streams if stream is best), streams[0])
    if stream.codec_context is None or not stream.codec_context.width:
        raise UnreadableVideo(
            f"{path.name}: its video stream has no known codec or picture size (damaged header, encryption "
            "or an unusual codec); re-encode it, for example to H.264 in mp4"
        )
    return stream


@dataclass(frozen=True, slots=True)
class _Packet:
    """What the index needs of one packet of the stream; times in ticks."""

    pts: int
    duration: int
    is_key: bool
    is_shown: bool


def _read_packets(
    container: InputContainer, stream: VideoStream, path: Path, max_frames: int | None
) -> tuple[list[_Packet], float]:
    """The stream's packets in decode order, and the end of what was read in seconds, over all streams where
    the header declares a duration over all of them. A packet without a stamp is a frame's second field."""
    packets: list[_Packet] = []
    end_s = 0.0
    streams = container.streams if container.format.name in _DECLARES_DURATION else [stream]
    try:
        for packet in container.demux(*streams):
            if packet.pts is None or not packet.size or packet.time_base is None:
                continue
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index != stream.index:
                continue
            is_shown = not packet.is_discard and not _is_hidden_vp8(stream, packet)
            packets.append(_Packet(packet.pts, packet.duration or 0, packet.is_keyframe, is_shown))
            if max_frames is not None and len(packets) > max_frames:
                raise LimitExceeded(
                    f"{path.name} has more than {max_frames} frames; split it, or raise videos.max_frames"
                )
    except av.error.FFmpegError as error:
        raise UnreadableVideo(explain(path, error)) from error
    return packets, end_s


def _is_hidden_vp8(stream: VideoStream, packet: Any) -> bool:
    """Whether a VP8 packet is a reference frame that is never shown (RFC 6386 section 9.1, show_frame)."""
    return stream.codec_context.name == "vp8" and not bytes(packet)[0] >> 4 & 1


def _check_whole(
    path: Path, container: InputContainer, stream: VideoStream, packets: list[_Packet], end_s: float
) -> None:
    """Raise UnreadableVideo where the file ends before its own index or header says.

    mp4 lists the place of every sample, or the size of every fragment; Matroska and FLV declare their
    duration, AVI its frame count. MPEG-TS declares nothing: its cut end shows as a damaged last frame.
    """
    size_bytes = path.stat().st_size
    declared_s = _declared_duration_s(container, stream)
    needed_bytes = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    is_short = False
    if container.format.name.startswith("mov"):
        needed_bytes = max(needed_bytes, mp4_end(path, size_bytes))
    elif container.format.name in _DECLARES_DURATION:
        is_short = declared_s - end_s > _TRUNCATION_TOLERANCE_S + _longest_interval_s(stream, packets)
    elif container.format.name == "avi" and stream.frames > len(packets) and stream.average_rate:
        is_short = True
        declared_s, end_s = (float(n / stream.average_rate) for n in (stream.frames, len(packets)))
    if is_short or needed_bytes > size_bytes:
        raise UnreadableVideo(
            f"{path.name} is truncated or damaged: its pictures end at {end_s:.2f} s of {declared_s:.2f} s "
            f"({size_bytes} bytes are there); its copy did not finish, send it again"
        )


def _declared_duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _longest_interval_s(stream: VideoStream, packets: list[_Packet]) -> float:
    """How long the last frame may stay: Matroska often leaves that out."""
    pts = sorted(packet.pts for packet in packets)
    longest = max((after - before for before, after in pairwise(pts)), default=0)
    return float(longest * (stream.time_base or 0))


def _build_index(
    container: InputContainer, stream: VideoStream, packets: list[_Packet], path: Path
) -> VideoIndex:
    assert stream.time_base is not None
    shown = _shown_packets(packets, path)
    pts = np.array([packet.pts for packet in shown], dtype=np.int64)
    ticks = int(pts[-1] - pts[0]) + _last_duration(shown, pts)
    context = stream.codec_context
    is_counted = container.format.name == "avi" and bool(context.has_b_frames)
    seek_pts = sorted({packet.pts for packet in packets if packet.is_key})
    return VideoIndex(
        pts=pts,
        times_s=(pts - pts[0]) * stream.time_base.numerator / stream.time_base.denominator,
        key_positions=np.array([i for i, packet in enumerate(shown) if packet.is_key], dtype=np.int64),
        seek_pts=np.array(seek_pts[:1] if is_counted else seek_pts, dtype=np.int64),
        duration_s=float(ticks * stream.time_base),
        fps=_average_rate(stream.average_rate, len(pts), ticks * stream.time_base),
        is_variable_rate=_is_variable(pts, stream.time_base),
        is_counted=is_counted,
        time_base=stream.time_base,
        stream_index=stream.index,
        container=container.format.name,
        codec=context.codec.canonical_name,
        pixel_format=context.pix_fmt or "",
        width_px=context.width,
        height_px=context.height,
        has_audio=bool(container.streams.audio),
    )


def _shown_packets(packets: list[_Packet], path: Path) -> list[_Packet]:
    """Packets of frames that can be decoded and are shown, in presentation order."""
    first_key = next((packet.pts for packet in packets if packet.is_key), None)
    if first_key is None:
        raise UnreadableVideo(
            f"{path.name}: its video stream has {len(packets)} packets and no key frame to start decoding "
            "from; send the file from its start, or re-encode it"
        )
    shown = [packet for packet in packets if packet.is_shown and packet.pts >= first_key]
    if not shown:
        raise UnreadableVideo(f"{path.name}: its edit list shows no frame; re-encode it without edits")
    by_pts = {packet.pts: packet for packet in shown}
    if not _is_in_order(np.array([packet.pts for packet in shown])):
        raise UnreadableVideo(
            f"{path.name}: its time stamps start again in the middle, as where files were joined bytewise; "
            "join them with a tool that rewrites the time stamps, or send them one by one"
        )
    return [by_pts[pts] for pts in sorted(by_pts)]


def _is_in_order(pts: NDArray[np.int64]) -> bool:
    """Whether stamps in decode order differ from presentation order only as codecs reorder pictures."""
    shift = np.abs(np.argsort(pts, kind="stable") - np.arange(len(pts))).max()
    repeats = len(pts) - len(np.unique(pts))
    return bool(shift <= _MAX_REORDER and repeats <= max(1, _MAX_REPEATS * len(pts)))


def _last_duration(shown: list[_Packet], pts: NDArray[np.int64]) -> int:
    """Ticks that the last frame stays: as its packet says, else as long as frames usually do."""
    return shown[-1].duration or (int(np.median(np.diff(pts))) if len(pts) > 1 else 0)


def _average_rate(declared: Fraction | None, frame_count: int, duration_s: Fraction) -> Fraction:
    """The container's rate where it agrees with the frames; for variable rates it is only a guess."""
    if not duration_s:
        return declared or Fraction(0)
    measured = frame_count / duration_s
    if declared and abs(declared / measured - 1) < _RATE_TOLERANCE:
        return declared
    return measured


def _is_variable(pts: NDArray[np.int64], time_base: Fraction) -> bool:
    intervals = np.diff(pts)
    if not len(intervals):
        return False
    return float(int(np.ptp(intervals)) * time_base) > max(_INTERVAL_JITTER_S, 2 * float(time_base))


def sample_positions(frame_count: int, n: int = FRAME_COUNT) -> NDArray[np.int64]:
    """Positions of the sampled frames, (min(n, frame_count),): as the released data has them,
    `linspace` over the frames, first and last included; all frames of a video that has fewer."""
    return np.linspace(0, frame_count - 1, min(n, frame_count)).astype(np.int64)


def position_at(index: VideoIndex, t_s: float) -> int:
    """Position of the frame that is shown at `t_s` seconds; the first or last one outside the video."""
    position = int(np.searchsorted(index.times_s, t_s + 1e-6, side="right")) - 1
    return min(max(position, 0), index.frame_count - 1)
