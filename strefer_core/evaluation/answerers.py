"""Answerers without a model: what an evaluation must come to for one that knows all, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from strefer_core import data_model as dm
from strefer_core.evaluation.items import WorldBench
from strefer_core.evaluation.world_judging import VideoJudge
from strefer_core.released_format import format_time
from strefer_core.video_llm.samples import Sample

_SURE = 10.0  # nats between what an oracle takes for right and for wrong


class SaysYes:
    """Says yes to everything; of options that it is given, the one that begins with it."""

    def answer(self, samples: Sequence[Sample], *, max_new_tokens: int = 64) -> list[str]:
        return ["Yes."] * len(samples)

    def log_likelihoods(self, sample: Sample, options: Sequence[str]) -> list[float]:
        return [-1.0 if option.lower().startswith("yes") else -2.0 for option in options]


class WorldOracle:
    """Looks at the masks and times that it is given, and knows the truth about whatever they show.

    Where the masks are empty, every answer that says anything of the thing is as good as any other.

    Args:
        bench: whose items it is asked.
    """

    def __init__(self, bench: WorldBench) -> None:
        self._items = {item.item_id: item for item in bench.items}
        self._judges: dict[Path, VideoJudge] = {}

    def answer(self, samples: Sequence[Sample], *, max_new_tokens: int = 64) -> list[str]:
        return [self._answer(sample) for sample in samples]

    def _answer(self, sample: Sample) -> str:
        item = self._items[sample.sample_id]
        texts = (item.answer, *item.options)
        if item.option_intervals_s:
            start_s, end_s = item.option_intervals_s[item.right]
            sample = replace(sample, start_s=start_s, end_s=end_s)
        scores = self.log_likelihoods(sample, texts)
        text = texts[int(np.argmax(scores))]
        if "<start_time>" in item.question or sample.start_s is None or sample.end_s is None:
            return text
        clock = format_time(sample.start_s), format_time(sample.end_s)
        return text.replace("<start_time>", clock[0]).replace("<end_time>", clock[1])

    def log_likelihoods(self, sample: Sample, options: Sequence[str]) -> list[float]:
        return [-1.0 if self._is_right(sample, option) else -1.0 - _SURE for option in options]

    def _is_right(self, sample: Sample, option: str) -> bool:
        judge = self._judge(sample.video)
        item = self._items[sample.sample_id]
        pair = dm.Instruction(
            instruction_id=item.item_id,
            video_id="",
            group=item.group,
            task_type=item.task_type,
            turns=(dm.Turn(role="human", text=item.question), dm.Turn(role="gpt", text=option)),
            region_entity_ids=tuple(judge.entity_under(region) or "" for region in sample.regions),
            start_s=sample.start_s,
            end_s=sample.end_s,
        )
        said = judge.said(pair, option)
        return said is not None and not judge.faults(said)

    def _judge(self, video: Path) -> VideoJudge:
        if video not in self._judges:
            self._judges[video] = VideoJudge.of(video)
        return self._judges[video]
