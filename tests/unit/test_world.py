"""The world's truth, checked against the decoded pictures and against itself."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from strefer_core.errors import ConfigError, InputError
from strefer_core.world import WorldTruth, expected_masks, load_truth, render_worlds, truth_path
from strefer_core.world.facts import Clock, History, actions, events
from strefer_core.world.figures import FIGURES
from strefer_core.world.film import write_mp4
from strefer_core.world.scenarios import SCENARIOS, write_script
from strefer_core.world.script import COLOURS, Character, expressions
from strefer_core.world.sprites import place
from strefer_core.world.truth import TrueAction, TrueEntity, save_truth

SEED = 7
HUES_DEG = {  # of the colour wheel, written down by hand
    "red": 358,
    "orange": 31,
    "yellow": 50,
    "green": 125,
    "turquoise": 182,
    "blue": 225,
    "purple": 280,
    "pink": 330,
}


@dataclass(frozen=True)
class Rendered:
    path: Path
    truth: WorldTruth
    frames: list[NDArray[np.uint8]]  # decoded from the file, RGB

    @property
    def cut_frames(self) -> list[int]:
        return [round(cut_s * self.truth.fps) for cut_s in self.truth.cuts_s]

    @property
    def shots(self) -> list[tuple[int, int]]:
        edges = [0, *self.cut_frames, len(self.frames)]
        return list(pairwise(edges))

    def frame_at(self, time_s: float) -> int:
        return round(time_s * self.truth.fps)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> list[Rendered]:
    lines: list[str] = []
    paths = render_worlds(SEED, 6, tmp_path_factory.mktemp("worlds"), report=lines.append)
    assert [path.name for path in paths] == [f"world-7-0{i}.mp4" for i in range(6)]
    assert len(lines) == 6
    return [Rendered(path, load_truth(truth_path(path)), list(_decoded(path))) for path in paths]


def _decoded(path: Path) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def _each(worlds: list[Rendered]) -> Iterator[tuple[Rendered, TrueEntity]]:
    for world in worlds:
        for entity in world.truth.entities:
            yield world, entity


# --- files ---------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bytes_in_another_process(worlds: list[Rendered], tmp_path: Path) -> None:
    code = "import sys, pathlib, strefer_core.world as w; w.render_worlds(7, 1, pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    for one, other in (
        (tmp_path / worlds[0].path.name, worlds[0].path),
        (truth_path(tmp_path / worlds[0].path.name), truth_path(worlds[0].path)),
    ):
        assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["world-7-00.mp4", "world-7-00.truth.json"]


def test_the_truth_describes_the_file(worlds: list[Rendered]) -> None:
    for world in worlds:
        truth = world.truth
        assert hashlib.sha256(world.path.read_bytes()).hexdigest() == truth.video_sha256
        with av.open(str(world.path)) as container:
            stream = container.streams.video[0]
            pts_s = sorted(
                float((packet.pts or 0) * packet.time_base)
                for packet in container.demux(stream)
                if packet.size
            )
            assert stream.average_rate == truth.fps
            assert (stream.width, stream.height) == (truth.width_px, truth.height_px) == (640, 360)
            assert stream.codec_context.name == "h264"
        assert pts_s == pytest.approx(truth.frames_pts_s, abs=1e-4)
        assert 6 <= truth.duration_s <= 10
        assert truth_path(world.path).stat().st_size < 1_000_000
        counts = {len(e.masks) for e in truth.entities} | {len(e.full_boxes_px) for e in truth.entities}
        assert counts | {len(truth.camera_px)} == {len(world.frames)}


def test_truth_survives_a_round_trip(worlds: list[Rendered], tmp_path: Path) -> None:
    save_truth(worlds[4].truth, tmp_path / "again.truth.json")
    assert load_truth(tmp_path / "again.truth.json") == worlds[4].truth
    assert (tmp_path / "again.truth.json").read_bytes() == truth_path(worlds[4].path).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no truth at .*strefer world render"),
        ("not json", "no world truth"),
        ('{"seed": 1}', "no world truth"),
    ],
)
def test_a_bad_truth_file_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "some.truth.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_truth(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("seed", "videos"), [(-1, 1), (0, 0), (3, -2)])
def test_a_bad_request_is_refused(tmp_path: Path, seed: int, videos: int) -> None:
    with pytest.raises(ConfigError, match=str(min(seed, videos))):
        render_worlds(seed, videos, tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ConfigError, match="taken"):
        render_worlds(0, 1, tmp_path / "taken")


def test_a_broken_render_leaves_no_file(tmp_path: Path) -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        yield np.zeros((36, 64, 3), np.uint8)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_mp4(tmp_path / "a.mp4", frames(), Fraction(24), 64, 36)
    assert list(tmp_path.iterdir()) == []


# --- masks and boxes -----------------------------------------------------------------------------


def test_masks_of_different_entities_are_disjoint(worlds: list[Rendered]) -> None:
    for world in worlds:
        for frame in range(len(world.frames)):
            masks = [e.masks[frame] for e in world.truth.entities if e.masks[frame] is not None]
            areas = sum(int(coco.area(mask)) for mask in masks)
            assert areas == (int(coco.area(coco.merge(masks))) if masks else 0)


def test_boxes_and_fractions_agree_with_masks(worlds: list[Rendered]) -> None:
    for world, entity in _each(worlds):
        rows = zip(
            entity.masks,
            entity.full_boxes_px,
            entity.visible_fractions,
            entity.in_frame_fractions,
            strict=True,
        )
        for mask, box, visible, in_frame in rows:
            assert 0 <= visible <= in_frame <= 1
            assert (mask is None) == (visible == 0)
            if mask is None:
                continue
            assert box is not None
            assert mask["size"] == [360, 640]
            x, y, w, h = coco.toBbox(mask).tolist()
            inner = (max(box[0], 0), max(box[1], 0), min(box[2], 640), min(box[3], 360))
            assert inner[0] <= x < x + w <= inner[2]
            assert inner[1] <= y < y + h <= inner[3]
            if visible == 1:
                assert (x, y, x + w, y + h) == box
        assert world.truth.duration_s > 0


def test_colours_under_the_masks_of_the_decoded_video(worlds: list[Rendered]) -> None:
    looked = 0
    for world in worlds:
        positions = list(range(0, len(world.frames), 12))
        for entity_id, masks in expected_masks(world.truth, positions).items():
            entity = next(e for e in world.truth.entities if e.entity_id == entity_id)
            for position, mask in zip(positions, masks, strict=True):
                core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
                if entity.visible_fractions[position] < 0.5 or core.sum() < 150:
                    continue
                assert _hue_error_deg(world.frames[position][core], dict(entity.attributes)["colour"]) < 18
                looked += 1
    assert looked > 200


def _hue_error_deg(pixels: NDArray[np.uint8], colour: str) -> float:
    """Distance of the mean hue of the saturated pixels (no eyes, no cream spots) from the colour's."""
    hsv = cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[0]
    hues = np.radians(hsv[hsv[:, 1] > 0.45, 0])
    assert len(hues) > 0.4 * len(pixels)
    mean = np.degrees(np.angle(np.exp(1j * hues).mean()))
    return float(abs((mean - HUES_DEG[colour] + 180) % 360 - 180))


