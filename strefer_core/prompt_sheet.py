"""All sampled frames of a video with visual prompts on them, in one picture for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from strefer_core import data_model as dm
from strefer_core.errors import InputError
from strefer_core.masks import decode
from strefer_core.overlay import Picture
from strefer_core.video_io import decode_frames, index_video, sample_positions
from strefer_core.visual_prompts import mark_regions, number_frames

Prompt = Literal["som", "numberit"]

_COLUMNS = 8
_SIDE_PX = 320


def write_prompt_sheet(
    path: Path, entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet], prompt: Prompt, out: Path
) -> Path:
    """Write the sampled frames, in reading order, as a PNG; returns `out`.

    Args:
        path: the video.
        entities: of the video; the mark of each is its index + 1, the same on all frames.
        masklets: of the video; not looked at for "numberit".
        prompt: "som" marks the entities (Set-of-Mark), "numberit" numbers the frames from 0.
        out: where to; its folder is made.

    Raises:
        UnreadableVideo: the video cannot be decoded.
        InputError: a masklet has another number of frames, so it is not of this video.
    """
    index = index_video(path)
    positions = sample_positions(index.frame_count)
    if any(len(one.masks) != len(positions) for one in masklets):
        raise InputError(
            f"masklets and {path.name} have different frames; give the video they were made from"
        )
    images: list[Picture] = list(decode_frames(path, positions, index, max_side_px=_SIDE_PX))
    if prompt == "som":
        images = [_marked(image, i, entities, masklets) for i, image in enumerate(images)]
    else:
        images = number_frames(images)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_sheet(images)).save(out, format="PNG")
    return out


def _marked(
    image: Picture, frame_index: int, entities: Sequence[dm.Entity], masklets: Sequence[dm.Masklet]
) -> Picture:
    """Colours and numbers go by entity, also where only some are visible."""
    of = {one.entity_id: one.masks[frame_index] for one in masklets}
    nothing = np.zeros(image.shape[:2], bool)
    rles = [of.get(entity.entity_id) for entity in entities]
    labels = [str(entity.index + 1) for entity in entities]
    return mark_regions(image, [decode(rle) if rle else nothing for rle in rles], labels=labels)


def _sheet(images: Sequence[Picture]) -> Picture:
    columns = min(_COLUMNS, len(images))
    blank = [np.zeros_like(images[0])] * (-len(images) % columns)
    cells = [*images, *blank]
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return np.vstack(rows)
