"""Camera motion of one shot: every frame registered to a reference frame by tracked points and RANSAC.

Registration goes from a key frame to each following frame, not from frame to frame, so that errors do
not add up; a new key frame is taken only where too little of the old one is left in view.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Transform = NDArray[np.float64]  # (3, 3) homogeneous, pixels to pixels
Gray = NDArray[np.uint8]  # (H, W)
Points = NDArray[np.float32]  # (N, 2) x, y

_GRID = (6, 4)  # cells across and down: points are spread, so one textured thing cannot outvote the scene
_POINTS_PER_CELL = 12
_INLIER_PX = 1.2
_MIN_INLIERS = 10
_MIN_INLIER_SHARE = 0.3
_STILL_PX = 0.5  # corners that move less: the camera stands still


@dataclass(frozen=True, kw_only=True)
class CameraPath:
    """Where the camera looked in one shot. `is_still` where no frame needs a warp."""

    to_reference: NDArray[np.float64]  # (T, 3, 3): frame pixels -> pixels of the shot's first frame
    is_still: bool


def spread_points(gray: Gray) -> Points:
    """Corners of a frame, at most `_POINTS_PER_CELL` in each cell of a grid: (N, 2) float32."""
    height, width = gray.shape
    columns = np.linspace(0, width, _GRID[0] + 1).astype(int)
    rows = np.linspace(0, height, _GRID[1] + 1).astype(int)
    found = [np.zeros((0, 2), np.float32)]
    for x0, x1 in pairwise(columns):
        for y0, y1 in pairwise(rows):
            cell = np.ascontiguousarray(gray[y0:y1, x0:x1])
            corners = cv2.goodFeaturesToTrack(cell, _POINTS_PER_CELL, 0.02, 5)
            if corners is not None:
                found.append(corners.reshape(-1, 2) + np.array([x0, y0], np.float32))
    return np.concatenate(found).astype(np.float32)


def apply(transform: Transform, points: Points) -> Points:
    """Move points (N, 2) by a homogeneous transform."""
    if not len(points):
        return points
    return cv2.perspectiveTransform(points[None].astype(np.float32), transform)[0]


def corner_shift_px(transform: Transform, shape: tuple[int, ...]) -> float:
    """Largest way that a corner of a frame of `shape` (H, W) moves under `transform`."""
    height, width = shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return float(np.abs(apply(transform, corners) - corners).max())


def register(key: Gray, points: Points, gray: Gray, guess: Transform) -> Transform | None:
    """Affine camera motion from a key frame to another frame, or None where too few points agree."""
    if len(points) < _MIN_INLIERS:
        return None
    start = apply(guess, points)
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        key, gray, points[:, None], start[:, None].copy(), winSize=(17, 17), maxLevel=3,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    height, width = gray.shape
    moved = moved[:, 0]
    inside = (moved >= 0).all(axis=1) & (moved[:, 0] < width) & (moved[:, 1] < height)
    good = (status[:, 0] == 1) & inside
    if good.sum() < _MIN_INLIERS:
        return None
    before, after = points[good], moved[good]
    still = int((np.abs(after - before).max(axis=1) < _INLIER_PX).sum())
    affine, inliers = cv2.estimateAffine2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=_INLIER_PX, maxIters=500, confidence=0.995
    )
    agree = 0 if affine is None else int(inliers.sum())
    if max(agree, still) < max(_MIN_INLIERS, _MIN_INLIER_SHARE * good.sum()):
        return None
    if still >= 0.85 * agree:  # standing still explains it nearly as well: a moving thing pulled the fit
        return np.eye(3)
    return np.vstack([affine, [0, 0, 1]])


def camera_path(grays: list[Gray]) -> CameraPath:
    """Register all frames of one shot to its first frame.

    A frame that cannot be registered (blur, no texture) keeps its predecessor's pose.
    """
    identity = np.eye(3)
    poses = [identity]  # first frame -> frame t
    key, key_pose = grays[0], identity
    points, relative = spread_points(key), identity
    for previous, gray in pairwise(grays):
        found = register(key, points, gray, relative)
        if found is None and previous is not key:
            key, key_pose, points = previous, poses[-1], spread_points(previous)
            found = register(key, points, gray, identity)
        relative = found if found is not None else relative
        poses.append(relative @ key_pose)
    path = np.linalg.inv(np.stack(poses))
    still = all(corner_shift_px(pose, grays[0].shape) < _STILL_PX for pose in path)
    return CameraPath(to_reference=np.stack([identity] * len(grays)) if still else path, is_still=still)
