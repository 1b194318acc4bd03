"""The referring masklet generator. Reads entities and working frames, writes one masklet per entity it finds.

The queue is `gpu` because detector and tracker are heavy models in the cluster profile. How they are put to
work is a cascade of four steps, sample, detect, track, assign: see `strefer_core.cascades`.
"""

from __future__ import annotations

from dataclasses import asdict

from strefer_core import data_model as dm
from strefer_core.backends.classical.alike import taken_by
from strefer_core.backends.interfaces import Footage
from strefer_core.cascades import Found, Outcome, run_cascade
from strefer_core.cascades.birth import Named, measure
from strefer_core.footage import load_footage
from strefer_core.masks import encode, resize, tight_box
from strefer_core.pipeline import Filtered, StageTask


def run(task: StageTask) -> dm.MaskletsResult:
    """The `masklets` stage.

    Raises:
        Filtered: no entity could be tracked.
        UnreadableVideo: a frame cannot be decoded.
    """
    described = task.inputs["entities"]
    assert isinstance(described, dm.EntitiesResult)
    entities = described.entities
    footage = load_footage(task.video_path)
    outcome = run_cascade(task.config.cascade, task.backend, footage, entities, task.config)
    masklets = [
        make_masklet(task.new_id("msk", one.entity), entities[one.entity], one, outcome, footage)
        for one in outcome.found
    ]
    result = dm.MaskletsResult(masklets=tuple(one for one in masklets if any(one.areas_px)))
    if not result.masklets:
        raise Filtered(f"none of {len(entities)} entities could be tracked", result)
    return result


def make_masklet(
    masklet_id: str, entity: dm.Entity, one: Found, outcome: Outcome, footage: Footage
) -> dm.Masklet:
    """Masks of a track on the sampled frames, at display size, with how good the track is."""
    working = one.track.masks[footage.sampled]
    taken = taken_by([other.track.masks[footage.sampled] for other in outcome.found])
    noun = outcome.nouns.index(entity.generalized_noun)
    masks = [resize(mask, footage.height_px, footage.width_px) for mask in working]
    return dm.Masklet(
        masklet_id=masklet_id,
        video_id=entity.video_id,
        entity_id=entity.entity_id,
        frames_pts_s=tuple(float(pts) for pts in footage.pts_s[footage.sampled]),
        masks=tuple(encode(mask) for mask in masks),
        boxes_px=tuple(tight_box(mask) for mask in masks),
        areas_px=tuple(int(mask.sum()) for mask in masks),
        detector_score=one.track.detection.score,
        assignment_margin=one.margin,
        start_frame_index=one.track.detection.frame_index,
        forward_backward_iou=one.track.forward_backward_iou,
        assignment_score=one.score,
        **asdict(measure(footage, working, taken, outcome.boxes, noun, Named.of(entity))),
    )
