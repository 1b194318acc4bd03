"""Whether a script truly shows the difficulties that it names, by what can be seen on its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strefer_core.video_io import sample_positions
from strefer_core.world.motion import base_positions, camera_zooms
from strefer_core.world.script import HEIGHT_PX, WIDTH_PX, Script
from strefer_core.world.sight import Seen, sightings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_HIDDEN_S = 0.4  # two of 32 sampled frames at least
_CROWD = 6  # of seven to nine, at once: one may be hidden or away
_STEP = 2  # every second frame is looked at, and all sampled ones
_HIDES = {"full_occlusion", "crowding", "look_alikes", "static_distractors"}
_RUSHES = {"fast_motion", "motion_blur", "partial_occlusion"}  # what dashes about passes before others
_GOES = {"late_entry", "re_entry", "never_together", "camera_pan"}


@dataclass(frozen=True)
class View:
    """What is seen of K characters on F of the frames."""

    script: Script
    frames: NDArray[np.int64]  # (F,)
    sampled: NDArray[np.int64]  # (S,): where the sampled frames are among them
    in_scene: Flags  # (K, F)
    visible: Floats  # (K, F): visible area over whole area
    in_frame: Floats  # (K, F): area within the borders over whole area
    area_px: Floats  # (K, F): the whole area
    middles_px: Floats  # (K, F, 2): of the whole box; NaN where not in the scene
    sides_px: Floats  # (K, F): the longer one of the whole box; NaN likewise

    def seconds(self, frames: float) -> float:
        return frames / float(self.script.fps)

    def shots(self) -> Iterator[slice]:
        """Ranges of F, one per shot."""
        for shot in self.script.shots:
            yield slice(*np.searchsorted(self.frames, (shot.start_frame, shot.end_frame)).tolist())

    def lasts(self, flags: Flags) -> float:
        """The longest run of True in (F,), in seconds."""
        return max((self.seconds(b - a) for a, b in self.runs(flags)), default=0.0)

    def runs(self, flags: Flags) -> list[tuple[int, int]]:
        """Runs of True in (F,), as frames [start, end)."""
        edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
        ends = np.append(self.frames, self.script.frame_count)
        return [(int(ends[a]), int(ends[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def broken(script: Script) -> tuple[str, ...]:
    """The knobs whose promise the script does not keep, and "everybody" where somebody is hardly seen."""
    view = look(script)
    names = [name for name in script.knobs if name in PROMISES and not PROMISES[name](view)]
    return (*names, *(() if _everybody(view) else ("everybody",)))


def look(script: Script) -> View:
    """See the whole script, without painting it."""
    samples = sample_positions(script.frame_count)
    frames = np.union1d(np.arange(0, script.frame_count, _STEP), samples)
    shape = (len(script.characters), len(frames))
    view = View(
        script=script,
        frames=frames,
        sampled=np.searchsorted(frames, samples),
        in_scene=np.zeros(shape, np.bool_),
        visible=np.zeros(shape),
        in_frame=np.zeros(shape),
        area_px=np.zeros(shape),
        middles_px=np.full((*shape, 2), np.nan),
        sides_px=np.full(shape, np.nan),
    )
    for place, seen in enumerate(sightings(script, frames.tolist())):
        for who, one in seen.items():
            _note(view, who, place, one)
    return view


def _note(view: View, who: int, place: int, one: Seen) -> None:
    x0, y0, x1, y1 = one.box_px
    view.in_scene[who, place] = True
    view.visible[who, place], view.in_frame[who, place] = one.visible_fraction, one.in_frame_fraction
    view.area_px[who, place] = one.whole_px
    view.middles_px[who, place] = (x0 + x1) / 2, (y0 + y1) / 2
    view.sides_px[who, place] = max(x1 - x0, y1 - y0)


def _everybody(view: View) -> bool:
    """Everybody on enough of the sampled frames; and no difficulty that was not asked for."""
    knobs = set(view.script.knobs)
    if ((view.visible[:, view.sampled] > 0.25).sum(axis=1) < 4).any():
        return False
    if not knobs & _GOES and (view.in_frame[view.in_scene] < 0.9).any():
        return False
    inside = view.in_scene & (view.in_frame > 0)
    return not (view.visible[inside] < _least_visible(knobs) * view.in_frame[inside]).any()


def _least_visible(knobs: set[str]) -> float:
    """How much of everybody's part in the frame others leave in sight, at least."""
    if knobs & _HIDES:
        return 0.0
    if knobs & _RUSHES:
        return 0.15
    return 0.6 if knobs else 0.85


def _look_alikes(view: View) -> bool:
    """Two of one noun and colour come near to each other, and are apart at another time."""
    cast = view.script.characters
    for i, one in enumerate(cast):
        for j, other in enumerate(cast[:i]):
            if (one.noun, one.colour) != (other.noun, other.colour):
                continue
            both = (view.visible[i] > 0.2) & (view.visible[j] > 0.2)
            distance = np.hypot(*(view.middles_px[i] - view.middles_px[j])[both].T)
            touch = (view.sides_px[i] + view.sides_px[j])[both] / 2
            if len(distance) and (distance < 1.1 * touch).any() and (distance > 1.5 * touch).any():
                return True
    return False


