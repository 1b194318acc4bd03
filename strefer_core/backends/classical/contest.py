"""One step of the tracker: every pixel goes to the thing that explains it best, or to none.

A thing's score of a pixel adds up how surely the pixel is foreground, how well its colour fits the thing,
and whether the thing is expected there. Things in contact are expected where their templates are, and
these have a say on every pixel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import appearance as looks
from strefer_core.backends.classical.frames import Flow
from strefer_core.backends.classical.scene import UNKNOWN
from strefer_core.backends.classical.things import Mask, Thing

Floats = NDArray[np.float32]  # (H, W)
Window = tuple[slice, slice]  # rows, columns

_COLOUR_WEIGHT = 0.6  # where the background is unknown; elsewhere foreground says it already
_SURE = np.float32(64)  # foreground values as far from UNKNOWN count as certain
_PRIOR_WEIGHT = 0.8
_AGREE_WEIGHT = 0.8
_CONTACT_COLOUR_WEIGHT = 1.5
_MAX_GAP = 0.4  # between pieces of one thing, in sides of its largest piece
_SLOW_PX = 3.0  # per frame: flow alone follows


def contest(
    things: list[Thing],
    touching: list[bool],
    image: NDArray[np.uint8],
    index: looks.ColourIndex,
    foreground: NDArray[np.uint8],
    flow: Flow,
    surroundings: looks.Histogram,
) -> list[Mask]:
    """Give each pixel to the thing with the best positive score.

    Args:
        things: those that are seen, or hidden behind others. Templates of the touching ones lie where
            these are expected on this frame.
        touching: per thing, whether it is in contact with another.
        image: the frame as `background.pixels`, (H, W, 3).
        index: its colours.
        foreground: its foreground, (H, W).
        flow: for each of its pixels, where it was on the frame before.
        surroundings: colours of the background.
    """
    best = np.zeros(foreground.shape, np.float32)
    owner = np.full(foreground.shape, -1, np.int16)
    guesses = []
    for number, (thing, touches) in enumerate(zip(things, touching, strict=True)):
        likeness = looks.likeness(thing.model, surroundings)
        window = _template_window(thing) if touches else _window(thing, flow)
        evidence = np.clip((foreground[window].astype(np.float32) - UNKNOWN) / _SURE, -1, 1)
        certain, colours = np.abs(evidence), index[window]
        familiar = looks.familiarity(thing.model)[colours]
        fit = evidence + _COLOUR_WEIGHT * (1 - certain) * likeness[colours] + certain * familiar
        if touches:
            prior = thing.template.spread(foreground.shape)[window].astype(np.float32)
            agree = thing.template.agreement(image)[window]
            fit += (_CONTACT_COLOUR_WEIGHT - certain) * familiar + _AGREE_WEIGHT * prior * (2 * agree - 1)
        else:
            prior = _predict(thing, flow, window, fit)
        guesses.append((window, prior > 0.5))
        score = cv2.blur(fit + _PRIOR_WEIGHT * (2 * cv2.GaussianBlur(prior, (0, 0), 2.0) - 1), (3, 3))
        wins = score > best[window]
        best[window][wins] = score[wins]
        owner[window][wins] = number
    results = []
    for number, (window, guess) in enumerate(guesses):
        mask = np.zeros(foreground.shape, bool)
        unclaimed = (owner[window] == number) | (owner[window] < 0)
        mask[window] = _coherent(owner[window] == number, guess) & unclaimed
        owner[mask] = number  # where gaps were closed: no pixel is shared
        results.append(mask)
    return results


def _template_window(thing: Thing) -> Window:
    """Part of the frame around a template in which the thing may be."""
    (x, y), (height, width) = thing.template.place, thing.template.mask.shape
    reach = int(6 + 0.1 * np.sqrt(thing.area))
    full_height, full_width = thing.mask.shape
    rows = slice(min(max(y - reach, 0), full_height), max(min(y + height + reach, full_height), 0))
    return rows, slice(min(max(x - reach, 0), full_width), max(min(x + width + reach, full_width), 0))


def _window(thing: Thing, flow: Flow) -> Window:
    """Part of the frame in which a visible thing may be now: as far as flow or velocity can carry it."""
    rows, columns = np.flatnonzero(thing.mask.any(axis=1)), np.flatnonzero(thing.mask.any(axis=0))
    inside = flow[rows[0] // 2 : rows[-1] // 2 + 1, columns[0] // 2 : columns[-1] // 2 + 1]
    flow_px = float(np.abs(inside).max()) if inside.size else 0.0
    reach = int(8 + 0.15 * np.sqrt(thing.area) + min(max(flow_px, 1.5 * np.abs(thing.velocity).max()), 80.0))
    height, width = thing.mask.shape
    return (
        slice(max(rows[0] - reach, 0), min(rows[-1] + reach + 1, height)),
        slice(max(columns[0] - reach, 0), min(columns[-1] + reach + 1, width)),
    )


def _predict(thing: Thing, flow: Flow, window: Window, fit: Floats) -> Floats:
    """Where the mask should be now, in the window: moved by the flow or, where that fits clearly worse,
    by its velocity."""
    rows, columns = window
    top, left = rows.start, columns.start
    height, width = rows.stop - top, columns.stop - left
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    old = thing.mask[window].astype(np.float32)
    half_x, half_y = (x + np.float32(left)) / 2 - 0.25, (y + np.float32(top)) / 2 - 0.25
    offsets = cv2.remap(
        flow.astype(np.float32), half_x, half_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    by_flow = cv2.remap(old, x + offsets[..., 0], y + offsets[..., 1], cv2.INTER_LINEAR)
    if np.hypot(*thing.velocity) < _SLOW_PX:
        return by_flow
    shift = np.array([[1, 0, thing.velocity[0]], [0, 1, thing.velocity[1]]], np.float32)
    by_velocity = cv2.warpAffine(old, shift, (width, height))
    flow_fit, velocity_fit = (float((prior * fit).sum()) for prior in (by_flow, by_velocity))
    return by_flow if flow_fit >= 0.8 * velocity_fit else by_velocity


def _coherent(mask: Mask, prior: Mask) -> Mask:
    """The pieces of a mask that touch its prediction, holes closed, and not far from the largest one.

    What began as one and comes apart for good was two things.
    """
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    if count <= 1:
        return np.zeros_like(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    touched = np.bincount(labels[prior], minlength=count)[1:]
    keep = (touched >= 0.2 * areas) | ((touched > 0) & (areas >= 0.3 * areas.max()))
    keep &= areas >= 0.02 * areas.max()
    if keep.sum() > 1:
        largest = 1 + int(np.where(keep, areas, 0).argmax())
        keep &= _gaps_px(labels, count, largest)[1:] <= _MAX_GAP * np.sqrt(stats[largest, cv2.CC_STAT_AREA])
    return np.concatenate([[False], keep])[labels]


def _gaps_px(labels: NDArray[np.int32], count: int, place: int) -> NDArray[np.float64]:
    """Distance of every piece from one of them."""
    away = cv2.distanceTransform((labels != place).astype(np.uint8), cv2.DIST_L2, 3)
    return np.array([away[labels == label].min() for label in range(count)], np.float64)
