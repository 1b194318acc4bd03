"""The `videos` stage: is this file a video that we can decode, what is it exactly, and is it worth going on?

Consumes the bytes of one file, writes one `Video`. It runs first, on the CPU, because everything after it
costs a thousand times more. Limits are checked before anything is decoded.

- A file that cannot be decoded, or is larger than the limits, fails with what is wrong and the way out.
- A sound video that shows nothing (too short, black, frozen, still, blurred) is filtered with the value and
  the threshold; its figures are kept.
- Near-duplicates are found over many videos: `strefer_core.near_duplicates`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from strefer_core.config import VideosConfig
from strefer_core.data_model import Figures, Video, VideosResult
from strefer_core.errors import LimitExceeded, MismatchError
from strefer_core.pipeline import Filtered, StageTask
from strefer_core.video.figures import measure
from strefer_core.video.index import VideoIndex, index_video


def run(task: StageTask) -> VideosResult:
    """Probe and measure `task.video_path`.

    Raises:
        MismatchError: the file's bytes are not those of `task.video_id`.
        UnreadableVideo: no video, truncated, or one of the frames looked at is damaged.
        LimitExceeded: larger than `VideosConfig` allows.
        Filtered: sound but not worth going on with; carries the result.
    """
    config: VideosConfig = task.config
    sha256 = _checked_sha256(task.video_path, task.video_id)
    index = index_video(task.video_path, max_frames=config.max_frames)
    _check_limits(index, config, task.video_path.name)
    figures, rotation_deg = measure(task.video_path, index)
    video = _video(task.video_path, sha256, index, figures, rotation_deg)
    reasons = filter_reasons(video, config)
    if reasons:
        raise Filtered("; ".join(reasons), VideosResult(video=video))
    return VideosResult(video=video)


def _checked_sha256(path: Path, video_id: str) -> str:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256[:16] != video_id:
        raise MismatchError(
            f"{path.name} holds video {sha256[:16]}, not {video_id}: the file changed or the wrong one was "
            "fetched; drop the video again"
        )
    return sha256


def _check_limits(index: VideoIndex, config: VideosConfig, name: str) -> None:
    side_px = max(index.width_px, index.height_px)
    if side_px > config.max_side_px:
        raise LimitExceeded(
            f"{name} is {index.width_px} x {index.height_px} px, more than {config.max_side_px} px a side; "
            "scale it down, or raise videos.max_side_px"
        )
    if index.duration_s > config.max_duration_s:
        raise LimitExceeded(
            f"{name} lasts {index.duration_s:.1f} s, more than {config.max_duration_s:.1f} s; "
            "split it, or raise videos.max_duration_s"
        )


def _video(path: Path, sha256: str, index: VideoIndex, figures: Figures, rotation_deg: int) -> Video:
    is_turned = rotation_deg in (90, 270)
    return Video(
        video_id=sha256[:16],
        sha256=sha256,
        size_bytes=path.stat().st_size,
        container=index.container,
        codec=index.codec,
        pixel_format=index.pixel_format,
        width_px=index.height_px if is_turned else index.width_px,
        height_px=index.width_px if is_turned else index.height_px,
        rotation_deg=rotation_deg,
        fps=index.fps,
        frame_count=index.frame_count,
        duration_s=index.duration_s,
        is_variable_rate=index.is_variable_rate,
        has_audio=index.has_audio,
        figures=figures,
    )


def filter_reasons(video: Video, config: VideosConfig) -> list[str]:
    """Why a sound video is not worth going on with, each with its value and threshold; empty if it is."""
    figures = video.figures
    reasons = []
    if video.duration_s < config.min_duration_s:
        reasons.append(f"too short: {video.duration_s:.3f} s, at least {config.min_duration_s} s")
    if figures.black_share > config.max_black_share:
        reasons.append(f"black: {figures.black_share:.3f} of the frames, at most {config.max_black_share}")
    if figures.frozen_share > config.max_frozen_share:
        reasons.append(f"frozen: {figures.frozen_share:.3f} of the frames, at most {config.max_frozen_share}")
    if figures.motion_px is not None and figures.motion_px < config.min_motion_px:
        reasons.append(f"still: motion {figures.motion_px:.4f} px, at least {config.min_motion_px} px")
    if figures.sharpness < config.min_sharpness:
        reasons.append(f"blurred: sharpness {figures.sharpness:.2f}, at least {config.min_sharpness}")
    return reasons
