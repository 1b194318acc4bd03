"""The truth-driven perception: exact without noise, and with it wrong as often as its rates say.

Most videos here are truths made by hand, of squares that stand or go where a test needs them. Counts are held
against the binomial (or Poisson) distribution that the documented chances give: within four standard
deviations of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.backends.world import Noise, WorldPerception
from strefer_core.backends.world.outlines import GRID, rough
from strefer_core.errors import ConfigError, InputError
from strefer_core.footage import load_footage
from strefer_core.masks import decode, encode, iou, resize, tight_box
from strefer_core.world.render import render_video
from strefer_core.world.truth import (
    AbsentEntity,
    AmbiguousExpression,
    TrueEntity,
    WorldTruth,
    load_truth,
    truth_path,
)

WIDTH, HEIGHT, FPS = 160, 90, 4
NOUNS = ("animal", "shape")
Way = Callable[[int], tuple[int, int] | None]  # frame -> top left corner; None: not in view


@dataclass(frozen=True)
class Square:
    """A thing of a handmade video."""

    way: Way
    noun: str = "fish"
    kind: str = "animal"
    colour: str = "red"
    side: int = 32
    fraction: float = 1.0
    blur_px: float = 0.0


def at(x: int, y: int = 20) -> Way:
    return lambda frame: (x, y)


def away(x: int, first: int, back: int) -> Way:
    """Standing at x, but not in view on frames [first, back)."""
    return lambda frame: None if first <= frame < back else (x, 20)


def world(
    *squares: Square,
    frames: int = 12,
    cuts: Sequence[int] = (),
    places: Sequence[str] = ("here",),
    camera: Callable[[int], tuple[float, float]] = lambda frame: (0.0, 0.0),
    absent: Sequence[AbsentEntity] = (),
    ambiguous: Sequence[AmbiguousExpression] = (),
    knobs: Sequence[str] = (),
) -> WorldTruth:
    return WorldTruth(
        seed=0,
        index=0,
        scenario="handmade",
        knobs=tuple(knobs),
        video_sha256="0" * 64,
        fps=Fraction(FPS),
        width_px=WIDTH,
        height_px=HEIGHT,
        frames_pts_s=tuple(frame / FPS for frame in range(frames)),
        cuts_s=tuple(cut / FPS for cut in cuts),
        places=tuple(places),
        camera_px=tuple(camera(frame) for frame in range(frames)),
        camera_zoom=(1.0,) * frames,
        entities=tuple(_entity(number, one, frames) for number, one in enumerate(squares)),
        absent=tuple(absent),
        ambiguous=tuple(ambiguous),
        events=(),
    )


def _entity(number: int, one: Square, frames: int) -> TrueEntity:
    masks = [encode(_square(one.way(frame), one.side)) for frame in range(frames)]
    return TrueEntity(
        entity_id=f"e{number}",
        expression=f"thing {number}",
        noun=one.noun,
        generalized_noun=one.kind,
        attributes=(("colour", one.colour),),
        masks=tuple(masks),
        full_boxes_px=(None,) * frames,
        visible_fractions=tuple(one.fraction if mask else 0.0 for mask in masks),
        in_frame_fractions=(1.0,) * frames,
        blur_px=(one.blur_px,) * frames,
        actions=(),
    )


def _square(corner: tuple[int, int] | None, side: int) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    if corner:
        x, y = corner
        mask[y : y + side, x : x + side] = True
    return mask


def footage_of(truth: WorldTruth, positions: Sequence[int] | None = None) -> Footage:
    """All frames (or some) of a handmade video, all of them sampled."""
    taken = np.arange(len(truth.frames_pts_s)) if positions is None else np.asarray(positions)
    return Footage(
        images=np.broadcast_to(np.zeros(1, np.uint8), (len(taken), HEIGHT, WIDTH, 3)),
        pts_s=np.asarray(truth.frames_pts_s)[taken],
        sampled=np.arange(len(taken)),
        scale=1.0,
        width_px=WIDTH,
        height_px=HEIGHT,
    )


def only(text: str, **more: float) -> Noise:
    """No error but the named ones, and none of them shared or in streaks unless named."""
    given = {
        "shared": 0,
        "streak": 0,
        "recover": 0,
        **dict(part.split("=") for part in text.split(",") if part),
    }
    return Noise.parse("none," + ",".join(f"{name}={value}" for name, value in {**given, **more}.items()))


def on(truth: WorldTruth, entity: int, frame: int, shift: float = 0.0) -> Detection:
    """A box on an entity; of another shift, another anchor."""
    mask = truth.entities[entity].masks[frame]
    assert mask is not None
    box = tight_box(decode(mask))
    assert box is not None
    moved = (box[0] + shift, box[1], box[2] + shift, box[3])
    return Detection(frame_index=frame, box=moved, score=1.0, noun_scores=(1.0,))


def asked(truth: WorldTruth) -> list[dm.Entity]:
    """All expressions of a truth as a cascade is given them."""
    words = [*truth.entities, *truth.absent, *truth.ambiguous]
    return [
        dm.Entity(
            entity_id=f"q{number}",
            video_id="v",
            index=number,
            expression=one.expression,
            noun=one.noun,
            generalized_noun=one.generalized_noun,
        )
        for number, one in enumerate(words)
    ]


def on_whom(truth: WorldTruth, track: Track, frame: int) -> int | None:
    """The entity that a noiseless outline lies on exactly; None where the mask is empty."""
    if not track.masks[frame].any():
        return None
    for number, one in enumerate(truth.entities):
        code = one.masks[frame]
        if code and np.array_equal(decode(code), track.masks[frame]):
            return number
    raise AssertionError("the mask is none of the true ones")


def assert_binomial(count: int, tries: int, chance: float) -> None:
    spread = (tries * chance * (1 - chance)) ** 0.5
    assert abs(count - tries * chance) <= 4 * spread, f"{count} of {tries}, expected {tries * chance:.1f}"
    assert 0 < count < tries, "a test that cannot tell"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[WorldTruth, Path]]:
    """Two default scenarios: one thing leaves and comes back; cuts to another place and back."""
    folder = tmp_path_factory.mktemp("worlds")
    paths = [render_video(0, index, folder) for index in (1, 4)]
    return [(load_truth(truth_path(path)), path) for path in paths]


# --- without noise it is the truth -------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [0.0, 5.0])
def test_without_noise_boxes_tracks_and_scores_are_the_truth(
    rendered: list[tuple[WorldTruth, Path]], fps: float
) -> None:
    for truth, path in rendered:
        footage = load_footage(path, fps=fps)
        perception = WorldPerception(truth, Noise.none())
        true = _true_masks(truth, footage)
        boxes = perception.detect(footage, range(len(footage.sampled)), NOUNS)
        for frame, found in enumerate(boxes):
            t = footage.sampled[frame]
            seen = [number for number in range(len(true)) if true[number][t].any()]
            expected = {
                (tight_box(true[number][t]), _ideal(truth.entities[number].generalized_noun))
                for number in seen
            }
            assert {(one.box, one.noun_scores) for one in found} == expected
            assert all(one.score == 1.0 and one.frame_index == frame for one in found)
        middle = max(range(len(boxes)), key=lambda frame: len(boxes[frame]))
        tracks = perception.track(footage, boxes[middle])
        owners = [_owner(true, footage.sampled[middle], one.detection.box) for one in tracks]
        for track, owner in zip(tracks, owners, strict=True):
            assert np.array_equal(track.masks, true[owner])
            assert track.forward_backward_iou in (1.0, None)
        scores = perception.scores(footage, tracks, asked(truth), range(len(footage.sampled)))
        for column, owner in enumerate(owners):
            seen_on = true[owner][footage.sampled].any(axis=(1, 2))
            assert np.isnan(scores[~seen_on, :, column]).all()
            assert (scores[seen_on][:, owner, column] == 1).all()
            assert (np.delete(scores[seen_on][:, :, column], owner, axis=1) == 0).all()


def _true_masks(truth: WorldTruth, footage: Footage) -> list[NDArray[np.bool_]]:
    height, width = footage.images.shape[1:3]
    positions = [int(np.abs(np.asarray(truth.frames_pts_s) - pts).argmin()) for pts in footage.pts_s]
    empty = np.zeros((height, width), np.bool_)
    return [
        np.stack(
            [resize(decode(code), height, width) if (code := one.masks[p]) else empty for p in positions]
        )
        for one in truth.entities
    ]


def _ideal(kind: str) -> tuple[float, ...]:
    return tuple(float(noun == kind) for noun in NOUNS)


def _owner(true: list[NDArray[np.bool_]], t: int, box: dm.Box) -> int:
    return next(number for number, masks in enumerate(true) if tight_box(masks[t]) == box)


def test_specific_and_general_nouns_name_a_thing_and_others_do_not() -> None:
    truth = world(Square(at(10), noun="fish"), Square(at(90), noun="star", kind="shape"))
    perception = WorldPerception(truth, Noise.none())
    footage = footage_of(truth)
    (found,) = perception.detect(footage, [0], ["animal", "fish", "bird"])
    assert [one.noun_scores for one in found] == [(1.0, 1.0, 0.0)]
    assert perception.detect(footage, [0], ["bird"]) == [[]]
    assert perception.detect(footage, [0], []) == [[]]


# --- nothing depends on what else is asked ------------------------------------------------------------------


def _noisy_world() -> WorldTruth:
    return world(
        Square(lambda frame: (4 * frame, 10)),
        Square(lambda frame: (110 - 4 * frame, 30), side=28),
        Square(away(60, 8, 14), noun="star", kind="shape", side=20, blur_px=6.0),
        frames=24,
        absent=[AbsentEntity(expression="nobody", noun="fish", generalized_noun="animal", attributes=())],
    )


def test_answers_do_not_depend_on_order_batch_or_what_was_asked_before() -> None:
    truth, noise = _noisy_world(), Noise().scaled(2)
    footage = footage_of(truth)
    perception = WorldPerception(truth, noise, seed=3)
    together = perception.detect(footage, range(24), NOUNS)
    alone = [
        WorldPerception(truth, noise, seed=3).detect(footage, [f], NOUNS)[0] for f in reversed(range(24))
    ]
    assert together == alone[::-1]
    boxes = [one for found in together[6:18:4] for one in found]
    tracks = perception.track(footage, boxes)
    scores = perception.scores(footage, tracks, asked(truth), range(24))
    other = WorldPerception(truth, noise, seed=3)
    for number in reversed(range(len(boxes))):
        (track,) = other.track(footage, [boxes[number]])
        assert np.array_equal(track.masks, tracks[number].masks)
        assert track.forward_backward_iou == tracks[number].forward_backward_iou
        some = other.scores(footage, [track], asked(truth)[::-1], [9, 4])
        assert np.array_equal(some[:, ::-1, 0], scores[[9, 4], :, number], equal_nan=True)
    assert together != WorldPerception(truth, noise, seed=4).detect(footage, range(24), NOUNS)


def test_frames_between_the_sampled_ones_change_nothing_on_these() -> None:
    truth, noise = _noisy_world(), Noise()
    dense, sparse = footage_of(truth), footage_of(truth, range(0, 24, 3))
    between = Footage(
        images=dense.images,
        pts_s=dense.pts_s,
        sampled=np.arange(0, 24, 3),
        scale=1.0,
        width_px=WIDTH,
        height_px=HEIGHT,
    )
    boxes = WorldPerception(truth, noise).detect(sparse, range(8), NOUNS)
    assert boxes == WorldPerception(truth, noise).detect(between, range(8), NOUNS)
    for box in boxes[4]:
        (few,) = WorldPerception(truth, noise).track(sparse, [box])
        (all_,) = WorldPerception(truth, noise).track(between, [box])
        assert np.array_equal(few.masks, all_.masks[::3])
        assert few.forward_backward_iou == all_.forward_backward_iou


def test_a_higher_rate_adds_errors_to_those_of_a_lower_one() -> None:
    truth = world(Square(at(10)), frames=400)
    footage = footage_of(truth)
    missed = []
    for rate in (0.1, 0.3):
        boxes = WorldPerception(truth, only(f"miss={rate}")).detect(footage, range(400), NOUNS)
        missed.append({frame for frame, found in enumerate(boxes) if not found})
    assert missed[0] < missed[1]


# --- the detector errs as often as it says ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("square", "chance"),
    [
        (Square(at(10)), 0.2),
        (Square(at(10), fraction=0.5), 1 - 0.8**2),  # strain 1 for half hidden
        (Square(at(10), blur_px=16), 1 - 0.8**2),  # strain 1 for a smear of half its side
        (Square(at(10), side=6), 1 - 0.8**2.5),  # strain 1.5 for a quarter of 1 % of the frame
    ],
)
def test_misses(square: Square, chance: float) -> None:
    truth = world(square, frames=1500)
    boxes = WorldPerception(truth, only("miss=0.2")).detect(footage_of(truth), range(1500), NOUNS)
    assert_binomial(sum(not found for found in boxes), 1500, chance)


def test_misses_come_in_streaks() -> None:
    truth = world(Square(at(10)), frames=1200)
    boxes = WorldPerception(truth, only("miss=0.3,streak=1")).detect(footage_of(truth), range(1200), NOUNS)
    missed = np.array([not found for found in boxes]).reshape(-1, FPS)  # stretches of one second
    assert (missed.all(axis=1) == missed.any(axis=1)).all()
    assert_binomial(int(missed[:, 0].sum()), len(missed), 0.3)


def test_box_sides_jitter() -> None:
    truth = world(Square(at(60)), frames=1500)
    boxes = WorldPerception(truth, only("jitter=0.05")).detect(footage_of(truth), range(1500), NOUNS)
    off = np.array([found[0].box for found in boxes]) - (60, 20, 92, 52)
    assert off.std(axis=0) == pytest.approx([0.05 * 32] * 4, rel=0.1)
    assert off.mean(axis=0) == pytest.approx([0] * 4, abs=4 * 0.05 * 32 / 1500**0.5)


def test_duplicates_are_shifted_and_score_lower() -> None:
    truth = world(Square(at(60)), frames=1000)
    boxes = WorldPerception(truth, only("duplicate=0.3")).detect(footage_of(truth), range(1000), NOUNS)
    doubles = [found for found in boxes if len(found) == 2]
    assert_binomial(len(doubles), 1000, 0.3)
    for first, second in doubles:
        assert first.box == (60, 20, 92, 52)
        assert second.score < first.score
        assert 0.25 < _box_iou(first.box, second.box) < 0.8


def _box_iou(a: dm.Box, b: dm.Box) -> float:
    inside = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return inside / (areas - inside)


def test_wrong_and_merged_nouns() -> None:
    truth = world(Square(at(60)), frames=1000)
    footage = footage_of(truth)
    wrong = WorldPerception(truth, only("wrong_noun=0.2")).detect(footage, range(1000), NOUNS)
    assert {one.noun_scores for found in wrong for one in found} == {(1.0, 0.0), (0.0, 1.0)}
    assert_binomial(sum(found[0].noun_scores == (0.0, 1.0) for found in wrong), 1000, 0.2)
    merged = WorldPerception(truth, only("merged=0.2")).detect(footage, range(1000), NOUNS)
    both = [one for found in merged for one in found if min(one.noun_scores) >= 0.5]
    assert_binomial(len(both), 1000, 0.2)
    assert all(one.noun_scores[0] > one.noun_scores[1] for one in both)
    unasked = WorldPerception(truth, only("wrong_noun=0.2")).detect(footage, range(1000), ["shape"])
    assert_binomial(sum(len(found) for found in unasked), 1000, 0.2)


def test_spurious_boxes_lie_on_nothing_and_half_of_them_stand() -> None:
    truth = world(Square(at(120)), frames=40)
    footage = footage_of(truth)
    thing = (120.0, 20.0, 152.0, 52.0)
    standing, fleeting, seeds = 0, 0, 60
    for seed in range(seeds):
        boxes = WorldPerception(truth, only("spurious=1"), seed).detect(footage, range(40), NOUNS)
        strays = Counter(one.box for found in boxes for one in found if one.box != thing)
        assert all(_box_iou(box, thing) <= 0.1 for box in strays)
        standing += sum(count > 10 for count in strays.values())
        fleeting += sum(count == 1 for count in strays.values())
    # Fleeting ones: Poisson, 0.5 a frame. Six spots a video, each there with chance 0.5 / (6 * 0.7) and seen
    # on 0.7 of the frames; those that would lie on the thing show nothing: there may be up to a fifth less.
    assert abs(fleeting - 0.5 * 40 * seeds) < 4 * (0.5 * 40 * seeds) ** 0.5
    spots = 6 * seeds * 0.5 / (6 * 0.7)
    assert 0.8 * spots - 4 * spots**0.5 < standing < spots + 4 * spots**0.5


def test_scores_of_plain_things_are_higher_than_those_of_hidden_ones_and_of_nothing() -> None:
    truth = world(Square(at(10)), Square(at(100), fraction=0.3, side=10), frames=400)
    boxes = WorldPerception(truth, only("doubt=1,spurious=1")).detect(footage_of(truth), range(400), NOUNS)
    named: dict[str, list[float]] = {"plain": [], "hidden": [], "nothing": []}
    places = {(10.0, 20.0, 42.0, 52.0): "plain", (100.0, 20.0, 110.0, 30.0): "hidden"}
    for one in (one for found in boxes for one in found):
        named[places.get(one.box, "nothing")].append(one.score)
        assert one.score == max(one.noun_scores)
    assert np.mean(named["plain"]) == pytest.approx(0.85, abs=0.02)
    assert np.mean(named["plain"]) > np.mean(named["hidden"]) + 0.1
    assert np.mean(named["nothing"]) == pytest.approx(0.4, abs=0.05)
    assert max(named["nothing"]) > min(named["plain"])  # no threshold parts them


# --- the tracker errs as often as it says -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("square", "noise", "chance"),
    [
        (Square(at(60)), "loss=0.1", 0.1),
        (Square(at(60), fraction=0.5), "loss=0.1", 1 - 0.9 ** (2 * 1.5)),  # strain 1, at the start as well
        (Square(at(60), blur_px=16), "blur_loss=0.4", 1 - 0.8**1.5),  # smears over half its side
        (Square(at(60)), "blur_loss=0.4", 0.0),
    ],
)
def test_losses_in_view(square: Square, noise: str, chance: float) -> None:
    truth = world(square, frames=1000)
    (track,) = WorldPerception(truth, only(noise, recover=1)).track(footage_of(truth), [on(truth, 0, 0)])
    held = track.masks.any(axis=(1, 2))
    lost = int((~held).sum())
    if chance:
        assert_binomial(lost, int(held[:-1].sum()), chance)
    else:
        assert lost == 0


def test_a_lost_track_recovers() -> None:
    truth = world(Square(at(60)), frames=3000)
    noise = only("loss=0.2,recover=0.25")
    (track,) = WorldPerception(truth, noise).track(footage_of(truth), [on(truth, 0, 0)])
    held = track.masks.any(axis=(1, 2))
    after_loss = held[1:][~held[:-1]]
    assert_binomial(int(after_loss.sum()), len(after_loss), 0.25)


def again_and_again(x: int, period: int, first: int, back: int) -> Way:
    """Standing at x, in every period not in view on its frames [first, back)."""
    return lambda frame: None if first <= frame % period < back else (x, 20)


@pytest.mark.parametrize(("back", "chance"), [(6, 0.3), (10, 1 - 0.7**2)])  # one and two seconds away
def test_reentry_fails_more_often_after_longer_absence(back: int, chance: float) -> None:
    """The last frame in view is the period's frame 2."""
    truth = world(Square(again_and_again(60, 12, 3, back)), frames=12 * 250)
    (track,) = WorldPerception(truth, only("reentry=0.3")).track(footage_of(truth), [on(truth, 0, 0)])
    shown = track.masks.any(axis=(1, 2)).reshape(-1, 12)
    assert not shown[:, 3:back].any()
    assert (shown[:, back] == shown[:, 11]).all()  # it does not find its thing while that stays in view
    assert_binomial(int((~shown[:, 11]).sum()), 250, chance)


