"""The weight-free instruction writer: every row of the task table, asked of every fact."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from strefer_core import data_model as dm
from strefer_core.backends.rules import closed_tasks, open_tasks, premise_tasks
from strefer_core.backends.rules.asking import Asker
from strefer_core.backends.rules.scene import scene_of
from strefer_core.stages.leaks import leaks
from strefer_core.stages.task_table import task_rows

_MAKERS: dict[str, Callable[[Asker], Iterator[dm.Instruction]]] = {
    "describe_video": open_tasks.describe_video,
    "event_order": open_tasks.event_order,
    "coarse_when": open_tasks.coarse_when,
    "concurrent_action": open_tasks.concurrent_action,
    "event_at_time": open_tasks.event_at_time,
    "verify": closed_tasks.verify,
    "describe_entity": open_tasks.describe_entity,
    "entity_order": open_tasks.entity_order,
    "entity_at_time": open_tasks.entity_at_time,
    "when_entity": open_tasks.when_entity,
    "false_premise": premise_tasks.false_premise,
}


class RulesWriter:
    """Implements `backends.interfaces.Writer`."""

    def write(
        self,
        video: dm.Video,
        clips: Sequence[dm.Clip],
        entities: Sequence[dm.Entity],
        masklets: Sequence[dm.Masklet],
        segments: Sequence[dm.TranscriptSegment],
        seed: str,
    ) -> list[dm.Instruction]:
        """All pairs that the facts allow, without ids; none where nothing is ever visible."""
        scene = scene_of(video, clips, entities, masklets, segments)
        if not scene.things:
            return []
        by_id = {entity.entity_id: entity for entity in entities}
        written: list[dm.Instruction] = []
        for row in task_rows():
            # One generator of random numbers per row: a change to one row leaves the others' words alone.
            rng = random.Random(f"{seed} {row.group} {row.task_type}")  # noqa: S311  (no secret)
            written += _MAKERS[row.task_type](Asker(row, scene, rng))
        return [item for item in written if not _gives_away(item, by_id)]


def _gives_away(item: dm.Instruction, by_id: dict[str, dm.Entity]) -> bool:
    question, answer = item.turns[0].text, item.turns[1].text
    return bool(leaks(question, answer, [by_id[entity_id] for entity_id in item.region_entity_ids]))
