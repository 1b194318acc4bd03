"""The referring masklet cascades: sample, detect, track, assign. Three ways, one interface, chosen by name.

| name | what it does |
|---|---|
| `first_frame` | detects on the first frame, tracks forward: the simplest thing that could work |
| `paper` | the four steps and thresholds of Strefer (arXiv 2509.03501) as described there |
| `strefer` | ours: several anchors, merged and re-joined tracks, matching over evidence from many frames |
"""

from __future__ import annotations

from strefer_core.cascades.outcome import CASCADES, Cascade, Found, Outcome, Perception, run_cascade

__all__ = ["CASCADES", "Cascade", "Found", "Outcome", "Perception", "run_cascade"]
