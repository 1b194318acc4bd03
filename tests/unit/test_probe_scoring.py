"""Figures of a masklet against truth drawn by hand: rectangles on 8 frames, every number worked out here."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco
from scipy import stats

from strefer_core import data_model as dm
from strefer_core.probe import figures as figures_module
from strefer_core.probe.figures import METRICS, Sample, differences, figures, intervals, resamples
from strefer_core.probe.questions import Question
from strefer_core.probe.scoring import EntityFigures, Masks, Score, score_entity

HEIGHT_PX, WIDTH_PX = 75, 100

Box = tuple[int, int, int, int] | None

LEFT, RIGHT, NEAR_LEFT = (10, 10, 30, 30), (60, 10, 80, 30), (10, 10, 30, 20)


def rle(box: Box) -> dm.Rle | None:
    if box is None:
        return None
    x0, y0, x1, y1 = box
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8, order="F")
    mask[y0:y1, x0:x1] = 1
    code = coco.encode(mask)
    return dm.Rle(size=list(code["size"]), counts=code["counts"].decode())


def masks(*boxes: Box) -> Masks:
    return [rle(box) for box in boxes]


def asked_for(true_id: str) -> Question:
    entity = dm.Entity(
        entity_id="0", video_id="v", index=0, expression=f"the {true_id}", noun="n", generalized_noun="g"
    )
    return Question(entity=entity, kind="present", true_id=true_id)


def score(predicted: Masks | None, things: dict[str, Masks], name: str = "cat") -> EntityFigures:
    return score_entity(asked_for(name), things, predicted)


STILL = {"cat": masks(*[LEFT] * 8), "dog": masks(*[RIGHT] * 8)}


def test_the_truth_itself_is_perfect() -> None:
    one = score(STILL["cat"], STILL)
    assert (one.j, one.f, one.j_and_f, one.presence_accuracy) == (1, 1, 1, 1)
    assert one.is_tracked
    assert one.is_right
    assert (one.identity_switches, one.fragments) == (0, 1)


def test_no_masklet_predicts_never_visible() -> None:
    things = {"cat": masks(*[LEFT] * 2, *[None] * 6)}
    one = score(None, things)
    assert (one.j, one.f, one.fragments, one.identity_switches) == (0, 0, 0, 0)
    assert one.presence_accuracy == 6 / 8
    assert not one.is_tracked
    assert not one.has_masklet
    assert one.lies_on is None


def test_j_counts_frames_where_either_is_visible() -> None:
    """Truth on frames 0-3, masklet on 2-5: of six frames two agree."""
    things = {"cat": masks(*[LEFT] * 4, *[None] * 4)}
    one = score(masks(None, None, *[LEFT] * 4, None, None), things)
    assert one.j == pytest.approx(2 / 6)
    assert one.f == pytest.approx(2 / 6)
    assert one.presence_accuracy == 4 / 8


def test_tracked_looks_only_at_frames_where_the_entity_is() -> None:
    """Right on both frames where it is, and then left lying about on six more."""
    things = {"cat": masks(*[LEFT] * 2, *[None] * 6)}
    one = score(masks(*[LEFT] * 8), things)
    assert one.is_tracked
    assert one.j == pytest.approx(2 / 8)


@pytest.mark.parametrize(("right", "is_tracked"), [(3, False), (4, True)])
def test_tracked_begins_at_half(right: int, is_tracked: bool) -> None:
    one = score(masks(*[LEFT] * right, *[None] * (8 - right)), STILL)
    assert one.j == right / 8
    assert one.is_tracked is is_tracked


def test_half_a_mask_is_iou_of_a_half_and_still_lies_on_it() -> None:
    one = score(masks(*[NEAR_LEFT] * 8), STILL)
    assert one.j == 0.5
    assert one.is_tracked
    assert one.is_right


def test_a_masklet_on_another_is_wrong_and_on_nothing_too() -> None:
    assert score(STILL["dog"], STILL).lies_on == "dog"
    assert not score(STILL["dog"], STILL).is_right
    on_ground = score(masks(*[(40, 50, 55, 70)] * 8), STILL)
    assert on_ground.has_masklet
    assert on_ground.lies_on is None
    assert not on_ground.is_right


def test_a_third_of_a_thing_is_no_match() -> None:
    beside = (20, 10, 40, 30)  # 10 of its 20 columns on the cat: IoU 1/3
    one = score(masks(*[beside] * 8), STILL)
    assert one.j == pytest.approx(1 / 3)
    assert (one.lies_on, one.fragments, one.is_tracked) == (None, 0, False)


def test_the_majority_of_matched_frames_decides() -> None:
    mostly_dog = score(masks(LEFT, LEFT, LEFT, *[RIGHT] * 4, None), STILL)
    assert mostly_dog.lies_on == "dog"
    assert mostly_dog.identity_switches == 1


def test_switches_are_counted_across_frames_without_a_match() -> None:
    one = score(masks(LEFT, None, RIGHT, (40, 50, 55, 70), RIGHT, LEFT, None, LEFT), STILL)
    assert one.identity_switches == 2


def test_fragments_are_stretches_of_the_frames_where_it_is() -> None:
    things = {"cat": masks(LEFT, LEFT, None, None, LEFT, LEFT, LEFT, LEFT)}
    assert score(masks(LEFT, LEFT, None, None, LEFT, LEFT, LEFT, LEFT), things).fragments == 1
    assert score(masks(LEFT, LEFT, None, None, LEFT, None, LEFT, LEFT), things).fragments == 2
    assert score(masks(None, LEFT, None, None, None, LEFT, None, LEFT), things).fragments == 3


def one_entity(**changes: object) -> EntityFigures:
    plain = {
        "expression": "the cat", "true_id": "cat", "has_masklet": True, "j": 0.8, "f": 0.6,
        "is_tracked": True, "presence_accuracy": 1.0, "lies_on": "cat", "identity_switches": 0,
        "fragments": 1, "visible_frames": 32,
    }  # fmt: skip
    return EntityFigures(**{**plain, **changes})  # type: ignore[arg-type]


LOST = one_entity(has_masklet=False, j=0.0, f=0.0, is_tracked=False, lies_on=None, fragments=0)


def video(*entities: EntityFigures, **changes: object) -> Score:
    given = sum(one.has_masklet for one in entities)
    plain = {
        "entities": entities,
        "asked": {"present": len(entities), "absent": 0, "ambiguous": 0},
        "masklets": {"present": given, "absent": 0, "ambiguous": 0},
        "detector_calls": 4, "tracked_frames": 32, "assigner_calls": 2, "seconds": 0.5,
    }  # fmt: skip
    return Score(**{**plain, **changes})  # type: ignore[arg-type]


def test_figures_over_videos_by_hand() -> None:
    wrong = one_entity(j=0.2, f=0.2, is_tracked=False, lies_on="dog", identity_switches=3, fragments=3)
    scores = [
        video(one_entity(), wrong, detector_calls=4),
        video(
            LOST,
            detector_calls=10,
            asked={"present": 1, "absent": 4, "ambiguous": 2},
            masklets={"present": 0, "absent": 1, "ambiguous": 2},
        ),
    ]
    found = figures(scores)
    expected = {
        "j": (0.8 + 0.2) / 3,
        "f": (0.6 + 0.2) / 3,
        "j_and_f": (0.7 + 0.2) / 3,
        "entities_tracked": 1 / 3,
        "presence_accuracy": 1,
        "identity_switches_per_video": 3 / 2,
        "fragments_per_entity": (1 + 3) / 2,  # the one never covered does not make it look better
        "absent_false_tracks": 1 / 4,
        "assignment_accuracy": 1 / 2,
        "ambiguous_tracks": 1,
        "detector_calls_median": 7,
        "tracked_frames_median": 32,
        "assigner_calls_median": 2,
        "seconds_median": 0.5,
    }
    assert found == pytest.approx(expected)
    assert tuple(found) == METRICS


def test_what_was_not_asked_for_is_none() -> None:
    found = figures([video(LOST)])
    assert found["absent_false_tracks"] is None
    assert found["assignment_accuracy"] is None
    assert found["fragments_per_entity"] is None
    assert figures([])["j"] is None


def some_videos(seed: int, count: int) -> list[Score]:
    rng = np.random.default_rng(seed)
    return [
        video(
            *(one_entity(j=float(j)) for j in rng.random(int(rng.integers(1, 6)))),
            detector_calls=int(rng.integers(1, 20)),
        )
        for _ in range(count)
    ]


def test_intervals_agree_with_scipy() -> None:
    """Another generator and another implementation: equal up to the noise of 2,000 resamples."""
    scores = some_videos(1, 40)
    totals = np.array([sum(one.j for one in s.entities) for s in scores])
    counts = np.array([len(s.entities) for s in scores])
    theirs = stats.bootstrap(
        (totals, counts),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    ours = intervals(scores, seed=7)["j"]
    assert ours is not None
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.05 * width)


def test_intervals_hold_the_figure_and_come_out_the_same_again() -> None:
    scores = some_videos(2, 25)
    found, known = intervals(scores, seed=3), figures(scores)
    for metric in ("j", "detector_calls_median"):
        interval, value = found[metric], known[metric]
        assert interval is not None
        assert value is not None
        assert interval[0] <= value <= interval[1]
    assert found == intervals(scores, seed=3)
    assert found != intervals(scores, seed=4)
    assert found["absent_false_tracks"] is None


def test_one_video_has_no_interval() -> None:
    assert set(intervals(some_videos(0, 1), seed=0).values()) == {None}


def test_pairs_of_videos_are_resampled_together() -> None:
    """Ours is 0.1 better on every single video: however hard the videos, the difference is sure."""
    theirs = some_videos(3, 30)
    ours = [
        video(*(one_entity(j=one.j + 0.1) for one in s.entities), detector_calls=2 * s.detector_calls)
        for s in theirs
    ]
    found = differences(ours, theirs, seed=1)
    assert found["j"] == pytest.approx({"difference": 0.1, "low": 0.1, "high": 0.1})
    alone = intervals(ours, seed=1)["j"]
    assert alone is not None
    assert alone[1] - alone[0] > 0.05
    assert found["absent_false_tracks"] == {"difference": None, "low": None, "high": None}


def test_a_figure_of_all_draws_is_that_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures_module, "RESAMPLES", 5)
    scores = some_videos(4, 6)
    drawn = resamples(6, seed=0)
    assert drawn.shape == (5, 6)
    together = Sample.of(scores).figures(drawn)
    for row, places in enumerate(drawn):
        alone = figures([scores[place] for place in places])
        assert together["j"][row] == pytest.approx(alone["j"])
        assert together["detector_calls_median"][row] == alone["detector_calls_median"]
