"""The referring masklet generator. Reads entities and working frames, writes one masklet per entity it finds.

A cascade of four steps with the names of the paper (arXiv 2509.03501): `sample` orders the frames, `detect`
looks for boxes until one frame holds every wanted noun, `track` carries the boxes of that anchor frame
through the video, `assign` gives tracks to entities. Unlike there, what counts as full is the wanted number
of every noun and not the number of boxes; entities that are still without a track get further anchor
frames; and the assignment is one matching over all tracks, so one contradiction does not drop a group.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Assigner, Detection, Detector, Footage, Track, Tracker
from strefer_core.footage import load_footage
from strefer_core.masks import encode, iou, resize, tight_box
from strefer_core.pipeline import Filtered, StageTask

_NAMES = 0.5  # noun score from which a box counts as a thing of that noun
_COVERED = 0.4  # share of a box's thing under known tracks from which it is known already
_SAME_TRACK = 0.5  # mean IoU on shared frames


class Backend(Detector, Tracker, Assigner, Protocol):
    """What this stage asks of its backend."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One entity's track, by place, and how clearly it won."""

    entity: int
    track: int
    score: float
    margin: float | None  # None without a rival track


@dataclass(kw_only=True)
class _Search:
    """Frames still to be looked at, and what was found on the others."""

    order: deque[int]
    found: dict[int, list[Detection]] = field(default_factory=dict)


def run(task: StageTask) -> dm.MaskletsResult:
    """The `masklets` stage.

    Raises:
        Filtered: no entity could be tracked.
        UnreadableVideo: a frame cannot be decoded.
    """
    found = task.inputs["entities"]
    assert isinstance(found, dm.EntitiesResult)
    footage = load_footage(task.video_path)
    tracks, assignments = cascade(
        task.backend,
        footage,
        found.entities,
        batch=task.config.detection_batch,
        min_score=task.config.min_score,
        max_anchors=task.config.max_anchors,
        min_match=task.config.min_match,
    )
    masklets = [
        make_masklet(
            task.new_id("msk", one.entity), found.entities[one.entity], tracks[one.track], one, footage
        )
        for one in assignments
    ]
    result = dm.MaskletsResult(masklets=tuple(one for one in masklets if any(one.areas_px)))
    if not result.masklets:
        raise Filtered(f"none of {len(found.entities)} entities could be tracked", result)
    return result


def cascade(
    backend: Backend,
    footage: Footage,
    entities: Sequence[dm.Entity],
    *,
    batch: int,
    min_score: float,
    max_anchors: int,
    min_match: float,
) -> tuple[list[Track], list[Assignment]]:
    """Run the four steps, with further anchor frames while entities are without a track.

    Returns:
        All tracks, and at most one of them per entity, in order of entities.
    """
    search = _Search(order=deque(sample(len(footage.sampled))))
    tracks: list[Track] = []
    assignments: list[Assignment] = []
    missing = list(range(len(entities)))
    for _ in range(max_anchors):
        wanted = Counter(entities[place].noun for place in missing)
        if not wanted:
            break
        nouns = sorted({entity.noun for entity in entities})
        counts = [wanted[noun] for noun in nouns]
        detect(backend, footage, nouns, counts, search, tracks, batch=batch, min_score=min_score)
        anchor = best_anchor(fresh_boxes(footage, search.found, tracks), counts)
        if not anchor:
            break
        tracks = merge_tracks(footage, tracks + track(backend, footage, anchor))
        assignments = assign(backend, footage, entities, tracks, min_match)
        missing = sorted(set(range(len(entities))) - {one.entity for one in assignments})
    return tracks, assignments


def sample(count: int) -> list[int]:
    """Indices 0..count-1 in the order of a balanced binary tree, top down: 15, 7, 23, 3, ... for 32.

    Middle frames come first: a thing is most often in view there, and both directions are short.
    """
    order: list[int] = []
    spans = deque([(0, count)])
    while spans:
        start, stop = spans.popleft()
        if start < stop:
            middle = (start + stop - 1) // 2
            order.append(middle)
            spans += [(start, middle), (middle + 1, stop)]
    return order


def detect(
    detector: Detector,
    footage: Footage,
    nouns: Sequence[str],
    counts: Sequence[int],
    search: _Search,
    tracks: Sequence[Track],
    *,
    batch: int,
    min_score: float,
) -> None:
    """Look at further frames, a batch at a time, until one holds the wanted count of every noun.

    Boxes of things that `tracks` already follow do not count. Adds to `search.found`.
    """
    while search.order and fill(best_anchor(fresh_boxes(footage, search.found, tracks), counts), counts)[
        0
    ] < sum(counts):
        indices = [search.order.popleft() for _ in range(min(batch, len(search.order)))]
        for index, boxes in zip(indices, detector.detect(footage, indices, nouns), strict=True):
            search.found[index] = [box for box in boxes if box.score >= min_score]


