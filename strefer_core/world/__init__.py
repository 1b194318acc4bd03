"""Rendered videos whose truth is known exactly: the demo's input and what everything is measured against.

    scenarios, or knobs -> plays -> script -> sight (pictures, visible masks) -> film (mp4)
                                        \\--> facts (actions, events) -> truth (json)

A script comes from one of six `scenarios` (the default difficulty), or `plays` throws one that shows chosen
difficulties (`knobs`). Needs the `video` extra; import it inside functions where a scheduler might look.
"""

from __future__ import annotations

from strefer_core.world.render import render_video, render_worlds
from strefer_core.world.truth import WorldTruth, expected_masks, load_truth, true_camera, truth_path

__all__ = [
    "WorldTruth",
    "expected_masks",
    "load_truth",
    "render_video",
    "render_worlds",
    "true_camera",
    "truth_path",
]
