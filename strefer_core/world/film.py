"""Frames to an MP4 file, the same bytes for the same frames."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

# One thread: x264 decides differently with more. Key frames at a fixed spacing keep seeking cheap. A simple
# motion search costs a few bytes and saves a third of the time.
_X264 = {
    "preset": "veryfast",
    "crf": "18",
    "g": "48",
    "threads": "1",
    "x264-params": "subme=1:ref=1:me=dia",
}


def write_mp4(
    path: Path, frames: Iterable[NDArray[np.uint8]], fps: Fraction, width_px: int, height_px: int
) -> None:
    """Encode (height_px, width_px, 3) RGB frames as H.264; sides must be even. Complete or not there."""
    part = path.with_name(path.name + ".part")
    try:
        _encode(part, frames, fps, width_px, height_px)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _encode(
    path: Path, frames: Iterable[NDArray[np.uint8]], fps: Fraction, width_px: int, height_px: int
) -> None:
    # "faststart" puts the index first: a browser can play the file while it loads.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=_X264)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, rgb in enumerate(frames):
            planes = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
