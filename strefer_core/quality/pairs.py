"""Signals of one instruction: its form, and how firmly its tracks hold in the interval that it asks about."""

from __future__ import annotations

from collections import Counter

import numpy as np

from strefer_core import data_model as dm
from strefer_core.backends.rules.geometry import Trail
from strefer_core.quality.measured import Measured
from strefer_core.quality.tracks import borders
from strefer_core.stages.choosing import question_key
from strefer_core.stages.leaks import pairs, turn_leaks, words
from strefer_core.stages.task_table import task_row


class Pairs:
    """Signals of the instructions of one video, in their order: a duplicate is one of an earlier one."""

    def __init__(self, given: Measured) -> None:
        self._given = given
        self._asked: Counter[tuple[object, ...]] = Counter()

    def signals(self, item: dm.Instruction) -> dict[str, float]:
        """Every signal of one instruction that has a value."""
        key, given = question_key(item), self._given
        answers = [answer.text for _, answer in pairs(item)]
        is_timed = any("<start_time>" in answer for answer in answers)
        shortest = min((len(words(answer)) for answer in answers), default=0)
        found: dict[str, float | None] = {
            "leak": len(turn_leaks(item, given.entities)),
            "format": len(format_faults(item, given)),
            "answer_words": max(shortest, is_timed),
            "duplicate": self._asked[key],
            "untracked": sum(one not in given.masklets for one in given.things(item)),
            **_in_window(item, given),
        }
        self._asked[key] += 1
        return {name: float(value) for name, value in found.items() if value is not None}


def _in_window(item: dm.Instruction, given: Measured) -> dict[str, float | None]:
    """Of a pair about an interval: how many sampled frames it has, and how firmly the tracks hold in it."""
    trails = [given.tracks.trails[one] for one in given.things(item) if one in given.tracks.trails]
    if item.start_s is None or item.end_s is None or not trails:
        return {}
    times = trails[0].times_s
    inside = (times >= item.start_s - 1e-6) & (times < item.end_s - 1e-6)
    hidden = [float(1 - trail.visible[inside].mean()) for trail in trails] if inside.any() else []
    gaps = [_border_gap_s(trail, item.start_s, item.end_s, given) for trail in trails]
    return {
        "window_frames": float(inside.sum()),
        "window_hidden_share": max(hidden, default=None),
        "border_gap_s": min((gap for gap in gaps if gap is not None), default=None),
    }


def _border_gap_s(trail: Trail, start_s: float, end_s: float, given: Measured) -> float | None:
    """Least time between an end of the interval and a loss or a find of the track; None: it has none."""
    ends = [float(trail.times_s[seen]) for seen, _ in borders(trail, given.tracks.steps)]
    return min((float(np.min(np.abs([end - start_s, end - end_s]))) for end in ends), default=None)


def format_faults(item: dm.Instruction, given: Measured) -> list[str]:
    """What keeps an instruction from being a sound record; empty where it is one."""
    text = "\n".join(turn.text for turn in item.turns)
    roles = [turn.role for turn in item.turns]
    row = task_row(item.group, item.task_type)
    faults = {
        "turns do not alternate, human first": not roles or roles != ["human", "gpt"] * (len(roles) // 2),
        "an empty turn": any(not turn.text.strip() for turn in item.turns),
        "a stray placeholder": "<image>" in text or "{" in text or "}" in text or "<region:" in text,
        "regions and placeholders differ": text.count("<region>") != len(item.region_entity_ids),
        "a region without a visible mask": any(
            not _is_shown(given.masklets.get(entity_id)) for entity_id in item.region_entity_ids
        ),
        "times and placeholders differ": _times_differ(item, text),
        "a time outside the video": _is_outside(item, given.video),
        "no such task type": row is None,
    }
    if row is not None:
        points = {"<region>" in turn.text for turn in item.turns if turn.role == "human"}
        faults["mask against the task table"] = row.mask != "any" and points != {row.mask == "yes"}
        faults["time against the task table"] = row.time != "any" and (item.start_s is not None) != (
            row.time == "yes"
        )
    return [fault for fault, is_there in faults.items() if is_there]


def _is_shown(masklet: dm.Masklet | None) -> bool:
    return masklet is not None and any(mask is not None for mask in masklet.masks)


def _times_differ(item: dm.Instruction, text: str) -> bool:
    return ("<start_time>" in text, "<end_time>" in text) != (
        item.start_s is not None,
        item.end_s is not None,
    )


def _is_outside(item: dm.Instruction, video: dm.Video) -> bool:
    start_s = 0.0 if item.start_s is None else item.start_s
    end_s = video.duration_s if item.end_s is None else item.end_s
    return not 0 <= start_s < end_s <= video.duration_s
