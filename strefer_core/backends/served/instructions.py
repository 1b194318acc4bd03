"""The QA Generator (arXiv 2509.03501) with an LLM.

It writes pairs from the transcript's words, and puts the rules' pairs into other words. Nothing that it
writes is kept unless code has found that it says what was told; else the rules' words stay: no pair is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed
from strefer_core.backends.rules import RulesWriter
from strefer_core.backends.served.generating import generate
from strefer_core.backends.served.rewording import reword
from strefer_core.config import InstructionsConfig


class ServedWriter:
    """Implements `backends.interfaces.Writer`; asks `config.llm`. Both methods raise BackendError where the
    server does not answer."""

    def offer(
        self,
        seen: Observed,
        segments: Sequence[dm.TranscriptSegment],
        config: InstructionsConfig,
        seed: str,
    ) -> list[dm.Instruction]:
        """The rules' pairs, and pairs about what the transcript tells beyond its facts."""
        known = RulesWriter().offer(seen, segments, config, seed)
        return known + generate(seen.entities, segments, config.llm)

    def render(
        self, seen: Observed, chosen: Sequence[dm.Instruction], config: InstructionsConfig, seed: str
    ) -> list[dm.Instruction]:
        """The chosen pairs in other words, where these are sure to say the same."""
        return reword(chosen, seen.entities, config.llm)