def test_a_cut_counts_as_a_second_away() -> None:
    cuts = list(range(4, 4 * 300, 4))
    truth = world(Square(at(60)), frames=4 * 300, cuts=cuts, places=["here", "there"] * 150)
    (track,) = WorldPerception(truth, only("reentry=0.3")).track(footage_of(truth), [on(truth, 0, 0)])
    shown = track.masks.any(axis=(1, 2)).reshape(-1, 4)
    assert (shown.all(axis=1) == shown.any(axis=1)).all()
    assert_binomial(int((~shown[1:, 0]).sum()), 299, 0.3)


@pytest.mark.parametrize(
    ("other", "chance"),
    [
        (Square(again_and_again(74, 6, 3, 5)), 0.3),
        (Square(again_and_again(74, 6, 3, 5), colour="blue"), 1 - 0.7**0.25),
        (Square(again_and_again(74, 6, 3, 5), noun="star", kind="shape"), 0.0),
        (Square(again_and_again(120, 6, 3, 5)), 0.0),  # they never touch
    ],
)
def test_switches_to_what_is_met_and_looks_alike(other: Square, chance: float) -> None:
    """The other goes, comes back into touch once in a period, and by that can take the track once."""
    truth = world(Square(at(60)), other, frames=6 * 300)
    footage, switched, contacts = footage_of(truth), 0, 0
    (track,) = WorldPerception(truth, only("switch=0.3")).track(footage, [on(truth, 0, 0)])
    whom = np.array([on_whom(truth, track, frame) for frame in range(6 * 300)]).reshape(-1, 6)
    for before, after in pairwise(whom):
        if before[4] == 0:  # on its own thing as the other comes back on frame 5
            contacts += 1
            switched += before[5] == 1
        assert after[0] == before[5]
    if chance:
        assert_binomial(switched, contacts, chance)
    else:
        assert switched == 0
        assert contacts == 299


