"""The stage `masklets`, and our cascade with the classical backend on drawn footage with exact masks."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.classical import ClassicalPerception
from strefer_core.backends.interfaces import Footage, Track
from strefer_core.cascades import Found, run_cascade
from strefer_core.config import MaskletsConfig
from strefer_core.masks import decode, tight_box
from strefer_core.pipeline import Filtered, StageTask
from strefer_core.stages.masklets import run
from tests.media import write_video
from tests.painted import Shape, footage, line, paint


def entity(index: int, expression: str, noun: str, **attributes: str) -> dm.Entity:
    return dm.Entity(
        entity_id=f"ent-{index}", video_id="0" * 16, index=index, expression=expression, noun=noun,
        generalized_noun="shape", attributes=tuple(sorted(attributes.items())),
    )  # fmt: skip


RED_CIRCLE = entity(0, "the red circle", "circle", colour="red")
BLUE_SQUARE = entity(1, "the blue square", "square", colour="blue")


# the whole cascade on drawn footage


def tracked(
    shapes: list[Shape], entities: list[dm.Entity], frame_count: int = 60
) -> tuple[Footage, list[NDArray[np.bool_]], dict[int, Track], tuple[Found, ...]]:
    images, truth = paint(shapes, frame_count)
    film = footage(images)
    found = run_cascade("strefer", ClassicalPerception(), film, entities, MaskletsConfig()).found
    return film, truth, {one.entity: one.track for one in found}, found


def mean_iou(film: Footage, found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Over the sampled frames where one of the two is visible."""
    either = [(found[t] | truth[t]).sum() for t in film.sampled]
    both = [(found[t] & truth[t]).sum() for t in film.sampled]
    return float(np.mean([b / e for b, e in zip(both, either, strict=True) if e]))


CIRCLE = Shape("circle", "red", line((30, 60), (4, 0)))
SQUARE = Shape("square", "blue", line((290, 130), (-4, 0)))


def test_masks_lie_on_the_things() -> None:
    film, truth, found, assignments = tracked([CIRCLE, SQUARE], [RED_CIRCLE, BLUE_SQUARE])
    assert mean_iou(film, found[0].masks, truth[0]) > 0.9
    assert mean_iou(film, found[1].masks, truth[1]) > 0.9
    assert all(one.margin is not None and one.margin > 0.5 for one in assignments)
    assert all((track.forward_backward_iou or 0) > 0.85 for track in found.values())


def test_a_thing_that_leaves_has_empty_masks_from_then_on() -> None:
    film, (truth,), found, _ = tracked(
        [Shape("circle", "red", line((100, 60), (8, 0)))], [RED_CIRCLE]
    )  # gone after frame 30
    gone = [t for t in film.sampled if not truth[t].any()]
    assert len(gone) >= 12
    assert not found[0].masks[gone].any()
    assert mean_iou(film, found[0].masks, truth) > 0.85


def test_a_thing_that_comes_back_is_the_same() -> None:
    def place(t: int) -> tuple[float, float] | None:
        return (200 + 8 * t, 60.0) if t < 20 else (360 - 6 * (t - 30), 70.0) if t > 30 else None

    film, (truth,), found, _ = tracked([Shape("circle", "red", place)], [RED_CIRCLE])
    assert mean_iou(film, found[0].masks, truth) > 0.85


def test_a_thing_that_comes_late_is_reached() -> None:
    late = Shape("square", "blue", lambda t: (-20 + 10 * (t - 40), 130) if t >= 40 else None)
    film, truth, found, _ = tracked([CIRCLE, late], [RED_CIRCLE, BLUE_SQUARE])
    assert mean_iou(film, found[1].masks, truth[1]) > 0.8
    assert not found[1].masks[:38].any()


def test_things_that_pass_in_front_of_each_other_keep_who_they_are() -> None:
    crossing = Shape("square", "blue", line((290, 65), (-4, 0)))
    film, truth, found, _ = tracked([CIRCLE, crossing], [RED_CIRCLE, BLUE_SQUARE])
    assert mean_iou(film, found[0].masks, truth[0]) > 0.75
    assert mean_iou(film, found[1].masks, truth[1]) > 0.75


def test_an_absent_entity_gets_no_mask() -> None:
    _, _, found, _ = tracked([CIRCLE], [RED_CIRCLE, entity(1, "the green star", "star", colour="green")])
    assert set(found) == {0}


# the stage


def task(path: Path, entities: Sequence[dm.Entity]) -> StageTask:
    return StageTask(
        video_id="0" * 16,
        fingerprint="abcdef012345" + "0" * 20,
        video_path=path,
        config=MaskletsConfig(),
        backend=ClassicalPerception(),
        inputs={"entities": dm.EntitiesResult(entities=tuple(entities))},
    )


def test_the_stage_writes_masks_at_display_size(tmp_path: Path) -> None:
    images, (truth,) = paint([CIRCLE], 40)
    large = images.repeat(2, axis=1).repeat(2, axis=2)
    path = write_video(tmp_path / "a.mp4", 40, paint=lambda i: large[i], rate=Fraction(10))
    (masklet,) = run(task(path, [RED_CIRCLE])).masklets
    positions = np.linspace(0, 39, 32).astype(int)
    assert masklet.masklet_id == "msk-abcdef012345-0000"
    assert masklet.entity_id == RED_CIRCLE.entity_id
    assert masklet.frames_pts_s == pytest.approx(positions / 10)
    overlaps = []
    for rle, box, area, position in zip(
        masklet.masks, masklet.boxes_px, masklet.areas_px, positions, strict=True
    ):
        assert rle is not None
        mask = decode(rle)
        assert mask.shape == (360, 640)
        assert box == tight_box(mask)
        assert area == mask.sum()
        wanted = truth[position].repeat(2, axis=0).repeat(2, axis=1)
        overlaps.append((mask & wanted).sum() / (mask | wanted).sum())
    assert np.mean(overlaps) > 0.85
    assert 0.3 <= masklet.detector_score <= 1
    assert masklet.assignment_margin is None  # there was no other track
    assert masklet.forward_backward_iou is not None


@pytest.mark.parametrize("frame_count", [1, 2, 20])
def test_a_video_in_which_nothing_moves_is_filtered(tmp_path: Path, frame_count: int) -> None:
    still, _ = paint([Shape("circle", "red", line((99, 99), (0, 0)))], 1, noise=0.0)
    path = write_video(tmp_path / "a.mp4", frame_count, paint=lambda _: still[0])
    with pytest.raises(Filtered, match="none of 1 entities"):
        run(task(path, [RED_CIRCLE]))
