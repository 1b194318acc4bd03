"""Finds the active entities of a video. Reads its working frames, writes who there is, in words.

The queue is `llm` because the neural recogniser is a served model; the classical one only needs a CPU.
"""

from __future__ import annotations

from strefer_core import data_model as dm
from strefer_core.backends.interfaces import EntityRecognizer, Footage
from strefer_core.footage import load_footage
from strefer_core.pipeline import Filtered, StageTask


def run(task: StageTask) -> dm.EntitiesResult:
    """The `entities` stage.

    Raises:
        Filtered: nothing active was found; there is nothing to track or to ask about.
        UnreadableVideo: a frame cannot be decoded.
        BackendError: a served model gave no usable answer.
    """
    recognizer: EntityRecognizer = task.backend
    described = recognizer.recognize(_footage(task), task.config)
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


def _footage(task: StageTask) -> Footage:
    """Many small frames, to see what moves; for a served model the sampled ones, in the size it is sent."""
    if task.config.backend == "vlm":
        return load_footage(task.video_path, fps=0.0, side_px=task.config.recognizer.max_side_px)
    return load_footage(task.video_path)
