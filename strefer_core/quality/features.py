"""What a filter sees of a pair: the worst signals of what it rests on, what it claims, its type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from strefer_core import data_model as dm
from strefer_core.quality.checks import CHECKS, ESTIMATE
from strefer_core.quality.measured import Measured, Values
from strefer_core.quality.relying import relies_on
from strefer_core.stages.task_table import task_rows

WORSE_HIGHER = (
    "fragments", "short_gaps", "unexplained_ends", "area_jump", "position_jump", "twin_share",
    "contact_share", "alike_share", "action_unseen_share", "untracked",
)  # fmt: skip
WORSE_LOWER = (
    "shape_iou", "detector_score", "assignment_score", "assignment_margin", "forward_backward_iou",
    "redetection_share", "appearance_similarity", "colour_agreement", "colour_margin",
    "direction_agreement", "sample_agreement",
)  # fmt: skip
"""Signals of which more is never a reason to trust a pair more (or, of the second, less): a filter's estimate
is monotone in them. The others may mean either."""

_TRACK = tuple(name for name, check in CHECKS.items() if check.object_kind == "masklet")
_NAMING = (
    "alike_share", "strewn_patches", "colour_agreement", "colour_margin", "area_share", "assignment_score",
    "assignment_margin",
)  # fmt: skip
_SEGMENT = ("action_unseen_share", "direction_agreement", "sample_agreement")
_PAIR = tuple(
    name
    for name, check in CHECKS.items()
    if check.object_kind == "instruction" and check.strength == "note" and name != ESTIMATE
)


def direction(feature: str) -> int:
    """1 where a filter may only rise with the feature, -1 where it may only fall, 0 where either."""
    name = _signal(feature)
    return 1 if name in WORSE_HIGHER else -1 if name in WORSE_LOWER else 0


def signal_of(feature: str) -> str | None:
    """The check behind a feature; None of one that tells of the pair's type or claims."""
    name = _signal(feature)
    return name if name in CHECKS else None


def _signal(feature: str) -> str:
    for prefix in ("own_", "any_", "named_"):
        feature = feature.removeprefix(prefix)
    return feature


def features(item: dm.Instruction, given: Measured, values: Values) -> dict[str, float]:
    """All features of one pair, by name; what has no value is left out.

    Args:
        item: the pair.
        given: of its video.
        values: of every object of the video.
    """
    things = given.things(item)
    own = [values.get(given.masklets[one].masklet_id, {}) for one in things if one in given.masklets]
    every = [values.get(one.masklet_id, {}) for one in given.masklets.values()]
    told = [values.get(one, {}) for one in item.source_ids if one in given.segments]
    found = {f"own_{name}": value for name, value in _worst(own, _TRACK)}
    found |= {f"any_{name}": value for name, value in _worst(every, _TRACK)}
    found |= {f"named_{name}": value for name, value in _worst(_named(item, given, values), _NAMING)}
    found |= {f"own_{name}": value for name, value in _worst(told, _SEGMENT)}
    mine = values.get(item.instruction_id, {})
    found |= {name: mine[name] for name in _PAIR if name in mine}
    found |= {f"type_{row.task_type}": float(row.task_type == item.task_type) for row in task_rows()}
    return found | _counts(item, given, things) | relies_on(item, given.expressions)


def _named(item: dm.Instruction, given: Measured, values: Values) -> list[Mapping[str, float]]:
    """Of the masklets whose entities the pair names: a doubtful name spoils no pair that only points."""
    said = " ".join(turn.text for turn in item.turns).lower()
    return [
        values.get(masklet.masklet_id, {})
        for entity_id, masklet in given.masklets.items()
        if given.entities[entity_id].expression.lower().removeprefix("the ") in said
    ]


def _worst(objects: Iterable[Mapping[str, float]], names: Iterable[str]) -> Iterable[tuple[str, float]]:
    known = list(objects)
    for name in names:
        if found := [one[name] for one in known if name in one]:
            yield name, (min if CHECKS[name].is_floor else max)(found)


def _counts(item: dm.Instruction, given: Measured, things: list[str]) -> dict[str, float]:
    return {
        "things": float(len(things)),
        "entities": float(len(given.entities)),
        "entities_untracked": float(len(given.entities) - len(given.masklets)),
        "clips": float(len(given.clips)),
        "turns": float(len(item.turns)),
        "is_negative": float(item.is_negative),
    }