def test_masks_cover_what_moves_before_a_still_camera(worlds: list[Rendered]) -> None:
    world = worlds[1]  # two of three are absent for a time: the median over time is the bare background
    assert len(set(world.truth.camera_px)) == 1
    background = np.median(np.stack(world.frames[::6]), axis=0)
    scores = []
    for position in range(5, len(world.frames), 25):
        found = np.abs(world.frames[position] - background).max(axis=2) > 25
        truth = np.any([masks[0] for masks in expected_masks(world.truth, [position]).values()], axis=0)
        scores.append((found & truth).sum() / (found | truth).sum())
    assert np.median(scores) > 0.9
    assert min(scores) > 0.8


def test_expected_masks_rejects_frames_outside_the_video(worlds: list[Rendered]) -> None:
    with pytest.raises(IndexError, match="frame -1"):
        expected_masks(worlds[0].truth, [0, -1])
    with pytest.raises(IndexError, match=str(len(worlds[0].frames))):
        expected_masks(worlds[0].truth, [len(worlds[0].frames)])


def test_a_placed_circle_is_where_and_as_large_as_it_should_be() -> None:
    circle = _character("circle", radius_px=40.0)
    placed = place(circle, 100.5, -20.25, angle_deg=30.0, facing=1.0, phase=0.0)
    rows, columns = np.nonzero(placed.solid)
    assert columns.mean() + placed.x_px + 0.5 == pytest.approx(100.5, abs=0.2)
    assert rows.mean() + placed.y_px + 0.5 == pytest.approx(-20.25, abs=0.2)
    # 0.95 of the radius is filled, half the outline lies outside of it.
    assert np.sqrt(placed.solid.sum() / np.pi) == pytest.approx(40 * 0.95 + 0.9, abs=0.5)
    assert (placed.rgb <= placed.alpha[..., None]).all()


