"""The masklets of one video, read in parts: one entity, one frame, or one mask.

`masklet_format` describes the file, `masklet_file` fetches and checks its bytes.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from strefer_core import data_model as dm
from strefer_core.errors import MismatchError
from strefer_core.store.masklet_file import MaskletFile, Source
from strefer_core.store.masklet_format import FORMAT, Head, layout

_MASKLET = TypeAdapter(dm.Masklet)


def load(data: bytes) -> tuple[dict[str, str], dm.MaskletsResult]:
    """The request that a whole file answers, and the result; errors as of `MaskletObject`."""
    found = MaskletObject(io.BytesIO(data))
    return found.request, found.result()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """One row group: whose rows, of which frames."""

    number: int
    entity_id: str
    frames: range


class MaskletObject:
    """The masklets of one video, from a seekable file such as `ObjectStore.open` gives.

    Opening reads the end of the file; each method then reads the ranges of bytes that it needs.
    The methods raise KeyError for an entity and IndexError for a frame that the file does not hold,
    StoreError where the file is damaged or the store does not answer.
    """

    request: dict[str, str]  # that the file answers: video_id, stage, fingerprint
    entity_ids: tuple[str, ...]  # that have a masklet, in the result's order

    def __init__(self, source: Source) -> None:
        """Open.

        Raises:
            MismatchError: the file is something else, also an older result document in JSON.
            StoreError: it is cut or damaged, or the store does not answer.
        """
        self._file = MaskletFile(source)
        head, self._figures = self._read_head()
        self.request = head.request
        self.entity_ids = tuple(self._figures)
        self._groups = self._read_groups(head)

    def frame_count(self, entity_id: str) -> int:
        """Frames of one entity's masklet."""
        return max((group.frames.stop for group in self._of(entity_id)), default=0)

    def masklet(self, entity_id: str) -> dm.Masklet:
        """All of one entity."""
        return self._masklet(entity_id, self._rows(self._of(entity_id)))

    def mask(self, entity_id: str, frame_index: int) -> dm.Rle | None:
        """One mask; None where the entity is not visible."""
        groups = [group for group in self._of(entity_id) if frame_index in group.frames]
        if not groups:
            raise IndexError(f"frame {frame_index} of a masklet of {self.frame_count(entity_id)}")
        return _rle(self._rows(groups)[frame_index - groups[0].frames.start])

    def masks_at(self, frame_index: int) -> dict[str, dm.Rle | None]:
        """The masks of all entities on one frame, by entity id."""
        groups = [group for group in self._groups if frame_index in group.frames]
        if self._groups and not groups:
            raise IndexError(f"frame {frame_index} is in no masklet of {self._file.name}")
        rows = self._rows(groups)
        return {row["entity_id"]: _rle(row) for row in rows if row["frame_index"] == frame_index}

    def result(self) -> dm.MaskletsResult:
        """Everything."""
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(self._groups):
            rows[row["entity_id"]].append(row)
        return dm.MaskletsResult(masklets=tuple(self._masklet(i, rows[i]) for i in self.entity_ids))

    def _read_head(self) -> tuple[Head, dict[str, dict[str, Any]]]:
        text = self._file.head
        if text is None:
            raise MismatchError(f"{self._file.name} is no masklet object but another Parquet file")
        try:
            head = Head.model_validate_json(text)
            figures = head.figures()
        except (ValueError, KeyError) as error:
            raise self._file.damaged("its head cannot be read") from error
        if head.format != FORMAT:
            raise MismatchError(f"{self._file.name} has format {head.format}, this code reads {FORMAT}")
        return head, figures

    def _read_groups(self, head: Head) -> list[_Group]:
        if len(head.frames) != len(self.entity_ids):
            raise self._file.damaged("its head does not add up")
        groups = [
            _Group(number=number, entity_id=self.entity_ids[place], frames=frames)
            for number, (place, frames) in enumerate(layout(head.frames, head.group_frames))
        ]
        if self._file.group_rows != [len(group.frames) for group in groups]:
            raise self._file.damaged("its row groups are not those that its head names")
        return groups

    def _of(self, entity_id: str) -> list[_Group]:
        if entity_id not in self._figures:
            raise KeyError(f"no masklet of {entity_id} among {list(self.entity_ids)}")
        return [group for group in self._groups if group.entity_id == entity_id]

    def _rows(self, groups: Sequence[_Group]) -> list[dict[str, Any]]:
        rows = self._file.rows([group.number for group in groups])
        wanted = [(group.entity_id, frame) for group in groups for frame in group.frames]
        if [(row["entity_id"], row["frame_index"]) for row in rows] != wanted:
            raise self._file.damaged("it holds other rows than its head names")
        return rows

    def _masklet(self, entity_id: str, rows: Sequence[Mapping[str, Any]]) -> dm.Masklet:
        values = self._figures[entity_id] | {
            "frames_pts_s": [row["pts_s"] for row in rows],
            "masks": [_rle(row) for row in rows],
            "boxes_px": [row["box_px"] for row in rows],
            "areas_px": [row["area_px"] for row in rows],
        }
        try:
            return _MASKLET.validate_python(values)
        except ValidationError as error:
            raise self._file.damaged(error.errors()[0]["msg"]) from error


def _rle(row: Mapping[str, Any]) -> dm.Rle | None:
    counts: bytes | None = row["counts"]
    return None if counts is None else dm.Rle(size=row["size"], counts=counts.decode("ascii"))
