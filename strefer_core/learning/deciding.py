"""Whether a training is due: enough accepted pairs that the champion never saw."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strefer_core.stages.published import Objects, open_dataset

Pair = tuple[str, str]
"""(video id, key of a pair's content): the same after a re-run that makes the same pair."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """What the newest dataset has that the champion's has not."""

    dataset_version: str
    champion_dataset: str | None  # None: there is no champion
    pairs: int  # of the newest
    new_pairs: int
    least: int  # new pairs that make a training due

    @property
    def is_due(self) -> bool:
        return self.new_pairs >= self.least

    @property
    def why(self) -> str:
        """In words."""
        before = (
            f"dataset {self.champion_dataset} of the champion" if self.champion_dataset else "no champion"
        )
        return (
            f"dataset {self.dataset_version} has {self.pairs} pairs, {self.new_pairs} of them new against "
            f"{before}; {self.least} new ones make a training due"
        )


def look(objects: Objects, dataset_version: str, champion_dataset: str | None, least: int) -> Due:
    """Compare two versions by content. Raises InputError or StoreError where one cannot be read."""
    pairs = set(_pairs(objects, dataset_version))
    known = set(_pairs(objects, champion_dataset)) if champion_dataset else set()
    return Due(
        dataset_version=dataset_version,
        champion_dataset=champion_dataset,
        pairs=len(pairs),
        new_pairs=len(pairs - known),
        least=least,
    )


def _pairs(objects: Objects, version: str) -> Iterator[Pair]:
    dataset = open_dataset(objects, version, verify=False)
    with tempfile.TemporaryDirectory(prefix="strefer-dataset-") as folder:
        path = Path(folder) / "instructions.jsonl"
        dataset.fetch(path.name, path)
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield row["video_id"], row["pair_key"] or row["instruction_id"]
