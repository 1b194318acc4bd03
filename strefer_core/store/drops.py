"""Drops: which objects came with each delivery, which videos they are, and how far these got."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from strefer_core.store.database import Database, copy_in, execute


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    drop_id: str
    prefix: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DropObject:
    """One object of a drop; `video_id` is of its bytes, whether or not they are a video."""

    key: str
    etag: str
    size_bytes: int
    video_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoHashes:
    """What near-duplicates are found by."""

    video_id: str
    fingerprint: str  # of the `videos` run
    duration_s: float
    perceptual_hashes: tuple[str, ...]  # 16 hex digits each, in time order


@dataclass(frozen=True, kw_only=True, slots=True)
class StageProgress:
    """Counts of a drop's videos in one stage; `videos` is the size of the whole drop."""

    stage: str
    videos: int
    done: int
    filtered: int
    failed: int
    running: int
    compute_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DroppedVideo:
    """A video that did not get through a stage, and why."""

    video_id: str
    key: str  # the first it came under in this drop
    stage: str
    status: str  # "failed" or "filtered"
    error_class: str | None  # None where filtered
    reason: str
    is_retryable: bool
    attempts: int


class Drops(Database):
    """Rows of `drops` and `drop_objects`."""

    def register_drop(self, drop_id: str, prefix: str) -> None:
        """Note a delivery; a drop that is known stays as it is."""
        self.all("register_drop", drop_id=drop_id, prefix=prefix)

    def add_drop_objects(self, drop_id: str, objects: Iterable[DropObject]) -> None:
        """Note what came with a drop; a key noted before is replaced.

        Raises StreferError where the drop is not registered or two objects have one key.
        """
        with self.transaction() as connection:
            copy_in(connection, map(asdict, objects))
            execute(connection, "add_drop_objects", drop_id=drop_id)

    def drops(self) -> list[Drop]:
        """All drops, oldest first."""
        return [Drop(**row) for row in self.all("drops")]

    def known_objects(self, prefix: str, *, looked_at: bool = False) -> dict[str, str]:
        """Etag by key of all objects under `prefix`, in byte order of keys; the newest drop says its etag.

        With `looked_at`, only those whose video the first stage has settled.
        """
        rows = self.all("known_objects", prefix=prefix, looked_at=looked_at)
        return {row["key"]: row["etag"] for row in rows}

    def drop_videos(self, drop_id: str) -> list[str]:
        """Distinct video ids of a drop, in the byte order of the first key of each."""
        return [row["video_id"] for row in self.all("drop_videos", drop_id=drop_id)]

    def video_ids(self) -> list[str]:
        """Every video that was readable, also the filtered, by id."""
        return [row["video_id"] for row in self.all("video_ids")]

    def left_behind(self, after: str, before: str) -> list[str]:
        """Videos that are through one stage and were never begun in another, by id."""
        return [row["video_id"] for row in self.all("left_behind", after=after, before=before)]

    def video_names(self, video_ids: Collection[str]) -> dict[str, str]:
        """First key of each video, of the oldest drop that brought it; those of no drop are left out."""
        rows = self.all("video_names", video_ids=list(video_ids))
        return {row["video_id"]: row["key"] for row in rows}

    def video_hashes(self) -> list[VideoHashes]:
        """Hashes of all videos that are in (their run is done, not filtered), first registered first."""
        return [
            VideoHashes(**{**row, "perceptual_hashes": tuple(row["perceptual_hashes"])})
            for row in self.all("video_hashes")
        ]

    def drop_progress(self, drop_id: str) -> list[StageProgress]:
        """How far a drop is, one item per stage that has begun, first begun first."""
        return [StageProgress(**row) for row in self.all("drop_progress", drop_id=drop_id)]

    def computed_since_drop(self, drop_id: str) -> dict[str, int]:
        """How many runs of a drop's videos began since it was registered, by stage; the rest is older."""
        return {row["stage"]: row["runs"] for row in self.all("computed_since_drop", drop_id=drop_id)}

    def failures(self, drop_id: str) -> list[DroppedVideo]:
        """The videos of a drop that failed, by key."""
        return self._dropped(drop_id, "failed")

    def dropped(self, drop_id: str) -> list[DroppedVideo]:
        """The videos of a drop that failed or were filtered, by key."""
        return self._dropped(drop_id, "failed", "filtered")

    def _dropped(self, drop_id: str, *statuses: str) -> list[DroppedVideo]:
        rows = self.all("dropped_videos", drop_id=drop_id, statuses=list(statuses))
        return [DroppedVideo(**row) for row in rows]
