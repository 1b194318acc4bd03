"""World videos and their truth, written from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from math import isnan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core import masks
from strefer_core.errors import ConfigError
from strefer_core.world import facts, film, motion
from strefer_core.world.scenarios import write_script
from strefer_core.world.script import Character, Script, expressions
from strefer_core.world.sight import PROPS, Moment, Seen, moments, times_s
from strefer_core.world.truth import Decoy, TrueEntity, WorldTruth, load_truth, save_truth, truth_path

Report = Callable[[str], None]


def render_worlds(
    seed: int,
    videos: int,
    out_dir: Path,
    *,
    knobs: Collection[str] | Callable[[int], Collection[str]] | None = None,
    report: Report | None = None,
) -> list[Path]:
    """Render `world-<seed>-<nn>.mp4` and its truth beside it, for nn from 00.

    The same seed gives the same bytes; video nn does not depend on how many are rendered.

    Args:
        seed: not negative.
        videos: how many, at least one.
        out_dir: made where missing; files of the same names are replaced.
        knobs: difficulties of every video, or those of video nn as a function of nn; None: the six
            scenarios of the default difficulty in turn.
        report: called with one line after each video.

    Returns:
        The paths of the videos, in order.

    Raises:
        ConfigError: a bad seed or count, an unknown knob, or `out_dir` is a file.
    """
    if videos < 1:
        raise ConfigError(f"a world needs at least one video, not {videos}")
    paths = []
    for index in range(videos):
        path = render_video(seed, index, out_dir, knobs(index) if callable(knobs) else knobs)
        paths.append(path)
        if report:
            truth = load_truth(truth_path(path))
            names = ", ".join(entity.expression for entity in truth.entities)
            report(f"{path.name}: {truth.scenario}, {truth.duration_s:.1f} s: {names}")
    return paths


def render_video(seed: int, index: int, out_dir: Path, knobs: Collection[str] | None = None) -> Path:
    """Render video `index` of a seed as `world-<seed>-<nn>.mp4`, and its truth beside it.

    Args:
        seed: not negative.
        index: place among the videos of the seed; one video does not depend on the others.
        out_dir: made where missing; files of the same names are replaced.
        knobs: its difficulties, names of `knobs.KNOBS`; empty: a plain video; None: its scenario of the
            default difficulty.

    Raises:
        ConfigError: a bad seed or index, an unknown knob, or `out_dir` is a file.
    """
    if seed < 0 or index < 0:
        raise ConfigError(f"a world needs a seed >= 0 and an index >= 0, not {seed} and {index}")
    if out_dir.exists() and not out_dir.is_dir():
        raise ConfigError(f"{out_dir} is a file; name a folder for the world videos")
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / f"world-{seed}-{index:02d}.mp4"
    render_script(write_script(seed, index, knobs), path)
    return path


def render_script(script: Script, video_path: Path) -> WorldTruth:
    """Render one script to a video, and its truth beside it. An earlier truth never outlives its video."""
    truth_path(video_path).unlink(missing_ok=True)
    record = _Record(script)
    film.write_mp4(video_path, record.watch(), script.fps, script.width_px, script.height_px)
    digest = hashlib.sha256(video_path.read_bytes()).hexdigest()
    truth = record.truth(digest)
    save_truth(truth, truth_path(video_path))
    return truth


class _Record:
    """Notes what is seen while the frames pass on to the encoder, so that no frame is kept."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._camera: list[tuple[float, float]] = []
        self._zoom: list[float] = []
        self._blur: list[list[float]] = [[] for _ in script.characters]
        self._seen: list[list[Seen | None]] = [[] for _ in script.characters]
        self._masks: list[list[dm.Rle | None]] = [[] for _ in script.characters]

    def watch(self) -> Iterator[NDArray[np.uint8]]:
        for moment in moments(self._script):
            self._note(moment)
            yield moment.picture

    def _note(self, moment: Moment) -> None:
        self._camera.append(moment.camera_px)
        self._zoom.append(moment.zoom)
        for character in range(len(self._script.characters)):
            one = moment.seen.get(character)
            self._seen[character].append(one)
            self._blur[character].append(moment.blur_px.get(character, 0.0))
            self._masks[character].append(self._rle(one) if one else None)

    def _rle(self, one: Seen) -> dm.Rle | None:
        # Column by column, as the encoding runs: nothing has to be turned round.
        mask = np.zeros((self._script.height_px, self._script.width_px), dtype=np.bool_, order="F")
        mask[one.window] = one.visible
        return masks.encode(mask)

    def truth(self, video_sha256: str) -> WorldTruth:
        """The whole truth, once every frame has passed."""
        script = self._script
        histories = [self._history(i) for i in range(len(script.characters))]
        clock = _clock(script)
        backgrounds = [script.scenes[shot.scene].background for shot in script.shots]
        return WorldTruth(
            seed=script.seed,
            index=script.index,
            scenario=script.scenario,
            knobs=script.knobs,
            video_sha256=video_sha256,
            fps=script.fps,
            width_px=script.width_px,
            height_px=script.height_px,
            frames_pts_s=tuple(clock.pts_s[:-1].tolist()),
            cuts_s=tuple(float(clock.pts_s[shot.start_frame]) for shot in script.shots[1:]),
            places=tuple(f"{background.kind}-{background.seed}" for background in backgrounds),
            camera_px=tuple((round(x, 3), round(y, 3)) for x, y in self._camera),
            camera_zoom=tuple(round(zoom, 5) for zoom in self._zoom),
            entities=tuple(self._entity(i, history, clock) for i, history in enumerate(histories)),
            absent=script.absent,
            ambiguous=script.ambiguous,
            events=facts.events(histories, clock),
            decoys=_decoys(script),
        )

    def _entity(self, index: int, history: facts.History, clock: facts.Clock) -> TrueEntity:
        character = self._script.characters[index]
        return TrueEntity(
            entity_id=character.entity_id,
            expression=expressions(self._script.characters)[index],
            noun=character.noun,
            generalized_noun=character.generalized_noun,
            attributes=character.attributes,
            masks=tuple(self._masks[index]),
            full_boxes_px=history.boxes_px,
            visible_fractions=tuple(round(float(v), 4) for v in history.visible),
            in_frame_fractions=tuple(round(float(v), 4) for v in history.in_frame),
            blur_px=tuple(round(smear, 2) for smear in self._blur[index]),
            actions=facts.actions(history, clock),
            ground_px=tuple(_point(x, y) for x, y in history.base_px.tolist()),
        )

    def _history(self, index: int) -> facts.History:
        seen = self._seen[index]
        base, velocity = _ways(self._script, index)
        ids = [character.entity_id for character in self._script.characters]
        others = sorted({other for one in seen if one for other in one.hidden_px})
        return facts.History(
            entity_id=ids[index],
            radius_px=self._script.characters[index].radius_px,
            in_scene=np.array([one is not None for one in seen]),
            base_px=base,
            velocity_px_s=velocity,
            boxes_px=tuple(one.box_px if one else None for one in seen),
            in_frame=np.array([one.in_frame_fraction if one else 0.0 for one in seen]),
            visible=np.array([one.visible_fraction if one else 0.0 for one in seen]),
            hidden_by={
                None if other == PROPS else ids[other]: np.array([_hidden(one, other) for one in seen])
                for other in others
            },
        )


