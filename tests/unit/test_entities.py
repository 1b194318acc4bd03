"""The entities stage: who is found in drawn videos, and that nothing is found where nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from strefer_core import data_model as dm
from strefer_core.backends.classical import ClassicalPerception
from strefer_core.config import EntitiesConfig
from strefer_core.pipeline import Filtered, StageTask
from strefer_core.stages.entities import run
from tests.media import Image, write_video
from tests.painted import HEIGHT_PX, WIDTH_PX, Shape, footage, ground, line, paint

CIRCLE = Shape("circle", "red", line((40, 60), (4, 0)))
SQUARE = Shape("square", "blue", line((280, 130), (-4, 0)))
STAR = Shape("star", "yellow", line((60, 130), (4, 0)))
REAL = Path(__file__).parents[2] / "../shared/data"


def expressions(shapes: list[Shape], frame_count: int = 45, max_entities: int = 8) -> set[str]:
    images, _ = paint(shapes, frame_count)
    config = EntitiesConfig(max_entities=max_entities)
    return {one.expression for one in ClassicalPerception().recognize(footage(images), config)}


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([CIRCLE], {"the red circle"}),
        ([CIRCLE, SQUARE], {"the red circle", "the blue square"}),
        ([Shape("star", "yellow", line((40, 60), (5, 1)), 26.0)], {"the yellow star"}),
        (  # look-alikes that differ in size
            [
                Shape("square", "red", line((40, 50), (4, 0)), 14.0),
                Shape("square", "red", line((280, 130), (-4, 0)), 30.0),
            ],
            {"the small red square", "the large red square"},
        ),
        (  # look-alikes that differ in where they go
            [CIRCLE, Shape("circle", "red", line((280, 130), (-4, 0)))],
            {"the red circle that moves right", "the red circle that moves left"},
        ),
        (  # one comes late, after the other has left
            [
                Shape("circle", "red", lambda t: (40 + 14 * t, 60) if t < 22 else None),
                Shape("square", "blue", lambda t: (-10 + 12 * (t - 22), 120) if t >= 22 else None),
            ],
            {"the red circle", "the blue square"},
        ),
    ],
)
def test_moving_things_are_found_and_named(shapes: list[Shape], expected: set[str]) -> None:
    assert expressions(shapes) == expected


def test_a_thing_that_stands_still_is_not_active() -> None:
    assert expressions([CIRCLE, Shape("square", "blue", line((160, 140), (0, 0)))]) == {"the red circle"}


def test_the_best_come_first_up_to_the_limit() -> None:
    small = Shape("circle", "red", lambda t: (40 + 4 * t, 30) if t > 30 else None, 12.0)
    assert expressions([small, SQUARE], max_entities=1) == {"the blue square"}


def test_a_panning_camera_moves_nothing() -> None:
    wide = ground(seed=5, width_px=WIDTH_PX + 120)
    images, _ = paint([CIRCLE], 45, ground_at=lambda t: wide[:, 2 * t : 2 * t + WIDTH_PX])
    found = ClassicalPerception().recognize(footage(images), EntitiesConfig())
    assert [one.expression for one in found] == ["the red circle"]


@pytest.mark.parametrize("frame_count", [1, 2, 20])
@pytest.mark.parametrize("kind", ["black", "white", "noise", "still"])
def test_where_nothing_moves_there_is_no_entity(kind: str, frame_count: int) -> None:
    rng = np.random.default_rng(0)
    shape = (frame_count, HEIGHT_PX, WIDTH_PX, 3)
    still, _ = paint([Shape("circle", "red", line((99, 99), (0, 0)))], frame_count)
    images = {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "noise": rng.integers(0, 256, shape, dtype=np.uint8),
        "still": still,
    }[kind]
    assert ClassicalPerception().recognize(footage(images), EntitiesConfig()) == []


def task(path: Path, **config: int) -> StageTask:
    return StageTask(
        video_id="0" * 16,
        fingerprint="abcdef012345" + "0" * 20,
        video_path=path,
        config=EntitiesConfig(**config),
        backend=ClassicalPerception(),
    )


def painter(images: np.ndarray) -> Callable[[int], Image]:
    return lambda i: images[i]


def test_the_stage_writes_entities(tmp_path: Path) -> None:
    images, _ = paint([CIRCLE], 45)
    result = run(task(write_video(tmp_path / "a.mp4", 45, paint=painter(images), rate=Fraction(10))))
    assert result.entities == (
        dm.Entity(
            entity_id="ent-abcdef012345-0000",
            video_id="0" * 16,
            index=0,
            expression="the red circle",
            noun="circle",
            generalized_noun="shape",
            attributes=(("colour", "red"),),
        ),
    )


@pytest.mark.parametrize("frame_count", [1, 25])
def test_a_video_without_entities_is_filtered(tmp_path: Path, frame_count: int) -> None:
    still = ground()
    path = write_video(tmp_path / "a.mp4", frame_count, paint=lambda _: still)
    with pytest.raises(Filtered, match="no active entity") as caught:
        run(task(path))
    assert caught.value.result == dm.EntitiesResult(entities=())


@pytest.mark.parametrize(
    ("name", "noun"),
    [("01_dog.mp4", "person"), ("03_blocks.mp4", "object"), ("05_default_juggle.mp4", "person")],
)
def test_real_videos_have_an_entity(name: str, noun: str) -> None:
    """In the first a woman plays with a dog, in the second hands move blocks, in the third a man juggles."""
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not beside the repository")
    assert noun in {one.noun for one in run(task(REAL / name)).entities}
