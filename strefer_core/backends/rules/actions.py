"""From trails to actions: what each thing does in a clip, at the times of the sampled frames.

Every kind has hysteresis or a least extent, so that jitter of a mask is no action. Limits, by design:
only masklets are seen, so directions are directions in the picture; a moving camera is told apart only
where at least three things share its motion; what happens between two sampled frames is not known; and
nothing is read across the border of two clips, which may be a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules.relations import approaches, followings, occlusions

SPEED_WIDTHS_PER_S = 0.03  # slower is not motion, in picture widths per second ...
SPEED_BODIES_PER_S = 0.15  # ... and in lengths of the thing itself per second
KEEP_SHARE = 0.5  # motion goes on until its speed falls below this share of the starting speed
STAND_S = 1.0  # shorter rests are not worth a word
LONE_STEP_S = 1.0  # a single step is motion only if it is shorter than this and goes far ...
LONE_STEP_WIDTHS = 0.1  # ... in picture widths
SIZE_RATE_PER_S = 0.12  # change of log length per second that starts growing or shrinking
SIZE_RATIO = 1.35  # least overall change of length
SIDE_RATIO = 1.15  # least change of either side: an occlusion shortens one side only
SIDES = {(0, 0): "left", (0, 1): "right", (1, 0): "up", (1, 1): "down"}


def clip_actions(trails: Sequence[geo.Trail]) -> list[tuple[dm.Action, ...]]:
    """Actions of every thing over the same frames of one clip, each list in order of start."""
    if not trails or len(trails[0].times_s) < 2:
        return [() for _ in trails]
    coarse = [trail.select(geo.steps_of(trail.times_s)) for trail in trails]
    shifted = [geo.shifts(trail) for trail in coarse]
    camera = geo.camera_shift([shift for shift, _ in shifted], coarse[0].size_px[0])
    motions = [
        motion(trail, shift - camera, spread if not camera.any() else _calm(spread, shift, camera))
        for trail, (shift, spread) in zip(coarse, shifted, strict=True)
    ]
    actions: list[list[dm.Action]] = []
    for index, trail in enumerate(trails):
        own = [*presence(trail), *motions[index], *sizes(coarse[index])]
        own += approaches(index, coarse, motions[index])
        own += followings(index, coarse, motions)
        own += occlusions(index, trails)
        actions.append(own)
    return [tuple(sorted(own, key=lambda a: (a.start_s, a.end_s, a.kind))) for own in actions]


def _calm(spread: geo.Floats, shift: geo.Floats, camera: geo.Floats) -> geo.Floats:
    """Edge motion once the camera's is taken away."""
    calmed: geo.Floats = np.maximum(np.abs(shift - camera), spread - np.abs(camera))
    return calmed


def motion(trail: geo.Trail, shift: geo.Floats, spread: geo.Floats) -> list[dm.Action]:
    """Moving and standing over the steps of a coarse trail.

    Args:
        trail: `n` frames about `geometry.STEP_S` apart.
        shift: (n-1, 2) motion per step, camera removed.
        spread: (n-1, 2) largest motion of an edge per step, camera removed.
    """
    labels = _settle(trail, shift, _label_steps(trail, shift, spread))
    found: list[dm.Action] = []
    for label, first, last in geo.runs(labels):
        start_s, end_s = float(trail.times_s[first]), float(trail.times_s[last])
        if label == "stand" and end_s - start_s >= STAND_S:
            found.append(dm.Action(kind="stand", start_s=start_s, end_s=end_s))
        elif isinstance(label, str) and label in geo.AXES:
            found.append(dm.Action(kind="move", start_s=start_s, end_s=end_s, direction=label))
    return found


def _label_steps(trail: geo.Trail, shift: geo.Floats, spread: geo.Floats) -> list[str | None]:
    """Per step a direction, "stand", or None where neither is sure."""
    start = max(SPEED_WIDTHS_PER_S * trail.size_px[0], SPEED_BODIES_PER_S * trail.body_px)
    labels: list[str | None] = []
    for index, step_s in enumerate(np.diff(trail.times_s)):
        before = labels[-1] if labels else None
        moving = before in geo.AXES
        velocity = shift[index] / step_s
        if np.isnan(velocity).any():
            labels.append(None)
        elif np.linalg.norm(velocity) >= start * (KEEP_SHARE if moving else 1):
            labels.append(_direction(velocity, before if moving else None))
        else:
            labels.append("stand" if spread[index].max() / step_s < start else None)
    return labels


def _direction(velocity: geo.Floats, before: str | None) -> str:
    """The main direction; the one before is kept while it has a fair share of the motion."""
    if before is not None:
        axis, sign = geo.AXES[before]
        if sign * velocity[axis] >= 0.6 * np.linalg.norm(velocity):
            return before
    return max(geo.AXES, key=lambda name: geo.AXES[name][1] * velocity[geo.AXES[name][0]])


