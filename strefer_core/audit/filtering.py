"""What a filter does to the pairs: shares of wrong ones before and after, and what it costs in right ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from strefer_core.audit import figures
from strefer_core.audit.checking import Verdict
from strefer_core.audit.examples import examples_of
from strefer_core.audit.running import Audited
from strefer_core.audit.text_only import guess
from strefer_core.stages.task_table import task_rows

_NONE = dict.fromkeys(("raw_error_rate", "accepted_error_rate", "yield_of_right_pairs", "filtering"))


def figures_of(videos: Sequence[Audited], seed: int) -> dict[str, Any]:
    """The fields of `AuditReport` that tell of the filter; all None where no video was held against one."""
    checked = [one for one in videos if one.accepted_ids is not None]
    if not checked:
        return dict(_NONE)
    kept = [replace(one, verdicts=_accepted(one)) for one in checked]
    after = figures.error_rate(kept, seed)
    types = dict.fromkeys(row.task_type for row in task_rows())
    return {
        "raw_error_rate": figures.error_rate(checked, seed)["error_rate"],
        "accepted_error_rate": after["error_rate"],
        "yield_of_right_pairs": _yield(_verdicts(checked), _verdicts(kept)),
        "filtering": {
            "accepted": after["pairs"],
            "accepted_wrong": after["wrong"],
            "accepted_error_rate_low": after["error_rate_low"],
            "accepted_error_rate_high": after["error_rate_high"],
            "tasks": {name: _of_type(name, checked, kept) for name in types},
            "text_only": _text_only(kept),
        },
    }


def _accepted(video: Audited) -> tuple[Verdict, ...]:
    ids = video.accepted_ids or frozenset()
    return tuple(one for one in video.verdicts if one.pair.instruction_id in ids)


def _verdicts(videos: Sequence[Audited]) -> list[Verdict]:
    return [one for video in videos for one in video.verdicts]


def _yield(before: Sequence[Verdict], after: Sequence[Verdict]) -> float | None:
    """Share of the right pairs that are accepted; None where none is right."""
    right = sum(one.is_right for one in before)
    return sum(one.is_right for one in after) / right if right else None


def _of_type(name: str, before: Sequence[Audited], after: Sequence[Audited]) -> dict[str, Any]:
    asked, kept = (
        [one for one in _verdicts(videos) if one.pair.task_type == name] for videos in (before, after)
    )
    return {
        "pairs": len(asked),
        "raw_error_rate": figures.share(not one.is_right for one in asked),
        "accepted": len(kept),
        "accepted_error_rate": figures.share(not one.is_right for one in kept),
        "yield_of_right_pairs": _yield(asked, kept),
    }


def _text_only(kept: Sequence[Audited]) -> dict[str, dict[str, Any]]:
    """Whether acceptance itself gives answers away: how far text alone comes on what is accepted."""
    examples = [
        example for video in kept for one in video.verdicts for example in examples_of(video.name, one)
    ]
    forms = {form: guess([one for one in examples if one.form == form]) for form in ("yes_no", "choice")}
    return {name: {"chance": one.chance, "accuracy": one.accuracy} for name, one in forms.items()}
