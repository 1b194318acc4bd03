"""The weight-free instruction writer: every row of the task table, asked of every fact."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import Observed
from strefer_core.backends.rules import closed_tasks, open_tasks, order_tasks, premise_tasks
from strefer_core.backends.rules.asking import Asker
from strefer_core.backends.rules.scene import scene_of
from strefer_core.config import InstructionsConfig
from strefer_core.stages.leaks import turn_leaks
from strefer_core.stages.task_table import task_rows

_MAKERS: dict[str, Callable[[Asker], Iterator[dm.Instruction]]] = {
    "describe_video": open_tasks.describe_video,
    "event_order": order_tasks.event_order,
    "coarse_when": open_tasks.coarse_when,
    "concurrent_action": open_tasks.concurrent_action,
    "event_at_time": open_tasks.event_at_time,
    "verify": closed_tasks.verify,
    "describe_entity": open_tasks.describe_entity,
    "entity_order": order_tasks.entity_order,
    "entity_at_time": open_tasks.entity_at_time,
    "when_entity": open_tasks.when_entity,
    "false_premise": premise_tasks.false_premise,
}


class RulesWriter:
    """Implements `backends.interfaces.Writer`."""

    def offer(
        self,
        seen: Observed,
        segments: Sequence[dm.TranscriptSegment],
        config: InstructionsConfig,
        seed: str,
    ) -> list[dm.Instruction]:
        """All pairs that the facts allow, without ids; none where nothing is ever visible."""
        scene = scene_of(seen, segments)
        if not scene.things:
            return []
        written: list[dm.Instruction] = []
        for row in task_rows():
            # One generator of random numbers per row: a change to one row leaves the others' words alone.
            rng = random.Random(f"{seed} {row.group} {row.task_type}")  # noqa: S311  (no secret)
            written += _MAKERS[row.task_type](Asker(row, scene, rng))
        return _sound(written, {entity.entity_id: entity for entity in seen.entities})

    def render(
        self, seen: Observed, chosen: Sequence[dm.Instruction], config: InstructionsConfig, seed: str
    ) -> list[dm.Instruction]:
        """The words are final already."""
        return list(chosen)


def _sound(written: Sequence[dm.Instruction], by_id: dict[str, dm.Entity]) -> list[dm.Instruction]:
    """Without the pairs that give something away, and without the sets that these belong to."""
    telling = [bool(turn_leaks(item, by_id)) for item in written]
    broken = {item.set_key for item, tells in zip(written, telling, strict=True) if tells and item.set_key}
    return [
        item for item, tells in zip(written, telling, strict=True) if not tells and item.set_key not in broken
    ]
