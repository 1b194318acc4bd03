"""Masks by raw frame number, as VideoRefer has them, over the sampled frames; folders of frames."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from pydantic import BaseModel

from strefer_core.data_model import Rle
from strefer_core.errors import InputError, UnreadableVideo
from strefer_core.video.index import sample_positions
from strefer_core.video_llm.samples import Region
from strefer_core.world.film import write_mp4

_PICTURES = (".jpg", ".jpeg", ".png")
_FPS = Fraction(24)  # of folders of frames, which say none


class RawRle(BaseModel):
    """A run-length code, compressed (text) or not (numbers)."""

    size: tuple[int, int]  # height_px, width_px
    counts: str | list[int]

    def compressed(self) -> Rle:
        """As `data_model` has it. Raises ValueError where the runs do not cover the picture."""
        height, width = self.size
        if isinstance(self.counts, str):
            return Rle(size=[height, width], counts=self.counts)
        if sum(self.counts) != height * width:
            raise ValueError(f"runs cover {sum(self.counts)} pixels of {height} x {width}")
        code = coco.frPyObjects({"size": [height, width], "counts": self.counts}, height, width)
        return Rle(size=[height, width], counts=code["counts"].decode("ascii"))


class FrameAnnotation(BaseModel):
    """One frame of one object; no segmentation is an empty mask."""

    segmentation: RawRle | None = None


def region_of(frames: Mapping[str, FrameAnnotation], frame_count: int, only: int | None = None) -> Region:
    """Masks by the index of the nearest sampled frame, keys taken as numbers and in their order.

    Of several raw frames that are nearest to one sampled frame the nearest counts, the earlier of two.

    Args:
        frames: by raw frame number.
        frame_count: of the video.
        only: a raw frame number: only this one counts (single-frame mode); None: all of them.

    Raises:
        ValueError: a key is no number of a frame of this video.
    """
    positions = sample_positions(frame_count)
    best: dict[int, tuple[int, RawRle | None]] = {}
    for raw in sorted(frames, key=int):
        number = int(raw)
        if not 0 <= number < frame_count:
            raise ValueError(f"frame {number} of a video with {frame_count} frames")
        if only is not None and number != only:
            continue
        index = int(np.abs(positions - number).argmin())
        off = abs(int(positions[index]) - number)
        if index not in best or off < best[index][0]:
            best[index] = off, frames[raw].segmentation
    return {index: code.compressed() for index, (_, code) in sorted(best.items()) if code is not None}


def film_of(folder: Path, cache: Path) -> Path:
    """A folder of frames, in order of names, as a video file; made once.

    Raises:
        UnreadableVideo: the folder has no pictures, or one of them cannot be read or has another size.
    """
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    if not pictures:
        raise UnreadableVideo(f"{folder} holds no pictures {', '.join(_PICTURES)}")
    path = cache / f"{'-'.join(folder.parts[-2:])}.mp4"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        first = _picture(pictures[0])
        height, width = (side - side % 2 for side in first.shape[:2])
        frames = (np.ascontiguousarray(_picture(one, first.shape)[:height, :width]) for one in pictures)
        write_mp4(path, frames, _FPS, width, height)
    return path


def _picture(path: Path, shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    bgr = cv2.imread(str(path))
    if bgr is None:
        raise UnreadableVideo(f"{path} is no picture that can be read")
    if shape is not None and bgr.shape != shape:
        raise UnreadableVideo(
            f"{path} is {bgr.shape[1]} x {bgr.shape[0]}, others are {shape[1]} x {shape[0]}"
        )
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def frame_number(text: str | int, where: str) -> int:
    """A frame number as published, text or number. Raises InputError."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{where}: {text!r} is no frame number") from None
