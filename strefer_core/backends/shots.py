"""Hard cuts with PySceneDetect's AdaptiveDetector, on frames that we decode ourselves.

PySceneDetect's own reading goes through OpenCV, whose frame numbers are wrong on variable-rate files; so
it is given frames with their positions.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

_ANY_FPS = 25.0  # the detector only counts frames; their real times are ours


class CutFinder:
    """Finds hard cuts while the frames of a video pass by."""

    def __init__(self) -> None:
        self._detector = AdaptiveDetector(min_scene_len=1)
        self._found: set[int] = set()
        self._count = 0
        self._last: NDArray[np.uint8] | None = None

    def see(self, image: NDArray[np.uint8]) -> None:
        """Take in the next frame, RGB (H, W, 3) uint8; all of one size."""
        self._last = np.ascontiguousarray(image[..., ::-1])  # the detector wants BGR
        self._judge(self._last, self._count)
        self._count += 1

    def cuts(self) -> list[int]:
        """Positions of the first frames of new shots, ascending, without 0; once all frames have passed."""
        if self._last is not None:
            for extra in range(self._detector.event_buffer_length):  # lets it judge the last frames too
                self._judge(self._last, self._count + extra)
        return sorted(cut for cut in self._found if 0 < cut < self._count)

    def _judge(self, image: NDArray[np.uint8], position: int) -> None:
        code = FrameTimecode(position, _ANY_FPS)
        self._found.update(cut.frame_num for cut in self._detector.process_frame(code, image))


def cut_positions(images: Iterable[NDArray[np.uint8]]) -> list[int]:
    """Cuts of frames that are all there, as `CutFinder` tells them."""
    finder = CutFinder()
    for image in images:
        finder.see(image)
    return finder.cuts()