def test_a_look_alike_that_shows_up_instead_is_taken_over() -> None:
    truth = world(Square(away(10, 3, 9)), Square(away(110, 0, 5)), frames=9)
    footage, box = footage_of(truth), on(truth, 0, 0)
    tracks = [
        WorldPerception(truth, only("switch=0.3"), seed).track(footage, [box])[0] for seed in range(200)
    ]
    whom = [on_whom(truth, track, 8) for track in tracks]
    assert_binomial(whom.count(1), 200, 0.3)
    assert whom.count(None) == 200 - whom.count(1)
    assert all(on_whom(truth, track, 4) is None for track in tracks)  # nobody is in view yet


def test_drift_slides_further_off() -> None:
    truth = world(Square(at(60, 30)), frames=11)
    footage, box = footage_of(truth), on(truth, 0, 0)
    true = _square((60, 30), 32)
    began = 0
    for seed in range(300):
        (track,) = WorldPerception(truth, only("drift=0.05"), seed).track(footage, [box])
        overlaps = [iou(mask, true) for mask in track.masks]
        began += overlaps[-1] < 1
        assert all(after <= before for before, after in pairwise(overlaps))
    assert_binomial(began, 300, 1 - 0.95**10)


@pytest.mark.parametrize("side", [24, 48, 80])
def test_outlines_are_off_by_the_edge_rate(side: int) -> None:
    truth = world(Square(at(40, 5), side=side), frames=200)
    (track,) = WorldPerception(truth, only("edge=0.1")).track(footage_of(truth), [on(truth, 0, 0)])
    overlaps = [iou(mask, _square((40, 5), side)) for mask in track.masks]
    assert 1 - np.mean(overlaps) == pytest.approx(0.1, rel=0.25)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 0.5), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_a_rough_outline_never_empties_a_mask(width: int, height: int, edge: float, seed: int) -> None:
    mask = np.zeros((20, 24), np.bool_)
    mask[3 : 3 + height, 5 : 5 + width] = True
    assert rough(mask, edge, np.random.default_rng(seed).standard_normal(GRID * GRID)).any()


