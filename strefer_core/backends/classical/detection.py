"""Boxes on single frames: what moves there or is no background, and people even where they stand still."""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.backends.classical.attributes import outlines_of
from strefer_core.backends.classical.frames import Frames
from strefer_core.backends.classical.matching import noun_score
from strefer_core.backends.classical.people import find_people, person_score
from strefer_core.backends.classical.regions import Region, regions
from strefer_core.backends.interfaces import Detection

_SAME_PERSON = 0.4  # IoU of a box of a person with a moving region from which these are one
_INSIDE = 0.7  # share of such a box in a region from which it is a part of it


def find_boxes(frames: Frames, index: int, nouns: Sequence[str]) -> list[Detection]:
    """Detections on sampled frame `index` with a score per noun, moving ones first."""
    t = int(frames.footage.sampled[index])
    image, moving = frames.footage.images[t], regions(frames.scene, t)
    asks_people = "person" in nouns
    people = find_people(image) if asks_people else []
    found = []
    for region in moving:
        seen = max((score for box, score in people if _iou(box, region.box) >= _SAME_PERSON), default=0.0)
        person = max(person_score(image, region.mask), seen) if asks_people else 0.0
        found.append(_detection(index, region, person, nouns))
    still = [
        (box, score)
        for box, score in people
        if all(_iou(box, r.box) < _SAME_PERSON and _share(box, r.box) < _INSIDE for r in moving)
    ]
    return found + [
        Detection(
            frame_index=index,
            box=box,
            score=score,
            noun_scores=tuple(noun_score(noun, {}, score) for noun in nouns),
        )
        for box, score in still
    ]


def _detection(index: int, region: Region, person: float, nouns: Sequence[str]) -> Detection:
    shapes = outlines_of(region.mask)
    return Detection(
        frame_index=index,
        box=region.box,
        score=min(region.score, 1.0),
        noun_scores=tuple(noun_score(noun, shapes, person) for noun in nouns),
    )


def _both(a: dm.Box, b: dm.Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def _area(box: dm.Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _share(a: dm.Box, b: dm.Box) -> float:
    """Share of the first box in the second."""
    return _both(a, b) / max(_area(a), 1e-9)


def _iou(a: dm.Box, b: dm.Box) -> float:
    return _both(a, b) / max(_area(a) + _area(b) - _both(a, b), 1e-9)