@pytest.mark.parametrize("noun", list(FIGURES))
def test_no_figure_is_cut_off_by_its_picture(noun: str) -> None:
    for phase in (0.0, 0.25, 0.5, 0.75):
        alpha = place(_character(noun, radius_px=30.0), 50.0, 50.0, 45.0, -1.0, phase).alpha
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert border.max() == 0
        assert (alpha >= 128).sum() > 900


# --- camera, cuts, variety -----------------------------------------------------------------------


def test_cuts_are_where_the_pictures_jump(worlds: list[Rendered]) -> None:
    for world in worlds:
        small = [cv2.resize(frame, (64, 36), interpolation=cv2.INTER_AREA) for frame in world.frames]
        jumps = np.array([np.abs(b.astype(int) - a).mean() for a, b in pairwise(small)])
        assert list(np.flatnonzero(jumps > 18) + 1) == world.cut_frames
        assert np.delete(jumps, [cut - 1 for cut in world.cut_frames]).max() < 9


@pytest.mark.parametrize("index", [2, 3])  # a shaking and a panning camera
def test_the_camera_path_is_the_shift_of_the_background(worlds: list[Rendered], index: int) -> None:
    world = worlds[index]
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in world.frames]
    moved_px = 0.0
    for frame in range(30, len(grey) - 4, 20):
        shift = np.subtract(world.truth.camera_px[frame + 4], world.truth.camera_px[frame])
        entities = np.any([masks[0] for masks in expected_masks(world.truth, [frame]).values()], axis=0)
        free = cv2.erode((~entities).astype(np.uint8), np.ones((25, 25), np.uint8))
        corners = cv2.goodFeaturesToTrack(grey[frame], 200, 0.01, 8, mask=free)
        found, ok, _ = cv2.calcOpticalFlowPyrLK(grey[frame], grey[frame + 4], corners, corners.copy())
        flow = np.median((found - corners)[ok == 1], axis=0)
        assert np.allclose(flow, -shift, atol=0.5)
        moved_px += float(np.hypot(*shift))
    assert moved_px > 10


def test_no_two_videos_are_near_duplicates(worlds: list[Rendered]) -> None:
    def hashes(world: Rendered) -> list[imagehash.ImageHash]:
        positions = np.linspace(0, len(world.frames) - 1, 8).astype(int)
        return [imagehash.phash(Image.fromarray(world.frames[p])) for p in positions]

    all_hashes = [hashes(world) for world in worlds]
    for i, one in enumerate(all_hashes):
        for other in all_hashes[:i]:
            assert np.mean([a - b for a, b in zip(one, other, strict=True)]) > 10  # 4 would be a duplicate


def test_every_video_has_two_clear_movers(worlds: list[Rendered]) -> None:
    for world in worlds:
        assert sum(_is_clear_mover(world, entity) for entity in world.truth.entities) >= 2