@pytest.mark.parametrize(("shared", "joint"), [(1.0, 0.3), (0.0, 0.09), (0.5, (0.3 + 0.09) / 2)])
def test_anchors_share_a_part_of_their_hard_moments(shared: float, joint: float) -> None:
    truth = world(Square(again_and_again(60, 8, 3, 6)), frames=8 * 300)
    anchors = [on(truth, 0, 0), on(truth, 0, 1, shift=2.0)]
    tracks = WorldPerception(truth, only("reentry=0.3", shared=shared)).track(footage_of(truth), anchors)
    failed = [~track.masks.any(axis=(1, 2))[7::8] for track in tracks]
    assert_binomial(int((failed[0] & failed[1]).sum()), 300, joint)


def test_forward_and_backward_walks_meet_other_errors() -> None:
    truth = world(Square(again_and_again(60, 8, 3, 6)), frames=8 * 300)
    anchors = [on(truth, 0, 0), on(truth, 0, 8 * 300 - 1)]
    tracks = WorldPerception(truth, only("reentry=0.3", shared=1)).track(footage_of(truth), anchors)
    forward, backward = (~track.masks.any(axis=(1, 2)) for track in tracks)
    forward, backward = forward[7:-8:8], backward[2:-8:8]  # the same gaps, from both sides
    assert_binomial(int(backward.sum()), 299, 0.3)
    assert_binomial(int((forward & backward).sum()), 299, 0.09)


