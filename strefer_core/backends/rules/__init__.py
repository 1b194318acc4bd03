"""Language without a model: facts from tracks, sentences from templates. Same input, same words.

The transcriber: `geometry` measures trails over the `ground`, `actions` turns them into facts, `clauses`
tells these. The writer: `facts` and `scene` hold what is known, `occasions` when one could say that something
goes on, `denials` what surely does not; the modules named `..._tasks` ask, `asking` finds the words. Both
use `grammar`.
"""

from strefer_core.backends.rules.transcriber import RulesTranscriber
from strefer_core.backends.rules.writer import RulesWriter

__all__ = ["RulesTranscriber", "RulesWriter"]
