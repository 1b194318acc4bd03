"""Cuts a video into clips. Reads the video, writes half-open intervals that cover it without gap or overlap,
and how the camera moves. Runs on a CPU: it decodes every frame once, small.

Three levels, each within the one before:

1. Shots: a clip begins at a hard cut.
2. Changes within a shot: a clip begins where the frames' features differ before and behind (`changes`).
3. What belongs together is joined: across a cut that changes nothing (a flash, a jump cut), and where a
   piece is too short, to the neighbour that is more like it. A place that comes back after another one is a
   clip of its own: what lies between is not like it. Pieces that are too long are split evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Survey, Surveyor
from strefer_core.config import ClipsConfig
from strefer_core.pipeline import StageTask
from strefer_core.stages.changes import Features

_TOLERANCE_S = 1e-6

Interval = tuple[float, float]  # (start_s, end_s), half-open
Distance = Callable[[Interval, Interval], float | None]  # how unlike neighbours are; None: not known


def run(task: StageTask) -> dm.ClipsResult:
    """The `clips` stage.

    Raises:
        UnreadableVideo: a frame cannot be decoded.
        ConfigError: the embedder cannot be had.
    """
    surveyor: Surveyor = task.backend
    survey = surveyor.survey(task.video_path, task.config)
    pieces = clip_intervals(survey, task.video.duration_s, task.config)
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
        ),
        camera=survey.camera,
    )


def clip_intervals(survey: Survey, duration_s: float, config: ClipsConfig) -> list[Interval]:
    """The clips of a video of which a survey tells, at the times of frames; see `intervals`."""
    features = None
    if survey.features is not None and config.embedder != "none":
        features = Features(
            times_s=survey.times_s[survey.looked],
            values=survey.features,
            change=survey.change * config.min_change,
        )
    cuts_s = survey.times_s[list(survey.cuts)].tolist()
    pieces = intervals(cuts_s, duration_s, min_s=config.min_s, max_s=config.max_s, features=features)
    return snapped(pieces, survey.times_s, min_s=config.min_s, max_s=config.max_s)


def intervals(
    cuts_s: Sequence[float],
    duration_s: float,
    *,
    min_s: float,
    max_s: float,
    features: Features | None = None,
) -> list[Interval]:
    """Cover `[0, duration_s)` with intervals, each at least `min_s` and at most `max_s` long.

    A video shorter than `min_s` is one interval. Needs `max_s >= 2 * min_s`, so that halves are long enough.
    Without features, borders lie at cuts and where long shots are split.
    """
    shots = _between(cuts_s, (0.0, duration_s))
    if features is None:
        pieces = join_short(shots, min_s)
    else:
        pieces = [part for shot in shots for part in _between(features.changes_s(*shot, min_s), shot)]
        pieces = join_alike(join_short(pieces, min_s, features.distance), cuts_s, max_s, features)
    return [part for piece in pieces for part in split_evenly(piece, max_s)]


def _between(borders_s: Sequence[float], whole: Interval) -> list[Interval]:
    inner = sorted({border for border in borders_s if whole[0] < border < whole[1]})
    return list(pairwise([whole[0], *inner, whole[1]]))


def join_short(pieces: list[Interval], min_s: float, distance: Distance | None = None) -> list[Interval]:
    """Join the shortest interval with a neighbour until all are at least `min_s` long.

    The neighbour is the one that is more like it, the shorter one where that is not known.
    """
    pieces = list(pieces)
    while len(pieces) > 1:
        lengths = [end - start for start, end in pieces]
        shortest = min(range(len(pieces)), key=lengths.__getitem__)
        if lengths[shortest] >= min_s - _TOLERANCE_S:
            break
        borders = [i for i in (shortest - 1, shortest) if 0 <= i < len(pieces) - 1]
        _join(pieces, min(borders, key=lambda i: (_unlike(pieces, i, distance), lengths[i] + lengths[i + 1])))
    return pieces


def _unlike(pieces: list[Interval], border: int, distance: Distance | None) -> float:
    """How unlike the pieces on both sides of a border are; 0 for all where nothing tells it."""
    found = distance(pieces[border], pieces[border + 1]) if distance else 0.0
    return inf if found is None else found


def join_alike(
    pieces: list[Interval], cuts_s: Sequence[float], max_s: float, features: Features
) -> list[Interval]:
    """Join neighbours across cuts that change nothing, the most alike first, while they fit into `max_s`."""
    pieces, cuts = list(pieces), set(cuts_s)
    while True:
        found = {
            i: features.distance(left, right)
            for i, (left, right) in enumerate(pairwise(pieces))
            if left[1] in cuts and right[1] - left[0] <= max_s + _TOLERANCE_S
        }
        alike = {i: apart for i, apart in found.items() if apart is not None and apart < features.change}
        if not alike:
            return pieces
        _join(pieces, min(alike, key=alike.__getitem__))


def _join(pieces: list[Interval], left: int) -> None:
    pieces[left : left + 2] = [(pieces[left][0], pieces[left + 1][1])]


def split_evenly(piece: Interval, max_s: float) -> list[Interval]:
    """Parts of equal length, none longer than `max_s`."""
    start, end = piece
    parts = max(1, ceil((end - start - _TOLERANCE_S) / max_s))
    inner = [start + (end - start) * part / parts for part in range(1, parts)]
    bounds = [start, *inner, end]
    return list(pairwise(bounds))


def snapped(
    pieces: Sequence[Interval], times_s: NDArray[np.float64], *, min_s: float, max_s: float
) -> list[Interval]:
    """Move borders that an even split put between frames to the time of the nearest frame.

    A border stays where that would make a piece too short or too long (a frame may stay for seconds).
    """
    bounds = [pieces[0][0], *(end for _, end in pieces)]
    for i in range(1, len(bounds) - 1):
        near = float(times_s[np.argmin(np.abs(times_s - bounds[i]))])
        lengths = near - bounds[i - 1], bounds[i + 1] - near
        if min(lengths) >= max(min_s, _TOLERANCE_S) and max(lengths) <= max_s:
            bounds[i] = near
    return list(pairwise(bounds))