def test_retracking_from_a_switched_end_disagrees() -> None:
    """After a switch, the way back from the end lies on the other thing where the track lay on its own."""
    truth = world(Square(at(60)), Square(away(74, 3, 6)), frames=12)
    footage = footage_of(truth)
    agreements: dict[int | None, list[float]] = {0: [], 1: []}
    for seed in range(60):
        (track,) = WorldPerception(truth, only("switch=0.3"), seed).track(footage, [on(truth, 0, 2)])
        assert track.forward_backward_iou is not None
        agreements[on_whom(truth, track, 11)].append(track.forward_backward_iou)
    # Of the frames 3..10 after the anchor and 1 before it, the way back is on nobody on 3, 4 and 5 (or on the
    # track's own thing, where it is taken over), and on the other, as the track, on 6 to 10.
    assert set(agreements[0]) == {1.0}
    assert min(agreements[1]) == pytest.approx(6 / 9)
    assert_binomial(sum(value < 1 for value in agreements[1]), len(agreements[1]), 0.7)


def test_a_track_without_a_frame_to_compare_has_no_agreement() -> None:
    truth = world(Square(at(60)), frames=2)
    (track,) = WorldPerception(truth, Noise.none()).track(footage_of(truth), [on(truth, 0, 0)])
    assert track.forward_backward_iou is None


