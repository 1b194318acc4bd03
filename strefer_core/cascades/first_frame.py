"""The baseline: boxes of the first frame, tracked forward. What comes later is never seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Footage
from strefer_core.cascades.outcome import Found, Outcome, Perception
from strefer_core.cascades.steps import Search, score_on, track_boxes
from strefer_core.config import MaskletsConfig


def cascade(
    perception: Perception, footage: Footage, entities: Sequence[dm.Entity], config: MaskletsConfig
) -> Outcome:
    """Detect on frame 0, track, and match words with tracks by what frame 0 shows."""
    search = Search(perception, footage, entities, min_score=config.min_score)
    search.look([0] if entities else [])
    tracks = track_boxes(perception, footage, search.found.get(0, []))
    scores = score_on(perception.scores(footage, tracks, entities, [0])) if tracks else np.zeros((0, 0))
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return Outcome(
        found=tuple(
            Found(entity=int(row), track=tracks[column], score=float(scores[row, column]), margin=None)
            for row, column in zip(rows, columns, strict=True)
            if scores[row, column] >= config.min_match
        ),
        detector_calls=search.calls,
        tracked_frames=len(footage.sampled) if tracks else 0,
        assigner_calls=len(entities) if tracks else 0,
        nouns=tuple(search.nouns),
        boxes=search.found,
    )
