"""Cuts a video into clips. Reads the video, writes half-open intervals that cover it without gap or overlap.

A clip begins at a hard cut. Clips that are too short join a neighbour, clips that are too long are split
evenly. Runs on a CPU: it decodes every frame, small.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import ShotDetector
from strefer_core.pipeline import StageTask

_TOLERANCE_S = 1e-6

Interval = tuple[float, float]  # (start_s, end_s), half-open


def run(task: StageTask) -> dm.ClipsResult:
    """The `clips` stage. Raises UnreadableVideo where a frame cannot be decoded."""
    detector: ShotDetector = task.backend
    cuts_s = detector.shots(task.video_path)
    pieces = intervals(cuts_s, task.video.duration_s, min_s=task.config.min_s, max_s=task.config.max_s)
    return dm.ClipsResult(
        clips=tuple(
            dm.Clip(
                clip_id=task.new_id("clip", index),
                video_id=task.video_id,
                index=index,
                start_s=start_s,
                end_s=end_s,
            )
            for index, (start_s, end_s) in enumerate(pieces)
        )
    )


def intervals(cuts_s: Sequence[float], duration_s: float, *, min_s: float, max_s: float) -> list[Interval]:
    """Cover `[0, duration_s)` with intervals between cuts, each at least `min_s` and at most `max_s` long.

    A video shorter than `min_s` is one interval. Needs `max_s >= 2 * min_s`, so that halves are long enough.
    """
    bounds = [0.0, *sorted(cut for cut in set(cuts_s) if 0 < cut < duration_s), duration_s]
    shots = join_short(list(pairwise(bounds)), min_s)
    return [piece for shot in shots for piece in split_evenly(shot, max_s)]


def join_short(pieces: list[Interval], min_s: float) -> list[Interval]:
    """Join the shortest interval with its shorter neighbour until all are at least `min_s` long."""
    pieces = list(pieces)
    while len(pieces) > 1:
        lengths = [end - start for start, end in pieces]
        shortest = min(range(len(pieces)), key=lengths.__getitem__)
        if lengths[shortest] >= min_s - _TOLERANCE_S:
            break
        neighbours = [i for i in (shortest - 1, shortest + 1) if 0 <= i < len(pieces)]
        left = min(shortest, min(neighbours, key=lengths.__getitem__))
        pieces[left : left + 2] = [(pieces[left][0], pieces[left + 1][1])]
    return pieces


def split_evenly(piece: Interval, max_s: float) -> list[Interval]:
    """Parts of equal length, none longer than `max_s`."""
    start, end = piece
    parts = max(1, ceil((end - start - _TOLERANCE_S) / max_s))
    inner = [start + (end - start) * part / parts for part in range(1, parts)]
    bounds = [start, *inner, end]
    return list(pairwise(bounds))
