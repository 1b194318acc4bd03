"""Frames as a served model takes them: JPEGs, or one small MP4. The same bytes for the same frames."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.world.film import write_mp4

Image = NDArray[np.uint8]  # (H, W, 3), RGB

_QUALITY = 90
_MAX_FPS = 1000  # of a film; as a bound of its fraction's denominator, too


def jpegs(images: Iterable[Image], max_side_px: int) -> tuple[bytes, ...]:
    """One JPEG per image, its longer side at most `max_side_px`; smaller ones keep their size."""
    return tuple(_jpeg(_shrunk(image, max_side_px)) for image in images)


def mp4(images: NDArray[np.uint8], max_side_px: int, span_s: float) -> bytes:
    """One film of (T, H, W, 3) RGB frames that are evenly spaced over `span_s`; sides cut to even numbers."""
    frames = [_shrunk(image, max_side_px) for image in images]
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    fps = Fraction(max(len(frames) - 1, 1) / max(span_s, 1e-3)).limit_denominator(_MAX_FPS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.mp4"
        even = (np.ascontiguousarray(frame[:height, :width]) for frame in frames)
        write_mp4(path, even, min(max(fps, Fraction(1, _MAX_FPS)), Fraction(_MAX_FPS)), width, height)
        return path.read_bytes()


def _shrunk(image: Image, max_side_px: int) -> Image:
    height, width = image.shape[:2]
    scale = max_side_px / max(height, width)
    if scale >= 1:
        return image
    size = max(round(width * scale), 2), max(round(height * scale), 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _jpeg(image: Image) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()
