"""Masklets of the local profile against the world's truth: how many true entities are found, and how well.

A true entity counts as found where its best masklet has a mean region similarity J (mask IoU over the
sampled frames on which either is visible, as in the DAVIS benchmark, Perazzi et al., CVPR 2016) above 0.5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strefer_core.data_model import Masklet, MaskletsResult
from strefer_core.local_run import LocalRun, RunReport
from strefer_core.masks import decode, iou
from strefer_core.video_io import index_video, sample_positions
from strefer_core.world import expected_masks, load_truth, truth_path

FOUND = 0.5


def measure(run: LocalRun, report: RunReport, paths: list[Path]) -> None:
    """Print what a run over world videos found."""
    best = [j for path in paths for j in _best_js(run, report, path)]
    found = [j for j in best if j > FOUND]
    print(f"masklets against truth, {len(paths)} videos, {len(best)} true entities")
    print(f"  found (J > {FOUND})   {len(found)}, mean J of these {np.mean(found):.3f}")


def _best_js(run: LocalRun, report: RunReport, path: Path) -> list[float]:
    video_id = next(video.video_id for video in report.videos if video.name == path.name)
    result = run.result(video_id, "masklets")
    assert isinstance(result, MaskletsResult)
    positions = sample_positions(index_video(path).frame_count).tolist()
    truth = expected_masks(load_truth(truth_path(path)), positions)
    return [max((_j(one, masks) for one in result.masklets), default=0.0) for masks in truth.values()]


def _j(masklet: Masklet, truth: list[NDArray[np.bool_]]) -> float:
    pairs = [
        (decode(rle) if rle else np.zeros_like(mask), mask)
        for rle, mask in zip(masklet.masks, truth, strict=True)
    ]
    either = [(a, b) for a, b in pairs if a.any() or b.any()]
    return float(np.mean([iou(a, b) for a, b in either])) if either else 0.0
