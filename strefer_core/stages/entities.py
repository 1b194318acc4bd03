"""Finds the active entities of a video. Reads its working frames, writes who there is, in words.

The queue is `llm` because the neural recogniser is a served model; the classical one only needs a CPU.
"""

from __future__ import annotations

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import EntityRecognizer
from strefer_core.footage import load_footage
from strefer_core.pipeline import Filtered, StageTask


def run(task: StageTask) -> dm.EntitiesResult:
    """The `entities` stage.

    Raises:
        Filtered: nothing active was found; there is nothing to track or to ask about.
        UnreadableVideo: a frame cannot be decoded.
    """
    recognizer: EntityRecognizer = task.backend
    described = recognizer.recognize(load_footage(task.video_path), task.config.max_entities)
    result = dm.EntitiesResult(
        entities=tuple(
            dm.Entity(
                entity_id=task.new_id("ent", index),
                video_id=task.video_id,
                index=index,
                expression=one.expression,
                noun=one.noun,
                generalized_noun=one.generalized_noun,
                attributes=one.attributes,
            )
            for index, one in enumerate(described)
        )
    )
    if not result.entities:
        raise Filtered("no active entity that can be told from others", result)
    return result