def _late_entry(view: View) -> bool:
    early = view.frames < view.script.frame_count / 3
    never = (view.visible[:, early] == 0).all(axis=1)
    later = (view.visible[:, view.sampled] > 0.3).sum(axis=1) >= 6
    return bool((never & later & _crosses_border(view)).any())


def _crosses_border(view: View) -> Flags:
    """(K,): in the scene and out of the frame, on some frame."""
    return np.asarray((view.in_scene & (view.in_frame == 0)).any(axis=1))


def _re_entry(view: View) -> bool:
    return any(_comes_back(view, who, shot) for who in range(len(view.visible)) for shot in view.shots())


def _comes_back(view: View, who: int, shot: slice) -> bool:
    """Clearly visible, then outside for 0.7 s, then clearly visible, within one shot."""
    clear = np.flatnonzero(view.visible[who, shot] > 0.5) + (shot.start or 0)
    for before, after in pairwise(clear.tolist()):
        gone = view.in_scene[who] & (view.in_frame[who] == 0)
        gone[: before + 1], gone[after:] = False, False
        if view.lasts(gone) >= 0.7:
            return bool((clear <= before).sum() >= 5 and (clear >= after).sum() >= 5)
    return False


def _partial(view: View) -> bool:
    share = view.visible / np.maximum(view.in_frame, 1e-9)
    half = (view.in_frame > 0.9) & (share > 0.2) & (share < 0.75)
    return any(view.lasts(flags) >= 0.4 for flags in half)


def _full(view: View) -> bool:
    """Nothing visible for a while though all of it is in the frame, and visible before and after."""
    return any(_vanishes(view, who, shot) for who in range(len(view.visible)) for shot in view.shots())


def _vanishes(view: View, who: int, shot: slice) -> bool:
    frames, visible = view.frames[shot], view.visible[who, shot]
    clear = frames[visible > 0.5]
    hidden = np.zeros(len(view.frames), np.bool_)
    hidden[shot] = (view.in_frame[who, shot] > 0.95) & (visible == 0)
    return any(
        view.seconds(end - start) >= _HIDDEN_S and (clear < start).any() and (clear >= end).any()
        for start, end in view.runs(hidden)
    )


def _fast(view: View) -> bool:
    """Over six of the steps between sampled frames, somebody moves more than its own longer side."""
    middles, sides = view.middles_px[:, view.sampled], view.sides_px[:, view.sampled]
    seen = view.visible[:, view.sampled] > 0.2
    steps = np.hypot(*np.moveaxis(np.diff(middles, axis=1), 2, 0))
    fast = (steps > sides[:, :-1]) & seen[:, 1:] & seen[:, :-1]
    return bool((fast.sum(axis=1) >= 6).any())


def _small(view: View) -> bool:
    """Two are under 0.3 % of the frame wherever they are wholly in it."""
    areas = np.where(view.in_scene, view.area_px, 0).max(axis=1)
    return bool((areas < 0.003 * WIDTH_PX * HEIGHT_PX).sum() >= 2)


def _crowding(view: View) -> bool:
    return bool((view.visible > 0.4).sum(axis=0).max() >= _CROWD)


def _never_together(view: View) -> bool:
    kinds = np.array([one.generalized_noun for one in view.script.characters])
    for kind in set(kinds.tolist()):
        rows = view.visible[kinds == kind]
        often = (rows[:, view.sampled] > 0.2).sum(axis=1) >= 5
        if len(rows) > 1 and often.all() and not (rows > 0.15).all(axis=0).any():
            return True
    return False


def _camera_pan(view: View) -> bool:
    """Within one shot the camera goes further than a quarter of the frame's height."""
    return any(np.ptp(path[:, 0]) > 0.25 * HEIGHT_PX for path, _ in _cameras(view))


def _camera_zoom(view: View) -> bool:
    return any(zoom.max() / zoom.min() >= 1.42 for _, zoom in _cameras(view))


def _cameras(view: View) -> Iterator[tuple[Floats, Floats]]:
    """The pan (F, 2) and the zoom (F,) of every shot."""
    script = view.script
    times = np.arange(script.frame_count) / float(script.fps)
    for shot in script.shots:
        camera, run = script.scenes[shot.scene].camera, slice(shot.start_frame, shot.end_frame)
        yield base_positions(camera.path, times)[run], camera_zooms(camera.zoom, times)[run]


def _ambiguous(view: View) -> bool:
    return bool(view.script.ambiguous)


def _absent(view: View) -> bool:
    return bool(view.script.absent)


PROMISES: dict[str, Callable[[View], bool]] = {
    "look_alikes": _look_alikes,
    "late_entry": _late_entry,
    "re_entry": _re_entry,
    "partial_occlusion": _partial,
    "full_occlusion": _full,
    "fast_motion": _fast,
    "small_objects": _small,
    "camera_pan": _camera_pan,
    "camera_zoom": _camera_zoom,
    "crowding": _crowding,
    "never_together": _never_together,
    "ambiguous_expressions": _ambiguous,
    "absent_entities": _absent,
}
