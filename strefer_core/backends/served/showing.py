"""One track shown to a model that sees: with a line around it in whole frames, or cut out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.errors import BackendError
from strefer_core.masks import Mask, decode, resize
from strefer_core.overlay import Colour, Picture
from strefer_core.video_io import decode_frames, index_video, sample_positions

Shows = Literal["marked", "cropped"]

LINE: Colour = (255, 0, 255)
"""Magenta, which prompts name: hardly anything in a video has it."""

CROPPED_FROM_PX = 1920
"""Frames to cut from are decoded with this longer side at most: 32 of them are 200 MB."""

_LINE_SHARE = 1 / 160  # of the picture's width
_THINNEST_LINE_PX = 3  # JPEG halves the resolution of colours: a thinner line fades
_MARGIN = 0.5  # around the thing in a cut, in sides of its largest box, on each side
_SMALLEST_CUT = 0.1  # of the picture's longer side


def shown_frames(masklet: dm.Masklet, clip: dm.Clip, at_most: int, shows: Shows) -> list[int]:
    """Sampled frames of the clip on which to show a thing, in order of time.

    Evenly spaced ones on which it is visible; where these are fewer than `at_most` and whole frames are
    shown, also some on which it is not.
    """
    inside = frames_in(masklet, clip)
    visible = [frame for frame in inside if masklet.masks[frame]]
    hidden = [frame for frame in inside if not masklet.masks[frame]] if shows == "marked" else []
    chosen = _spread(visible, at_most)
    return sorted(chosen + _spread(hidden, at_most - len(chosen)))


def frames_in(masklet: dm.Masklet, clip: dm.Clip) -> list[int]:
    """Indices of the sampled frames inside the clip."""
    return [i for i, pts_s in enumerate(masklet.frames_pts_s) if clip.start_s <= pts_s < clip.end_s]


def frames_around(masklet: dm.Masklet, clip: dm.Clip) -> list[int]:
    """Indices of the sampled frames inside the clip, with the last one before it and the first one after."""
    inside = frames_in(masklet, clip)
    return list(range(max(inside[0] - 1, 0), min(inside[-1] + 2, len(masklet.masks)))) if inside else []


def sampled_images(
    video_path: Path, frames: Sequence[int], count: int, max_side_px: int
) -> dict[int, Picture]:
    """The asked sampled frames (H, W, 3) by index.

    Raises:
        UnreadableVideo: the file or one of these frames cannot be decoded.
        BackendError: the video does not have `count` sampled frames, so the masklets are not of it.
    """
    if not frames:
        return {}
    index = index_video(video_path)
    positions = sample_positions(index.frame_count)
    if len(positions) != count:
        raise BackendError(
            f"{video_path.name} has {len(positions)} sampled frames, its masklets have {count}"
        )
    images = decode_frames(video_path, positions[list(frames)], index, max_side_px=max_side_px)
    return dict(zip(frames, images, strict=True))


def show(
    images: Mapping[int, Picture], masklet: dm.Masklet, frames: Sequence[int], shows: Shows
) -> NDArray[np.uint8]:
    """Pictures (N, H, W, 3) of the thing on these frames, in their order and all of one size."""
    if shows == "cropped":
        return _cuts(images, masklet, frames)
    return np.stack([_marked(images[frame], masklet.masks[frame]) for frame in frames])


def middle(masklet: dm.Masklet, frame: int) -> tuple[float, float] | None:
    """Middle of the thing's box in shares of the picture's width and height; None where it is not visible."""
    rle, box = masklet.masks[frame], masklet.boxes_px[frame]
    if rle is None or box is None:
        return None
    height, width = rle["size"]
    return (box[0] + box[2]) / 2 / width, (box[1] + box[3]) / 2 / height


def _spread(items: Sequence[int], count: int) -> list[int]:
    """At most `count` of the items, evenly spaced, first and last among them; of one, the middle one."""
    if len(items) <= count:
        return list(items)
    if count < 2:
        return [items[len(items) // 2]] if count else []
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, count)]


def _marked(picture: Picture, rle: dm.Rle | None) -> Picture:
    if rle is None:
        return picture
    height, width = picture.shape[:2]
    return lined(picture, resize(decode(rle), height, width))


def lined(picture: Picture, mask: Mask) -> Picture:
    """A new picture with a line around the mask, outside of it: the thing itself stays as it is."""
    width = picture.shape[1]
    line_px = max(_THINNEST_LINE_PX, round(width * _LINE_SHARE))
    marked = picture.copy()
    marked[_grown(mask, 1 + line_px) & ~_grown(mask, 1)] = LINE
    return marked


def _grown(mask: Mask, by_px: int) -> Mask:
    kernel = np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def _cuts(images: Mapping[int, Picture], masklet: dm.Masklet, frames: Sequence[int]) -> NDArray[np.uint8]:
    """Cuts of one size, so that growing is seen; moved inwards at the picture's border."""
    height, width = images[frames[0]].shape[:2]
    largest = max(_side(masklet, frame) for frame in frames) * width
    side = round(max(largest * (1 + 2 * _MARGIN), max(width, height) * _SMALLEST_CUT))
    cut_width, cut_height = min(side, width), min(side, height)
    cuts = []
    for frame in frames:
        x, y = middle(masklet, frame) or (0.5, 0.5)
        left = round(min(max(x * width - cut_width / 2, 0), width - cut_width))
        top = round(min(max(y * height - cut_height / 2, 0), height - cut_height))
        cuts.append(images[frame][top : top + cut_height, left : left + cut_width])
    return np.stack(cuts)


def _side(masklet: dm.Masklet, frame: int) -> float:
    """Longer side of the thing's box in picture widths."""
    rle, box = masklet.masks[frame], masklet.boxes_px[frame]
    return max(box[2] - box[0], box[3] - box[1]) / rle["size"][1] if rle and box else 0.0
