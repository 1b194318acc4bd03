"""Moving things in single frames: connected foreground with change in or around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical.scene import Scene
from strefer_core.masks import tight_box

Mask = NDArray[np.bool_]  # (H, W)

_FOREGROUND = 140  # a little above UNKNOWN
_GAP_SHARE = 0.02  # of the longer side: pieces that are nearer belong together
_MIN_AREA_SHARE = 0.0006  # of the frame
_MAX_AREA_SHARE = 0.6  # more is a change of light, not a thing
_ACTIVITY_FRAMES = 2  # before and after
_PAUSED = 0.4  # score of what is surely no background and does not move just now
_FULL_ACTIVITY = 0.1  # share of changing pixels at which a thing certainly moves


@dataclass(frozen=True, kw_only=True)
class Region:
    """One piece of moving foreground of frame `t`."""

    t: int
    mask: Mask
    box: dm.Box  # working pixels, half-open
    score: float  # 0..1: how surely it is a thing and moves


def regions(scene: Scene, t: int) -> list[Region]:
    """Moving pieces of one working frame, best first."""
    foreground = scene.foreground[t]
    height, width = foreground.shape
    size = max(3, round(0.01 * max(height, width)) | 1)
    solid = cv2.morphologyEx(
        (foreground > _FOREGROUND).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    gap = max(3, round(_GAP_SHARE * max(height, width)) | 1)
    grown = cv2.dilate(solid, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap)))
    count, labels = cv2.connectedComponents(grown, connectivity=8)
    active = _active(scene, t)
    found = []
    for label in range(1, count):
        mask = (labels == label) & (solid > 0)
        if not _MIN_AREA_SHARE <= mask.mean() <= _MAX_AREA_SHARE:
            continue
        activity = float(active[mask].mean())
        certainty = float(foreground[mask].mean()) / 255
        score = certainty * (_PAUSED + (1 - _PAUSED) * min(1.0, activity / _FULL_ACTIVITY))
        box = tight_box(mask)
        assert box is not None
        found.append(Region(t=t, mask=_without_holes(mask), box=box, score=score))
    return sorted(found, key=lambda region: -region.score)


def _without_holes(mask: Mask) -> Mask:
    """With what it encloses: a thing that turns on one spot changes at its rim only."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0)


def _active(scene: Scene, t: int) -> Mask:
    """Where the picture changes around frame `t`, in the same shot."""
    near = range(max(t - _ACTIVITY_FRAMES, 0), min(t + _ACTIVITY_FRAMES + 1, len(scene.moving)))
    frames = [scene.moving[other] for other in near if scene.shot[other] == scene.shot[t]]
    return np.maximum.reduce(frames) > 0