def _point(x: float, y: float) -> tuple[float, float] | None:
    return None if isnan(x) else (round(x, 2), round(y, 2))


def _decoys(script: Script) -> tuple[Decoy, ...]:
    looks = [prop.look for scene in script.scenes for prop in scene.props]
    return tuple(
        Decoy(noun=look.noun, generalized_noun=look.generalized_noun, attributes=look.attributes)
        for look in looks
        if isinstance(look, Character)
    )


def _hidden(one: Seen | None, other: int) -> float:
    return one.hidden_px.get(other, 0) / one.in_frame_px if one and one.in_frame_px else 0.0


def _clock(script: Script) -> facts.Clock:
    pts_s = [float(frame / script.fps) for frame in range(script.frame_count + 1)]
    shots = tuple((shot.start_frame, shot.end_frame) for shot in script.shots)
    return facts.Clock(np.array(pts_s), shots, script.width_px, script.height_px)


def _ways(script: Script, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World positions and velocities (T, 2) of a character through the shots; NaN where it does not play."""
    base = np.full((script.frame_count, 2), np.nan)
    velocity = base.copy()
    for shot in script.shots:
        for actor in script.scenes[shot.scene].actors:
            if actor.character == index:
                run = slice(shot.start_frame, shot.end_frame)
                poses = motion.poses(script.characters[index], actor.path, times_s(script))
                base[run], velocity[run] = poses.base_px[run], poses.velocity_px_s[run]
    return base, velocity
