"""The ground under the picture: where a pixel of each frame lies once the camera's motion is taken away.

Ground coordinates are the pixels of one frame of each shot, that of the middling zoom, carried on beyond
the picture's borders. So lengths over the ground compare with picture widths, and what stands still keeps
its place while the camera pans, shakes or zooms. Two shots have nothing in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm

Floats = NDArray[np.float64]

AGREE_WIDTHS = 0.003  # things that only share the camera's motion differ by this much per step, in widths
_AGREE_SHARE = 0.3  # ... and by this share of the motion
_LEAST_THINGS = 3  # two that move alike may just walk together


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The ground of `n` frames."""

    shots: NDArray[np.int64]  # (n,) number of the shot; it counts up where the camera's motion is unknown
    maps: Floats  # (n, 3, 3) picture pixels -> ground pixels
    scales: Floats  # (n,) ground pixels per picture pixel


def moved(boxes: Floats, maps: Floats) -> Floats:
    """Boxes (n, 2, 2) [item, axis, low or high edge] around what becomes of boxes under maps (n, 3, 3)."""
    xs, ys = boxes[:, 0, [0, 1, 0, 1]], boxes[:, 1, [0, 0, 1, 1]]
    corners = np.einsum("nij,njk->nik", maps, np.stack([xs, ys, np.ones_like(xs)], axis=1))
    return np.stack([corners[:, :2].min(axis=2), corners[:, :2].max(axis=2)], axis=2)


def ground_of(camera: Sequence[dm.Affine | None], frame_count: int) -> Ground:
    """Follow the camera from frame to frame.

    Args:
        camera: as `data_model.ClipsResult.camera`; empty: the camera is taken to stand still.
        frame_count: of the sampled frames, `n`, at least one.

    Raises:
        ValueError: `camera` is not empty and has not one step less than there are frames.
    """
    steps = list(camera) or [_STILL] * (frame_count - 1)
    if len(steps) != frame_count - 1:
        raise ValueError(
            f"{frame_count} sampled frames need {frame_count - 1} camera steps, not {len(steps)}"
        )
    shots, poses = [0], [np.eye(3)]
    for step in steps:
        shots.append(shots[-1] + (step is None))
        poses.append(np.eye(3) if step is None else _matrix(step) @ poses[-1])
    return _from_poses(np.array(shots), np.stack(poses))


_STILL: dm.Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _matrix(step: dm.Affine) -> Floats:
    return np.array([step[:3], step[3:], (0.0, 0.0, 1.0)])


def _from_poses(shots: NDArray[np.int64], poses: Floats) -> Ground:
    """`poses` (n, 3, 3) map the first frame of each shot to each of its frames."""
    zooms = np.sqrt(np.abs(np.linalg.det(poses[:, :2, :2])))
    maps = np.asarray(np.linalg.inv(poses), dtype=np.float64)
    for shot in np.unique(shots):
        frames = np.flatnonzero(shots == shot)
        middling = frames[np.argsort(zooms[frames], kind="stable")[len(frames) // 2]]
        maps[frames] = poses[middling] @ maps[frames]
    return Ground(shots=shots, maps=maps, scales=np.sqrt(np.abs(np.linalg.det(maps[:, :2, :2]))))


def shared_camera(
    camera: Sequence[dm.Affine | None], centers: Sequence[Floats], width_px: float
) -> tuple[dm.Affine | None, ...]:
    """The camera where it was measured, else what most things agree on.

    Needs three things that agree, and two thirds of all. A step that neither tells stays None; where
    nobody measured anything, the camera is then taken to stand still.

    Args:
        camera: as `data_model.ClipsResult.camera`, may be empty.
        centers: (n, 2) per thing, NaN where it is not wholly in view.
        width_px: of the picture.
    """
    if len(centers) < _LEAST_THINGS:
        return tuple(camera)
    unknown = None if camera else _STILL
    moves = np.diff(np.stack(list(centers)), axis=1)  # (things, n-1, 2)
    known = camera or (None,) * moves.shape[1]
    return tuple(
        step or _agreed(moves[~np.isnan(moves[:, index, 0]), index], width_px) or unknown
        for index, step in enumerate(known)
    )


def _agreed(moves: Floats, width_px: float) -> dm.Affine | None:
    """The motion that most of the things (k, 2) share, None where they do not agree."""
    if len(moves) < _LEAST_THINGS:
        return None
    x, y = np.median(moves, axis=0)
    far = np.hypot(moves[:, 0] - x, moves[:, 1] - y)
    near = far <= AGREE_WIDTHS * width_px + _AGREE_SHARE * np.hypot(x, y)
    if near.sum() < max(_LEAST_THINGS, 2 * len(moves) / 3):
        return None
    return (1.0, 0.0, float(x), 0.0, 1.0, float(y))