def test_a_track_on_nothing_stays_where_it_is_in_its_place() -> None:
    truth = world(
        Square(at(120)),
        frames=6,
        cuts=[2, 4],
        places=["here", "there", "here"],
        camera=lambda frame: (2.0 * frame, 0.0),
    )
    box = Detection(frame_index=0, box=(40.0, 60.0, 60.0, 80.0), score=0.5, noun_scores=(0.5,))
    (track,) = WorldPerception(truth, Noise()).track(footage_of(truth), [box])
    assert [tight_box(mask) for mask in track.masks] == [
        (40, 60, 60, 80),
        (38, 60, 58, 80),
        None,
        None,
        (32, 60, 52, 80),
        (30, 60, 50, 80),
    ]


# --- the assigner errs as often as it says ------------------------------------------------------------------


def _scores(truth: WorldTruth, noise: Noise, seed: int = 0) -> NDArray[np.float64]:
    """(frames, expressions, entities): scores of the true tracks."""
    footage = footage_of(truth)
    first = [next(f for f, mask in enumerate(one.masks) if mask) for one in truth.entities]
    boxes = [on(truth, entity, frame) for entity, frame in enumerate(first)]
    tracks = WorldPerception(truth, Noise.none()).track(footage, boxes)
    frames = range(len(truth.frames_pts_s))
    return WorldPerception(truth, noise, seed).scores(footage, tracks, asked(truth), frames)


