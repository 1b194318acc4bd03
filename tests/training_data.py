"""Small data sets on disk for tests of training: short videos and records that ask about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from strefer_core.masks import encode
from tests.media import write_video

SIZE = (96, 64)
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


def paint(colour: str) -> Any:
    """A block of one colour that moves to the right over grey."""

    def frame(number: int) -> np.ndarray[Any, Any]:
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        image[20:44, number : number + 24] = COLOURS[colour]
        return image

    return frame


def mask_at(position: int) -> dict[str, Any]:
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[20:44, position : position + 24] = True
    rle = encode(mask)
    assert rle is not None
    return {"segmentation": {"size": list(rle["size"]), "counts": rle["counts"]}}


def record(
    path: str, question: str = "What colour is the <region>?", answer: str = "It is red."
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "conversations": [
            {"from": "human", "value": "<image>\n" + question},
            {"from": "gpt", "value": answer},
        ],
        "path": path,
    }
    if "<region>" in question:
        found["annotation"] = [{str(index): mask_at(index) for index in (0, 9, 31)}]
    if "<start_time>" in question:
        found |= {"start_time": "00:00:00.500", "end_time": "00:00:01.250"}
    return found


def write_released(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("[\n" + ",\n".join(json.dumps(one) for one in records) + "\n]\n", "utf-8")
    return path


def write_version(folder: Path, videos: int) -> Path:
    """An exported version as `stages.dataset` writes it: two pairs on a region, one on a time each."""
    folder.mkdir(parents=True, exist_ok=True)
    records, lines = [], []
    for number in range(videos):
        colour = list(COLOURS)[number % 3]
        write_video(folder / f"v{number}.mp4", 48, paint=paint(colour))
        asked = [
            ("G5", "describe_entity", "What colour is the <region>?", f"It is {colour}."),
            ("G5", "describe_entity", "Say which colour the <region> has.", f"{colour.capitalize()}."),
            ("G3", "event_at_time", "What moves from <start_time> to <end_time>?", f"The {colour} block."),
        ]
        for place, (group, task_type, question, answer) in enumerate(asked):
            records.append(record(f"v{number}.mp4", question, answer))
            turns = [{"role": "human", "text": question}, {"role": "gpt", "text": answer}]
            lines.append(
                {
                    "instruction_id": f"ins-{number}-{place}",
                    "group": group,
                    "task_type": task_type,
                    "turns": turns,
                }
            )
    write_released(folder / "instructions.json", records)
    (folder / "instructions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return folder
