"""Visual prompts: what is drawn into pictures so that a model can speak of regions and of frames by number.

Set-of-Mark (Yang et al. 2023, arXiv 2310.11441): a numbered mark on each region. Marks are placed as there:
regions in order of area, the smallest first; of each, what smaller ones leave of it; there the deepest
place. Ours also keeps marks apart from each other and within the picture.

NumberIt (Wu et al., CVPR 2025, arXiv 2411.10332): the frame's number on each frame, bottom right, in red,
40 pixels high on pictures of 336 x 336. The thin white edge is ours: red on red or brown cannot be read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from strefer_core import data_model as dm
from strefer_core.masks import Mask, resize, tight_box
from strefer_core.outlines import Point
from strefer_core.overlay import Colour, Picture, entity_colour
from strefer_core.scribbles import depth_px

Style = Literal["mask", "contour", "box"]

_OPACITY = 0.2  # weak: a question may be about the region's own colours
_MARK_SHARE = 1 / 18  # of the picture's shorter side; 20 px on 640 x 360
_SMALLEST_MARK_PX = 9
_RED: Colour = (255, 0, 0)
_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
_NUMBER_SHARE = 40 / 336


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A label and where it goes."""

    label: str
    size_px: int  # of the font
    anchor: Point  # centre of a pixel of the region; the mark's own centre unless the border is in the way
    box: dm.Box  # that the mark covers: whole pixels, within the picture


# --- Set-of-Mark --------------------------------------------------------------------------------------------


def mark_regions(
    image: Picture,
    masks: Sequence[Mask],
    *,
    labels: Sequence[str] | None = None,
    styles: Collection[Style] = ("mask", "contour"),
    size_px: int | None = None,
) -> Picture:
    """A picture with a numbered mark on each region.

    Args:
        image: (H, W, 3) uint8 RGB.
        masks: the regions, (H, W) bool; of another size they are scaled. Empty ones get no mark.
        labels: what the marks say; "1", "2", ... by default. Colours go by place as well.
        styles: what else shows a region: "mask" tints it, "contour" draws its border (on its own pixels),
            "box" its tight box (on the box's outermost pixels). None of them changes other pixels.
        size_px: font size of the marks; by default by the picture. Small regions get smaller ones.

    Returns:
        A new picture (H, W, 3) uint8.

    Raises:
        ValueError: there are not as many labels as masks.
    """
    height, width = image.shape[:2]
    fitted = [resize(mask, height, width) for mask in masks]
    painted = image.copy()
    for place, mask in enumerate(fitted):
        _show(painted, mask, entity_colour(place), styles)
    canvas = Image.fromarray(painted)
    for place, mark in enumerate(place_marks(fitted, labels=labels, size_px=size_px)):
        if mark:
            _draw_mark(canvas, mark, entity_colour(place))
    return np.array(canvas)


def place_marks(
    masks: Sequence[Mask], *, labels: Sequence[str] | None = None, size_px: int | None = None
) -> list[Mark | None]:
    """Where the marks of regions (H, W) go, None for empty ones; arguments as of `mark_regions`."""
    labels = labels if labels is not None else [str(place + 1) for place in range(len(masks))]
    marks: list[Mark | None] = [None] * len(masks)
    pairs = list(zip(masks, labels, strict=True))
    smaller = np.zeros(masks[0].shape if masks else (0, 0), bool)
    for place in sorted(range(len(masks)), key=lambda place: int(masks[place].sum())):
        mask, label = pairs[place]
        if mask.any():
            own = mask & ~smaller
            marks[place] = _placed(own if own.any() else mask, label, [m for m in marks if m], size_px)
        smaller |= mask
    return marks


