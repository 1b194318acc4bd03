"""Frames and masks as files: decoded once per video, drawn once per mask, kept on disk until space is wanted.

Decoding needs the packages of the extra `video`; they are imported on the first picture.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from strefer_core.colours import entity_colour
from strefer_core.errors import ConfigError, InputError
from strefer_core.store.cache import KEEP_S, evict, fetch_video
from strefer_core.store.files import os_errors, whole_file
from strefer_core.store.objects import ObjectStore

SIDE_PX = 960  # longer side of a frame, at most
MAX_BYTES = 2**30
_NEEDED = ("av", "cv2", "PIL", "pycocotools", "pyarrow")
_IMPORTING = threading.Lock()
_ONE_AT_A_TIME = threading.Lock()  # a page asks for many frames of one new video at once


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures of videos in one object store."""

    objects: ObjectStore
    folder: Path
    video_folder: Path  # videos fetched from the store
    max_video_bytes: int

    def frame(self, video_id: str, index: int) -> Path:
        """A sampled frame as JPEG.

        Raises:
            InputError: the video has no such sampled frame, or cannot be decoded.
            StoreError: the store does not answer or has no such video.
            ConfigError: packages that decode are not installed here.
        """
        path = self._frame_path(video_id, index)
        if not path.is_file():
            with _ONE_AT_A_TIME:
                if not path.is_file():
                    self._decode(video_id)
        if not path.is_file():
            raise InputError(f"video {video_id} has no sampled frame {index}")
        return path

    def mask(self, masklet_key: str, video_id: str, entity_id: str, entity_index: int, frame: int) -> Path:
        """One mask in its entity's colour as PNG, as large as the frame, clear beside the mask.

        Raises:
            InputError: no such entity or frame in the object.
            StoreError, ConfigError: as for `frame`.
        """
        run = masklet_key.rpartition("/")[2][:16]  # content-addressed: another run is another file
        path = self.folder / f"{video_id}-{run}-{entity_id}-{frame:02d}.png"
        if not path.is_file():
            self._draw(path, self.frame(video_id, frame), masklet_key, (entity_id, entity_index, frame))
        return path

    def _frame_path(self, video_id: str, index: int) -> Path:
        return self.folder / f"{video_id}-{index:02d}.jpg"

    def _decode(self, video_id: str) -> None:
        """Write all sampled frames of a video."""
        require_packages()
        from PIL import Image

        from strefer_core.video_io import decode_frames, index_video, sample_positions

        path = fetch_video(self.objects, video_id, self.video_folder, self.max_video_bytes)
        index = index_video(path)
        images = decode_frames(path, sample_positions(index.frame_count), index, max_side_px=SIDE_PX)
        for number, image in enumerate(images):
            _save(Image.fromarray(image), self._frame_path(video_id, number), format="JPEG", quality=88)
        evict(self.folder, MAX_BYTES, KEEP_S)

    def _draw(self, path: Path, frame: Path, key: str, which: tuple[str, int, int]) -> None:
        require_packages()
        from PIL import Image

        from strefer_core.masks import decode
        from strefer_core.overlay import layer
        from strefer_core.store.masklet_object import MaskletObject

        entity_id, entity_index, number = which
        with Image.open(frame) as image:
            width, height = image.size
        try:
            rle = MaskletObject(self.objects.open(key)).mask(entity_id, number)
        except (KeyError, IndexError) as error:
            raise InputError(f"no mask of {entity_id} on frame {number}") from error
        if rle is None:
            painted = Image.new("RGBA", (width, height))
        else:
            painted = Image.fromarray(layer(decode(rle), height, width, entity_colour(entity_index)))
        _save(painted, path, format="PNG")


def require_packages() -> None:
    """Import what makes pictures. Raises ConfigError where it is not installed beside the API server."""
    with _IMPORTING:  # OpenCV is not to be met half imported by another request
        try:
            for name in _NEEDED:
                import_module(name)
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"pictures need the extra `video` beside Airflow's API server: {error}"
            ) from error


def _save(image: Any, path: Path, **options: Any) -> None:
    with os_errors("write", path), whole_file(path) as part:
        image.save(part, **options)