def _settle(trail: geo.Trail, shift: geo.Floats, labels: list[str | None]) -> list[str | None]:
    """Drop moves that go nowhere, and turn a rest that drifts steadily into the move that it is."""
    settled = list(labels)
    for label, first, last in geo.runs(labels):
        if isinstance(label, str) and label in geo.AXES and not _goes(trail, shift, label, first, last):
            settled[first:last] = ["stand"] * (last - first)
    for label, first, last in geo.runs(settled):
        if label != "stand":
            continue
        way = np.cumsum(np.vstack([np.zeros(2), shift[first:last]]), axis=0)
        extent = float((way.max(axis=0) - way.min(axis=0)).max())
        if extent < trail.travel_px:
            continue
        drift = _direction(way[-1], None)
        axis, sign = geo.AXES[drift]
        steady = sign * way[-1][axis] >= 0.8 * extent
        settled[first:last] = [drift if steady else None] * (last - first)
    return settled


def _goes(trail: geo.Trail, shift: geo.Floats, direction: str, first: int, last: int) -> bool:
    axis, sign = geo.AXES[direction]
    way = sign * float(shift[first:last, axis].sum())
    if last - first == 1:
        step_s = trail.times_s[last] - trail.times_s[first]
        return bool(step_s <= LONE_STEP_S and way >= LONE_STEP_WIDTHS * trail.size_px[0])
    return way >= trail.travel_px


def presence(trail: geo.Trail) -> list[dm.Action]:
    """Comings and goings inside the clip, between the last frame without and the first frame with a mask."""
    seen = _steady(trail.visible)
    found: list[dm.Action] = []
    for index, (before, after) in enumerate(pairwise(seen)):
        if before == after:
            continue
        frame = index + 1 if after else index
        side = _side(trail, frame, 1 if after else -1)
        kind = ("enter" if side else "appear") if after else ("leave" if side else "disappear")
        found.append(
            dm.Action(
                kind=kind,
                start_s=float(trail.times_s[index]),
                end_s=float(trail.times_s[index + 1]),
                direction=side,
            )
        )
    return found


def _steady(visible: geo.Bools) -> list[bool]:
    """Visibility without one-frame gaps and one-frame blips: those are usually the tracker's."""
    steady = [bool(item) for item in visible]
    for index in range(1, len(steady) - 1):
        if steady[index - 1] == steady[index + 1]:
            steady[index] = steady[index - 1]
    return steady


def _side(trail: geo.Trail, frame: int, inward: int) -> str | None:
    """The picture's edge that the thing crosses next to `frame`, None if it is not near one.

    A fast thing may be well inside on its first frame: its motion there is continued outwards over one
    more frame. `inward` is +1 for an entry (motion from `frame` on), -1 for an exit.
    """
    if not trail.visible[frame]:
        return None
    edges = trail.at_edge[frame]
    if not edges.any():
        inner = frame + inward
        if not (0 <= inner < len(trail.times_s)) or not trail.visible[inner]:
            return None
        beyond = 2 * trail.boxes[frame] - trail.boxes[inner]
        limit = np.asarray(trail.size_px, dtype=float)
        edges = np.stack([beyond[:, 0] <= 0, beyond[:, 1] >= limit], axis=1)
    sides = [side for place, side in SIDES.items() if edges[place]]
    return sides[0] if len(sides) == 1 else None


def sizes(trail: geo.Trail) -> list[dm.Action]:
    """Growing and shrinking in the picture, only where no edge of the picture cuts the thing."""
    whole = trail.visible & ~trail.at_edge.any(axis=(1, 2))
    sides = np.where(whole[:, None], trail.boxes[:, :, 1] - trail.boxes[:, :, 0], np.nan)
    lengths = np.log(np.sqrt(sides.prod(axis=1)))
    labels: list[str | None] = []
    for rate in np.diff(lengths) / np.diff(trail.times_s):
        before = labels[-1] if labels else None
        sign = "grow" if rate > 0 else "shrink"
        least = SIZE_RATE_PER_S * (KEEP_SHARE if before == sign else 1)
        labels.append(sign if abs(rate) >= least else None)
    found: list[dm.Action] = []
    for label, first, last in geo.runs(labels):
        if not isinstance(label, str) or last - first < 2:
            continue
        ratio = sides[last] / sides[first]
        ratio = ratio if label == "grow" else 1 / ratio
        if ratio.min() >= SIDE_RATIO and np.sqrt(ratio.prod()) >= SIZE_RATIO:
            start_s, end_s = float(trail.times_s[first]), float(trail.times_s[last])
            found.append(dm.Action(kind=label, start_s=start_s, end_s=end_s))
    return found
