"""Seconds of each stage over six videos of the world, in one process, with nothing else running."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from strefer_core.config import PipelineConfig
from strefer_core.data_model import VideosResult
from strefer_core.local_run import LocalRun
from strefer_core.pipeline import STAGES
from strefer_core.world import render_worlds


def measure(folder: Path) -> None:
    """Print compute seconds by stage."""
    paths = render_worlds(7, 6, folder / "world")
    run = LocalRun(folder / "out", PipelineConfig())
    report = run.run(paths)
    seconds: dict[str, float] = defaultdict(float)
    length_s = 0.0
    for outcome in report.videos:
        result = run.result(outcome.video_id, "videos")
        assert isinstance(result, VideosResult)
        length_s += result.video.duration_s
        for stage, state in run.states(outcome.video_id).items():
            seconds[stage] += state.compute_s if state else 0.0
    print(f"stages, {len(paths)} videos of the world, {length_s:.0f} s in all")
    for stage in STAGES:
        per_video_s, ratio = seconds[stage] / len(paths), seconds[stage] / length_s
        print(f"  {stage:14} {per_video_s:7.2f} s per video, {ratio:.2f} per second of it")
