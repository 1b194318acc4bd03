"""What is told of world videos, seen perfectly, is so by the truth; and most of what happens is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed
from strefer_core.backends.rules import RulesTranscriber
from strefer_core.config import TranscriptConfig
from strefer_core.masks import area_px, decode, tight_box
from strefer_core.video_io import sample_positions
from strefer_core.world.render import render_video
from strefer_core.world.truth import TrueEntity, WorldTruth, load_truth, true_camera, truth_path
from tests.samples import path, red, sample

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True)
class Shown:
    """A world video as one sees it perfectly, and what was told of each entity in all clips."""

    truth: WorldTruth
    told: dict[str, list[dm.Action]]

    def ground(self, entity: TrueEntity, action: dm.Action) -> np.ndarray:
        """(k, 2) true places over the ground while the action lasts."""
        times = np.array(self.truth.frames_pts_s)
        frames = np.flatnonzero((times >= action.start_s) & (times <= action.end_s))
        return np.array([entity.ground_px[frame] for frame in frames])


# Pan and zoom of the camera, shake with cuts, and somebody who leaves and comes back.
@pytest.fixture(
    scope="module", params=[("camera_pan", "camera_zoom"), ("camera_shake", "cuts"), ("re_entry",)]
)
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    video = render_video(5, 0, tmp_path_factory.mktemp("world"), request.param)
    truth = load_truth(truth_path(video))
    seen = observed(truth)
    told: dict[str, list[dm.Action]] = {masklet.entity_id: [] for masklet in seen.masklets}
    for in_clip in RulesTranscriber().transcribe(seen, TranscriptConfig()):
        for masklet, answer in zip(seen.masklets, in_clip, strict=True):
            told[masklet.entity_id] += answer.actions
    return Shown(truth, told)


def observed(truth: WorldTruth) -> Observed:
    """The truth's masks, camera and cuts at the sampled frames."""
    positions = [int(position) for position in sample_positions(len(truth.frames_pts_s))]
    plain = sample([red(path((0, 0, 0)))])
    edges = (0.0, *truth.cuts_s, truth.duration_s)
    clips = tuple(
        dm.Clip(
            clip_id=f"clip-{i}", video_id=plain.video.video_id, index=i, start_s=edges[i], end_s=edges[i + 1]
        )
        for i in range(len(edges) - 1)
    )
    return Observed(
        video=replace(plain.video, width_px=truth.width_px, height_px=truth.height_px),
        video_path=Path("not-read.mp4"),
        clips=clips,
        camera=true_camera(truth, positions),
        entities=tuple(
            replace(plain.entities[0], entity_id=one.entity_id, expression=one.expression)
            for one in truth.entities
        ),
        masklets=tuple(_masklet(plain.masklets[0], truth, one, positions) for one in truth.entities),
    )


def _masklet(like: dm.Masklet, truth: WorldTruth, entity: TrueEntity, positions: list[int]) -> dm.Masklet:
    masks = [entity.masks[position] for position in positions]
    return replace(
        like,
        entity_id=entity.entity_id,
        frames_pts_s=tuple(truth.frames_pts_s[position] for position in positions),
        masks=tuple(masks),
        boxes_px=tuple(tight_box(decode(mask)) if mask else None for mask in masks),
        areas_px=tuple(area_px(mask) for mask in masks),
    )


def each(shown: Shown, *kinds: str) -> Iterator[tuple[TrueEntity, dm.Action]]:
    for entity in shown.truth.entities:
        for action in shown.told[entity.entity_id]:
            if action.kind in kinds:
                yield entity, action


def test_moves_and_rests_are_so_over_the_ground(shown: Shown) -> None:
    for entity, action in each(shown, "move", "stand"):
        places = shown.ground(entity, action)
        gone = places[-1] - places[0]
        if action.kind == "stand":
            assert np.ptp(places, axis=0).max() <= 0.05 * shown.truth.width_px
        else:
            assert np.hypot(*gone) >= 0.02 * shown.truth.width_px
            assert gone @ WAYS[str(action.direction)] >= 0.5 * np.hypot(*gone)


def test_who_comes_or_goes_over_a_border_does(shown: Shown) -> None:
    gap_s = shown.truth.duration_s / (dm.FRAME_COUNT - 1)
    for entity, action in each(shown, "enter", "leave"):
        assert any(
            (true.kind, true.direction) == (action.kind, action.direction)
            and true.start_s <= action.end_s + gap_s
            and true.end_s >= action.start_s - gap_s
            for true in entity.actions
        )


def test_who_is_told_to_come_nearer_does(shown: Shown) -> None:
    by_id = {entity.entity_id: entity for entity in shown.truth.entities}
    for entity, action in each(shown, "approach", "move_away"):
        between = shown.ground(by_id[str(action.other_entity_id)], action) - shown.ground(entity, action)
        distances = np.hypot(*between.T)[:: 1 if action.kind == "approach" else -1]
        assert distances[0] - distances[-1] >= 0.03 * shown.truth.width_px
        assert distances[-1] <= 0.9 * distances[0]


def test_most_of_what_they_do_is_told(shown: Shown) -> None:
    long_s = told_s = 0.0
    for entity in shown.truth.entities:
        for true in entity.actions:
            if true.kind in ("move", "stand") and true.end_s - true.start_s >= 1:
                long_s += true.end_s - true.start_s
                told_s += sum(
                    max(0.0, min(one.end_s, true.end_s) - max(one.start_s, true.start_s))
                    for one in shown.told[entity.entity_id]
                    if (one.kind, one.direction) == (true.kind, true.direction)
                )
    assert told_s >= 0.7 * long_s
