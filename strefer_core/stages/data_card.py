"""The data card: a dataset version in Markdown for the people who will train on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from strefer_core.quality.checks import CHECKS
from strefer_core.stages.task_table import task_rows

_LIMITS = """\
- Instructions are synthetic. They are as right as the masklets and the transcript that they were made from;
  the checks below cut what they can see, and nobody has read every pair.
- Actions are told from masks at up to 32 frames per video: what happens between two of these frames is not
  known, and directions are directions in the picture.
- An answer that something is absent, or that nothing came before a thing, is about what was found.
- The videos are not part of this dataset; `path` names each as it was delivered.
"""


def data_card(
    version: str, counts: Mapping[str, Any], made_by: str, filter_id: str = "", target_error: float = 0.0
) -> str:
    """Markdown text.

    Args:
        version: the dataset's name.
        counts: as in its manifest.
        made_by: version of this package.
        filter_id: of the noise filter; "": none, single checks decided.
        target_error: share of wrong pairs that the filter was to keep to.
    """
    offered = counts["instructions"] + counts["quarantined"]
    share = counts["instructions"] / offered if offered else 0.0
    parts = [
        f"# Space-time instruction data, version {version}",
        f"{counts['instructions']:,} instruction-response pairs over {counts['videos_with_pairs']:,} of "
        f"{counts['videos']:,} videos, made by strefer {made_by}. {counts['with_regions']:,} point at a "
        f"thing with a mask, {counts['with_times']:,} at a time, {counts['negatives']:,} ask about "
        "something false and the answer says so.",
        "## Files",
        "- `instructions.json`: the released Strefer format, a JSON list. `<region>` number n has the masks "
        "`annotation[n]`, keyed by the frame's index among 32 evenly spaced frames (COCO RLE).\n"
        "- `instructions.jsonl`: one pair a line with ids, group, task type and what it was made from.\n"
        "- `lineage.jsonl`: one video a line with the fingerprint of every stage.\n"
        "- `manifest.json`: sizes and SHA-256 of all files, counts, the pipeline's configuration.",
        "## How it was made",
        "Videos are cut into clips; active things get words and masks over 32 frames (masklets); a "
        "transcript says what each of them does in each clip; pairs are written from these facts, "
        "balanced over groups, and pass the checks below. The method is Strefer's (arXiv 2509.03501).",
        "## Pairs by group",
        _groups(counts),
        "## Pairs by task type",
        _table(("task type", "pairs"), sorted(counts["task_types"].items())),
        "## Quality",
        f"{counts['instructions']:,} of {offered:,} pairs were accepted ({share:.1%}). A finding marked "
        "fail quarantines every pair that was made from the object.",
        _filtered_by(filter_id, target_error),
        _checks(counts),
        "## Known limits",
        _LIMITS.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _filtered_by(filter_id: str, target_error: float) -> str:
    if not filter_id:
        return "No noise filter was used: single checks decided."
    return (
        f"Noise filter `{filter_id}` estimated for every pair the chance that it is wrong; its threshold was "
        f"chosen for at most {target_error:.1%} wrong pairs among the accepted, on videos of known truth."
    )


def _groups(counts: Mapping[str, Any]) -> str:
    total = counts["instructions"] or 1
    rows = []
    for group in sorted({row.group for row in task_rows()}):
        types = ", ".join(row.task_type for row in task_rows() if row.group == group)
        pairs = counts["groups"].get(group, 0)
        rows.append((group, types, pairs, f"{pairs / total:.1%}"))
    return _table(("group", "task types", "pairs", "share"), rows)


def _checks(counts: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            check.object_kind,
            check.means,
            counts["checks"].get(name, 0),
            counts["findings"].get(f"{name} warn", 0),
            counts["findings"].get(f"{name} fail", 0),
        )
        for name, check in CHECKS.items()
    ]
    return _table(("check", "on", "value", "checked", "warn", "fail"), rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
