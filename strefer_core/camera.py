"""Camera motion: frames registered to a key frame by tracked points and RANSAC.

Registration goes from a key frame to each following frame, not from frame to frame, so that errors do
not add up; a new key frame is taken only where too little of the old one is left in view.

`camera_path` gives every frame of a shot a pose, come what may: the masklets' background needs one.
`GroundSteps` tells how the ground moves from one sampled frame to the next, and None rather than a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm

Transform = NDArray[np.float64]  # (3, 3) homogeneous, pixels to pixels
Gray = NDArray[np.uint8]  # (H, W)
Points = NDArray[np.float32]  # (N, 2) x, y

_GRID = (6, 4)  # cells across and down: points are spread, so one textured thing cannot outvote the scene
_POINTS_PER_CELL = 12
_INLIER_PX = 1.2
_MIN_INLIERS = 10
_MIN_INLIER_SHARE = 0.3
_STILL_PX = 0.5  # corners that move less: the camera stands still
_GROUND_PX = 1.0  # how far points of the ground may lie from where its motion puts them
_STILL_STEP_PX = 0.25  # corners that move less from one sampled frame to the next: measured noise
_MIN_COVER = 0.5  # share of the grid's cells in which points follow the ground: else it is a large thing


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


def follow(key: Gray, points: Points, gray: Gray, guess: Transform) -> tuple[Points, Points]:
    """Points of a key frame that are found again in another frame: where they were and where they are."""
    start = apply(guess, points)
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        key, gray, points[:, None], start[:, None].copy(), winSize=(17, 17), maxLevel=3,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    height, width = gray.shape
    moved = moved[:, 0]
    inside = (moved >= 0).all(axis=1) & (moved[:, 0] < width) & (moved[:, 1] < height)
    good = (status[:, 0] == 1) & inside
    return points[good], moved[good]


def register(key: Gray, points: Points, gray: Gray, guess: Transform) -> Transform | None:
    """Affine camera motion from a key frame to another frame, or None where too few points agree."""
    if len(points) < _MIN_INLIERS:
        return None
    before, after = follow(key, points, gray, guess)
    if len(before) < _MIN_INLIERS:
        return None
    still = int((np.abs(after - before).max(axis=1) < _INLIER_PX).sum())
    affine, inliers = cv2.estimateAffine2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=_INLIER_PX, maxIters=500, confidence=0.995
    )
    agree = 0 if affine is None else int(inliers.sum())
    if max(agree, still) < max(_MIN_INLIERS, _MIN_INLIER_SHARE * len(before)):
        return None
    if still >= 0.85 * agree:  # standing still explains it nearly as well: a moving thing pulled the fit
        return np.eye(3)
    return np.vstack([affine, [0, 0, 1]])


def register_ground(key: Gray, points: Points, gray: Gray, guess: Transform) -> Transform | None:
    """Shift, turn and scale of the ground from a key frame to another frame.

    None where few points agree, or where those that do lie in few parts of the picture: then a thing may be
    what moves. Four unknowns, not six: a thing cannot pull a shear out of few points.
    """
    if len(points) < _MIN_INLIERS:
        return None
    before, after = follow(key, points, gray, guess)
    if len(before) < _MIN_INLIERS:
        return None
    found, inliers = cv2.estimateAffinePartial2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=_GROUND_PX, maxIters=500, confidence=0.995
    )
    agree = before[inliers[:, 0] > 0] if found is not None else before[:0]
    is_many = len(agree) >= max(_MIN_INLIERS, _MIN_INLIER_SHARE * len(before))
    if not is_many or _cells(agree, key) < _MIN_COVER * _cells(before, key):
        return None
    motion = np.vstack([found, [0, 0, 1]])
    return np.eye(3) if corner_shift_px(motion, key.shape) < _STILL_STEP_PX else motion


def _cells(points: Points, gray: Gray) -> int:
    """In how many cells of the grid there are points."""
    height, width = gray.shape
    columns, rows = (points * _GRID / (width, height)).astype(int).T
    return len(np.unique(rows * _GRID[0] + columns))


class GroundSteps:
    """How the ground moves from each sampled frame to the next, found while the frames of a video pass by.

    Frames between sampled ones are there for small steps. Light that changes is evened out.
    """

    def __init__(self) -> None:
        self.motions: list[Transform | None] = []  # one per pair of neighbouring sampled frames
        self._last: Gray | None = None

    def see(self, image: NDArray[np.uint8], *, is_sampled: bool) -> None:
        """Take in the next frame, RGB (H, W, 3) uint8; all of one size. The first one must be sampled."""
        gray = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        is_first = self._last is None
        if not is_first:
            self._advance(gray)
        if is_sampled:
            if not is_first:
                self.motions.append(None if self._is_lost else self._motion @ self._key_motion)
            self._begin(gray)

    def _begin(self, gray: Gray) -> None:
        self._last, self._is_lost = gray, False
        self._rekey(gray, np.eye(3))

    def _rekey(self, gray: Gray, motion: Transform) -> None:
        """Go on from a frame to which the ground moved by `motion` since the sampled one."""
        self._key, self._points, self._key_motion = gray, spread_points(gray), motion
        self._motion: Transform = np.eye(3)  # from the key frame to the last one

    def _advance(self, gray: Gray) -> None:
        """Register the next frame; where that fails it is passed over, and the one behind it may go again."""
        assert self._last is not None
        found = register_ground(self._key, self._points, gray, self._motion)
        if found is None and self._last is not self._key:
            self._rekey(self._last, self._motion @ self._key_motion)
            found = register_ground(self._key, self._points, gray, self._motion)
        self._is_lost = found is None
        if found is not None:
            self._motion, self._last = found, gray


def display_affine(motion: Transform, scale: float) -> dm.Affine:
    """A motion between working frames in display pixels.

    Args:
        motion: of middles of pixels of frames that are `scale` times as large as the display size.
        scale: working pixels per display pixel.
    """
    # Working frames count from the middle of the first pixel, the display from the picture's corner.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    (a, b, x), (c, d, y) = (half @ motion @ np.linalg.inv(half))[:2]
    return float(a), float(b), float(x / scale), float(c), float(d), float(y / scale)


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
