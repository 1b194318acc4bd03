"""Exact frames of a video: only the groups of pictures that hold a wanted frame are decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from strefer_core.errors import UnreadableVideo
from strefer_core.video.index import VideoIndex, index_video, open_video


def decode_frames(
    path: Path,
    positions: Iterable[int],
    index: VideoIndex | None = None,
    max_side_px: int | None = None,
) -> NDArray[np.uint8]:
    """Decode the frames at `positions`, in the given order, repeats allowed.

    Args:
        path: the video file.
        positions: places in presentation order, 0 <= position < index.frame_count.
        index: of this very file; read from it where not given.
        max_side_px: frames are scaled down so that the longer side is at most this.

    Returns:
        (len(positions), H, W, 3) uint8 RGB in display orientation.

    Raises:
        UnreadableVideo: a wanted frame is missing or damaged.
        IndexError: a position is outside the video.
    """
    wanted = [int(position) for position in positions]
    found = dict(iter_frames(path, wanted, index, max_side_px))
    if not wanted:
        return np.empty((0, 0, 0, 3), dtype=np.uint8)
    return np.stack([found[position] for position in wanted])


def iter_frames(
    path: Path,
    positions: Iterable[int],
    index: VideoIndex | None = None,
    max_side_px: int | None = None,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (position, (H, W, 3) uint8 RGB) of each wanted frame once, in presentation order.

    Holds one frame at a time. Arguments and errors as for `decode_frames`.
    """
    index = index or index_video(path)
    for position, frame in iter_decoded(path, positions, index):
        yield position, to_rgb(frame, index, max_side_px)


def iter_decoded(
    path: Path, positions: Iterable[int], index: VideoIndex, *, with_vectors: bool = False
) -> Iterator[tuple[int, VideoFrame]]:
    """As `iter_frames`, but PyAV frames as stored: not rotated, not converted.

    With `with_vectors`, frames carry the codec's motion vectors as side data, where the codec has them.
    """
    wanted = sorted({int(position) for position in positions})
    if wanted and not 0 <= wanted[0] <= wanted[-1] < index.frame_count:
        raise IndexError(f"positions {wanted[0]}..{wanted[-1]} of {index.frame_count} frames of {path.name}")
    reader = _Reader(path, index, with_vectors)
    try:
        for position in wanted:
            yield position, reader.frame(position)
    finally:
        reader.close()


