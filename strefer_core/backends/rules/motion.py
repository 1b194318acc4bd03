"""Moving and standing over the ground, as the best cover of a trail by stretches that can be stood for.

A stretch of frames may be told as a move in a direction or as standing only if all of it passes a test (see
`_moves` and `_stands`). Of all ways to lay such stretches one after the other the best is taken: each is
worth the time that it explains, each costs something, so that no wobble is worth a stretch of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo

STEP_S = 0.2  # motion is looked at over steps of at least this length: shorter ones are mostly mask noise
SPEED_WIDTHS_PER_S = 0.03  # slower is not clearly motion, in picture widths per second ...
SPEED_BODIES_PER_S = 0.15  # ... and in lengths of the thing itself per second
KEEP_SHARE = 0.3  # motion goes on while its speed in the direction is at least this share of that
TRAVEL_WIDTHS = 0.045  # shorter ways are noise, in picture widths ...
TRAVEL_BODIES = 0.25  # ... and in lengths of the thing itself
HOP_WIDTHS = 0.06  # up or down it takes more: a hop, a nod or a flap of wings is no way over the ground
LONE_STEP_S = 1.0  # a single step is a move only if it is not longer than this ...
LONE_STEP_WIDTHS = 0.1  # ... and goes far, in picture widths
STEP_COSINE = 0.55  # every step goes this much in the direction ...
WAY_COSINE = 0.65  # ... and the whole way this much
LIFT_WIDTHS = 0.04  # half a hop lifts a way to the side by this much, in picture widths ...
HOPS_S = 1.4  # ... which over so many seconds, about two hops, no longer decides where it goes
REST_WIDTHS = 0.032  # all that a thing moves about while it stands, in picture widths
REST_WAY_WIDTHS = 0.018  # from its beginning to its end a rest goes no further than this ...
CREEP_WIDTHS = 0.04  # ... and what rests again and again moves no further about than this
REST_S = 0.7  # shorter rests are not worth a word
STRETCH_COST_S = 0.45  # a stretch must explain so much more than none, or than the one before carried on
DRIFT_S = 0.5  # slow ways show on the average over about twice as long
DRIFT_SPEED = 2.0  # ... and are slower than this many times what clearly moves
SWAY_S = 0.2  # hops and swaying shorter than about four of these do not change where a thing goes


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Frames `first` to `last` of a path told as one thing."""

    label: str  # a direction, or "stand"
    first: int
    last: int
    worth_s: float


@dataclass(frozen=True, kw_only=True)
class Path:
    """Known middles over the ground of one shot, without long gaps."""

    times_s: geo.Floats  # (m,)
    middles: geo.Floats  # (m, 2)
    width_px: float
    body_px: float

    @property
    def speed_px_s(self) -> float:
        """From this speed on it clearly moves."""
        return max(SPEED_WIDTHS_PER_S * self.width_px, SPEED_BODIES_PER_S * self.body_px)

    def travel_px(self, axis: int) -> float:
        """Shortest way along an axis that counts as motion."""
        widths = HOP_WIDTHS if axis == 1 else TRAVEL_WIDTHS
        return max(widths * self.width_px, TRAVEL_BODIES * self.body_px)


def motion(trail: geo.Trail) -> list[dm.Action]:
    """Moves and rests of a trail, in order."""
    return [action for path in paths(trail) for action in _actions(path)]


def paths(trail: geo.Trail) -> Iterator[Path]:
    """Stretches over which the thing can be followed, at steps of `STEP_S`."""
    for frames in geo.followed(trail):
        part = trail.select(frames[geo.spaced(trail.times_s[frames], STEP_S)])
        if len(part.times_s) > 1:
            yield Path(
                times_s=part.times_s,
                middles=part.middles,
                width_px=float(trail.size_px[0]),
                body_px=trail.body_px,
            )


def _actions(path: Path) -> list[dm.Action]:
    return [
        dm.Action(
            kind="stand" if stretch.label == "stand" else "move",
            start_s=float(path.times_s[stretch.first]),
            end_s=float(path.times_s[stretch.last]),
            direction=None if stretch.label == "stand" else stretch.label,
        )
        for stretch in _calmed(path, _best_cover(len(path.times_s), [*_moves(path), *_stands(path)]))
    ]


def _best_cover(count: int, stretches: list[Stretch]) -> list[Stretch]:
    """Stretches one after the other over `count` frames that are worth most together."""
    ending: list[list[Stretch]] = [[] for _ in range(count)]
    for stretch in stretches:
        ending[stretch.last].append(stretch)
    best: list[tuple[float, Stretch | None]] = [(0.0, None)]
    for frame in range(1, count):
        best.append((best[-1][0], None))
        for stretch in ending[frame]:
            worth = best[stretch.first][0] + stretch.worth_s - STRETCH_COST_S
            if worth > best[frame][0] + 1e-9:
                best[frame] = (worth, stretch)
    cover: list[Stretch] = []
    frame = count - 1
    while frame > 0:
        chosen = best[frame][1]
        if chosen is not None:
            cover.append(chosen)
        frame = chosen.first if chosen is not None else frame - 1
    return cover[::-1]


def _calmed(path: Path, cover: Sequence[Stretch]) -> list[Stretch]:
    """Join rests with no move between them, unless the thing creeps: then only the longest was a rest."""
    kept: list[Stretch] = []
    for stretch in cover:
        before = kept[-1] if kept else None
        if before is None or before.label != "stand" or stretch.label != "stand":
            kept.append(stretch)
            continue
        extent = np.ptp(path.middles[before.first : stretch.last + 1], axis=0).max()
        if extent <= CREEP_WIDTHS * path.width_px:
            kept[-1] = replace(stretch, first=before.first)
        else:
            kept[-1] = max(
                before, stretch, key=lambda rest: path.times_s[rest.last] - path.times_s[rest.first]
            )
    return kept


