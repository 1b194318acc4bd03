"""Pictures of masklets for people: a contact sheet of all sampled frames, or an animation with labels.

One colour per entity, the same in both; masks are translucent with a firm outline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from strefer_core import data_model as dm
from strefer_core.colours import Colour as Colour
from strefer_core.colours import entity_colour as entity_colour
from strefer_core.errors import InputError
from strefer_core.masks import decode, resize
from strefer_core.video_io import VideoIndex, decode_frames, index_video, sample_positions

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

_SHEET_COLUMNS = 8
_SHEET_SIDE_PX = 240
_ANIMATION_SIDE_PX = 640
_OPACITY = 0.45
_MARGIN_PX = 4


def paint(image: Picture, mask: NDArray[np.bool_], colour: Colour) -> Picture:
    """The image (H, W, 3) with a mask of any size over it: translucent, with an outline."""
    height, width = image.shape[:2]
    fitted = resize(mask, height, width)
    painted = image.copy()
    blend = (1 - _OPACITY) * image[fitted] + _OPACITY * np.array(colour)
    painted[fitted] = blend.astype(np.uint8)
    outlines, _ = cv2.findContours(fitted.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(painted, outlines, -1, colour, max(1, round(width / 320)), cv2.LINE_AA)
    return painted


def layer(mask: NDArray[np.bool_], height_px: int, width_px: int, colour: Colour) -> NDArray[np.uint8]:
    """What `paint` lays over a picture of this size, by itself: (H, W, 4) RGBA, clear beside the mask."""
    fitted = resize(mask, height_px, width_px)
    painted = np.zeros((height_px, width_px, 4), np.uint8)
    painted[fitted] = (*colour, round(255 * _OPACITY))
    outlines, _ = cv2.findContours(fitted.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(painted, outlines, -1, (*colour, 255), max(1, round(width_px / 320)))
    return painted


def draw_frame(
    image: Picture, frame_index: int, entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet]
) -> Picture:
    """One sampled frame with all masks and, beside each, its entity's expression."""
    canvas = Image.fromarray(_masked(image, frame_index, entities, masklets))
    for entity, mask in _visible(frame_index, entities, masklets):
        _label(canvas, entity, mask)
    return np.asarray(canvas)


def _visible(
    frame_index: int, entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet]
) -> Iterator[tuple[dm.Entity, NDArray[np.bool_]]]:
    """Entities that have a mask on a sampled frame, with it."""
    by_entity = {masklet.entity_id: masklet for masklet in masklets}
    for entity in entities:
        masklet = by_entity.get(entity.entity_id)
        rle = masklet.masks[frame_index] if masklet else None
        if rle:
            yield entity, decode(rle)


def _label(canvas: Image.Image, entity: dm.Entity, mask: NDArray[np.bool_]) -> None:
    """Write an expression above its mask, inside the picture."""
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(9, canvas.width // 40))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    scale = canvas.width / mask.shape[1]
    left, top, right, bottom = draw.textbbox((0, 0), entity.expression, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = min(max(columns[0] * scale, 0), max(canvas.width - width, 0))
    y = min(max(rows[0] * scale - height - 2, 0), max(canvas.height - height, 0))
    draw.rectangle((x, y, x + width, y + height), fill=entity_colour(entity.index))
    draw.text((x + 2 - left, y + 2 - top), entity.expression, fill=(0, 0, 0), font=font)


def contact_sheet(
    path: Path,
    entities: Sequence[dm.Entity],
    masklets: Sequence[dm.Masklet],
    *,
    columns: int = _SHEET_COLUMNS,
    side_px: int = _SHEET_SIDE_PX,
) -> Picture:
    """All sampled frames of a video in reading order, with masks and a legend; (H, W, 3) uint8 RGB.

    Raises:
        UnreadableVideo: the video cannot be decoded.
        InputError: a masklet has another number of frames, so it is not of this video.
    """
    images = [
        _numbered(_masked(image, i, entities, masklets), pts_s)
        for i, (image, pts_s) in enumerate(_sampled(path, masklets, side_px))
    ]
    columns = min(columns, len(images))
    blank = np.zeros_like(images[0])
    images += [blank] * (-len(images) % columns)
    rows = [np.hstack(images[start : start + columns]) for start in range(0, len(images), columns)]
    return np.vstack([*rows, _legend(entities, masklets, rows[0].shape[1])])


def _masked(
    image: Picture, frame_index: int, entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet]
) -> Picture:
    for entity, mask in _visible(frame_index, entities, masklets):
        image = paint(image, mask, entity_colour(entity.index))
    return image


def _numbered(image: Picture, pts_s: float) -> Picture:
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    draw.text((3, 1), f"{pts_s:.2f} s", fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(canvas)


def _legend(entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet], width_px: int) -> Picture:
    """One line per entity: its colour, its expression, on how many frames it is seen."""
    line_px = 18
    canvas = Image.new("RGB", (width_px, _MARGIN_PX * 2 + line_px * max(len(entities), 1)), (24, 24, 24))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=13)
    by_entity = {masklet.entity_id: masklet for masklet in masklets}
    lines = [_legend_line(entity, by_entity.get(entity.entity_id)) for entity in entities] or ["no entity"]
    for row, text in enumerate(lines):
        y = _MARGIN_PX + row * line_px
        if entities:
            draw.rectangle((6, y + 2, 20, y + 14), fill=entity_colour(entities[row].index))
        draw.text((28, y), text, fill=(235, 235, 235), font=font)
    return np.asarray(canvas)


