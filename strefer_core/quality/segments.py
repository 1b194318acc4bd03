"""Signals of one transcript segment: words against what the track shows."""

from __future__ import annotations

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules.geometry import Trail
from strefer_core.quality.measured import Measured

_WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def signals(segment: dm.TranscriptSegment, given: Measured) -> dict[str, float]:
    """Every signal of one segment that has a value; none of an entity without a masklet."""
    trail = given.tracks.trails.get(segment.entity_id)
    if trail is None:
        return {}
    inside = (trail.times_s >= segment.start_s) & (trail.times_s < segment.end_s)
    found: dict[str, float | None] = {"sample_agreement": segment.agreement}
    if inside.any():  # no sampled frame inside: nothing is known, so nothing contradicts
        shown = float(trail.visible[inside].mean())
        found["text_without_mask"] = float(bool(segment.text) and not shown)
        found["mask_without_text"] = 0.0 if segment.text else shown
    found["action_unseen_share"] = max((_unseen_share(trail, one) for one in segment.actions), default=None)
    agreements = [_agreement(trail, one) for one in segment.actions]
    found["direction_agreement"] = min((one for one in agreements if one is not None), default=None)
    return {name: float(value) for name, value in found.items() if value is not None}


def _unseen_share(trail: Trail, action: dm.Action) -> float:
    """Share of the frames of an action, its last one included, that do not show the thing."""
    inside = (trail.times_s >= action.start_s - 1e-6) & (trail.times_s <= action.end_s + 1e-6)
    return float(1 - trail.visible[inside].mean()) if inside.any() else 0.0


def _agreement(trail: Trail, action: dm.Action) -> float | None:
    """Cosine of a told move with the way over the ground meanwhile; None where that is not known."""
    if action.kind != "move" or action.direction not in _WAYS:
        return None
    inside = (trail.times_s >= action.start_s - 1e-6) & (trail.times_s <= action.end_s + 1e-6) & trail.visible
    frames = np.flatnonzero(inside)
    if len(frames) < 2:
        return None
    first, last = trail.ground[frames[0]].mean(axis=1), trail.ground[frames[-1]].mean(axis=1)
    way = last - first
    length = float(np.hypot(*way))
    return (
        float(way @ np.array(_WAYS[action.direction]) / length)
        if length > 0 and np.isfinite(length)
        else None
    )