def _moves(path: Path) -> Iterator[Stretch]:
    """All stretches that may be told as a move: each step goes that way, and the whole of it far enough.

    Slow ways drown in noise step by step, so they are looked at on the average as well.
    """
    for label in geo.AXES:
        for worths in (_step_worths(path, label), _drift_worths(path, label)):
            for is_way, first, last in geo.runs([bool(worth > 0) for worth in worths]):
                if is_way:
                    yield from _sub_moves(path, label, worths, first, last)


def _step_worths(path: Path, label: str) -> geo.Floats:
    """(m-1,) seconds that each step counts as a move in the direction, 0 where it is none.

    Hops and swaying turn single steps aside, so a step goes where it goes itself or on the average about it.
    """
    axis, sign = geo.AXES[label]
    step, smooth = np.diff(path.middles, axis=0), np.diff(_smoothed(path, SWAY_S), axis=0)
    along = sign * step[:, axis]
    cosine = np.maximum(_cosine(step, label), np.where(along > 0, _cosine(smooth, label), 0))
    return _worths(path, np.maximum(along, sign * smooth[:, axis]), along, cosine)


def _drift_worths(path: Path, label: str) -> geo.Floats:
    """The same by the average motion over a second or so, only where it is slow all about."""
    axis, sign = geo.AXES[label]
    smooth = np.diff(_smoothed(path, DRIFT_S), axis=0)
    along = sign * smooth[:, axis]
    speed = np.linalg.norm(np.diff(_smoothed(path, SWAY_S), axis=0), axis=1) / np.diff(path.times_s)
    fastest = maximum_filter1d(speed, 2 * round(DRIFT_S / _typical_s(path)) + 1, mode="nearest")
    slow = fastest <= DRIFT_SPEED * path.speed_px_s
    return _worths(path, along, along, np.where(slow, _cosine(smooth, label), 0))


def _worths(path: Path, best: geo.Floats, along: geo.Floats, cosine: geo.Floats) -> geo.Floats:
    lasts = np.diff(path.times_s)
    least = path.speed_px_s * lasts
    goes = (best >= KEEP_SHARE * least) & (along > -KEEP_SHARE * least) & (cosine >= STEP_COSINE)
    found: geo.Floats = np.where(goes, cosine * np.clip(along / least, 0.01, 1) * lasts, 0.0)
    return found


def _cosine(steps: geo.Floats, label: str) -> geo.Floats:
    """(m-1,) cosine between each step (m-1, 2) and the direction."""
    axis, sign = geo.AXES[label]
    cosine: geo.Floats = sign * steps[:, axis] / np.maximum(np.linalg.norm(steps, axis=1), 1e-9)
    return cosine


def _smoothed(path: Path, sigma_s: float) -> geo.Floats:
    smooth: geo.Floats = gaussian_filter1d(path.middles, sigma_s / _typical_s(path), axis=0, mode="nearest")
    return smooth


def _typical_s(path: Path) -> float:
    return float(np.median(np.diff(path.times_s)))


def _sub_moves(path: Path, label: str, worths: geo.Floats, first: int, last: int) -> Iterator[Stretch]:
    axis, sign = geo.AXES[label]
    total = np.concatenate([[0.0], np.cumsum(worths)]).tolist()
    times, way = path.times_s.tolist(), (sign * path.middles[:, axis]).tolist()
    aside, least_px = path.middles[:, 1 - axis].tolist(), path.travel_px(axis)
    lift_px = LIFT_WIDTHS * path.width_px if axis == 1 else 0.0
    for start in range(first, last):
        for end in range(start + 1, last + 1):
            along, across = way[end] - way[start], abs(aside[end] - aside[start])
            sure = along - (lift_px if times[end] - times[start] < HOPS_S else 0.0)
            if along < least_px or sure < WAY_COSINE * float(np.hypot(sure, across)):
                continue
            is_far = along >= LONE_STEP_WIDTHS * path.width_px and times[end] - times[start] <= LONE_STEP_S
            if end - start > 1 or is_far:
                yield Stretch(label=label, first=start, last=end, worth_s=total[end] - total[start])


def _stands(path: Path) -> Iterator[Stretch]:
    """All stretches that may be told as standing: within a small box, long enough, and going nowhere."""
    times, smooth = path.times_s, _smoothed(path, SWAY_S)
    step = np.linalg.norm(np.diff(smooth, axis=0), axis=1)
    calm = np.clip(1 - 0.5 * step / (path.speed_px_s * np.diff(times)), 0.3, 1) * np.diff(times)
    total = np.concatenate([[0.0], np.cumsum(calm)])
    for start in range(len(times) - 1):
        low = np.minimum.accumulate(path.middles[start:], axis=0)
        high = np.maximum.accumulate(path.middles[start:], axis=0)
        way = np.linalg.norm(smooth[start:] - smooth[start], axis=1)
        stays = (high - low).max(axis=1) <= REST_WIDTHS * path.width_px
        rests = stays & (way <= REST_WAY_WIDTHS * path.width_px) & (times[start:] - times[start] >= REST_S)
        for end in start + np.flatnonzero(rests):
            yield Stretch(label="stand", first=start, last=int(end), worth_s=float(total[end] - total[start]))
