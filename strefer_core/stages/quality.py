"""Stage `quality`: every check on every object of a video, as flags; what is accepted follows from them.

Consumes all earlier results and no pixels. A flag is stored also where a check passes, so that a threshold
can be moved later without computing anything again. A check that has no value (a thing without a rival has
no assignment margin) has no flag. The filter's estimate is one more check, of instructions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from strefer_core import data_model as dm
from strefer_core.config import QualityConfig
from strefer_core.pipeline import StageTask
from strefer_core.quality import segments, tracks
from strefer_core.quality.checks import CHECKS, ESTIMATE
from strefer_core.quality.features import features
from strefer_core.quality.filters import load_filter
from strefer_core.quality.measured import Measured, Values
from strefer_core.quality.pairs import Pairs
from strefer_core.quality.twins import worst_of_twins
from strefer_core.stages.leaks import words


def run(task: StageTask) -> dm.QualityResult:
    """Check everything; accept what rests on nothing that fails. Raises ConfigError for an unknown filter."""
    given = Measured.of(task.video, dict(task.inputs))
    values = measure(given)
    flags = tuple(_flags(given, values, task.config))
    accepted, quarantined = derive(flags, given.instructions, list(given.masklets.values()))
    return dm.QualityResult(flags=flags, accepted_ids=accepted, quarantined_ids=quarantined)


def derive(
    flags: Sequence[dm.Flag], instructions: Sequence[dm.Instruction], masklets: Sequence[dm.Masklet]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of accepted and of quarantined instructions.

    One is quarantined by a "fail" on itself, on any id that it was made from, or on the masklet of an
    entity that it was made from.
    """
    failed = {flag.object_id for flag in flags if flag.severity == "fail"}
    failed |= {masklet.entity_id for masklet in masklets if masklet.masklet_id in failed}
    accepted: list[str] = []
    quarantined: list[str] = []
    for item in instructions:
        rests_on = {item.instruction_id, *item.source_ids, *item.region_entity_ids}
        (quarantined if rests_on & failed else accepted).append(item.instruction_id)
    return tuple(accepted), tuple(quarantined)


def measure(given: Measured) -> Values:
    """The value of every check but the filter's on every object of a video."""
    pairs = Pairs(given)
    return {
        **_entity_values(given),
        **{one.masklet_id: tracks.signals(one, given.tracks) for one in given.masklets.values()},
        **{one.segment_id: segments.signals(one, given) for one in given.segments.values()},
        **{item.instruction_id: pairs.signals(item) for item in given.instructions},
    }


def _entity_values(given: Measured) -> Values:
    told = Counter(" ".join(words(entity.expression)) for entity in given.entities.values())
    return {
        entity_id: {
            "shared_expression": told[" ".join(words(entity.expression))] - 1.0,
            "masklets": float(entity_id in given.masklets),
        }
        for entity_id, entity in given.entities.items()
    }


def _flags(given: Measured, values: Values, config: QualityConfig) -> Iterator[dm.Flag]:
    thresholds = {name: check.limit(config) for name, check in CHECKS.items()}
    frames = max((len(one.masks) for one in given.masklets.values()), default=0)
    thresholds["visible_frames"] = min(thresholds["visible_frames"], frames)  # of a very short video
    for object_id, found in values.items():
        for name, value in found.items():
            yield _flag(object_id, name, value, thresholds[name], has_filter=bool(config.filter))
    if config.filter:
        yield from _estimates(given, values, config)


def _estimates(given: Measured, values: Values, config: QualityConfig) -> Iterator[dm.Flag]:
    fitted = load_filter(config.filter)
    threshold = fitted.threshold(config.target_error)
    alone = fitted.estimate([features(item, given, values) for item in given.instructions])
    chances = worst_of_twins(alone, [item.set_key for item in given.instructions])
    for item, chance in zip(given.instructions, chances, strict=True):
        yield _flag(item.instruction_id, ESTIMATE, float(chance), threshold, has_filter=True)


def _flag(object_id: str, name: str, value: float, threshold: float, *, has_filter: bool) -> dm.Flag:
    check = CHECKS[name]
    return dm.Flag(
        object_id=object_id,
        object_kind=check.object_kind,
        check=name,
        value=value,
        threshold=threshold,
        severity=check.severity(check.is_bad(value, threshold), has_filter=has_filter),
    )
