"""The classical tracker on real footage: true boxes on one frame, checked on others.

All boxes were read off the pictures by eye, in working pixels (480 x 270), to about three pixels. They say
nothing of what the tracker finds.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from strefer_core import data_model as dm
from strefer_core.backends.classical import ClassicalPerception
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.footage import load_footage
from strefer_core.masks import tight_box

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.skipif(
        not (DATA / "01_dog.mp4").exists(),
        reason="the real videos are not beside the checkout (../shared/data)",
    ),
    pytest.mark.timeout(300),
]

Boxes = dict[int, dm.Box]  # by index of the sampled frame

# She stoops to the dog, stands, and stoops again; it leaps after the ball, out of the frame and back in.
WOMAN: Boxes = {
    0: (85, 81, 176, 208), 3: (88, 30, 178, 210), 4: (87, 31, 158, 211), 5: (80, 31, 152, 210),
    7: (80, 30, 150, 210), 12: (78, 51, 189, 210), 16: (54, 87, 148, 208), 18: (53, 50, 123, 209),
    22: (66, 30, 125, 211), 24: (61, 30, 125, 211), 28: (66, 50, 156, 211), 31: (100, 70, 199, 211),
}  # fmt: skip
DOG: Boxes = {
    0: (170, 142, 264, 204), 3: (197, 120, 275, 198), 4: (204, 125, 283, 199), 5: (262, 97, 338, 199),
    7: (415, 145, 480, 199), 12: (401, 145, 480, 210), 16: (146, 147, 247, 205), 18: (137, 129, 224, 207),
    22: (285, 101, 372, 202), 24: (297, 156, 352, 203), 28: (158, 152, 256, 231), 31: (179, 133, 265, 209),
}  # fmt: skip
NO_DOG = (8, 9, 10)  # sampled frames on which it is out of view
# He keeps the ball up with feet, knees and chest; it is before him on most frames.
JUGGLER: Boxes = {
    0: (227, 20, 311, 251), 2: (235, 22, 318, 255), 6: (231, 26, 328, 258), 10: (235, 22, 326, 255),
    14: (243, 20, 324, 258), 18: (206, 22, 299, 254), 22: (216, 15, 302, 257), 25: (234, 18, 334, 260),
    26: (244, 28, 343, 257), 27: (245, 35, 380, 256), 29: (241, 30, 328, 266), 31: (224, 30, 318, 260),
}  # fmt: skip
BALL: Boxes = {
    0: (231, 107, 260, 136), 2: (245, 164, 276, 200), 6: (246, 178, 276, 210), 10: (277, 99, 309, 132),
    14: (272, 92, 305, 129), 18: (208, 175, 239, 212), 22: (268, 160, 304, 195), 25: (293, 97, 324, 129),
    26: (312, 186, 342, 219), 27: (318, 148, 349, 179), 29: (283, 191, 314, 222), 31: (299, 193, 326, 222),
}  # fmt: skip
SCENES = {"01_dog": (3, WOMAN, DOG), "05_default_juggle": (18, JUGGLER, BALL)}  # start frame, things
THINGS = {
    "woman": ("01_dog", 0),
    "dog": ("01_dog", 1),
    "juggler": ("05_default_juggle", 0),
    "ball": ("05_default_juggle", 1),
}


@cache
def tracked(name: str) -> tuple[Footage, list[Track]]:
    """Both things of a video, from their boxes on one frame."""
    film = load_footage(DATA / f"{name}.mp4")
    start, *things = SCENES[name]
    boxes = [
        Detection(frame_index=start, box=boxes[start], score=1.0, noun_scores=(1.0,)) for boxes in things
    ]
    return film, ClassicalPerception().track(film, boxes)


def box_iou(a: dm.Box, b: dm.Box) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize(
    ("thing", "least", "mean"),
    [("woman", 0.6, 0.8), ("dog", 0.35, 0.65), ("juggler", 0.55, 0.8), ("ball", 0.4, 0.75)],
)
def test_a_true_box_on_one_frame_is_held_through_the_video(thing: str, least: float, mean: float) -> None:
    """The dog's masks hold its leash, which its boxes do not; hence its lower values."""
    video, place = THINGS[thing]
    film, tracks = tracked(video)
    found = {
        index: (box, tight_box(tracks[place].masks[film.sampled[index]]))
        for index, box in SCENES[video][1 + place].items()
    }
    ious = {index: box_iou(box, here) if here else 0.0 for index, (box, here) in found.items()}
    assert min(ious.values()) > least, ious
    assert np.mean(list(ious.values())) > mean, ious


def test_no_mask_where_the_dog_is_out_of_view() -> None:
    film, tracks = tracked("01_dog")
    assert [bool(tracks[1].masks[film.sampled[index]].any()) for index in NO_DOG] == [False] * len(NO_DOG)


@pytest.mark.parametrize("thing", THINGS)
def test_masks_hold_the_middle_of_what_they_follow(thing: str) -> None:
    """At least half of the middle third of each box, where a body or a ball is for sure, on most frames."""
    video, place = THINGS[thing]
    film, tracks = tracked(video)
    held = []
    for index, (x0, y0, x1, y1) in SCENES[video][1 + place].items():
        mask = tracks[place].masks[film.sampled[index]]
        third_x, third_y = (x1 - x0) / 3, (y1 - y0) / 3
        middle = mask[round(y0 + third_y) : round(y1 - third_y), round(x0 + third_x) : round(x1 - third_x)]
        held.append(float(middle.mean()) > 0.5)
    assert np.mean(held) >= 0.75, held


def test_tracks_of_one_call_share_no_pixel() -> None:
    for video in SCENES:
        film, (one, other) = tracked(video)
        assert not (one.masks[film.sampled] & other.masks[film.sampled]).any()


def test_a_standing_woman_is_found_as_a_person() -> None:
    """On these frames she hardly moves."""
    film = load_footage(DATA / "01_dog.mp4")
    for index, boxes in zip(
        (7, 22, 24), ClassicalPerception().detect(film, (7, 22, 24), ("person",)), strict=True
    ):
        people = [box.box for box in boxes if box.noun_scores[0] >= 0.5]
        assert max(box_iou(box, WOMAN[index]) for box in people) > 0.5, (index, people)
