"""Every knob of the world, checked against the truth that lies beside a rendered video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

from strefer_core.video_io import sample_positions
from strefer_core.world import WorldTruth, load_truth, truth_path
from strefer_core.world.knobs import KNOBS
from strefer_core.world.render import render_video
from strefer_core.world.truth import TrueEntity

SEED = 31
FRAME_PX = 640 * 360


def _truth(out_dir: Path, *knobs: str, index: int = 0) -> WorldTruth:
    return load_truth(truth_path(render_video(SEED, index, out_dir, knobs)))


# --- what each knob means, in terms of the truth -------------------------------------------------


def _visible(entity: TrueEntity) -> NDArray[np.float64]:
    return np.array(entity.visible_fractions)


def _in_frame(entity: TrueEntity) -> NDArray[np.float64]:
    return np.array(entity.in_frame_fractions)


def _samples(truth: WorldTruth) -> NDArray[np.int64]:
    return sample_positions(len(truth.frames_pts_s))


def _seconds(truth: WorldTruth, flags: NDArray[np.bool_]) -> float:
    """The longest run of True."""
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest / float(truth.fps)


def _shots(truth: WorldTruth) -> list[slice]:
    cuts = [round(cut_s * truth.fps) for cut_s in truth.cuts_s]
    return [slice(a, b) for a, b in pairwise([0, *cuts, len(truth.frames_pts_s)])]


def _middles(entity: TrueEntity) -> NDArray[np.float64]:
    boxes = np.array([box or (np.nan,) * 4 for box in entity.full_boxes_px])
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def _sides(entity: TrueEntity) -> NDArray[np.float64]:
    boxes = np.array([box or (np.nan,) * 4 for box in entity.full_boxes_px])
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1))


def _pairs(truth: WorldTruth) -> Iterator[tuple[TrueEntity, TrueEntity]]:
    """Those of one noun and one colour."""
    for i, one in enumerate(truth.entities):
        for other in truth.entities[:i]:
            if one.noun == other.noun and dict(one.attributes)["colour"] == dict(other.attributes)["colour"]:
                yield one, other


def look_alikes(truth: WorldTruth) -> bool:
    """Both are well seen and near enough to be mixed up, and far apart on another frame."""
    for one, other in _pairs(truth):
        seen = (_visible(one) > 0.2) & (_visible(other) > 0.2)
        distance = np.hypot(*(_middles(one) - _middles(other)).T)
        size = (_sides(one) + _sides(other)) / 2
        if (seen & (distance < 1.15 * size)).any() and (seen & (distance > 1.4 * size)).any():
            return True
    return False


def late_entry(truth: WorldTruth) -> bool:
    third = len(truth.frames_pts_s) // 3
    return any(
        all(mask is None for mask in entity.masks[:third])
        and sum(mask is not None for mask in entity.masks[third:]) >= 1.2 * truth.fps
        for entity in truth.entities
    )


def re_entry(truth: WorldTruth) -> bool:
    """Seen, outside the frame for 0.6 s at least, seen again, without a cut between."""
    for entity in truth.entities:
        for shot in _shots(truth):
            seen, inside = _visible(entity)[shot] > 0.3, _in_frame(entity)[shot] > 0
            here = np.array([box is not None for box in entity.full_boxes_px[shot]])
            for before, after in pairwise(np.flatnonzero(seen)):
                if _seconds(truth, (here & ~inside)[before:after]) >= 0.6:
                    return True
    return False


def partial_occlusion(truth: WorldTruth) -> bool:
    for entity in truth.entities:
        share = _visible(entity) / np.maximum(_in_frame(entity), 1e-9)
        if _seconds(truth, (_in_frame(entity) > 0.9) & (share > 0.15) & (share < 0.8)) >= 0.3:
            return True
    return False


def full_occlusion(truth: WorldTruth) -> bool:
    """In the frame and not to be seen for a while, seen before and after it in the same shot."""
    for entity in truth.entities:
        for shot in _shots(truth):
            gone = (_in_frame(entity)[shot] > 0.9) & (_visible(entity)[shot] == 0)
            seen = np.flatnonzero(_visible(entity)[shot] > 0.5)
            for before, after in pairwise(seen):
                if _seconds(truth, gone[before:after]) >= 0.3:
                    return True
    return False


def motion_blur(truth: WorldTruth) -> bool:
    return max(max(entity.blur_px) for entity in truth.entities) > 6


def fast_motion(truth: WorldTruth) -> bool:
    samples = _samples(truth)
    for entity in truth.entities:
        seen = _visible(entity)[samples] > 0.2
        steps = np.hypot(*np.diff(_middles(entity)[samples], axis=0).T)
        if ((steps > _sides(entity)[samples][:-1]) & seen[1:] & seen[:-1]).sum() >= 5:
            return True
    return False


def small_objects(truth: WorldTruth) -> bool:
    def largest(entity: TrueEntity) -> float:
        return max((float(coco.area(mask)) for mask in entity.masks if mask), default=0)

    return any(largest(entity) < 0.003 * FRAME_PX for entity in truth.entities)


def camera_pan(truth: WorldTruth) -> bool:
    return any(np.ptp(np.array(truth.camera_px)[shot][:, 0]) > 80 for shot in _shots(truth))


def camera_zoom(truth: WorldTruth) -> bool:
    zooms = np.array(truth.camera_zoom)
    return any(zooms[shot].max() >= 1.4 * zooms[shot].min() for shot in _shots(truth))


def camera_shake(truth: WorldTruth) -> bool:
    """The camera leaves its own mean over a second, to and fro, by pixels."""
    longest = max(_shots(truth), key=lambda shot: shot.stop - shot.start)
    camera = np.array(truth.camera_px)[longest]
    mean = [np.convolve(camera[:, axis], np.full(25, 1 / 25), "valid") for axis in (0, 1)]
    off = camera[12 : len(camera) - 12] - np.stack(mean, axis=1)
    turns = (np.diff(np.sign(off), axis=0) != 0).sum(axis=0)
    return bool(turns.min() >= 2 and off.std(axis=0).min() > 1)


def cuts(truth: WorldTruth) -> bool:
    return len(truth.cuts_s) >= 1 and len(set(truth.places)) == 2


def crowding(truth: WorldTruth) -> bool:
    together = np.sum([_visible(entity) > 0.3 for entity in truth.entities], axis=0)
    return len(truth.entities) in (7, 8, 9) and together.max() >= 6


def never_together(truth: WorldTruth) -> bool:
    kinds = Counter(entity.generalized_noun for entity in truth.entities)
    for kind, count in kinds.items():
        rows = np.array([_visible(e) for e in truth.entities if e.generalized_noun == kind])
        often = (rows[:, _samples(truth)] > 0.2).sum(axis=1) >= 5
        if count >= 2 and often.all() and not (rows > 0.2).all(axis=0).any():
            return True
    return False


def absent_entities(truth: WorldTruth) -> bool:
    """One or two near misses: they share noun or colour with somebody, and fit nobody."""
    kinds = {entity.generalized_noun for entity in truth.entities}
    looks = [(entity.noun, dict(entity.attributes)["colour"]) for entity in truth.entities]
    for absent in truth.absent:
        colour = dict(absent.attributes)["colour"]
        near = any((absent.noun == noun) != (colour == other) for noun, other in looks)
        if absent.generalized_noun not in kinds or not near or (absent.noun, colour) in looks:
            return False
        assert absent.expression == f"the {colour} {absent.noun}"
    return len(truth.absent) in (1, 2)


def ambiguous_expressions(truth: WorldTruth) -> bool:
    for ambiguous in truth.ambiguous:
        words = set(ambiguous.expression.removeprefix("the ").split())
        fit = [e.entity_id for e in truth.entities if words <= {e.noun, *dict(e.attributes).values()}]
        if len(fit) < 2 or tuple(fit) != ambiguous.entity_ids:
            return False
    return len(truth.ambiguous) >= 1


SHOWS: dict[str, Callable[[WorldTruth], bool]] = {
    check.__name__: check
    for check in (
        look_alikes, late_entry, re_entry, partial_occlusion, full_occlusion, motion_blur, fast_motion,
        small_objects, camera_pan, camera_zoom, camera_shake, cuts, crowding, never_together,
        absent_entities, ambiguous_expressions,
    )
}  # fmt: skip
IN_THE_PICTURE = {"lighting", "static_distractors", "clutter"}  # test_world_pictures looks at these


def _is_sound(truth: WorldTruth) -> None:
    """What holds of every video with knobs."""
    assert 6 <= truth.duration_s <= 7
    assert truth.fps in (24, 25)
    assert truth.scenario == ("+".join(truth.knobs) or "plain")
    assert len(truth.entities) in ((7, 8, 9) if "crowding" in truth.knobs else (3, 4, 5))
    assert len({entity.expression for entity in truth.entities}) == len(truth.entities)
    for entity in truth.entities:
        words = set(entity.expression.removeprefix("the ").split())
        assert [e for e in truth.entities if words <= {e.noun, *dict(e.attributes).values()}] == [entity]
        assert sum(entity.masks[position] is not None for position in _samples(truth)) >= 3
        assert [mask is None for mask in entity.masks] == [share == 0 for share in entity.visible_fractions]


# --- each alone ----------------------------------------------------------------------------------


def test_every_knob_is_looked_at() -> None:
    assert SHOWS.keys() | IN_THE_PICTURE == KNOBS.keys()


@pytest.mark.parametrize("knob", SHOWS)
def test_a_knob_shows_what_it_names(tmp_path: Path, knob: str) -> None:
    truth = _truth(tmp_path, knob)
    _is_sound(truth)
    assert truth.knobs == (knob,)
    assert SHOWS[knob](truth)


def test_a_plain_video_shows_none_of_it(tmp_path: Path) -> None:
    truth = _truth(tmp_path)
    _is_sound(truth)
    assert truth.knobs == ()
    assert [name for name, shows in SHOWS.items() if shows(truth)] == []
    assert len(set(truth.camera_px)) == len(set(truth.camera_zoom)) == 1
    for entity in truth.entities:
        assert min(entity.in_frame_fractions) > 0.9
        assert min(entity.visible_fractions) > 0.75
        assert max(entity.blur_px) == 0


# --- mixed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "knobs",
    [
        ("look_alikes", "never_together", "full_occlusion"),
        ("cuts", "re_entry", "camera_zoom"),
        ("crowding", "small_objects", "ambiguous_expressions"),
    ],
)
def test_mixed_knobs_all_show(tmp_path: Path, knobs: tuple[str, ...]) -> None:
    truth = _truth(tmp_path, *knobs, index=3)
    _is_sound(truth)
    assert truth.knobs == tuple(sorted(knobs))
    assert all(SHOWS[knob](truth) for knob in knobs)


def test_movement_is_through_the_world_under_any_camera(tmp_path: Path) -> None:
    truth = _truth(tmp_path, "camera_zoom", "camera_pan", index=1)
    corners, zooms = np.array(truth.camera_px), np.array(truth.camera_zoom)
    checked = 0
    for entity in truth.entities:
        world_px = _middles(entity) / zooms[:, None] + corners
        for action in entity.actions:
            start, end = (round(t * truth.fps) for t in (action.start_s, action.end_s))
            x, y = world_px[end - 1] - world_px[start]
            if action.kind == "stand":
                assert np.hypot(x, y) < 25
            elif action.kind == "move":
                forward = {"left": -x, "right": x, "up": -y, "down": y}[action.direction or ""]
                assert forward > 5
                assert forward > 0.6 * np.hypot(x, y) - 12  # a gait shifts the box by as much
                checked += 1
    assert checked >= 3
