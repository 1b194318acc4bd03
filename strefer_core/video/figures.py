"""Cheap figures of a video, from one pass over a bounded number of frames, before anything heavy.

The pass decodes the 32 sampled frames, and with motion vectors runs of frames that together last at most
`VECTOR_BUDGET_S`: all frames of a short video, else the heads of groups of pictures spread over the file.
So a video of four hours costs about as much as one of a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from strefer_core.data_model import Figures
from strefer_core.video.decode import iter_decoded, rotation_deg, to_rgb
from strefer_core.video.index import VideoIndex, sample_positions

VECTOR_BUDGET_S = 20.0
VECTOR_BUDGET_FRAMES = 600
VECTOR_RUNS = 8
HASH_COUNT = 8
LOOK_SIDE_PX = 512  # frames are scaled to this longer side, so that figures compare between videos

_MOVING_SHARE = 0.01
_BLACK_LEVEL = 26  # ffmpeg's blackdetect: 98 % of the pixels below 10 % of full scale
_BLACK_PIXELS = 0.98
_CHANGED_LEVELS = 12  # above what re-quantisation does to a picture that stands still
_CHANGED_PIXELS = 0.0005  # a spot of 9 x 9 px at 512 px
_FLAT_LEVELS = 2.0  # standard deviation below which a picture has no detail to hash
_NO_DETAIL = "0" * 16


def measure(path: Path, index: VideoIndex) -> tuple[Figures, int]:
    """The figures of one video, and the clockwise turn in degrees that its frames ask for.

    Raises UnreadableVideo where one of the frames looked at is missing or damaged: the first and the last
    frame are always among them, in a short video all are.
    """
    sampled = set(sample_positions(index.frame_count).tolist())
    measured = set(vector_positions(index).tolist())
    looks: list[NDArray[np.uint8]] = []
    motion: list[float] = []
    rotation = 0
    for position, frame in iter_decoded(path, sampled | measured, index, with_vectors=True):
        if position in measured:
            motion.extend(_frame_motion_px(frame))
        if position in sampled:
            looks.append(to_rgb(frame, index, LOOK_SIDE_PX))
        if position == 0:
            rotation = rotation_deg(frame)
    return _figures(looks, motion), rotation


def _figures(looks: Sequence[NDArray[np.uint8]], motion: Sequence[float]) -> Figures:
    grays: list[NDArray[Any]] = [cv2.cvtColor(look, cv2.COLOR_RGB2GRAY) for look in looks]
    hashed = np.unique(((np.arange(HASH_COUNT) + 0.5) * len(looks) / HASH_COUNT).astype(int))
    return Figures(
        motion_px=float(np.mean(motion)) if motion else None,
        black_share=float(np.mean([is_black(gray) for gray in grays])),
        frozen_share=frozen_share(grays),
        sharpness=float(np.median([cv2.Laplacian(gray, cv2.CV_64F).var() for gray in grays])),
        perceptual_hashes=tuple(perceptual_hash(looks[i]) for i in hashed),
    )


def vector_positions(index: VideoIndex) -> NDArray[np.int64]:
    """Positions whose motion vectors are looked at: all, or the heads of evenly spread groups of pictures."""
    budget = max(1, min(VECTOR_BUDGET_FRAMES, int(VECTOR_BUDGET_S * index.fps)))
    if index.frame_count <= budget:
        return np.arange(index.frame_count)
    spread = np.linspace(0, len(index.key_positions) - 1, VECTOR_RUNS).astype(int)
    starts = index.key_positions[np.unique(spread)]
    run = budget // len(starts)
    return np.unique((starts[:, None] + np.arange(run)).clip(max=index.frame_count - 1))


def _frame_motion_px(frame: VideoFrame) -> list[float]:
    """The frame's motion; empty for a frame without vectors (a key frame, or a codec that shows none)."""
    side_data: Any = frame.side_data
    vectors = side_data.get("MOTION_VECTORS")
    if vectors is None or not len(vectors):
        return []
    return [fastest_motion_px(vectors.to_ndarray(), frame.width * frame.height)]


def fastest_motion_px(vectors: NDArray[Any], picture_px: int) -> float:
    """Mean vector length over the fastest 1 % of the picture, in pixels between a frame and its reference.

    The mean over the whole picture would call a video still in which one small thing moves: a 24 px square
    that moves one pixel a frame through 640 x 360 has a mean of 0.003 px, and 0.44 px here.

    Args:
        vectors: (M,) records of FFmpeg's AVMotionVector; fields w, h, motion_x, motion_y, motion_scale.
        picture_px: area of the picture.
    """
    length_px = np.hypot(vectors["motion_x"], vectors["motion_y"]) / np.maximum(vectors["motion_scale"], 1)
    area_px = vectors["w"].astype(np.int64) * vectors["h"]
    wanted_px = picture_px * _MOVING_SHARE
    enough = min(len(vectors), int(wanted_px // area_px.min()) + 1)
    fastest = np.argpartition(length_px, -enough)[-enough:]  # sorting them all would cost more than decoding
    fastest = fastest[np.argsort(length_px[fastest])[::-1]]
    before_px = np.cumsum(area_px[fastest]) - area_px[fastest]
    weight_px = np.clip(wanted_px - before_px, 0, area_px[fastest])
    return float((length_px[fastest] * weight_px).sum() / wanted_px)


def is_black(gray: NDArray[np.uint8]) -> bool:
    """Whether nearly all of an (H, W) picture is black."""
    return bool((gray < _BLACK_LEVEL).mean() >= _BLACK_PIXELS)


def frozen_share(grays: Sequence[NDArray[np.uint8]]) -> float:
    """Share of neighbouring (H, W) pictures that do not differ; 1 for a single picture."""
    same = [(cv2.absdiff(a, b) > _CHANGED_LEVELS).mean() < _CHANGED_PIXELS for a, b in pairwise(grays)]
    return float(np.mean(same)) if same else 1.0


def perceptual_hash(image: NDArray[np.uint8]) -> str:
    """64-bit DCT hash of an (H, W, 3) RGB picture, 16 hex digits; zeros for one without detail, whose bits
    would be noise."""
    if image.std(axis=(0, 1)).max() < _FLAT_LEVELS:
        return _NO_DETAIL
    return str(imagehash.phash(Image.fromarray(image)))
