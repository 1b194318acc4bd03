"""How right the borders of clips and the camera's motion are on world videos, and how fast they are found.

`python -m benchmarks.clips FOLDER [VIDEOS]` keeps the videos in a folder; VIDEOS of each seed and knobs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from strefer_core.backends.clipper.survey import ScenedetectSurveyor
from strefer_core.backends.interfaces import Survey
from strefer_core.backends.shots import cut_positions
from strefer_core.config import ClipsConfig
from strefer_core.probe.boundaries import NO_BORDERS, BorderScore, Matches, score
from strefer_core.probe.ground import motion_errors_px
from strefer_core.probe.videos import load_checked, world_videos
from strefer_core.stages.clips import clip_intervals
from strefer_core.video_io import index_video, iter_frames, sample_positions
from strefer_core.world import WorldTruth, true_camera

SEEDS = (7, 23)
BORDER_KNOBS = ("plan", "cuts")
CAMERA_KNOBS = ("camera_pan", "camera_zoom", "camera_shake", "crowding", "default")

Surveys = list[tuple[Survey, WorldTruth]]


def measure(folder: Path, videos: int = 10) -> None:
    """Print F1 of cuts and events, errors of the camera's motion, and frames per second."""
    print(f"clips, seeds {SEEDS}, {videos} videos each: precision, recall, F1 (- where there is none)")
    for knobs in BORDER_KNOBS:
        surveys = _surveys(folder, knobs, videos)
        for embedder in ("none", "layout"):
            _print_borders(f"{knobs}, {embedder}", surveys, ClipsConfig(embedder=embedder))
        _print_camera(knobs, surveys)
    for knobs in CAMERA_KNOBS:
        _print_camera(knobs, _surveys(folder, knobs, max(1, videos // 5)))
    _print_speed(_paths(folder, BORDER_KNOBS[0], 3))


def _paths(folder: Path, knobs: str, videos: int) -> list[Path]:
    return [video.fetch() for seed in SEEDS for video in world_videos(seed, videos, knobs, folder / knobs)]


def _surveys(folder: Path, knobs: str, videos: int) -> Surveys:
    surveyor = ScenedetectSurveyor()
    return [
        (surveyor.survey(path, ClipsConfig()), load_checked(path)) for path in _paths(folder, knobs, videos)
    ]


def _print_borders(name: str, surveys: Surveys, config: ClipsConfig) -> None:
    total = sum((_score(survey, truth, config) for survey, truth in surveys), NO_BORDERS)
    told = ((kind, getattr(total, kind)) for kind in ("cuts", "events", "all"))
    print(f"  {name:14} " + "   ".join(f"{kind} {_line(matches)}" for kind, matches in told))


def _score(survey: Survey, truth: WorldTruth, config: ClipsConfig) -> BorderScore:
    pieces = clip_intervals(survey, truth.duration_s, config)
    return score([end for _, end in pieces[:-1]], truth)


def _line(matches: Matches) -> str:
    figures = (matches.precision, matches.recall, matches.f1)
    shown = " ".join("-" if figure is None else f"{figure:.3f}" for figure in figures)
    return f"{shown} ({matches.true} true)"


def _print_camera(name: str, surveys: Surveys) -> None:
    steps = [error for survey, truth in surveys for error in _errors(survey, truth)]
    told = [error for error in steps if error is not None]
    middle, high, most = np.percentile(told, [50, 95, 100])
    print(
        f"  camera, {name:14} {len(steps)} steps: median {middle:.2f} px, 95 % {high:.2f} px, "
        f"most {most:.2f} px, None {1 - len(told) / len(steps):.2%}"
    )


def _errors(survey: Survey, truth: WorldTruth) -> list[float | None]:
    true = true_camera(truth, sample_positions(len(survey.times_s)).tolist())
    return motion_errors_px(survey.camera, true, truth.width_px, truth.height_px)


def _print_speed(paths: list[Path]) -> None:
    """The whole survey against decoding for shots alone."""
    frames = sum(index_video(path).frame_count for path in paths)
    shots_s = _seconds(_shots_alone(path) for path in paths)
    for embedder in ("none", "layout"):
        config = ClipsConfig(embedder=embedder)
        survey_s = _seconds(ScenedetectSurveyor().survey(path, config) for path in paths)
        ratio = survey_s / shots_s
        print(f"  survey, {embedder:14} {frames / survey_s:.0f} frames/s, {ratio:.2f} times shots alone")


def _shots_alone(path: Path) -> list[int]:
    index = index_video(path)
    frames = iter_frames(path, range(index.frame_count), index, max_side_px=240)
    return cut_positions(image for _, image in frames)


def _seconds(work: Iterable[object]) -> float:
    started = time.process_time()
    for _ in work:
        pass
    return time.process_time() - started


if __name__ == "__main__":
    measure(Path(sys.argv[1]), *(int(videos) for videos in sys.argv[2:]))
