"""Published datasets: their versions, and which runs each was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from strefer_core.store.database import Database, copy_in, execute
from strefer_core.store.rows import pair_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """One published version; never changed."""

    version: str
    manifest_key: str
    counts: dict[str, Any]
    created_at: datetime


class Datasets(Database):
    """Rows of `datasets` and `dataset_videos`."""

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Waits until nobody else publishes: the newest version must never be one that knew less."""
        with self.transaction() as connection:
            execute(connection, "lock_publishing")
            yield

    def record_dataset(
        self,
        version: str,
        manifest_key: str,
        counts: Mapping[str, Any],
        pairs: Mapping[str, str],
        filter_id: str = "",
    ) -> None:
        """Note a published version, the filter behind it ("": none) and its lineage, `{video_id: fingerprint
        of the quality run}`.

        Versions are immutable: recording one again changes nothing. Raises StreferError where a quality
        run of `pairs` is not in the catalog.
        """
        with self.transaction() as connection:
            execute(
                connection,
                "insert_dataset",
                version=version,
                manifest_key=manifest_key,
                counts=json.dumps(dict(counts)),
                filter_id=filter_id or None,
            )
            copy_in(connection, pair_rows(pairs))
            execute(connection, "insert_dataset_videos", version=version)

    def record_filter(self, filter_id: str, document: str) -> None:
        """Keep a filter's document (JSON) under its id, the hash of it; one that is known changes nothing."""
        with self.transaction() as connection:
            execute(connection, "insert_filter", filter_id=filter_id, document=document)

    def dataset_exists(self, version: str) -> bool:
        return bool(self.all("find_dataset", version=version))

    def latest_dataset(self) -> Dataset | None:
        """The version recorded last, or None."""
        rows = self.all("latest_dataset")
        return Dataset(**rows[0]) if rows else None

    def datasets(self) -> list[Dataset]:
        """All versions, oldest first."""
        return [Dataset(**row) for row in self.all("datasets")]

    def dataset_lineage(self, version: str) -> dict[str, str]:
        """`{video_id: fingerprint of the quality run}` of a version."""
        return {row["video_id"]: row["fingerprint"] for row in self.all("dataset_lineage", version=version)}