class _Reader:
    """Decodes forward; seeks only where a wanted frame lies in a later group of pictures."""

    def __init__(self, path: Path, index: VideoIndex, with_vectors: bool) -> None:
        self.path = path
        self.index = index
        self.with_vectors = with_vectors
        self.position_of = {int(pts): position for position, pts in enumerate(index.pts)}
        self._open()
        self.frames: Iterator[tuple[int, VideoFrame, bool]] = iter(())
        self.reached = -1  # last position that the decoder gave
        self.is_damaged = False  # that frame, or one that it may depend on

    def close(self) -> None:
        self.container.close()

    def _open(self) -> None:
        self.container = open_video(self.path)
        stream = self.container.streams[self.index.stream_index]
        assert isinstance(stream, VideoStream)
        stream.codec_context.thread_type = "SLICE"  # frame threads lose on sparse picks
        if self.with_vectors:
            stream.codec_context.flags2 |= av.codec.context.Flags2.export_mvs
        self.stream = stream
        self.is_fresh = True  # nothing read yet

    def frame(self, position: int) -> VideoFrame:
        """The frame at `position`; calls ask for later and later positions. Raises UnreadableVideo."""
        key = int(np.searchsorted(self.index.seek_pts, self.index.pts[position], side="right")) - 1
        key_position = int(np.searchsorted(self.index.pts, self.index.seek_pts[key]))
        if self.reached < 0 or key_position > self.reached + 1:
            self._start_at(key)
        frame = self._decode_until(position)
        steps_back = 1
        # The container's seek landed too late, or the key frame is a gradual one: begin earlier, at last at
        # the file's start. Real damage stays wherever decoding begins: two tries show it.
        while frame is None and key > 0 and (steps_back <= 2 or not self.is_damaged):
            key = max(0, key - steps_back)
            steps_back *= 2
            self._start_at(key)
            frame = self._decode_until(position)
        if frame is None:
            raise UnreadableVideo(self._damage(position))
        return frame

    def _damage(self, position: int) -> str:
        return (
            f"{self.path.name}: frame {position} at {self.index.times_s[position]:.3f} s of "
            f"{self.index.duration_s:.3f} s cannot be decoded, the file is damaged or cut off there; send it "
            "again, or repair it with `ffmpeg -err_detect ignore_err -i IN -c:v libx264 OUT`"
        )

    def _start_at(self, key: int) -> None:
        """Begin decoding at `seek_pts[key]`; at the file's start, by opening it anew, where seeking fails."""
        if key == 0 or not self._seek(key):
            key = 0
            if not self.is_fresh:
                self.close()
                self._open()
        self.is_fresh = False
        self.reached = -1
        self.is_damaged = False
        self.frames = self._decode(int(self.index.seek_pts[key]))

    def _seek(self, key: int) -> bool:
        try:
            self.container.seek(int(self.index.seek_pts[key]), stream=self.stream, backward=True)
        except av.error.FFmpegError:
            return False
        return True

    def _decode(self, start_pts: int) -> Iterator[tuple[int, VideoFrame, bool]]:
        """Yield (position, frame, whether it or a frame that it may depend on is damaged)."""
        damage_pts: int | None = None
        count = 0
        for packet in self.container.demux(self.stream):
            try:
                frames = self.stream.decode(packet)
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                damage_pts = packet.pts
                continue
            for frame in frames:
                if frame.pts is None or (frame.pts < start_pts and not self.index.is_counted):
                    continue  # leading pictures of an open group: their references were skipped
                if frame.is_corrupt:
                    damage_pts = frame.pts
                elif frame.key_frame and damage_pts is not None and frame.pts > damage_pts:
                    damage_pts = None
                is_damaged = frame.is_corrupt or (damage_pts is not None and not frame.key_frame)
                position = count if self.index.is_counted else self.position_of.get(frame.pts)
                count += 1
                if position is not None:
                    yield position, frame, is_damaged

    def _decode_until(self, position: int) -> VideoFrame | None:
        """The frame at `position` if it comes, and undamaged, else None."""
        try:
            for self.reached, frame, self.is_damaged in self.frames:  # noqa: B020
                if self.reached == position and not self.is_damaged:
                    return frame
                if self.reached >= position:
                    return None
        except av.error.FFmpegError:  # the container cannot be read on
            self.is_damaged = True
        return None


def orientation(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """How to show a stored picture, from its display matrix: (transpose, flip left-right, flip up-down),
    done in this order."""
    side_data: Any = frame.side_data
    data = side_data.get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    (a, b), (c, d) = np.frombuffer(bytes(data), dtype="=i4").reshape(3, 3)[:2, :2].tolist()
    if abs(a) >= abs(b):  # x' = a x + c y, y' = b x + d y
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def rotation_deg(frame: VideoFrame) -> int:
    """The clockwise turn that the file asks for: 0, 90, 180 or 270; a mirroring is not part of it."""
    transpose, flip_x, flip_y = orientation(frame)
    if transpose:
        return 90 if flip_x else 270
    return 180 if flip_x and flip_y else 0


def to_rgb(frame: VideoFrame, index: VideoIndex, max_side_px: int | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB in display orientation; every frame of a video in the same size."""
    longer = max(index.width_px, index.height_px)
    scale = min(1.0, (max_side_px or longer) / longer)
    image: NDArray[Any] = frame.reformat(
        width=max(1, round(index.width_px * scale)),
        height=max(1, round(index.height_px * scale)),
        format="rgb24",
        interpolation="AREA" if scale < 1 else None,
    ).to_ndarray()
    transpose, flip_x, flip_y = orientation(frame)
    image = image.transpose(1, 0, 2) if transpose else image
    image = image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(image, dtype=np.uint8)
