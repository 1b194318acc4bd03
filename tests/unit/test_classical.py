"""The parts of classical perception, each against truth that was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from strefer_core import data_model as dm
from strefer_core.appearance import colour_index, histogram, similarity
from strefer_core.backends.classical import ClassicalPerception
from strefer_core.backends.classical.attributes import (
    COLOUR_NAMES,
    COMPACT,
    colour_shares,
    outlines_of,
)
from strefer_core.backends.classical.cutout import mask_in_box
from strefer_core.backends.classical.looks import Look
from strefer_core.backends.classical.matching import match_scores, noun_score, wanted
from strefer_core.backends.classical.patterns import PATTERNS, pattern_shares
from strefer_core.backends.classical.people import person_score, shows_skin
from strefer_core.backends.classical.regions import regions
from strefer_core.backends.classical.scene import UNKNOWN, analyse
from strefer_core.backends.classical.words import describe
from strefer_core.camera import camera_path, corner_shift_px
from strefer_core.config import EntitiesConfig
from tests.painted import HEIGHT_PX, WIDTH_PX, Mask, Shape, footage, ground, line, outline, paint

CIRCLE = Shape("circle", "red", line((60, 60), (3, 1)))


def overlap(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((222, 38, 44), "red"),
        ((245, 135, 18), "orange"),
        ((248, 214, 36), "yellow"),
        ((52, 176, 62), "green"),
        ((20, 80, 30), "green"),
        ((22, 190, 196), "turquoise"),
        ((42, 88, 226), "blue"),
        ((20, 30, 110), "blue"),
        ((150, 58, 196), "purple"),
        ((244, 100, 172), "pink"),
        ((110, 65, 35), "brown"),
        ((250, 250, 250), "white"),
        ((128, 128, 128), "grey"),
        ((5, 5, 5), "black"),
    ],
)
def test_colours_have_the_names_people_give_them(rgb: tuple[int, int, int], name: str) -> None:
    image = np.full((20, 20, 3), rgb, np.uint8)
    shares = colour_shares(image, np.ones((20, 20), bool))
    assert COLOUR_NAMES[int(shares.argmax())] == name
    assert shares.sum() == pytest.approx(1.0)


def test_nothing_has_no_colour() -> None:
    assert colour_shares(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), bool)).sum() == 0


@pytest.mark.parametrize("turn_deg", [0, 17, 45, 80])
@pytest.mark.parametrize("radius_px", [16, 30])
@pytest.mark.parametrize("kind", ["circle", "square", "triangle", "star", "hexagon"])
def test_shapes_are_known_in_any_size_and_turn(kind: str, radius_px: int, turn_deg: int) -> None:
    mask = np.zeros((90, 90), np.uint8)
    cv2.fillPoly(mask, [np.round(outline(kind, radius_px, turn_deg) + 45).astype(np.int32)], 1)
    assert outlines_of(mask > 0) == {kind: 1.0}


def test_a_long_bar_and_a_cut_shape_have_no_shape_name() -> None:
    bar, cut, none = (np.zeros((90, 90), bool) for _ in range(3))
    bar[40:50, 10:80] = True
    cut[30:60, 0:20] = True
    assert outlines_of(bar).keys() <= {COMPACT}
    assert outlines_of(cut) == {}
    assert outlines_of(none) == {COMPACT: 0.5}


def test_a_toy_is_no_person() -> None:
    image = np.full((180, 120, 3), 100, np.uint8)
    mask = np.zeros((180, 120), bool)
    mask[20:160, 40:80] = True
    image[mask] = (222, 38, 44)
    assert person_score(image, mask) == 0.0
    assert not shows_skin(image, np.zeros_like(mask))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-1.5, 0.75)])
def test_camera_motion_is_recovered(shift: tuple[float, float]) -> None:
    wide = ground(seed=3, width_px=WIDTH_PX + 80, height_px=HEIGHT_PX + 80)
    frames = []
    for t in range(8):
        move = np.array([[1, 0, -40 - shift[0] * t], [0, 1, -40 - shift[1] * t]])
        frames.append(cv2.warpAffine(wide, move, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_CUBIC))
    path = camera_path([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    assert path.is_still == (shift == (0.0, 0.0))
    for t, pose in enumerate(path.to_reference):
        truth = np.array([[1, 0, shift[0] * t], [0, 1, shift[1] * t], [0, 0, 1.0]])
        assert corner_shift_px(np.linalg.inv(truth) @ pose, (HEIGHT_PX, WIDTH_PX)) < 1.0


def test_a_large_moving_thing_is_not_the_camera() -> None:
    images, _ = paint([Shape("square", "red", line((60, 90), (4, 0)), radius_px=60)], 10)
    assert camera_path([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]).is_still


@pytest.mark.parametrize("pan_px", [0.0, 2.0])
def test_foreground_is_what_moves(pan_px: float) -> None:
    wide = ground(seed=3, width_px=WIDTH_PX + 100)

    def view(t: int) -> np.ndarray:
        move = np.array([[1, 0, -pan_px * t], [0, 1, 0.0]])
        return cv2.warpAffine(wide, move, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_CUBIC)

    images, (truth,) = paint([CIRCLE], 40, ground_at=view)
    scene = analyse(footage(images))
    found = [overlap(scene.foreground[t] > UNKNOWN, truth[t]) for t in range(3, 37)]
    assert np.mean(found) > 0.85
    assert [len(regions(scene, t)) for t in (10, 20, 30)] == [1, 1, 1]


@pytest.mark.parametrize("colour", [0, 255])
def test_a_blank_picture_has_no_foreground(colour: int) -> None:
    scene = analyse(footage(np.full((12, HEIGHT_PX, WIDTH_PX, 3), colour, np.uint8)))
    assert not (scene.foreground > UNKNOWN).any()
    assert not scene.moving.any()


def test_a_cut_begins_a_new_scene() -> None:
    first, _ = paint([CIRCLE], 20)
    second = np.repeat(255 - ground(seed=9)[None], 20, axis=0)
    scene = analyse(footage(np.concatenate([first, second])))
    assert scene.shot.tolist() == [0] * 20 + [1] * 20
    assert not (scene.foreground[20:] > UNKNOWN).any()


def test_a_box_without_foreground_is_cut_out_by_colour() -> None:
    images, (truth,) = paint([Shape("circle", "red", line((150, 90), (0, 0)))], 1)
    nothing = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    found = mask_in_box(images[0], nothing, (124.0, 64.0, 176.0, 116.0))
    assert overlap(found, truth[0]) > 0.9
    assert not mask_in_box(images[0], nothing, (5.0, 5.0, 5.0, 9.0)).any()


def test_histograms_tell_colours_apart() -> None:
    images, masks = paint(
        [Shape("circle", "red", line((60, 60), (0, 0))), Shape("circle", "blue", line((200, 60), (0, 0)))], 2
    )
    red, blue = (histogram(colour_index(images[0]), mask[0]) for mask in masks)
    again = histogram(colour_index(images[1]), masks[0][1])
    assert similarity(red, again) > 0.95
    assert similarity(red, blue) < 0.05


def look(
    colour: str = "red",
    shape: str | None = "circle",
    area_px: float = 1000.0,
    x: float = 0.5,
    way: tuple[float, float] = (0.0, 0.0),
    person: float = 0.0,
    pattern: str | None = None,
    moves: Sequence[str] = (),
    extent: float = 0.3,
) -> Look:
    shares = np.zeros(len(COLOUR_NAMES))
    shares[COLOUR_NAMES.index(colour)] = 1.0
    patterns = np.array([0.25 if pattern is None else float(name == pattern) for name in PATTERNS])
    return Look(
        colours=shares, patterns=patterns, shapes={shape: 1.0} if shape else {}, person=person,
        area_px=area_px, visible=1.0, active=1.0, start=(x, 0.5), way=way,
        moves=frozenset(moves), extent=extent,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("looks", "expressions"),
    [
        ([look()], ["the red circle"]),
        ([look("red"), look("blue")], ["the red circle", "the blue circle"]),
        ([look(), look(shape="star")], ["the red circle", "the red star"]),
        ([look(shape=None)], ["the red object"]),
        ([look(shape=None, person=1.0)], ["the person in red"]),
        ([look(area_px=900), look(area_px=2500)], ["the small red circle", "the large red circle"]),
        (
            [look(way=(0.5, 0)), look(way=(-0.5, 0))],
            ["the red circle that moves right", "the red circle that moves left"],
        ),
        (
            [look(way=(0.5, 0), moves=("right",)), look(way=(0, 0.5), moves=("down", "right"))],
            [None, "the red circle that moves down"],
        ),  # both go right for a while
        ([look(shape=None, area_px=1000), look(shape=None, area_px=1750)], [None, None]),  # snail and bird
        ([look(x=0.8), look(x=0.1)], ["the red circle on the right", "the red circle on the left"]),
        (
            [look(pattern="plain"), look(pattern="striped")],
            ["the plain red circle", "the striped red circle"],
        ),
        ([look(pattern="plain"), look()], [None, None]),  # "the red circle" might be either
        (
            [look(shape=None, pattern="striped"), look(shape=None, pattern="plain", way=(0.5, 0))],
            [None, "the red object that moves right"],
        ),  # limbs look like stripes; "the red object" might be either
        ([look("yellow"), look("yellow", shape=None)], ["the yellow circle", None]),  # a circle is an object
        (
            [look("yellow"), look("yellow", shape=None, area_px=2500), look("yellow", "star", 900)],
            ["the yellow circle", "the large yellow object", "the yellow star"],
        ),
        (
            [look(shape=None), look(shape=None, person=1.0)],
            ["the red object", "the person in red"],
        ),  # a person is no object
        (
            [look(area_px=400), look(area_px=1000), look(area_px=2500)],
            ["the small red circle", None, "the large red circle"],
        ),
        ([look(), look()], [None, None]),  # nobody can tell which is meant
        ([look(), look(), look("blue")], [None, None, "the blue circle"]),
        ([], []),
    ],
)
def test_expressions_are_short_and_fit_one_thing(looks: list[Look], expressions: list[str | None]) -> None:
    assert [one.expression if one else None for one in describe(looks)] == expressions


@pytest.mark.parametrize(
    ("looks", "expressions"),
    [
        ([look()], ["the moving red circle"]),
        ([look(shape=None, person=1.0)], ["the moving person in red"]),
        (
            [look(area_px=900), look(area_px=2500)],
            ["the small moving red circle", "the large moving red circle"],
        ),
        (
            [look(way=(0.5, 0)), look(way=(-0.5, 0))],
            ["the red circle that moves right", "the red circle that moves left"],
        ),
        ([look(extent=0.03)], ["the red circle"]),  # it may only have grown
    ],
)
def test_what_moves_is_told_from_a_look_alike_that_stands(looks: list[Look], expressions: list[str]) -> None:
    found = describe(looks, [True] * len(looks))
    assert [one.expression for one in found if one] == expressions


@pytest.mark.parametrize(
    ("thing", "nouns"),
    [
        (look(), ("circle", "shape")),
        (look(shape=None), ("object", "object")),
        (look(shape=None, person=1.0), ("person", "person")),
    ],
)
def test_nouns(thing: Look, nouns: tuple[str, str]) -> None:
    (described,) = describe([thing])
    assert described is not None
    assert (described.noun, described.generalized_noun) == nouns


def entity(expression: str, noun: str, **attributes: str) -> dm.Entity:
    return dm.Entity(
        entity_id=expression, video_id="v", index=0, expression=expression, noun=noun,
        generalized_noun="shape", attributes=tuple(sorted(attributes.items())),
    )  # fmt: skip


def test_words_are_read_from_the_expression_where_no_attributes_are_given() -> None:
    assert wanted(entity("the small red square", "square")) == {"colour": "red", "size": "small"}
    assert wanted(entity("the red square", "square", colour="blue"))["colour"] == "blue"


@pytest.mark.parametrize(
    ("words", "best"),
    [
        (entity("the red circle", "circle", colour="red"), 0),
        (entity("the blue circle", "circle", colour="blue"), 1),
        (entity("the red star", "star", colour="red"), 2),
        (entity("the large green circle", "circle", colour="green", size="large"), 4),
        (entity("the small green circle", "circle", colour="green", size="small"), 3),
    ],
)
def test_a_track_answers_its_words_best(words: dm.Entity, best: int) -> None:
    tracks = [
        look(),
        look("blue"),
        look(shape="star"),
        look("green", area_px=500),
        look("green", area_px=2000),
    ]
    scores = match_scores([*tracks, None], [words])[0]
    assert scores.argmax() == best
    assert scores[-1] == 0
    assert scores[best] > 0.5


def test_patterns_and_sizes_tell_look_alikes_apart() -> None:
    tracks = [
        look(pattern="plain", area_px=1000),
        look(pattern="spotted", area_px=1000),
        look("blue", area_px=900),
        look("blue", area_px=2500),
    ]
    words = [
        entity("the spotted red circle", "circle", colour="red", pattern="spotted", size="medium"),
        entity("the plain red circle", "circle", colour="red", pattern="plain", size="medium"),
        entity("the medium blue circle", "circle", colour="blue", size="medium"),  # medium beside a large one
        entity("the large blue circle", "circle", colour="blue", size="large"),
    ]
    assert match_scores(tracks, words).argmax(axis=1).tolist() == [1, 0, 2, 3]


@pytest.mark.parametrize(
    ("noun", "shapes", "person", "answers"),
    [
        ("shape", {"star": 1.0}, 0.0, True),
        ("shape", {COMPACT: 0.7}, 0.0, True),
        ("shape", {}, 0.0, False),
        ("star", {"star": 1.0}, 0.0, True),
        ("star", {"circle": 1.0}, 0.0, False),
        ("animal", {}, 0.0, True),
        ("animal", {"circle": 1.0}, 0.0, False),
        ("animal", {}, 1.0, False),
        ("person", {}, 0.8, True),
        ("person", {}, 0.0, False),
        ("object", {}, 0.0, True),
        ("ball", {"circle": 1.0}, 0.0, True),
    ],
)
def test_general_nouns_are_answered(
    noun: str, shapes: dict[str, float], person: float, answers: bool
) -> None:
    score = noun_score(noun, shapes, person)
    assert 0 <= score <= 1
    assert (score >= 0.5) == answers


@pytest.mark.parametrize("turn_deg", [0, 35, 90])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_known_in_any_turn(pattern: str, turn_deg: int) -> None:
    side = np.arange(120) - 60
    x, y = np.meshgrid(side, side)
    turn = np.radians(turn_deg)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    marks = {
        "plain": np.zeros(x.shape, bool),
        "striped": u // 7 % 2 == 0,
        "checked": (u // 12 + v // 12) % 2 == 0,
        "spotted": (u % 18 - 9) ** 2 + (v % 18 - 9) ** 2 < 30,
    }[pattern]
    mask = x**2 + y**2 < 45**2
    image = np.full((120, 120, 3), (222, 38, 44), np.uint8)
    image[marks] = (250, 244, 224) if pattern == "spotted" else (115, 20, 23)
    shares = pattern_shares(image, mask)
    assert shares is not None
    assert PATTERNS[int(shares.argmax())] == pattern
    assert pattern_shares(image, x**2 + y**2 < 4**2) is None


def test_an_absent_thing_matches_nothing_well() -> None:
    assert (
        match_scores([look(), look("blue")], [entity("the green star", "star", colour="green")]).max() < 0.2
    )


def test_results_are_the_same_every_time() -> None:
    images, _ = paint([CIRCLE, Shape("square", "blue", line((260, 120), (-3, 0)))], 40)
    film = footage(images)
    first, second = (ClassicalPerception() for _ in range(2))
    assert first.recognize(film, EntitiesConfig()) == second.recognize(film, EntitiesConfig())
    boxes = [backend.detect(film, [16], ["circle", "square"])[0] for backend in (first, second)]
    assert boxes[0] == boxes[1]
    tracks = [backend.track(film, boxes[0]) for backend in (first, second)]
    for a, b in zip(*tracks, strict=True):
        assert np.array_equal(a.masks, b.masks)
        assert a.forward_backward_iou == b.forward_backward_iou
