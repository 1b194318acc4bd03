"""Tracklets and who is who: cuts, nodes, and the matching against a search of all possibilities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Detection, Track
from strefer_core.cascades.association import (
    Link,
    ambiguous,
    associate,
    evidence_frames,
    keep_together,
    links,
)
from strefer_core.cascades.birth import area_jump, loss_sharpness, position_jump, redetection_share
from strefer_core.cascades.doubt import Looks
from strefer_core.cascades.tracklets import Node, SmallMasks, Tracklet, cut, put_together
from tests.painted import footage
from tests.puppets import FILM, FRAMES

SIDE_PX = 16
SURE = np.zeros(FRAMES, np.bool_)


def track(places: dict[int, tuple[int, int]], side_px: int = SIDE_PX) -> Track:
    """A square on a place per frame."""
    masks = np.zeros(FILM.images.shape[:3], np.bool_)
    for frame, (x, y) in places.items():
        masks[frame, y : y + side_px, x : x + side_px] = True
    detection = Detection(frame_index=0, box=(0, 0, 1, 1), score=1.0, noun_scores=(1.0,))
    return Track(detection=detection, masks=masks, forward_backward_iou=None)


def tracklets(*tracks: Track) -> list[tuple[int, int, int]]:
    return [(one.track, one.start, one.end) for one in cut(small_masks(*tracks), [SURE] * len(tracks))]


def small_masks(*tracks: Track) -> SmallMasks:
    small = SmallMasks(FILM)
    for one in tracks:
        small.add(one)
    return small


def test_a_track_alone_is_one_tracklet() -> None:
    assert tracklets(track({frame: (2 * frame, 10) for frame in range(FRAMES)})) == [(0, 0, FRAMES)]


def test_a_track_is_cut_where_it_was_away() -> None:
    seen = [*range(4, 10), *range(15, 20)]
    assert tracklets(track(dict.fromkeys(seen, (10, 10)))) == [(0, 4, 10), (0, 15, 20)]


def test_a_track_is_cut_where_it_jumps() -> None:
    places = {frame: (10, 10) if frame < 12 else (100, 80) for frame in range(FRAMES)}
    assert tracklets(track(places)) == [(0, 0, 12), (0, 12, FRAMES)]


def test_both_tracks_are_cut_where_they_meet_and_where_they_part() -> None:
    one = track({frame: (4 * frame, 40) for frame in range(FRAMES)})
    other = track({frame: (4 * 31 - 4 * frame, 40) for frame in range(FRAMES)})
    starts = {
        place: [start for number, start, _ in tracklets(one, other) if number == place] for place in (0, 1)
    }
    assert starts[0] == starts[1]
    # The squares touch while their left sides are at most a width apart: |8 t - 124| <= 16.
    touching = [frame for frame in range(FRAMES) if abs(8 * frame - 124) <= SIDE_PX]
    assert starts[0][1] in (touching[0] - 1, touching[0])  # masks are widened by a pixel before they touch
    assert starts[0][-1] in (touching[-1] + 1, touching[-1] + 2)


def test_masks_too_small_to_be_compared_are_apart() -> None:
    large = np.zeros((FRAMES, 480, 640, 3), np.uint8)
    film = footage(large)
    small = SmallMasks(film)
    detection = Detection(frame_index=0, box=(0, 0, 1, 1), score=1.0, noun_scores=(1.0,))
    for _ in range(2):
        masks = np.zeros(large.shape[:3], np.bool_)
        masks[:, 1, 1] = True  # between the rows and columns that are looked at
        small.add(Track(detection=detection, masks=masks, forward_backward_iou=None))
    assert small.visible[0].all()
    assert not small.overlap(0, 1).any()
    assert [(one.start, one.end) for one in cut(small, [SURE, SURE])] == [(0, FRAMES)] * 2


def test_tracks_of_one_thing_become_one_node_and_others_do_not() -> None:
    whole = track(dict.fromkeys(range(FRAMES), (10, 10)))
    later = track(dict.fromkeys(range(8, FRAMES), (11, 10)))
    away = track(dict.fromkeys(range(FRAMES), (80, 10)))
    small = small_masks(whole, later, away)
    nodes = put_together(small, cut(small, [SURE] * 3))
    assert sorted(sorted({part.track for part in node.parts}) for node in nodes) == [[0, 1], [2]]


# evidence


def node(*stretches: tuple[int, int, int]) -> Node:
    parts = [Tracklet(track=track, start=start, end=end) for track, start, end in stretches]
    return Node(parts=tuple(sorted(parts, key=lambda one: one.start - one.end)))


def test_every_node_is_looked_at_while_there_are_frames() -> None:
    nodes = [node((0, 0, 32)), node((1, 0, 5)), node((2, 20, 22)), node((3, 31, 32))]
    frames = evidence_frames(nodes, per_node=2, most=12)
    for one in nodes:
        assert len(set(frames) & one.frames) >= min(2, len(one.frames))
    assert len(evidence_frames(nodes, per_node=2, most=3)) == 3


def test_nodes_of_one_track_are_linked_in_order() -> None:
    nodes = [node((0, 0, 10)), node((0, 10, 12)), node((0, 20, 32)), node((1, 0, 32))]
    found = links(nodes)
    assert [(link.before, link.after) for link in found] == [(0, 1), (1, 2)]
    assert found[0].worth > found[1].worth  # the track was away before the second


# the matching


def best_by_search(
    nodes: Sequence[Node], scores: NDArray[np.float64], joints: Sequence[Link], min_match: float
) -> float:
    """The best value of all allowed choices, tried one by one."""
    choices = product([None, *range(scores.shape[1])], repeat=len(nodes))
    return max(
        worth_of(nodes, scores, joints, min_match, owners) for owners in choices if is_allowed(nodes, owners)
    )


def is_allowed(nodes: Sequence[Node], owners: Sequence[int | None]) -> bool:
    held = [
        (owner, frame)
        for one, owner in zip(nodes, owners, strict=True)
        if owner is not None
        for frame in one.frames
    ]
    return len(held) == len(set(held))


def worth_of(
    nodes: Sequence[Node],
    scores: NDArray[np.float64],
    joints: Sequence[Link],
    min_match: float,
    owners: Sequence[int | None],
) -> float:
    evidence = [
        (scores[place, owner] - min_match) * len(one.frames)
        for place, (one, owner) in enumerate(zip(nodes, owners, strict=True))
        if owner is not None and not np.isnan(scores[place, owner])
    ]
    stays = [
        link.worth
        for link in joints
        if owners[link.before] is not None and owners[link.before] == owners[link.after]
    ]
    return float(sum(evidence) + sum(stays))


@pytest.mark.parametrize("seed", range(20))
def test_the_matching_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 24, 5)
    nodes = [node((i % 2, int(start), int(start + rng.integers(1, 8)))) for i, start in enumerate(starts)]
    scores = rng.uniform(0, 1, (5, 3))
    scores[rng.integers(5)] = np.nan
    joints = [Link(before=0, after=2, worth=0.6), Link(before=1, after=3, worth=0.3)]
    owners = associate(nodes, scores, joints, 0.4)
    assert is_allowed(nodes, owners)
    assert worth_of(nodes, scores, joints, 0.4, owners) == pytest.approx(
        best_by_search(nodes, scores, joints, 0.4), abs=1e-4
    )


def test_without_nodes_or_entities_nobody_is_anybody() -> None:
    assert associate([], np.zeros((0, 3)), [], 0.3) == []
    assert associate([node((0, 0, 4))], np.zeros((1, 0)), [], 0.3) == [None]


def test_words_that_fit_two_things_at_once_are_ambiguous() -> None:
    nodes = [node((0, 0, 20)), node((1, 0, 20)), node((2, 0, 20))]
    scores = np.array([[0.8, 0.8, 0.3], [0.78, 0.35, 0.2], [0.1, 0.1, 0.25]])

    def beside(one: Node, other: Node) -> bool:
        return True

    assert ambiguous(nodes, scores, beside, 0.4) == [True, False, False]  # the last fit nothing
    assert ambiguous(nodes, scores, lambda *_: False, 0.4) == [False] * 3  # two tracks of one thing
    assert ambiguous([], np.zeros((0, 2)), beside, 0.4) == [False, False]


def test_a_piece_of_somebodys_track_goes_back_to_them() -> None:
    nodes = [node((0, 0, 20)), node((0, 20, 26)), node((1, 0, 32))]
    scores = np.array([[0.8, 0.7, 0.1], [0.75, 0.8, 0.1], [0.1, 0.1, 0.9]])
    assert keep_together(nodes, [0, 1, 2], scores) == [0, 0, 2]


def test_a_piece_that_shows_somebody_else_stays_theirs() -> None:
    nodes = [node((0, 0, 20)), node((0, 20, 32))]  # the track changed over to another thing
    scores = np.array([[0.8, 0.3], [0.4, 0.8]])
    assert keep_together(nodes, [0, 1], scores) == [0, 1]


def test_a_piece_that_nobody_has_room_for_is_nobodys() -> None:
    nodes = [node((0, 0, 20)), node((0, 20, 26)), node((1, 20, 32))]
    scores = np.array([[0.8, 0.7], [0.75, 0.8], [0.8, 0.1]])
    assert keep_together(nodes, [0, 1, 0], scores) == [0, None, 0]


# doubt


def test_a_track_that_slides_off_is_doubted_from_there_on() -> None:
    images = np.full((FRAMES, 120, 160, 3), 90, np.uint8)
    places = {frame: (10 + 2 * frame, 40) for frame in range(FRAMES)}
    for frame, (x, y) in places.items():
        images[frame, y : y + SIDE_PX, x : x + SIDE_PX] = (220, 40, 40)
    film = footage(images)
    stays = {frame: places[min(frame, 20)] for frame in range(FRAMES)}  # it holds on to the place
    doubtful = Looks(film).doubtful(track(stays))
    assert not doubtful[:21].any()
    assert doubtful[26:].all()  # half of the mask and more is ground
    assert not Looks(film).doubtful(track(places)).any()


# quality at birth


def test_jumps_are_measured_on_neighbouring_visible_frames() -> None:
    assert area_jump([10, 20, 0, 200, 100]) == 2.0
    assert area_jump([10, 0, 10]) is None
    boxes = [(0.0, 0.0, 3.0, 4.0), (3.0, 4.0, 6.0, 8.0), None, (90.0, 0.0, 93.0, 4.0)]
    assert position_jump(boxes) == pytest.approx(1.0)  # five pixels over a diagonal of five


def test_redetections_are_of_the_noun_and_at_the_place() -> None:
    def seen(x: float, noun: int) -> Detection:
        scores = tuple(0.9 if place == noun else 0.1 for place in range(2))
        return Detection(frame_index=0, box=(x, 0, x + 10, 10), score=0.9, noun_scores=scores)

    own = [(0.0, 0.0, 10.0, 10.0)] * 4 + [None]
    boxes = {
        0: [seen(1, 0)],
        1: [seen(1, 1)],
        2: [seen(30, 0)],
        3: [seen(30, 0), seen(2, 0)],
        4: [seen(0, 0)],
    }
    assert redetection_share(own, boxes, 0) == 0.5  # frames 0 and 3; frame 4 has no mask
    assert redetection_share(own, {}, 0) is None


def test_a_loss_in_a_blurred_picture_is_seen_as_one() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (8, 40, 40, 3)).astype(np.uint8)
    images[5] = images[5].mean(axis=(0, 1)).astype(np.uint8)
    film = footage(images)
    assert loss_sharpness(film, [9] * 5 + [0] * 3) == 0.0
    sharp = loss_sharpness(film, [9] * 3 + [0] * 5)
    assert sharp is not None
    assert 0.8 < sharp < 1.2
    assert loss_sharpness(film, [0, 0, 9, 9, 9, 9, 9, 9]) is None
