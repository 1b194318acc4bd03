"""Holds every generated pair against the truth of its world video.

    world videos -> perceptions -> transcript, instructions (the real stages) -> reading -> judging -> report

The judge knows only the truth and what words mean (`strefer_core.claims`); it shares no code with whoever
wrote the pairs. Needs the `video` extra; import it inside functions where a scheduler might look.
"""

from __future__ import annotations

from strefer_core.audit.auditing import AuditOptions, audit
from strefer_core.audit.report import AuditReport

__all__ = ["AuditOptions", "AuditReport", "audit"]
