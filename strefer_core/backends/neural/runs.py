"""What every tracker with a memory does around its model: runs both ways, and how well they agree.

A *run* carries one thing from one frame in one direction. A track is two runs from its detection; its
forward-backward agreement comes from two more, which begin on its masks at both ends and go back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Masks, Track


@dataclass(frozen=True, kw_only=True)
class Run:
    """One thing to carry, and where its masks go."""

    prompt: dm.Box | NDArray[np.bool_]  # a box in working pixels, or a mask (H, W)
    start: int  # working frame of the prompt
    step: int  # 1 forward, -1 backward
    length: int  # frames, that of the prompt among them; at least 1
    masks: Masks  # (T, H, W), filled from `start` on
    presence: NDArray[np.float32]  # (T,) logits that the thing is in view, filled likewise

    def frame(self, age: int) -> int:
        """The working frame that is `age` frames after the prompt."""
        return self.start + age * self.step


Carry = Callable[[Sequence[Run]], None]
"""Fills in the masks and presences of runs. A run's result does not depend on what else is carried."""


def track_both_ways(
    carry: Carry, footage: Footage, detections: Sequence[Detection], *, measures_agreement: bool
) -> list[Track]:
    """One track per detection over all working frames.

    Args:
        carry: the model's part.
        footage: T working frames.
        detections: on any of the sampled frames.
        measures_agreement: carries everything a second time; else `forward_backward_iou` is None.
    """
    if not detections:
        return []
    begun = [int(footage.sampled[one.frame_index]) for one in detections]
    boxes = [one.box for one in detections]
    masks, presence = _empty(footage, len(detections))
    carry([run for way in (1, -1) for run in _runs(boxes, begun, way, masks, presence)])
    agreements = _agreements(carry, footage, begun, masks) if measures_agreement else [None] * len(detections)
    return [
        Track(detection=one, masks=own, forward_backward_iou=agreement, presence=seen)
        for one, own, agreement, seen in zip(detections, masks, agreements, presence, strict=True)
    ]


def _empty(footage: Footage, count: int) -> tuple[list[Masks], list[NDArray[np.float32]]]:
    shape = footage.images.shape[:3]
    return (
        [np.zeros(shape, np.bool_) for _ in range(count)],
        [np.full(len(footage.images), -np.inf, np.float32) for _ in range(count)],
    )


def _runs(
    boxes: Sequence[dm.Box],
    begun: Sequence[int],
    way: int,
    masks: Sequence[Masks],
    presence: Sequence[NDArray[np.float32]],
) -> list[Run]:
    """The runs of one direction; none backward from the first frame, whose forward run has it already."""
    runs = []
    for box, start, own, seen in zip(boxes, begun, masks, presence, strict=True):
        length = len(own) - start if way > 0 else start + 1
        if way > 0 or length > 1:
            runs.append(Run(prompt=box, start=start, step=way, length=length, masks=own, presence=seen))
    return runs


def _agreements(
    carry: Carry, footage: Footage, begun: Sequence[int], tracks: Sequence[Masks]
) -> list[float | None]:
    """Mean mask IoU of each track with its re-tracking from both of its ends back to where it began.

    Counted as `backends.classical` does: on sampled frames between the start and the ends, where either of
    the two is visible; None where there is no such frame.
    """
    overlaps: list[list[float]] = [[] for _ in tracks]
    for way in (1, -1):
        again, presence = _empty(footage, len(tracks))
        ends = [_last_visible(own, start, way) for own, start in zip(tracks, begun, strict=True)]
        returns = {
            number: Run(
                prompt=tracks[number][end],
                start=end,
                step=-way,
                length=abs(end - start),
                masks=again[number],
                presence=presence[number],
            )
            for number, (start, end) in enumerate(zip(begun, ends, strict=True))
            if any(min(start, end) < t < max(start, end) for t in footage.sampled)
        }
        carry(list(returns.values()))
        for number, run in returns.items():
            between = footage.sampled[
                (footage.sampled > min(begun[number], run.start))
                & (footage.sampled < max(begun[number], run.start))
            ]
            overlaps[number] += _overlaps(tracks[number][between], run.masks[between])
    return [float(np.mean(values)) if values else None for values in overlaps]


def _last_visible(masks: Masks, start: int, way: int) -> int:
    """The last frame in a direction with a mask; the start where there is none."""
    seen = np.flatnonzero(masks.any(axis=(1, 2)))
    seen = seen[seen * way >= start * way]
    if not len(seen):
        return start
    return int(seen[-1] if way > 0 else seen[0])


def _overlaps(a: Masks, b: Masks) -> list[float]:
    """IoU per frame on which either of two tracks is visible."""
    either, both = (a | b).sum(axis=(1, 2)), (a & b).sum(axis=(1, 2))
    return [float(x / y) for x, y in zip(both, either, strict=True) if y]
