"""From the text of instruction-response pairs to what they claim (`strefer_core.claims`).

Written from English and not from templates: it shares no code and no data with what writes the pairs, so it
can judge them. It reads the plain English of a closed vocabulary, whatever the order of its phrases; a word
that it does not know is never passed over, so a pair that says more never reads like one that says less.

`nouns` finds who is mentioned, `phrases` and `predicates` hold the words, `clauses` leaves the bones of a
sentence, `questions` and `answers` find its form, `telling` and `claiming` say what it comes to.
"""

from strefer_core.reading.nouns import Unreadable
from strefer_core.reading.pairs import read

__all__ = ["Unreadable", "read"]
