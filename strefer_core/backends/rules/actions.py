"""From trails to actions: what each thing does in a clip, at the times of the sampled frames.

Only what is clearly so is told, well inside the bounds of `strefer_core.claims`; jitter of a mask is no
action. Limits, by design: only masklets are seen, so directions are directions in the picture; what happens
between two sampled frames is not known; nothing is read across a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from strefer_core import data_model as dm
from strefer_core.backends.rules import geometry as geo
from strefer_core.backends.rules.motion import motion
from strefer_core.backends.rules.occlusion import occlusions
from strefer_core.backends.rules.presence import presence
from strefer_core.backends.rules.relations import approaches, followings
from strefer_core.backends.rules.sizes import sizes


def clip_actions(
    trails: Sequence[geo.Trail], clip: dm.Clip, is_camera_known: bool
) -> list[tuple[dm.Action, ...]]:
    """Actions of every thing in one clip, each list in order of start.

    Args:
        trails: of all things, over the whole video.
        clip: the actions lie inside it.
        is_camera_known: then cuts are known too: what comes or goes just at a border of clips is told.
    """
    parts = [geo.inside(trail, clip.start_s, clip.end_s) for trail in trails]
    motions = [motion(part) for part in parts]
    told: list[tuple[dm.Action, ...]] = []
    for index, part in enumerate(parts):
        near, others = (trails if is_camera_known else parts), parts[:index] + parts[index + 1 :]
        own = [*_comings(presence(near[index], [*near[:index], *near[index + 1 :]]), clip), *motions[index]]
        own += sizes(part, others) + occlusions(part, others)
        own += approaches(index, parts, motions[index]) + followings(index, parts, motions)
        told.append(tuple(sorted(own, key=lambda action: (action.start_s, action.end_s, action.kind))))
    return told


def _comings(found: Sequence[dm.Action], clip: dm.Clip) -> list[dm.Action]:
    """Comings and goings whose frame with the thing lies in the clip, as far as they do."""
    kept = []
    for action in found:
        shown_s = action.end_s if action.kind in ("enter", "appear") else action.start_s
        start_s, end_s = max(action.start_s, clip.start_s), min(action.end_s, clip.end_s)
        if clip.start_s <= shown_s < clip.end_s and start_s < end_s:
            kept.append(replace(action, start_s=start_s, end_s=end_s))
    return kept
