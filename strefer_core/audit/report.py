"""The report of an audit: one plain object, the same for people and as JSON. Shares are 0..1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from strefer_core.audit import figures, filtering
from strefer_core.audit.checking import Verdict
from strefer_core.audit.examples import Example, examples_of
from strefer_core.audit.running import Audited
from strefer_core.audit.text_only import Guessing, guess, guess_premise
from strefer_core.errors import ConfigError
from strefer_core.stages.task_table import task_rows

FALSE_PREMISE = "false_premise"


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What `strefer audit --json` prints."""

    options: dict[str, Any]
    videos: int  # judged
    filtered: list[dict[str, str]]  # {video, reason}: a stage found nothing to go on with
    failed: list[dict[str, str]]  # {video, reason}
    pairs: int
    wrong: int  # pairs with any fault
    error_rate: float | None
    error_rate_low: float | None  # 95 %, over resampled videos
    error_rate_high: float | None
    leak_rate: float | None
    duplicates: int  # questions asked twice of one video
    repeats: int  # pairs that say word for word what another one says
    kinds: dict[str, int]  # wrong pairs by kind of fault
    groups: dict[str, dict[str, Any]]  # pairs, wrong, error_rate and its interval
    tasks: dict[str, dict[str, Any]]  # likewise, and chance, text_only_accuracy
    text_only: dict[str, dict[str, Any]]  # by form of question: questions, chance, accuracy
    balance: dict[str, Any]
    diversity: dict[str, Any]
    blocks_of_50_complete: bool | None  # every 50 videos show all task types and groups; None: fewer videos
    # With a filter, else None: shares of wrong pairs before it and among those that it accepts, and the share
    # of the right pairs that it accepts; `filtering` has them by task type, and what text alone then tells.
    raw_error_rate: float | None
    accepted_error_rate: float | None
    yield_of_right_pairs: float | None
    filtering: dict[str, Any] | None
    seconds: float = 0.0  # that all of it took

    @property
    def is_success(self) -> bool:
        return not self.failed and self.pairs > 0

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def make_report(results: Sequence[Audited], options: dict[str, Any], seed: int) -> AuditReport:
    """Put the results together.

    Args:
        results: in order of videos.
        options: of the audit, as JSON has them.
        seed: decides the resampled videos and the sample of true premises.
    """
    judged = [one for one in results if one.failure is None]
    verdicts = [verdict for video in judged for verdict in video.verdicts]
    examples = [
        example for video in judged for one in video.verdicts for example in examples_of(video.name, one)
    ]
    return AuditReport(
        options=options,
        videos=len(judged),
        filtered=[{"video": one.name, "reason": one.filtered} for one in judged if one.filtered is not None],
        failed=[{"video": one.name, "reason": one.failure} for one in results if one.failure is not None],
        **figures.error_rate(judged, seed),
        leak_rate=figures.leak_rate(verdicts),
        duplicates=figures.duplicates(judged),
        repeats=figures.repeats(judged),
        kinds=figures.kinds(verdicts),
        groups=_groups(judged, seed),
        tasks=_tasks(judged, examples, seed),
        text_only=_text_only(examples, seed),
        balance=figures.balance(verdicts, examples),
        diversity=figures.diversity(verdicts),
        blocks_of_50_complete=figures.is_complete(results),
        **filtering.figures_of(judged, seed),
    )


def _groups(videos: Sequence[Audited], seed: int) -> dict[str, dict[str, Any]]:
    names = sorted({row.group for row in task_rows()})
    return {name: figures.error_rate(videos, seed, _of("group", name)) for name in names}


def _tasks(videos: Sequence[Audited], examples: Sequence[Example], seed: int) -> dict[str, dict[str, Any]]:
    found = {}
    for name in dict.fromkeys(row.task_type for row in task_rows()):
        own = [one for one in examples if one.task_type == name]
        guessing = _premise(examples, seed) if name == FALSE_PREMISE else guess(own)
        found[name] = figures.error_rate(videos, seed, _of("task_type", name)) | {
            "chance": guessing.chance,
            "text_only_accuracy": guessing.accuracy,
        }
    return found


def _of(field: str, value: str) -> Any:
    return lambda verdict: getattr(verdict.pair, field) == value


def _text_only(examples: Sequence[Example], seed: int) -> dict[str, dict[str, Any]]:
    forms: dict[str, Guessing] = {
        "yes_no": guess([one for one in examples if one.form == "yes_no"]),
        "choice": guess([one for one in examples if one.form == "choice"]),
        "premise": _premise(examples, seed),
    }
    return {
        name: {"questions": one.questions, "chance": one.chance, "accuracy": one.accuracy}
        for name, one in forms.items()
    }


def _premise(examples: Sequence[Example], seed: int) -> Guessing:
    false = [one for one in examples if one.task_type == FALSE_PREMISE and one.is_negative]
    return guess_premise(false, [one for one in examples if one.task_type != FALSE_PREMISE], seed)


def write_wrong(results: Sequence[Audited], folder: Path) -> Path:
    """Write every wrong pair as one line of JSON to `wrong.jsonl` in a folder, made where missing.

    `is_accepted` says whether the filter let it through, null where none was asked.

    Raises:
        ConfigError: it cannot be written there.
    """
    lines = [
        json.dumps(line, ensure_ascii=False)
        for video in results
        for verdict in video.verdicts
        for line in _lines(video, verdict)
    ]
    path = folder / "wrong.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
    return path


def _lines(video: Audited, verdict: Verdict) -> list[dict[str, Any]]:
    """One line per fault."""
    pair, accepted = verdict.pair, video.accepted_ids
    return [
        {
            "video": video.name,
            "is_accepted": None if accepted is None else pair.instruction_id in accepted,
            "kind": fault.kind,
            "why": fault.why,
            "claim": fault.claim,
            "text": [turn.text for turn in pair.turns],
            "group": pair.group,
            "task_type": pair.task_type,
            "template_id": pair.template_id,
            "start_s": pair.start_s,
            "end_s": pair.end_s,
            "region_entity_ids": pair.region_entity_ids,
            "instruction_id": pair.instruction_id,
        }
        for fault in verdict.faults
    ]