def _is_clear_mover(world: Rendered, entity: TrueEntity) -> bool:
    """Seen for three seconds, 40 pixels or larger, and 150 pixels travelled before the background."""
    boxes = np.array([box or (np.nan,) * 4 for box in entity.full_boxes_px])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 + np.array(world.truth.camera_px)
    seen = np.array(entity.visible_fractions) > 0.5
    steps = np.hypot(*np.diff(middles, axis=0).T)[seen[1:] & seen[:-1]]
    side = np.nanmedian((boxes[:, 2:] - boxes[:, :2]).max(axis=1))
    return bool(seen.sum() / world.truth.fps >= 3 and side >= 40 and np.sort(steps)[:-2].sum() > 150)


def test_the_demo_shows_everything(worlds: list[Rendered]) -> None:
    shown = {kind for world in worlds for kind in _shown(world)}
    assert shown == {
        "look_alikes", "late_entry", "re_entry", "occlusion", "approach", "stop_and_go", "turn",
        "pan", "shake", "cut", "back_to_the_same_place", "same_entity_in_two_places",
    }  # fmt: skip


def _shown(world: Rendered) -> Iterator[str]:
    truth = world.truth
    names = [(e.noun, dict(e.attributes)["colour"]) for e in truth.entities]
    if len(set(names)) < len(names):
        yield "look_alikes"
    if truth.cuts_s:
        yield "cut"
    if len(set(truth.places)) < len(truth.places):
        yield "back_to_the_same_place"
    yield from ("occlusion" if event.kind == "occlude" else "approach" for event in truth.events)
    for start, end in world.shots:
        camera = np.array(truth.camera_px[start:end])
        reach = np.ptp(camera, axis=0).max()
        if reach > 100:
            yield "pan"
        elif reach > 2:
            yield "shake"
    for entity in truth.entities:
        yield from _shown_by(world, entity)


def _shown_by(world: Rendered, entity: TrueEntity) -> Iterator[str]:
    seen = np.array([mask is not None for mask in entity.masks])
    places = {world.truth.places[i] for i, (start, end) in enumerate(world.shots) if seen[start:end].any()}
    if len(places) > 1:
        yield "same_entity_in_two_places"
    if len(world.shots) == 1:
        starts = np.flatnonzero(np.diff(seen.astype(int)) == 1)
        if not seen[0] and len(starts):
            yield "late_entry"
        if seen[0] and len(starts):
            yield "re_entry"
    kinds = [a.kind for a in entity.actions if a.kind in ("move", "stand")]
    if any(kinds[i : i + 3] == ["move", "stand", "move"] for i in range(len(kinds))):
        yield "stop_and_go"
    if len({a.direction for a in entity.actions if a.kind == "move"}) > 1:
        yield "turn"


# --- words ---------------------------------------------------------------------------------------


def test_an_expression_fits_its_entity_alone(worlds: list[Rendered]) -> None:
    for world, entity in _each(worlds):
        words = set(entity.expression.removeprefix("the ").split())
        fits = [e for e in world.truth.entities if words <= {e.noun, *dict(e.attributes).values()}]
        assert fits == [entity]
        assert entity.generalized_noun in ("animal", "shape")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], "the red fish"),
        ([{"noun": "star"}, {"colour": "blue"}], "the red fish"),
        ([{"pattern": "striped"}], "the plain red fish"),
        ([{"size": "large"}], "the small red fish"),
        ([{"size": "large"}, {"pattern": "striped"}], "the small plain red fish"),
    ],
)
def test_expressions_take_the_fewest_words(others: list[dict[str, str]], expected: str) -> None:
    cast = (_character("fish"), *(_character(**{"noun": "fish", **other}) for other in others))
    assert expressions(cast)[0] == expected


def test_twins_that_nothing_tells_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="tells e0"):
        expressions((_character("fish"), _character("fish")))


