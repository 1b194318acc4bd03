"""Measures the masklet cascades against known truth.

    videos (rendered, kept, own) -> questions -> cascades (running) -> scoring (J, F: metrics)
        -> figures (means, medians, bootstrap) -> report; pictures of the worst cases

Needs the `video` extra; import it inside functions where a scheduler might look.
"""

from __future__ import annotations

from strefer_core.probe.probing import ProbeOptions, probe
from strefer_core.probe.report import ProbeReport

__all__ = ["ProbeOptions", "ProbeReport", "probe"]
