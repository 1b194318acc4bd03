"""The masklets of one video and cascade run as one Parquet file: its layout, and writing it.

It is the result document of the `masklets` stage. A row is one mask: an entity on a sampled frame.

    column       type           meaning
    entity_id    string         whose mask
    frame_index  int32          place among the sampled frames
    size         list<int32>    [height_px, width_px] of the mask; null where not visible
    counts       binary         COCO's compressed run-length code, as pycocotools writes it; null likewise
    pts_s        double         presentation time of the frame
    box_px       list<double>   tight half-open box; null where not visible
    area_px      int64          set pixels

What there is one of per masklet (scores, figures of quality) is JSON in the file's own metadata, under
`strefer.masklets`, with the request that the file answers.

A row group holds one entity over `GROUP_FRAMES` frames; groups are in order of frames, then of entities. So
one entity is a few ranges of bytes, one frame of all entities is one, and one mask is one small range. Row
groups of all 32 frames make files a quarter smaller, but then a frame of all costs all masks; groups of 8
make them a third larger, for each costs about a kilobyte of headers.

Before the footer, where Parquet leaves room, stand checksums: CRC-32 of each row group, CRC-32 of what
follows, and `TAG`. Parts are read without the content address that would show damage, and pyarrow may
abort the process on a damaged footer, so nothing goes to it unchecked.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from strefer_core import data_model as dm

GROUP_FRAMES = 16
FORMAT = 1
"""Raised when a reader of the old layout could misread a new file."""

MAGIC = b"PAR1"
END_BYTES = 8  # length of the footer, magic
TAG = b"MSK1"
HEAD_KEY = b"strefer.masklets"
SCHEMA = pa.schema(
    [
        ("entity_id", pa.string()),
        ("frame_index", pa.int32()),
        ("size", pa.list_(pa.int32())),
        ("counts", pa.binary()),
        ("pts_s", pa.float64()),
        ("box_px", pa.list_(pa.float64())),
        ("area_px", pa.int64()),
    ]
)
_PER_FRAME = ("frames_pts_s", "masks", "boxes_px", "areas_px")
_FIGURES = tuple(field.name for field in fields(dm.Masklet) if field.name not in _PER_FRAME)
_WRITER: dict[str, Any] = {
    # Everything that decides about bytes is said here, so that no new default changes a content address.
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 19,
    "use_dictionary": False,
    "write_statistics": False,  # a third of the file, and nothing here filters by values
    "write_page_index": False,
    "write_page_checksum": False,  # ours cover the pages' headers as well
    "store_schema": False,
}


class Head(BaseModel):
    """What there is once per file."""

    format: int
    request: dict[str, str]
    group_frames: PositiveInt
    frames: list[NonNegativeInt]  # sampled frames of each masklet
    names: list[str]  # of a masklet, those that are not per frame
    masklets: list[list[Any]]  # their values, one list per masklet

    def figures(self) -> dict[str, dict[str, Any]]:
        """The fields of each masklet that are not per frame, by entity id. Raises ValueError, KeyError."""
        rows = [dict(zip(self.names, values, strict=True)) for values in self.masklets]
        return {str(row["entity_id"]): row for row in rows}


def dump(request: Mapping[str, str], result: dm.MaskletsResult) -> bytes:
    """The file's bytes; the same on every run with one version of pyarrow.

    Args:
        request: what the result answers; kept as it is.
        result: at most one masklet per entity.

    Raises:
        ValueError: two masklets of one entity, or a masklet whose per-frame tuples differ in length.
    """
    ids = [one.entity_id for one in result.masklets]
    if len(set(ids)) != len(ids):
        raise ValueError(f"two masklets of one entity: {sorted(ids)}")
    out = pa.BufferOutputStream()
    rows = [list(_rows(one)) for one in result.masklets]
    with parquet.ParquetWriter(out, SCHEMA, **_WRITER) as writer:
        for place, frames in layout([len(own) for own in rows], GROUP_FRAMES):
            group = rows[place][frames.start : frames.stop]
            writer.write_table(pa.Table.from_pylist(group, SCHEMA), row_group_size=GROUP_FRAMES)
        writer.add_key_value_metadata({HEAD_KEY: _head(request, result.masklets)})
    return _with_checksums(out.getvalue().to_pybytes())


def _with_checksums(file: bytes) -> bytes:
    at = len(file) - END_BYTES - int.from_bytes(file[-END_BYTES : -len(MAGIC)], "little")
    body, footer = file[:at], file[at:]
    metadata = parquet.read_metadata(pa.BufferReader(file))
    groups = [group_span(metadata, number) for number in range(metadata.num_row_groups)]
    sums = [zlib.crc32(body[start:stop]) for start, stop in groups]
    return body + struct.pack(f"<{len(sums) + 1}I", *sums, zlib.crc32(footer)) + TAG + footer


def group_span(metadata: Any, number: int) -> tuple[int, int]:
    """The half-open range of bytes of one row group."""
    group = metadata.row_group(number)
    last = group.column(group.num_columns - 1)
    return group.column(0).data_page_offset, last.data_page_offset + last.total_compressed_size


def _head(request: Mapping[str, str], masklets: Sequence[dm.Masklet]) -> bytes:
    head = Head(
        format=FORMAT,
        request=dict(sorted(request.items())),
        group_frames=GROUP_FRAMES,
        frames=[len(one.masks) for one in masklets],
        names=list(_FIGURES),
        masklets=[[getattr(one, name) for name in _FIGURES] for one in masklets],
    )
    return json.dumps(head.model_dump(), separators=(",", ":"), ensure_ascii=False).encode()


def layout(frame_counts: Sequence[int], group_frames: int) -> Iterator[tuple[int, range]]:
    """(place of the masklet, its frames) of each row group, in order of the file."""
    for start in range(0, max(frame_counts, default=0), group_frames):
        for place, count in enumerate(frame_counts):
            if start < count:
                yield place, range(start, min(start + group_frames, count))


def _rows(one: dm.Masklet) -> Iterator[dict[str, Any]]:
    frames = zip(one.frames_pts_s, one.masks, one.boxes_px, one.areas_px, strict=True)
    for index, (pts_s, mask, box, area_px) in enumerate(frames):
        yield {
            "entity_id": one.entity_id,
            "frame_index": index,
            "size": mask and mask["size"],
            "counts": mask and mask["counts"].encode("ascii"),
            "pts_s": pts_s,
            "box_px": box,
            "area_px": area_px,
        }
