"""Small real videos for tests of the whole platform: fast to make, with something that moves in them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

COLOURS = ((220, 40, 40), (40, 80, 220), (40, 180, 60), (230, 190, 30))


def write_scene(
    path: Path, seed: int, *, size: tuple[int, int] = (320, 180), frames: int = 48, crf: int = 18
) -> Path:
    """A coloured square and a disc that cross a textured background; 12 frames a second, H.264."""
    rng = np.random.default_rng(seed)
    width, height = size
    coarse = rng.integers(60, 150, (height // 20 + 1, width // 20 + 1, 1), dtype=np.uint8)
    background = np.repeat(coarse.repeat(20, 0).repeat(20, 1)[:height, :width], 3, axis=2)
    first, second = rng.choice(len(COLOURS), 2, replace=False)
    pictures = []
    for i in range(frames):
        share = i / frames
        picture = background.copy()
        _square(picture, 0.1 + 0.7 * share, 0.3, 0.16, COLOURS[first])
        _disc(picture, 0.85 - 0.6 * share, 0.7, 0.1, COLOURS[second])
        pictures.append(picture)
    return write_video(path, pictures, crf=crf)


def write_tiny(path: Path, seed: int) -> Path:
    """Twelve frames of 64x64 that differ with the seed."""
    return write_scene(path, seed, size=(64, 64), frames=12)


def write_video(path: Path, pictures: list[NDArray[np.uint8]], *, crf: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(12))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "ultrafast"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_audio_only(path: Path) -> Path:
    """One second of a tone, no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        tone = np.sin(np.arange(16000) / 16000 * 2 * np.pi * 440).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def _square(
    picture: NDArray[np.uint8], x: float, y: float, side: float, colour: tuple[int, int, int]
) -> None:
    height, width = picture.shape[:2]
    x0, y0, n = int(x * width), int(y * height), int(side * width)
    picture[y0 : y0 + n, x0 : x0 + n] = colour


def _disc(
    picture: NDArray[np.uint8], x: float, y: float, radius: float, colour: tuple[int, int, int]
) -> None:
    height, width = picture.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    picture[(columns - x * width) ** 2 + (rows - y * height) ** 2 <= (radius * width) ** 2] = colour
