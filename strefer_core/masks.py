"""Masks as arrays and as COCO run-length encodings.

An array mask is (H, W) bool. An encoded one is `data_model.Rle`: `size` is `[height_px, width_px]`,
`counts` the compressed ASCII string of pycocotools, runs counted down the columns.
"""

from __future__ import annotations

import warnings
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from strefer_core.data_model import Box, Rle

Mask = NDArray[np.bool_]  # (H, W)

_OLD_ARRAY = "__array__ implementation doesn't accept a copy"  # pycocotools 2.0.11 under NumPy 2


def encode(mask: Mask) -> Rle | None:
    """Encode a mask (H, W); None where it is empty, as `Masklet.masks` has it."""
    if not mask.any():
        return None
    code = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return Rle(size=[int(side) for side in code["size"]], counts=code["counts"].decode("ascii"))


def decode(rle: Rle) -> Mask:
    """Decode to (H, W) bool.

    Raises:
        ValueError: the counts are no run-length code.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _OLD_ARRAY, DeprecationWarning)
        mask = coco.decode(rle)
    return cast(Mask, mask.astype(bool))


def area_px(rle: Rle | None) -> int:
    """Number of set pixels; 0 for None."""
    return int(coco.area(rle)) if rle else 0


def tight_box(mask: Mask) -> Box | None:
    """Smallest half-open box `(x0, y0, x1, y1)` around a mask (H, W), None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def resize(mask: Mask, height_px: int, width_px: int) -> Mask:
    """Scale a mask (H, W) to (height_px, width_px), outlines kept smooth."""
    if mask.shape == (height_px, width_px):
        return mask
    shrinks = height_px * width_px < mask.size
    flag = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast(Mask, cv2.resize(mask.astype(np.float32), (width_px, height_px), interpolation=flag) >= 0.5)


def iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks of one shape, 0 where both are empty."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 0.0


def rle_iou(a: Rle | None, b: Rle | None) -> float:
    """`iou` of encoded masks, without decoding; None is an empty mask."""
    if a is None or b is None:
        return 0.0
    return float(coco.iou([a], [b], [0])[0, 0])