def _placed(region: Mask, label: str, placed: Sequence[Mark], size_px: int | None) -> Mark:
    """A mark at the deepest place of a region where it is clear of the others; smaller where it must be."""
    depth = depth_px(region)
    largest = size_px or round(min(region.shape) * _MARK_SHARE)
    size = max(min(largest, round(1.4 * float(depth.max()))), _SMALLEST_MARK_PX)
    while True:
        width, height = _extent(label, size)
        free = region & _clear(region.shape, placed, width, height)
        if free.any() or size <= _SMALLEST_MARK_PX:
            break
        size = max(_SMALLEST_MARK_PX, size * 3 // 4)
    y, x = np.unravel_index(np.where(free if free.any() else region, depth, -1).argmax(), region.shape)
    left = min(max(int(x) - width // 2, 0), max(region.shape[1] - width, 0))
    top = min(max(int(y) - height // 2, 0), max(region.shape[0] - height, 0))
    right, bottom = min(left + width, region.shape[1]), min(top + height, region.shape[0])
    return Mark(
        label=label,
        size_px=size,
        anchor=(float(x) + 0.5, float(y) + 0.5),
        box=(float(left), float(top), float(right), float(bottom)),
    )


def _clear(shape: tuple[int, ...], placed: Sequence[Mark], width: int, height: int) -> Mask:
    """The pixels (H, W) around which a mark of this size is within the picture and on no other mark."""
    clear = np.zeros(shape, bool)
    clear[height // 2 : shape[0] - (height - 1) // 2, width // 2 : shape[1] - (width - 1) // 2] = True
    for mark in placed:
        x0, y0, x1, y1 = (int(side) for side in mark.box)
        top, left = max(y0 - (height - 1) // 2, 0), max(x0 - (width - 1) // 2, 0)
        clear[top : y1 + height // 2, left : x1 + width // 2] = False
    return clear


def _extent(label: str, size_px: int) -> tuple[int, int]:
    """Width and height of a mark: its text and a border."""
    left, top, right, bottom = _font(size_px).getbbox(label)
    pad = 2 * _padding(size_px)
    return int(np.ceil(right - left)) + pad, int(np.ceil(bottom - top)) + pad


def _padding(size_px: int) -> int:
    return max(2, size_px // 6)


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size_px)


def _draw_mark(canvas: Image.Image, mark: Mark, colour: Colour) -> None:
    """White on black with an edge of the region's colour: readable on any ground."""
    draw, font = ImageDraw.Draw(canvas), _font(mark.size_px)
    x0, y0, x1, y1 = mark.box
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=_BLACK, outline=colour)
    left, top, _, _ = font.getbbox(mark.label)
    pad = _padding(mark.size_px)
    draw.text((x0 + pad - left, y0 + pad - top), mark.label, fill=_WHITE, font=font)


def _show(picture: Picture, mask: Mask, colour: Colour, styles: Collection[Style]) -> None:
    """Draw a region in place."""
    thick = max(1, round(picture.shape[1] / 320))
    if "mask" in styles:
        picture[mask] = ((1 - _OPACITY) * picture[mask] + _OPACITY * np.array(colour)).astype(np.uint8)
    if "contour" in styles:
        picture[mask & (depth_px(mask) <= thick)] = colour
    box = tight_box(mask)
    if "box" in styles and box:
        x0, y0, x1, y1 = (int(side) for side in box)
        edge = np.zeros(mask.shape, bool)
        edge[y0:y1, x0:x1] = True
        edge[y0 + thick : y1 - thick, x0 + thick : x1 - thick] = False
        picture[edge] = colour


# --- NumberIt -----------------------------------------------------------------------------------------------


def number_frames(
    images: Sequence[Picture] | NDArray[np.uint8],
    numbers: Sequence[int] | None = None,
    *,
    size_px: int | None = None,
    colour: Colour = _RED,
) -> list[Picture]:
    """Frames with their numbers at the bottom right.

    Args:
        images: (H, W, 3) uint8 RGB each, of any sizes.
        numbers: one per frame; 0, 1, 2, ... by default.
        size_px: font size; by default the paper's share of the shorter side, 43 px on 640 x 360.
        colour: of the digits.

    Returns:
        New pictures, in order.

    Raises:
        ValueError: there are not as many numbers as frames.
    """
    numbers = range(len(images)) if numbers is None else numbers
    return [
        _numbered(image, str(number), size_px or round(min(image.shape[:2]) * _NUMBER_SHARE), colour)
        for image, number in zip(images, numbers, strict=True)
    ]


def _numbered(image: Picture, text: str, size_px: int, colour: Colour) -> Picture:
    canvas = Image.fromarray(image)
    edge = max(1, size_px // 20)
    font = _font(max(size_px, 1))
    _, _, right, bottom = ImageDraw.Draw(canvas).textbbox((0, 0), text, font=font, stroke_width=edge)
    at = canvas.width - right - edge, canvas.height - bottom - edge
    ImageDraw.Draw(canvas).text(at, text, fill=colour, font=font, stroke_width=edge, stroke_fill=_WHITE)
    return np.array(canvas)
