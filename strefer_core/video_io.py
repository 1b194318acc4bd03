"""Exact frames and exact times of a video file, with PyAV.

A frame's *position* is its place in presentation order, from 0. `index_video` reads the packets' time
stamps without decoding; `decode_frames` and `iter_frames` then decode only the groups of pictures that hold
a wanted frame, and tell frames by their time stamps. Seeking by frame number, as OpenCV does, returns wrong
frames on variable-rate files.

Frames come in display orientation (the file's rotation applied), 8-bit RGB, in the pixel grid of the file:
a pixel aspect ratio other than 1:1 is left alone, so that boxes and masks stay in stored pixels.

Damage: a wanted frame that depends on damaged data raises UnreadableVideo instead of returning a concealed
picture. Damage that no wanted frame depends on is not looked at.
"""

from __future__ import annotations

from strefer_core.video.decode import decode_frames, iter_frames
from strefer_core.video.index import VideoIndex, index_video, position_at, sample_positions

__all__ = ["VideoIndex", "decode_frames", "index_video", "iter_frames", "position_at", "sample_positions"]
