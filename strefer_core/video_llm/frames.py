"""The frames that the model is shown: decoded once per video, kept on disk by content, within a bound."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from strefer_core.data_model import FRAME_COUNT
from strefer_core.store.files import sha256_of
from strefer_core.video_io import decode_frames, index_video, sample_positions
from strefer_core.video_llm.times import Clock

_IN_MEMORY = 64  # videos whose pages are kept mapped


@dataclass(frozen=True, kw_only=True)
class Footage:
    """What is shown of one video."""

    video_id: str  # first 16 hex digits of the SHA-256 of the file's bytes
    pictures: NDArray[np.uint8]  # (F, 3, S, S) RGB, squeezed to a square; the last repeated in short videos
    clock: Clock
    size_px: tuple[int, int]  # (height, width) of the video, before it was squeezed


@dataclass
class FrameStore:
    """Footage by video, from a folder where it was decoded before."""

    folder: Path
    image_size: int
    frames: int = FRAME_COUNT
    most_bytes: int = 20 * 2**30

    def __post_init__(self) -> None:
        self._ids: dict[tuple[str, int, int], str] = {}
        self._held: OrderedDict[str, Footage] = OrderedDict()
        self.folder.mkdir(parents=True, exist_ok=True)

    def footage(self, video: Path) -> Footage:
        """The frames of a video.

        Raises:
            UnreadableVideo: it cannot be decoded.
            OSError: it is not there.
        """
        video_id = self._video_id(video)
        if video_id not in self._held:
            path = self.folder / f"{video_id}-{self.image_size}-{self.frames}.safetensors"
            if not path.exists():
                self._decode(video, path)
            self._held[video_id] = _load(path, video_id)
            while len(self._held) > _IN_MEMORY:
                self._held.popitem(last=False)
        self._held.move_to_end(video_id)
        return self._held[video_id]

    def _video_id(self, video: Path) -> str:
        stat = video.stat()
        key = (str(video), stat.st_size, stat.st_mtime_ns)
        if key not in self._ids:
            self._ids[key] = sha256_of(video)[:16]
        return self._ids[key]

    def _decode(self, video: Path, path: Path) -> None:
        index = index_video(video)
        positions = sample_positions(index.frame_count, self.frames)
        positions = np.pad(positions, (0, self.frames - len(positions)), mode="edge")
        images = decode_frames(video, positions, index)
        side = (self.image_size, self.image_size)
        small = np.stack([cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in images])
        times_s = np.asarray(index.times_s, float)[positions]
        tensors = {
            "pictures": np.ascontiguousarray(small.transpose(0, 3, 1, 2)),
            "times_s": times_s,
            "duration_s": np.array([float(index.duration_s)]),
            "size_px": np.array(images.shape[1:3], np.int64),
        }
        self._make_room(tensors["pictures"].nbytes)
        part = path.with_suffix(f".{os.getpid()}.part")
        save_file(tensors, part)
        part.replace(path)

    def _make_room(self, size: int) -> None:
        """Forget what was used longest ago."""
        kept = sorted(self.folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in kept) + size
        for path in kept:
            if total <= self.most_bytes:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


def _load(path: Path, video_id: str) -> Footage:
    with contextlib.suppress(OSError):
        os.utime(path)  # used just now
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in ("pictures", "times_s", "duration_s", "size_px")}
    height, width = (int(side) for side in tensors["size_px"])
    clock = Clock(
        duration_s=float(tensors["duration_s"][0]), frames_s=tuple(float(t) for t in tensors["times_s"])
    )
    return Footage(video_id=video_id, pictures=tensors["pictures"], clock=clock, size_px=(height, width))
