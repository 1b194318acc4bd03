"""Working frames of a video: small, dense enough for trackers, always with the sampled frames among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Footage
from strefer_core.video_io import VideoIndex, decode_frames, index_video, sample_positions

WORKING_SIDE_PX = 480
WORKING_FPS = 10.0
MAX_FRAMES = 320
"""Bound of memory: 320 frames of 480 x 270 are 125 MB. Longer videos get fewer frames per second."""


def load_footage(
    path: Path,
    *,
    side_px: int = WORKING_SIDE_PX,
    fps: float = WORKING_FPS,
    max_frames: int = MAX_FRAMES,
    index: VideoIndex | None = None,
) -> Footage:
    """Decode the working frames of a video.

    Args:
        path: the video file.
        side_px: longer side of the working frames; smaller videos keep their size.
        fps: frames per second between the sampled frames.
        max_frames: most frames in all; the sampled ones come first.
        index: of this very file; read from it where not given.

    Returns:
        Frames in display orientation with their exact presentation times.

    Raises:
        UnreadableVideo: the file or a wanted frame cannot be decoded.
    """
    index = index or index_video(path)
    sampled = sample_positions(index.frame_count)
    wanted = working_positions(index.times_s, sampled, fps=fps, max_frames=max_frames)
    images = decode_frames(path, wanted, index, max_side_px=side_px)
    height, width = images.shape[1:3]
    display_height, display_width = decode_frames(path, [0], index).shape[1:3]
    return Footage(
        images=images,
        pts_s=index.times_s[wanted],
        sampled=np.searchsorted(wanted, sampled),
        scale=max(width, height) / max(display_width, display_height),
        width_px=display_width,
        height_px=display_height,
    )


def working_positions(
    times_s: NDArray[np.float64], sampled: NDArray[np.int64], *, fps: float, max_frames: int
) -> NDArray[np.int64]:
    """Positions of the working frames, ascending: the sampled ones and, evenly in time, others between them.

    Args:
        times_s: presentation times of all frames, (N,).
        sampled: positions that must be in the result.
        fps: wanted frames per second.
        max_frames: bound of the result's length; exceeded only where `sampled` alone exceeds it.
    """
    span_s = float(times_s[-1] - times_s[0])
    count = min(round(span_s * fps) + 1, max_frames - len(sampled))
    if count < 2:
        return np.unique(sampled)
    even = np.searchsorted(times_s, np.linspace(times_s[0], times_s[-1], count) - 1e-9)
    return np.unique(np.concatenate([sampled, np.clip(even, 0, len(times_s) - 1)]))
