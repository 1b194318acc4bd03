"""Figures of many judged pairs: shares that are wrong, what they look like, how balanced they are."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from strefer_core import data_model as dm
from strefer_core.audit.checking import Verdict
from strefer_core.audit.examples import Example, question_template
from strefer_core.audit.running import Audited
from strefer_core.probe.figures import LEVEL, resamples
from strefer_core.stages.task_table import task_rows

BLOCK = 50  # videos that show every task type and group

Interval = tuple[float, float]


def error_rate(
    videos: Sequence[Audited], seed: int, counts: Callable[[Verdict], bool] = lambda _: True
) -> dict[str, Any]:
    """Pairs, wrong ones and their share, with a 95 % interval over resampled videos.

    Args:
        videos: all that were judged.
        seed: of the resampling.
        counts: which pairs are looked at.
    """
    kept = [[one for one in video.verdicts if counts(one)] for video in videos]
    table = np.array([(sum(not one.is_right for one in row), len(row)) for row in kept], float).reshape(-1, 2)
    wrong, pairs = table.sum(axis=0) if len(table) else (0.0, 0.0)
    low, high = _interval(table, seed) or (None, None)
    return {
        "pairs": int(pairs),
        "wrong": int(wrong),
        "error_rate": float(wrong / pairs) if pairs else None,
        "error_rate_low": low,
        "error_rate_high": high,
    }


def _interval(table: np.ndarray[Any, Any], seed: int) -> Interval | None:
    """Percentile interval of wrong over pairs, (videos, 2); None for fewer than two videos with pairs."""
    table = table[table[:, 1] > 0]
    if len(table) < 2:
        return None
    sums = table[resamples(len(table), seed)].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def kinds(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Wrong pairs by kind of fault, the commonest first; one with several kinds counts under each."""
    found = Counter(kind for one in verdicts for kind in {fault.kind for fault in one.faults})
    return dict(found.most_common())


def duplicates(videos: Sequence[Audited]) -> int:
    """Pairs whose question was asked before of the same video, regions and times included."""
    keys = [[_question(one.pair) for one in video.verdicts] for video in videos]
    return sum(len(row) - len(set(row)) for row in keys)


def _question(pair: dm.Instruction) -> tuple[object, ...]:
    """What makes two questions the same."""
    asked = tuple(turn.text for turn in pair.turns[::2])
    return asked, pair.region_entity_ids, pair.start_s, pair.end_s


def repeats(videos: Sequence[Audited]) -> int:
    """Pairs that say word for word what a pair before says, of whichever video."""
    texts = [tuple(turn.text for turn in one.pair.turns) for video in videos for one in video.verdicts]
    return len(texts) - len(set(texts))


def leak_rate(verdicts: Sequence[Verdict]) -> float | None:
    """Share of pairs whose questions give away what only the mask should tell."""
    return share(bool(one.leaked) for one in verdicts)


def share(flags: Iterable[bool]) -> float | None:
    """Share of True; None where there is nothing."""
    found = list(flags)
    return sum(found) / len(found) if found else None


def balance(verdicts: Sequence[Verdict], examples: Sequence[Example]) -> dict[str, Any]:
    """How evenly answers are spread."""
    yes_no = [one.label == "yes" for one in examples if one.form == "yes_no"]
    places: dict[str, list[int]] = {}
    for one in examples:
        if one.form == "choice" and isinstance(one.label, int):
            row = places.setdefault(str(len(one.options)), [0] * len(one.options))
            row[one.label] += 1
    return {
        "yes_share": share(yes_no),
        "negative_share": share(one.pair.is_negative for one in verdicts),
        "right_option_places": dict(sorted(places.items())),  # by number of options: how often each is right
    }


def diversity(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How long questions and answers are, and how much they vary."""
    questions = [turn.text for one in verdicts for turn in one.pair.turns[::2]]
    answers = [turn.text for one in verdicts for turn in one.pair.turns[1::2]]
    templates = Counter(one.pair.template_id for one in verdicts)
    words = [_words(text) for text in questions]
    told = [_words(text) for text in answers]
    spoken = Counter(word for row in (*words, *told) for word in row)
    return {
        "distinct_questions": len(set(questions)),
        "distinct_answers": len(set(answers)),
        "distinct_templates": len(templates),
        "distinct_question_templates": len({question_template(name) for name in templates}),
        "template_entropy_bits": entropy_bits(templates),
        "type_token_ratio": len(spoken) / spoken.total() if spoken else None,
        "question_words": quartiles([len(row) for row in words]),
        "answer_words": quartiles([len(row) for row in told]),
    }


def _words(text: str) -> list[str]:
    return re.findall(r"<[a-z_]+>|[\w'-]+", text.lower())


def quartiles(values: Sequence[int]) -> list[float] | None:
    """Least, lower quartile, median, upper quartile, greatest."""
    return [float(v) for v in np.quantile(values, [0, 0.25, 0.5, 0.75, 1])] if values else None


def entropy_bits(counts: Counter[str]) -> float:
    """Entropy of what the counts count."""
    total = counts.total()
    return -sum(count / total * math.log2(count / total) for count in counts.values()) if total else 0.0


def is_complete(videos: Sequence[Audited]) -> bool | None:
    """Whether every BLOCK videos in order show all task types and groups; None for fewer videos."""
    blocks = [videos[i : i + BLOCK] for i in range(0, len(videos) - BLOCK + 1, BLOCK)]
    wanted = {(row.group, row.task_type) for row in task_rows()}
    types, groups = {task for _, task in wanted}, {group for group, _ in wanted}
    shown = [[one.pair for video in block for one in video.verdicts] for block in blocks]
    complete = [
        {pair.task_type for pair in pairs} >= types and {pair.group for pair in pairs} >= groups
        for pairs in shown
    ]
    return all(complete) if complete else None