def _legend_line(entity: dm.Entity, masklet: dm.Masklet | None) -> str:
    if masklet is None:
        return f"{entity.expression}: not found"
    visible = sum(area > 0 for area in masklet.areas_px)
    return f"{entity.expression}: visible on {visible} of {len(masklet.masks)} frames"


def write_contact_sheet(
    path: Path, entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet], out: Path
) -> Path:
    """Write `contact_sheet` as a PNG, making its folder; returns `out`. Errors as there."""
    picture = contact_sheet(path, entities, masklets)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(out, format="PNG")
    return out


def write_animation(
    path: Path,
    entities: Sequence[dm.Entity],
    masklets: Sequence[dm.Masklet],
    out: Path,
    *,
    side_px: int = _ANIMATION_SIDE_PX,
) -> Path:
    """Write the sampled frames with masks and labels as a moving picture; returns `out`.

    The suffix of `out` chooses the format: .gif, .webp or .mp4. Frames are shown as long as they stand for.

    Raises:
        UnreadableVideo: the video cannot be decoded.
        InputError: unknown suffix, or the masklets are not of this video.
    """
    writers: dict[str, Callable[[list[Picture], list[float], Path], None]] = {
        ".gif": _write_pillow,
        ".webp": _write_pillow,
        ".mp4": _write_mp4,
    }
    write = writers.get(out.suffix.lower())
    if write is None:
        raise InputError(f"cannot write an animation as {out.name}; use one of {', '.join(sorted(writers))}")
    times_s: list[float] = []
    pictures: list[Picture] = []
    for i, (image, pts_s) in enumerate(_sampled(path, masklets, side_px)):
        pictures.append(draw_frame(image, i, entities, masklets))
        times_s.append(pts_s)
    out.parent.mkdir(parents=True, exist_ok=True)
    write(pictures, times_s, out)
    return out


def _sampled(path: Path, masklets: Sequence[dm.Masklet], side_px: int) -> Iterator[tuple[Picture, float]]:
    """(picture, pts_s) of each sampled frame."""
    index: VideoIndex = index_video(path)
    positions = sample_positions(index.frame_count)
    wrong = [one.masklet_id for one in masklets if len(one.masks) != len(positions)]
    if wrong:
        raise InputError(
            f"masklet {wrong[0]} has not the {len(positions)} sampled frames of {path.name}; "
            "give the video that it was made from"
        )
    images = decode_frames(path, positions, index, max_side_px=side_px)
    for image, position in zip(images, positions, strict=True):
        yield image, float(index.times_s[position])


def _durations_ms(times_s: Sequence[float]) -> list[int]:
    """How long each frame stays; the last as long as the one before it."""
    steps = [max(20, round(1000 * (b - a))) for a, b in pairwise(times_s)]
    return [*steps, steps[-1] if steps else 1000]


def _write_pillow(pictures: list[Picture], times_s: list[float], out: Path) -> None:
    first, *rest = (Image.fromarray(picture) for picture in pictures)
    first.save(out, save_all=True, append_images=rest, duration=_durations_ms(times_s), loop=0)


def _write_mp4(pictures: list[Picture], times_s: list[float], out: Path) -> None:
    height, width = (side - side % 2 for side in pictures[0].shape[:2])  # 4:2:0 wants even sides
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        at_ms = 0
        for picture, duration_ms in zip(pictures, _durations_ms(times_s), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
            at_ms += duration_ms
        container.mux(stream.encode(None))
