"""Batches of requests: what a task waits for, apart from what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from strefer_core.store.database import copy_in, execute
from strefer_core.store.locks import lock_key
from strefer_core.store.rows import pair_rows
from strefer_core.store.runs import StageRuns


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchFailure:
    video_id: str
    error_class: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchOutcome:
    """How many videos of a batch ended in which state; `failed` of them are listed in `failures`."""

    done: int
    filtered: int
    failed: int
    open: int  # not over yet; 0 where the batch is finished
    failures: tuple[BatchFailure, ...]  # by video id


class Batches(StageRuns):
    """Rows of `requests`."""

    def open_batch(
        self, batch_id: str, stage: str, pairs: Mapping[str, str], missing: Collection[str]
    ) -> set[str]:
        """Note what a batch reports on and what it waits for. Asking again is safe: so a task re-attaches.

        Two transactions on purpose: the requests are visible first, so a worker that ends one of them in
        between either sees its request or is seen when the settled ones are closed.

        Args:
            batch_id: the batch; may be open already.
            stage: of all its requests.
            pairs: `{video_id: fingerprint}` of every video that the batch's outcome counts.
            missing: those video ids of `pairs` that are to be computed; the others are settled.

        Returns:
            Those of `missing` that no open request asked for before: for them a message must be sent.
        """
        rows = [row | {"is_missing": row["video_id"] in missing} for row in pair_rows(pairs)]
        with self.transaction() as connection:
            copy_in(connection, rows)
            new = {row["video_id"] for row in execute(connection, "not_yet_requested", stage=stage)}
            execute(connection, "open_requests", batch_id=batch_id, stage=stage)
        self.close_settled(batch_id)
        return new

    def is_requested(self, video_id: str, stage: str, fingerprint: str) -> bool:
        """Whether any batch waits for this computation."""
        rows = self.all("is_requested", video_id=video_id, stage=stage, fingerprint=fingerprint)
        return bool(rows[0]["is_requested"])

    def close_settled(self, batch_id: str) -> None:
        """Close those requests of a batch whose runs are settled."""
        self.all("close_settled_requests", batch_id=batch_id)

    def finished_batches(self, batch_ids: Collection[str]) -> set[str]:
        """Those of `batch_ids` without an open request, in one query. A batch never opened is among them."""
        return {row["batch_id"] for row in self.all("finished_batches", batch_ids=list(batch_ids))}

    def unfinished(self, batch_id: str) -> list[tuple[str, str, bool]]:
        """Open requests as (video_id, fingerprint, is_running); running means that its lock is held now."""
        with self.transaction() as connection:
            rows = execute(connection, "unfinished_requests", batch_id=batch_id)
            held = {row["lock_key"] for row in execute(connection, "held_advisory_locks")}
        return [
            (
                row["video_id"],
                row["fingerprint"],
                lock_key(*row.values()) in held,
            )  # video, stage, fingerprint
            for row in rows
        ]

    def finish_requests(self, video_id: str, stage: str, fingerprint: str) -> None:
        """Close all open requests for one computation: what a worker does that finds it settled already."""
        self.all("close_requests", video_id=video_id, stage=stage, fingerprint=fingerprint)

    def cancel_batch(self, batch_id: str) -> None:
        """Forget the open requests of a batch; what is being computed for it goes on to its end."""
        self.all("cancel_batch", batch_id=batch_id)

    def batch_outcome(self, batch_id: str) -> BatchOutcome:
        """Counts by state, and the failures with their reasons."""
        rows = self.all("batch_outcome", batch_id=batch_id)
        states = [row["status"] for row in rows]
        return BatchOutcome(
            done=states.count("done"),
            filtered=states.count("filtered"),
            failed=states.count("failed"),
            open=states.count("open"),
            failures=tuple(
                BatchFailure(video_id=row["video_id"], error_class=row["error_class"], reason=row["reason"])
                for row in rows
                if row["status"] == "failed"
            ),
        )
