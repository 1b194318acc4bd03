"""Small deterministic videos for tests, made with PyAV, each frame carrying its own number as a barcode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB
BITS = 10
CELL_PX = 16


def barcode_frame(number: int, size_px: tuple[int, int] = (320, 192), step_px: int = 4) -> Image:
    """A textured picture, a red block that moves by `step_px` a frame, and `number` as a barcode on top."""
    width, height = size_px
    rng = np.random.default_rng(7)
    coarse = rng.integers(40, 120, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    image = coarse.repeat(8, 0).repeat(8, 1)[:height, :width].copy()
    x = number * step_px % max(1, width - 48)
    image[height // 2 : height // 2 + 48, x : x + 48] = (220, 30, 30)
    for bit in range(BITS):
        image[:CELL_PX, bit * CELL_PX : (bit + 1) * CELL_PX] = 255 * (number >> bit & 1)
    return image


def read_barcode(image: Image, scale: float = 1.0) -> int:
    """The number that `barcode_frame` painted, from an upright picture scaled by `scale`."""
    cell = CELL_PX * scale
    rows = slice(int(cell * 0.25), int(cell * 0.75) + 1)
    cells = [image[rows, int(cell * (b + 0.25)) : int(cell * (b + 0.75)) + 1].mean() for b in range(BITS)]
    return sum(1 << bit for bit, mean in enumerate(cells) if mean > 128)


def write_video(
    path: Path,
    frame_count: int = 60,
    *,
    paint: Callable[[int], Image] = barcode_frame,
    rate: Fraction = Fraction(30),
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    clockwise_deg: int = 0,
    is_mirrored: bool = False,
    has_audio: bool = False,
    has_cover: bool = False,
    is_cover_marked: bool = True,
    muxer: str | None = None,
    muxer_options: dict[str, str] | None = None,
    **context: Any,
) -> Path:
    """Encode `paint(0)`, `paint(1)`, ... and return `path`.

    Args:
        path: where to write; its suffix chooses the container unless `muxer` is given.
        frame_count: number of frames.
        paint: frame number -> picture, all of one size.
        rate: nominal frames per second.
        ticks: presentation time of each frame in `time_base`; by default evenly at `rate`.
        time_base: seconds per tick of `ticks`.
        codec, pixel_format, options: of the encoder; by default groups of 12 frames with B-frames.
        clockwise_deg, is_mirrored: how a player is told to turn, then mirror, the stored pictures.
        has_audio: add a second of silence.
        has_cover, is_cover_marked: put a one-picture stream before the video stream.
        muxer, muxer_options: of the container.
        context: further attributes of the encoder's context, for example `color_range=2`.
    """
    if options is None:
        options = {"g": "12", "bf": "2", "crf": "20", "preset": "veryfast"} if codec == "libx264" else {}
    if codec == "libx264":
        options = {"threads": "1", **options}  # the same bytes on every machine
    first = paint(0)
    with av.open(str(path), "w", format=muxer, options=muxer_options or {}) as container:
        cover = _add_cover(container, is_cover_marked) if has_cover else None
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pixel_format
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if time_base is not None:
            stream.codec_context.time_base = stream.time_base = time_base
        if clockwise_deg or is_mirrored:
            stream.set_display_rotation(-clockwise_deg, hflip=is_mirrored)
        sound = container.add_stream("aac", rate=16000, layout="mono") if has_audio else None
        if cover is not None:
            _encode(container, cover, [(0, first, Fraction(1))], "yuvj420p")
        base = time_base or 1 / rate
        times = ticks if ticks is not None else range(frame_count)
        _encode(container, stream, ((t, paint(i), base) for i, t in enumerate(times)), None)
        if sound is not None:
            _silence(container, sound)
    return path


def _add_cover(container: Any, is_marked: bool) -> Any:
    cover = container.add_stream("mjpeg", rate=1)
    cover.width, cover.height, cover.pix_fmt = 320, 192, "yuvj420p"
    if is_marked:
        cover.disposition = av.stream.Disposition.attached_pic
    return cover


def _encode(container: Any, stream: Any, frames: Any, pixel_format: str | None) -> None:
    for tick, image, time_base in frames:
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = tick, time_base
        if pixel_format:
            frame = frame.reformat(format=pixel_format)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _silence(container: Any, stream: Any) -> None:
    for start in range(0, 16000, 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_audio(path: Path) -> Path:
    """A file with sound and no pictures."""
    with av.open(str(path), "w") as container:
        _silence(container, container.add_stream("aac", rate=16000, layout="mono"))
    return path


def cut_bytes(source: Path, target: Path, share: float) -> Path:
    """The first `share` of a file's bytes, as an upload that broke off leaves them."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target