@pytest.mark.parametrize("seed", range(100, 130))
def test_scripts_hold_their_promises_for_any_seed(seed: int) -> None:
    scripts = [write_script(seed, index) for index in range(6)]
    assert [script.scenario for script in scripts] == list(SCENARIOS)
    for script in scripts:
        assert len(set(expressions(script.characters))) == len(script.characters) >= 3
        assert [c.entity_id for c in script.characters] == [f"e{i}" for i in range(len(script.characters))]
        assert 6 <= script.frame_count / script.fps <= 10
        assert all(shot.end_frame - shot.start_frame >= 2 * script.fps for shot in script.shots)
    first_places = {script.scenes[0].background.kind for script in scripts}
    assert len(first_places) == 6


def test_the_palette_is_what_the_words_say() -> None:
    assert COLOURS.keys() == HUES_DEG.keys()
    for name, rgb in COLOURS.items():
        assert _hue_error_deg(np.array([rgb], np.uint8), name) < 8


# --- actions and events --------------------------------------------------------------------------


def test_entering_and_leaving_agree_with_the_masks(worlds: list[Rendered]) -> None:
    checked = 0
    for world, entity in _each(worlds):
        seen = [mask is not None for mask in entity.masks]
        for action in entity.actions:
            start, end = world.frame_at(action.start_s), world.frame_at(action.end_s)
            if action.kind == "enter":
                assert not seen[start - 1]
                assert all(seen[start:end])
                checked += 1
            if action.kind == "leave":
                assert all(seen[start:end])
                assert not seen[end]
                checked += 1
        assert _crossings(world, entity) == [a.kind for a in entity.actions if a.kind in ("enter", "leave")]
    assert checked >= 5


def _crossings(world: Rendered, entity: TrueEntity) -> list[str]:
    """What the masks alone say: where they begin and end within a shot, at the border of the frame."""
    found = []
    for start, end in world.shots:
        for frame in range(start + 1, end):
            before, now = entity.masks[frame - 1], entity.masks[frame]
            if before is None and now is not None and _touches_border(now):
                found.append("enter")
            if before is not None and now is None and _touches_border(before):
                found.append("leave")
    return found


def _touches_border(mask: object) -> bool:
    x, y, w, h = coco.toBbox(mask).tolist()
    return bool(x == 0 or y == 0 or x + w == 640 or y + h == 360)


def test_movement_agrees_with_the_boxes(worlds: list[Rendered]) -> None:
    for world, entity in _each(worlds):
        for action in entity.actions:
            assert 0 <= action.start_s < action.end_s <= world.truth.duration_s
            assert not any(action.start_s < cut < action.end_s for cut in world.truth.cuts_s)
            frames = world.frame_at(action.start_s), world.frame_at(action.end_s) - 1
            x, y = _middle(world, entity, frames[1]) - _middle(world, entity, frames[0])
            if action.kind == "stand":
                assert np.hypot(x, y) < 25
            elif action.kind == "move":
                forward = {"left": -x, "right": x, "up": -y, "down": y}[action.direction or ""]
                assert forward > 5
                assert forward > 0.6 * np.hypot(x, y) - 12  # a wing beat shifts the box by as much


def _middle(world: Rendered, entity: TrueEntity, frame: int) -> NDArray[np.float64]:
    box = entity.full_boxes_px[frame]
    assert box is not None
    middle = (np.array(box[:2]) + box[2:]) / 2 + np.array(world.truth.camera_px[frame])
    return np.asarray(middle, dtype=np.float64)


def test_events_agree_with_the_boxes(worlds: list[Rendered]) -> None:
    for world in worlds:
        entities = {entity.entity_id: entity for entity in world.truth.entities}
        for event in world.truth.events:
            subject, target = entities[event.subject_entity_id], entities[event.object_entity_id]
            start, last = world.frame_at(event.start_s), world.frame_at(event.end_s) - 1
            gaps = [
                np.hypot(*(_middle(world, subject, frame) - _middle(world, target, frame)))
                for frame in (start, last)
            ]
            if event.kind == "approach":
                assert gaps[1] < gaps[0] - 15
            else:
                fractions = zip(target.visible_fractions, target.in_frame_fractions, strict=True)
                hidden = [inside - visible for visible, inside in fractions]
                assert all(share > 0.05 for share in hidden[start : last + 1])


