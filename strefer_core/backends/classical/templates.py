"""What a thing looked like when last seen, part by part, and where that fits now.

Where two things meet, flow mixes them up. There each is followed as a layer of its own (Jepson and Black
1993; Wang and Adelson 1994): a picture with an outline that keeps the hidden parts, moved as a whole to
where most of it agrees with the frame. A hidden part agrees with nothing, so it cannot pull.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core.backends.classical.scene import UNKNOWN

Kind = TypeVar("Kind", bound=np.generic)
Mask = NDArray[np.bool_]  # (H, W)
Offsets = NDArray[np.int64]  # (N, 2) x, y

_SAME_PX = 60.0  # city-block colour distance from which two pixels have nothing in common
_SAMPLES = 500  # pixels of a template that are compared
_COARSE = 3  # every so many of them in the coarse steps of a search
_STAY_WEIGHT = 0.15  # what the farthest step of a search must gain
_SHRUNK, _GROWN = 0.65, 1.15
_BACKGROUND_COST = 0.5


@dataclass(frozen=True, kw_only=True)
class Template:
    """A thing's picture (h, w, 3) and outline (h, w), with the place (x, y) of their corner in the frame.

    The corner may lie outside the frame, and fractions of a pixel are kept, so that slow motion adds up.
    """

    picture: NDArray[np.uint8]  # see `background.pixels`
    mask: Mask
    corner: NDArray[np.float64]

    @classmethod
    def cut(cls, image: NDArray[np.uint8], mask: Mask) -> Template:
        """From a frame (H, W, 3) and a mask (H, W) on it; of size 0 for an empty mask."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return cls(picture=image[:0, :0], mask=mask[:0, :0], corner=np.zeros(2))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        corner = np.array([columns[0], rows[0]], float)
        return cls(picture=image[window].copy(), mask=mask[window].copy(), corner=corner)

    @property
    def place(self) -> tuple[int, int]:
        """Corner on the pixel grid: (x, y)."""
        return round(float(self.corner[0])), round(float(self.corner[1]))

    def moved(self, by: NDArray[np.float64]) -> Template:
        return replace(self, corner=self.corner + by)

    def renewed(self, image: NDArray[np.uint8], mask: Mask, hidden: Mask, area_px: float) -> Template:
        """Cut anew from a frame; what others hide of it there keeps its old looks.

        With far more than `area_px` it has changed its outline, and nothing is hidden; with far less the mask
        is a part of it or something else, and the template stays.
        """
        seen, all_px = int(mask.sum()), int(mask.sum()) + int(hidden.sum())
        if all_px < _SHRUNK * area_px:
            return self
        if all_px > _GROWN * area_px or not seen:
            return Template.cut(image, mask)
        canvas = np.where(hidden[..., None], self._pasted(np.zeros_like(image), self.picture), image)
        fresh = Template.cut(canvas, mask | hidden)
        return fresh.moved(self.corner - self.place)

    def spread(self, shape: tuple[int, int]) -> Mask:
        """The outline in a frame of `shape`."""
        return self._pasted(np.zeros(shape, np.bool_), self.mask)

    def agreement(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W): 1 where the frame shows what the template shows there, 0 where not or outside of it."""
        expected = self._pasted(np.zeros_like(image), self.picture)
        away = cv2.transform(cv2.absdiff(image, expected), np.ones((1, 3), np.float32)).astype(np.float32)
        return np.where(self.spread(image.shape[:2]), 1 - np.minimum(away / _SAME_PX, 1), 0)

    def _pasted(self, canvas: NDArray[Kind], what: NDArray[Kind]) -> NDArray[Kind]:
        x, y = self.place
        height, width = self.mask.shape
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, canvas.shape[1]), min(y + height, canvas.shape[0])
        if left < right and top < bottom:
            canvas[top:bottom, left:right] = what[top - y : bottom - y, left - x : right - x]
        return canvas

    def search(
        self,
        image: NDArray[np.uint8],
        foreground: NDArray[np.uint8],
        reach_px: int,
        explained: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float64], float]:
        """Shift (x, y), at most about `reach_px` each way, at which most of the template agrees.

        Places on sure background speak against a shift, and so does its length: one colour fits anywhere.
        Pixels that others explain, (H, W) 0..1, count less.

        Returns:
            The shift, and the mean agreement there, at most 1.
        """
        rows, columns = np.nonzero(self.mask)
        if not len(rows):
            return np.zeros(2), 0.0
        chosen = np.unique(np.linspace(0, len(rows) - 1, _SAMPLES).astype(int))
        spots = np.stack([columns[chosen], rows[chosen]], axis=1) + np.array(self.place)
        colours = self.picture[rows[chosen], columns[chosen]]
        best, fit, reach, step = np.zeros(2, np.int64), 0.0, reach_px, _first_step(self.mask, reach_px)
        while True:
            shifts = best + _grid(reach, step)
            some = slice(None, None, 1 if step == 1 else _COARSE)
            fits = _fits(spots[some], colours[some], shifts, image, foreground, explained)
            place = int((fits - _STAY_WEIGHT * (shifts**2).sum(axis=1) / max(reach_px, 1) ** 2).argmax())
            best, fit = shifts[place], float(fits[place])
            if step == 1:
                return best.astype(float), fit
            reach, step = step, max(1, step // 4)


def _first_step(mask: Mask, reach_px: int) -> int:
    """Small enough not to step over the thing."""
    return int(max(1, min(round(reach_px / 4), round(np.sqrt(mask.sum()) / 4))))


def _grid(reach_px: int, step: int) -> Offsets:
    side = np.arange(-(reach_px // step), reach_px // step + 1) * step
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def _fits(
    spots: Offsets,
    colours: NDArray[np.uint8],
    shifts: Offsets,
    image: NDArray[np.uint8],
    foreground: NDArray[np.uint8],
    explained: NDArray[np.float32] | None,
) -> NDArray[np.float64]:
    """Per shift, mean over the spots: 1 for an agreeing pixel, less than 0 for one on sure background."""
    places = spots[None] + shifts[:, None]  # (shifts, spots, 2)
    height, width = foreground.shape
    inside = ((places >= 0) & (places < (width, height))).all(axis=-1)
    x, y = np.clip(places[..., 0], 0, width - 1), np.clip(places[..., 1], 0, height - 1)
    away = np.abs(image[y, x].astype(np.int16) - colours.astype(np.int16)[None]).sum(axis=-1)
    agree = 1 - np.minimum(away / _SAME_PX, 1)
    on_background = foreground[y, x] < UNKNOWN // 2
    if explained is not None:
        agree = agree * (1 - explained[y, x])
    value = np.where(on_background, -_BACKGROUND_COST, agree)
    return np.asarray((value * inside).mean(axis=1))