@pytest.mark.parametrize(
    ("other", "chance"),
    [
        (Square(at(100), noun="bird"), 0.2),
        (Square(at(100)), 1 - 0.8**2),
        (Square(at(100), noun="star", kind="shape"), 0.0),
    ],
)
def test_mix_ups_on_single_frames(other: Square, chance: float) -> None:
    truth = world(Square(at(10)), other, frames=1000)
    scores = _scores(truth, only("assign=0.2"))
    swapped = scores[:, 0, 0] == 0
    assert np.array_equal(scores[:, 0, 1] == 1, swapped)
    if chance:
        assert_binomial(int(swapped.sum()), 1000, chance)
        assert not np.array_equal(swapped, scores[:, 1, 1] == 0)  # each expression errs on its own
    else:
        assert not swapped.any()


def test_persistent_mix_ups_hold_for_the_whole_video() -> None:
    truth = world(Square(at(10)), Square(at(100), noun="bird"), frames=4)
    swapped = np.array(
        [_scores(truth, only("assign_persistent=0.2"), seed)[:, 0, 0] == 0 for seed in range(200)]
    )
    assert (swapped.all(axis=1) == swapped.any(axis=1)).all()
    assert_binomial(int(swapped[:, 0].sum()), 200, 0.2)


@pytest.mark.parametrize(
    ("noun", "kind", "chance"),
    [("fish", "animal", 0.3), ("bird", "animal", 0.3), ("cup", "thing", 1 - 0.7**0.25)],
)
def test_absent_words_fit_the_most_similar_thing(noun: str, kind: str, chance: float) -> None:
    nobody = AbsentEntity(expression="nobody", noun=noun, generalized_noun=kind, attributes=())
    truth = world(Square(at(10)), Square(at(100), noun="star", kind="shape"), frames=1000, absent=[nobody])
    scores = _scores(truth, only("false_accept=0.3"))
    assert_binomial(int((scores[:, 2, 0] == 1).sum()), 1000, chance)
    assert (scores[:, 2, 1] == 0).all()


def test_words_whose_thing_is_out_of_view_can_fit_another() -> None:
    truth = world(Square(away(10, 100, 900)), Square(at(100)), frames=900)
    scores = _scores(truth, only("false_accept=0.3"))
    assert (scores[:100, 0, 1] == 0).all()
    assert_binomial(int((scores[100:, 0, 1] == 1).sum()), 800, 0.3)


