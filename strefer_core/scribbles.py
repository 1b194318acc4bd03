"""One open stroke through a mask, as a person would draw it: along its middle, never leaving it."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from strefer_core.masks import Mask
from strefer_core.outlines import Point

MAX_POINTS = 16
_TOLERANCES_PX = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_END_ROOM = 1.5  # how far a stroke stays from its path's ends, in distances from the border there
_SIDE_PX = 160  # of larger masks, the middle is sought on a smaller grid of blocks that lie wholly within


def scribble_of(mask: Mask, max_points: int = MAX_POINTS) -> tuple[Point, ...] | None:
    """An open polyline along the medial axis of the largest part of a mask; None where the mask is empty.

    It joins the two places of the part that are farthest from each other on foot, by the way on which the
    border stays far away (a shortest path whose steps cost more near the border), and ends short of it.

    Args:
        mask: (H, W) bool.
        max_points: at least 1. Where the part is too winding for so few, the stroke is cut at its ends.

    Returns:
        Points `x, y` at centres of pixels, in pixels as boxes have them; every pixel that the stroke crosses
        belongs to the mask. One point where the part is small and round.

    Raises:
        ValueError: `max_points` is below 1.
    """
    if max_points < 1:
        raise ValueError(f"a scribble needs at least one point, not {max_points}")
    part = largest_part(mask)
    if part is None:
        return None
    path = _middle_path(part)
    return tuple((float(x) + 0.5, float(y) + 0.5) for y, x in _fewer(path, part, max_points))


def largest_part(mask: Mask) -> Mask | None:
    """The largest part of a mask (H, W) that is connected by sides; None where it is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return None
    part: Mask = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return part


def depth_px(mask: Mask) -> NDArray[np.float64]:
    """Distance (H, W) of each pixel from the nearest one outside of the mask or of the frame."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inner: NDArray[np.float64] = depth[1:-1, 1:-1].astype(np.float64)
    return inner


def _middle_path(part: Mask) -> NDArray[np.int64]:
    """Pixels (N, 2) `y, x` of the stroke, in order; each is joined to the next by pixels of `part`."""
    top, left = np.argwhere(part).min(axis=0)
    grid, step = _coarse(part[top:, left:])
    depth = depth_px(grid)
    cells = np.argwhere(grid)
    ahead, behind = _ends(grid, cells, int(depth[grid].argmax()))
    path = cells[_way(_graph(grid, depth), ahead, behind)]
    return _inner(path, depth) * step + step // 2 + (top, left)


def _coarse(part: Mask) -> tuple[Mask, int]:
    """Blocks of pixels that lie wholly within a mask, and their side; thin masks stay as they are, side 1."""
    rows, columns = np.argwhere(part).max(axis=0) + 1
    step = -(-max(rows, columns) // _SIDE_PX)
    height, width = rows // step, columns // step
    blocks = part[: height * step, : width * step].reshape(height, step, width, step)
    grid = largest_part(np.asarray(blocks.all(axis=(1, 3)))) if step > 1 else None
    if grid is None or 2 * grid.sum() * step**2 < part.sum():
        return part[:rows, :columns], 1
    return grid, int(step)


def _graph(grid: Mask, depth: NDArray[np.float64] | None = None) -> csr_array:
    """Steps between neighbouring cells, weighted by length, and with `depth` dearer near the border.

    A diagonal step needs both cells beside it, so that no step cuts a corner.
    """
    number = np.cumsum(grid).reshape(grid.shape) - 1
    square = grid[:-1, :-1] & grid[:-1, 1:] & grid[1:, :-1] & grid[1:, 1:]
    steps = [
        (number[:, :-1], number[:, 1:], grid[:, :-1] & grid[:, 1:], 1.0),
        (number[:-1], number[1:], grid[:-1] & grid[1:], 1.0),
        (number[:-1, :-1], number[1:, 1:], square, 2**0.5),
        (number[:-1, 1:], number[1:, :-1], square, 2**0.5),
    ]
    begin = np.concatenate([a[both] for a, _, both, _ in steps])
    end = np.concatenate([b[both] for _, b, both, _ in steps])
    weight = np.concatenate([np.full(int(both.sum()), length) for *_, both, length in steps])
    if depth is not None:
        inverse = 1 / depth[grid]
        weight = weight * (inverse[begin] + inverse[end]) ** 2
    size = int(grid.sum())
    return csr_array((weight, (begin, end)), shape=(size, size))


def _ends(grid: Mask, cells: NDArray[np.int64], start: int) -> tuple[int, int]:
    """Two cells far from each other on foot: the farthest from `start`, and the farthest from that."""
    walk = _graph(grid)
    ahead = int(dijkstra(walk, directed=False, indices=start).argmax())
    return ahead, int(dijkstra(walk, directed=False, indices=ahead).argmax())


def _way(graph: csr_array, begin: int, end: int) -> list[int]:
    _, before = dijkstra(graph, directed=False, indices=begin, return_predecessors=True)
    way = [end]
    while way[-1] != begin:
        way.append(int(before[way[-1]]))
    return way[::-1]


def _inner(path: NDArray[np.int64], depth: NDArray[np.float64]) -> NDArray[np.int64]:
    """A path (N, 2) without its ends, which lead from the middle to the border, often into a corner."""
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    room = depth[tuple(path.T)]
    inner = path[np.minimum(walked, walked[-1] - walked) >= _END_ROOM * room]
    return inner if len(inner) else path[room.argmax() :][:1]


# --- fewer points -------------------------------------------------------------------------------------------


def _fewer(path: NDArray[np.int64], part: Mask, max_points: int) -> NDArray[np.int64]:
    """At most `max_points` points of a path (N, 2) whose joining lines stay in the mask."""
    for tolerance in _TOLERANCES_PX:
        line = cv2.approxPolyDP(path.astype(np.int32)[:, None], tolerance, closed=False)[:, 0]
        if len(line) <= max_points and _is_inside(line, part):
            return np.asarray(line, np.int64)
    line = _in_sight(path, part)
    skip = max(0, len(line) - max_points) // 2
    return line[skip : skip + max_points]


def _in_sight(path: NDArray[np.int64], part: Mask) -> NDArray[np.int64]:
    """Points of a path, each as far on as can be seen from the one before it."""
    seen = [path[0]]
    for here, after in pairwise(path):
        if not _is_inside(np.stack([seen[-1], after]), part):
            seen.append(here)
    return np.stack([*seen, path[-1]] if len(path) > 1 else seen)


def _is_inside(line: NDArray[np.integer], part: Mask) -> bool:
    """Whether all pixels that a polyline (N, 2) through centres `y, x` crosses belong to a mask."""
    crossed = [_crossed(a, b) for a, b in pairwise(line)]
    return bool(part[tuple(np.concatenate([line, *crossed]).T)].all())


def _crossed(start: NDArray[np.integer], end: NDArray[np.integer]) -> NDArray[np.int64]:
    """The pixels (N, 2) that a line between two centres crosses; touching a corner is not crossing.

    The borders of pixels cut the line into pieces; each piece is in the pixel of its middle.
    """
    along = (end - start).astype(float)
    cuts = [np.array([0.0, 1.0])]
    for axis in (0, 1):
        count = abs(int(along[axis]))
        if count:
            cuts.append((np.arange(count) + 0.5) / count)
    shares = np.unique(np.concatenate(cuts))
    middles = (shares[:-1] + shares[1:])[np.diff(shares) > 1e-9] / 2
    return np.rint(start + middles[:, None] * along).astype(np.int64)