def fill(boxes: Sequence[Detection], counts: Sequence[int]) -> tuple[int, float]:
    """How well the boxes of one frame fill the wanted counts: (places filled, sum of their scores).

    Each box fills one place of one noun at most: a matching, so that three boxes of one noun do not stand
    for three different things.
    """
    slots = [noun for noun, count in enumerate(counts) for _ in range(count)]
    if not slots or not boxes:
        return 0, 0.0
    named = np.array([[box.noun_scores[noun] for box in boxes] for noun in slots])
    weight = np.where(named >= _NAMES, named * np.array([box.score for box in boxes]) + 1, 0)
    rows, columns = linear_sum_assignment(weight, maximize=True)
    gained = weight[rows, columns]
    return int((gained > 0).sum()), float((gained[gained > 0] - 1).sum())


def fresh_boxes(
    footage: Footage, found: Mapping[int, list[Detection]], tracks: Sequence[Track]
) -> dict[int, list[Detection]]:
    """Per frame, the boxes that no track covers yet."""
    return {
        index: [box for box in boxes if not _is_covered(footage, box, tracks)]
        for index, boxes in found.items()
    }


def _is_covered(footage: Footage, box: Detection, tracks: Sequence[Track]) -> bool:
    t = footage.sampled[box.frame_index]
    x0, y0, x1, y1 = (round(side) for side in box.box)
    for one in tracks:
        mask = one.masks[t]
        inside = int(mask[y0:y1, x0:x1].sum())
        if inside and inside >= _COVERED * min(int(mask.sum()), (x1 - x0) * (y1 - y0)):
            return True
    return False


def best_anchor(found: Mapping[int, list[Detection]], counts: Sequence[int]) -> list[Detection]:
    """Boxes of the frame that fills the wanted counts best; [] where no frame has any box."""
    return max(found.values(), key=lambda boxes: fill(boxes, counts), default=[])


def track(tracker: Tracker, footage: Footage, boxes: Sequence[Detection]) -> list[Track]:
    """Carry the boxes of an anchor frame forward and backward; tracks that never begin are left out."""
    return [one for one in tracker.track(footage, boxes) if one.masks.any()]


def merge_tracks(footage: Footage, tracks: Sequence[Track]) -> list[Track]:
    """Join tracks from different anchors that lie on the same thing, by their overlap on shared frames."""
    merged: list[Track] = []
    for one in tracks:
        twin = next(
            (i for i, other in enumerate(merged) if _overlap(footage, one, other) > _SAME_TRACK), None
        )
        if twin is None:
            merged.append(one)
        else:
            alone = ~np.asarray(merged[twin].masks.any(axis=(1, 2)))
            masks = np.where(alone[:, None, None], one.masks, merged[twin].masks)
            merged[twin] = replace(merged[twin], masks=masks)
    return merged


def _overlap(footage: Footage, a: Track, b: Track) -> float:
    shared = [t for t in footage.sampled if a.masks[t].any() and b.masks[t].any()]
    return float(np.mean([iou(a.masks[t], b.masks[t]) for t in shared])) if shared else 0.0


def assign(
    assigner: Assigner,
    footage: Footage,
    entities: Sequence[dm.Entity],
    tracks: Sequence[Track],
    min_match: float,
) -> list[Assignment]:
    """Give each entity at most one track and each track at most one entity, best total score.

    An entity whose track scores below `min_match` stays without one: it may not be in the video.
    """
    scores = assigner.scores(footage, tracks, entities)
    if not scores.size:
        return []
    rows, columns = linear_sum_assignment(np.where(scores >= min_match, scores, 0), maximize=True)
    return [
        Assignment(
            entity=int(row),
            track=int(column),
            score=float(scores[row, column]),
            margin=margin(scores[row], column),
        )
        for row, column in zip(rows, columns, strict=True)
        if scores[row, column] >= min_match
    ]


def margin(scores: NDArray[np.float64], chosen: int) -> float | None:
    """Score of the chosen track minus the best other one; negative where a rival took the better one."""
    rivals = np.delete(scores, chosen)
    return float(scores[chosen] - rivals.max()) if len(rivals) else None


def make_masklet(
    masklet_id: str, entity: dm.Entity, one: Track, won: Assignment, footage: Footage
) -> dm.Masklet:
    """Masks of a track on the sampled frames, at display size."""
    masks = list(_display_masks(one, footage))
    return dm.Masklet(
        masklet_id=masklet_id,
        video_id=entity.video_id,
        entity_id=entity.entity_id,
        frames_pts_s=tuple(float(pts) for pts in footage.pts_s[footage.sampled]),
        masks=tuple(encode(mask) for mask in masks),
        boxes_px=tuple(tight_box(mask) for mask in masks),
        areas_px=tuple(int(mask.sum()) for mask in masks),
        detector_score=one.detection.score,
        assignment_margin=won.margin,
        start_frame_index=one.detection.frame_index,
        forward_backward_iou=one.forward_backward_iou,
    )


def _display_masks(one: Track, footage: Footage) -> Iterator[NDArray[np.bool_]]:
    for t in footage.sampled:
        yield resize(one.masks[t], footage.height_px, footage.width_px)