# A hand-made history at 10 frames per second, 40 frames, one shot, in a frame of 200 x 100.
_PTS_S = np.arange(41) / 10.0
_CLOCK = Clock(_PTS_S, ((0, 40),), 200, 100)


def _history(entity_id: str, x: NDArray[Any], y: float, **changes: object) -> History:
    """A square of 20 pixels that moves along x."""
    base = np.stack([x, np.full(40, y)], axis=1)
    in_frame = np.clip((np.minimum(x + 10, 200) - np.maximum(x - 10, 0)) / 20, 0, 1)
    values: dict[str, object] = {
        "entity_id": entity_id,
        "radius_px": 10.0,
        "in_scene": np.ones(40, np.bool_),
        "base_px": base,
        "velocity_px_s": np.gradient(base, 0.1, axis=0),
        "boxes_px": tuple((a - 10, y - 10, a + 10, y + 10) for a in x),
        "in_frame": in_frame,
        "visible": in_frame,
        "hidden_by": {},
    }
    return History(**(values | changes))  # type: ignore[arg-type]


def test_one_stops_in_the_middle() -> None:
    x = np.concatenate([np.arange(15) * 5.0 + 50, np.full(15, 120.0), 120 - np.arange(1, 11) * 5.0])
    assert actions(_history("a", x, 50.0), _CLOCK) == (
        TrueAction(kind="move", start_s=0.0, end_s=1.5, direction="right"),
        TrueAction(kind="stand", start_s=1.5, end_s=2.9, direction=None),
        TrueAction(kind="move", start_s=2.9, end_s=4.0, direction="left"),
    )


def test_one_crosses_the_frame() -> None:
    x = -40 + np.arange(40) * 8.0  # in view from frame 4 (-8) to frame 31 (208), wholly in 7 (16) to 28 (184)
    assert actions(_history("a", x, 50.0), _CLOCK) == (
        TrueAction(kind="enter", start_s=0.4, end_s=0.7, direction="left"),
        TrueAction(kind="move", start_s=0.4, end_s=3.2, direction="right"),
        TrueAction(kind="leave", start_s=2.9, end_s=3.2, direction="right"),
    )


def test_one_passes_in_front_of_another() -> None:
    still, walker = np.full(40, 100.0), 20 + np.arange(40) * 4.0
    covered = np.clip(
        1 - np.abs(walker - still) / 20, 0, 1
    )  # over 0.1 in frames 16 to 24, over half in 18 to 22
    behind = _history("still", still, 50.0, visible=1 - covered, hidden_by={"walker": covered})
    front = _history("walker", walker, 50.0)
    assert [(a.kind, a.start_s, a.end_s, a.other_entity_id) for a in actions(behind, _CLOCK)] == [
        ("stand", 0.0, 4.0, None),
        ("occluded", 1.8, 2.3, "walker"),
    ]
    found = [
        (e.kind, e.subject_entity_id, e.object_entity_id, e.start_s, e.end_s)
        for e in events((behind, front), _CLOCK)
    ]
    assert found == [("approach", "walker", "still", 0.0, 2.0), ("occlude", "walker", "still", 1.6, 2.5)]


def test_nothing_spans_a_cut() -> None:
    x = np.arange(40) * 3.0 + 30
    clock = Clock(_PTS_S, ((0, 20), (20, 40)), 200, 100)
    assert [(a.kind, a.start_s, a.end_s) for a in actions(_history("a", x, 50.0), clock)] == [
        ("move", 0.0, 2.0),
        ("move", 2.0, 4.0),
    ]


def test_truth_is_plain_json(worlds: list[Rendered]) -> None:
    document = json.loads(truth_path(worlds[0].path).read_text())
    assert Fraction(document["fps"]) == worlds[0].truth.fps
    assert document["entities"][0]["masks"][0]["size"] == [360, 640]


def _character(noun: str, **changes: object) -> Character:
    values: dict[str, object] = {
        "entity_id": "e0",
        "noun": noun,
        "colour": "red",
        "size": "small",
        "pattern": "plain",
        "radius_px": 27.0,
    }
    return Character(**(values | changes))  # type: ignore[arg-type]
