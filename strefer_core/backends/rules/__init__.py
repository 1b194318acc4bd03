"""Language without a model: facts from tracks, sentences from templates. Same input, same words.

`geometry` measures trails, `actions` turns them into facts, `grammar` puts facts into words; the
transcriber and the instruction writer put these together.
"""

from strefer_core.backends.rules.transcriber import RulesTranscriber
from strefer_core.backends.rules.writer import RulesWriter

__all__ = ["RulesTranscriber", "RulesWriter"]
