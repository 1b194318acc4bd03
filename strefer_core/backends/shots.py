"""Hard cuts with PySceneDetect's AdaptiveDetector, on frames that we decode ourselves.

PySceneDetect's own reading goes through OpenCV, whose frame numbers are wrong on variable-rate files; so
it is given frames with their positions, and positions become exact presentation times here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

from strefer_core.video_io import index_video, iter_frames

_SIDE_PX = 256  # cuts show at any size
_ANY_FPS = 25.0  # the detector only counts frames; their real times are ours


def cut_positions(images: Iterable[NDArray[np.uint8]]) -> list[int]:
    """Positions of the first frames of new shots, ascending, without 0.

    Args:
        images: RGB (H, W, 3) uint8 frames in order, all of one size.
    """
    detector = AdaptiveDetector(min_scene_len=1)
    found: list[int] = []
    last: NDArray[np.uint8] | None = None
    position = -1
    for position, image in enumerate(images):
        last = np.ascontiguousarray(image[..., ::-1])  # the detector wants BGR
        found += [cut.frame_num for cut in detector.process_frame(FrameTimecode(position, _ANY_FPS), last)]
    if last is None:
        return []
    for extra in range(1, detector.event_buffer_length + 1):  # lets it judge the last frames too
        code = FrameTimecode(position + extra, _ANY_FPS)
        found += [cut.frame_num for cut in detector.process_frame(code, last)]
    return sorted(cut for cut in set(found) if 0 < cut <= position)


class SceneDetectShots:
    """The `clips` stage's default backend."""

    def shots(self, video_path: Path) -> list[float]:
        """Presentation times (s) of hard cuts, ascending, without 0 and the end.

        Raises:
            UnreadableVideo: a frame cannot be decoded.
        """
        index = index_video(video_path)
        frames = iter_frames(video_path, range(index.frame_count), index, max_side_px=_SIDE_PX)
        return [float(index.times_s[cut]) for cut in cut_positions(image for _, image in frames)]