def test_ambiguous_words_fit_all_that_they_mean() -> None:
    both = AmbiguousExpression(
        expression="a fish", noun="fish", generalized_noun="animal", entity_ids=("e0", "e1")
    )
    truth = world(
        Square(at(10)), Square(at(60), colour="blue"), Square(at(110), noun="bird"), ambiguous=[both]
    )
    assert (_scores(truth, Noise.none())[:, 3] == (1, 1, 0)).all()


def test_scores_tell_more_similar_things_worse_apart() -> None:
    truth = world(
        Square(at(0)),
        Square(at(40)),
        Square(at(80), colour="blue"),
        Square(at(120), noun="bird"),
        Square(at(0, 55), noun="star", kind="shape"),
        frames=400,
    )
    scores = _scores(truth, only("doubt=1"))[:, 0]
    means = scores.mean(axis=0)
    assert means == pytest.approx([0.8, 0.35, 0.25, 0.15, 0.06], abs=0.03)
    assert (scores[:, 0] >= 0.5).mean() > 0.99
    assert (scores[:, 1:] >= 0.5).mean(axis=0).max() < 0.1  # no error hidden beside those of the rates


def test_scores_are_nan_exactly_where_a_track_has_no_mask() -> None:
    truth, footage = _noisy_world(), footage_of(_noisy_world())
    perception = WorldPerception(truth, Noise().scaled(2))
    tracks = perception.track(footage, perception.detect(footage, [5], NOUNS)[0])
    scores = perception.scores(footage, tracks, asked(truth), range(24))
    empty = np.array([~track.masks.any(axis=(1, 2)) for track in tracks]).T
    assert np.array_equal(np.isnan(scores), np.repeat(empty[:, None], len(asked(truth)), axis=1))
    assert ((scores >= 0) & (scores <= 1) | np.isnan(scores)).all()
    assert perception.scores(footage, [], asked(truth), [0, 1]).shape == (2, 4, 0)
    assert perception.scores(footage, tracks, [], [0, 1]).shape == (2, 0, len(tracks))


def test_strangers_are_refused() -> None:
    truth = world(Square(at(10)))
    perception = WorldPerception(truth, Noise.none())
    stranger = dm.Entity(
        entity_id="q", video_id="v", index=0, expression="the cup", noun="cup", generalized_noun="thing"
    )
    with pytest.raises(InputError, match=r"'the cup'.*known: thing 0"):
        perception.scores(footage_of(truth), [], [stranger], [0])
    longer = footage_of(world(Square(at(10)), frames=40))
    with pytest.raises(InputError, match="not of world video 0-0"):
        perception.detect(longer, [0], NOUNS)


# --- rates --------------------------------------------------------------------------------------------------


def test_rates_are_read_from_text() -> None:
    assert Noise.parse("") == Noise()
    assert Noise.parse(" miss=0.2, switch = 0.05 ") == Noise(miss=0.2, switch=0.05)
    assert Noise.parse("none") == Noise.none()
    assert Noise.parse("x1.5") == Noise().scaled(1.5)
    assert Noise.parse("x2, miss=0.2") == replace(Noise().scaled(2), miss=0.2)
    exact = Noise.parse("none,miss=1")
    assert (exact.miss, exact.spurious, exact.doubt) == (1, 0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mis=0.2", "no noise rate 'mis'; known: miss, jitter, "),
        ("miss", "NAME=NUMBER"),
        ("miss=often", "NAME=NUMBER"),
        ("miss=1.2", r"miss is 1.2, must lie in 0\.\.1"),
        ("miss=-0.1", r"must lie in 0\.\.1"),
        ("miss=nan", r"must lie in 0\.\.1"),
        ("jitter=0.7", r"must lie in 0\.\.0.5"),
        ("miss=0.1,miss=0.2", "miss is given twice"),
        ("miss=0.1,none", "no noise rate 'none'"),
    ],
)
def test_bad_rates_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Noise.parse(text)


def test_noise_scales_up_to_each_rates_most() -> None:
    double = Noise(miss=0.2, doubt=1, edge=0.3, shared=0.5).scaled(2)
    assert (double.miss, double.doubt, double.edge, double.shared) == (0.4, 1.0, 0.5, 0.5)
    assert Noise().scaled(0) == Noise.none()
    with pytest.raises(ConfigError, match="-1"):
        Noise().scaled(-1)


def test_every_rate_says_what_it_means_and_where_it_comes_from() -> None:
    rows = Noise(miss=0.5).describe()
    assert [row[0] for row in rows] == [one.name for one in fields(Noise)]
    assert rows[0][1] == 0.5
    assert all(meaning and source for _, _, meaning, source in rows)
