"""What people decided about pairs. Decisions are added, never changed: the newest of a pair holds.

A decision is kept under the pair's content (`pair_key`), so that a re-run which makes the same pair under
another id finds it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from strefer_core import data_model as dm
from strefer_core.store.database import Database, execute
from strefer_core.store.pair_status import note_pair_status

Decision = Literal["accept", "reject", "fix"]
Queue = Literal["", "borderline", "sample"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """One person's decision about one pair."""

    review_id: str  # made by the page that asked: sent twice, it is one row
    video_id: str
    pair_key: str
    instruction_id: str  # as it was when it was shown
    decision: Decision
    reviewer: str
    turns: tuple[dm.Turn, ...] | None = None  # of a "fix": all turns, mended
    note: str = ""
    queue: Queue = ""  # only what is drawn by chance, "sample", tells how often accepted pairs are wrong
    decided_at: datetime | None = None  # None: not written yet


class Reviews(Database):
    """Rows of `reviews`."""

    def record_review(self, review: Review) -> None:
        """Add a decision; it holds at once. One with a known `review_id` changes nothing.

        Raises StreferError where a constraint refuses it (no pair key, a fix without turns).
        """
        row = asdict(review)
        row["turns"] = None if review.turns is None else json.dumps(row["turns"])
        with self.transaction() as connection:
            execute(connection, "add_review", **row)
            note_pair_status(connection, review.video_id)

    def reviews(self, video_ids: Collection[str]) -> dict[tuple[str, str], Review]:
        """The newest decision of every reviewed pair of these videos, by (video_id, pair_key)."""
        found = [read_review(row) for row in self.all("newest_reviews", video_ids=list(video_ids))]
        return {(review.video_id, review.pair_key): review for review in found}


def read_review(row: Any) -> Review:
    """A row of `reviews`."""
    values = dict(row)
    turns = values.pop("turns")
    return Review(**values, turns=None if turns is None else tuple(dm.Turn(**turn) for turn in turns))
