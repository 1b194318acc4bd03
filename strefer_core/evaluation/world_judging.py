"""What is right to answer about one world video, asked with any entities and any interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from strefer_core import claims as cl
from strefer_core import data_model as dm
from strefer_core.audit.checking import Checker, Verdict
from strefer_core.audit.judging import Fault, Judge
from strefer_core.audit.perceiving import Running, perceive, true_entities, true_masklets
from strefer_core.backends.world import Noise
from strefer_core.config import PipelineConfig
from strefer_core.evaluation.items import Interval
from strefer_core.probe.videos import load_checked
from strefer_core.video_llm.samples import Region

_OF_FORM = frozenset(("leak", "malformed", "unreadable", "wrong_region"))
"""Faults of how a pair is put, not of what it says."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """A question with one answer to it, read."""

    pair: dm.Instruction
    readings: tuple[cl.Reading, ...]


class VideoJudge:
    """Judges answers about one world video by its truth."""

    def __init__(self, running: Running) -> None:
        self.entities = running.keep("entities", true_entities(running)).entities
        self.masklets = running.keep("masklets", true_masklets(running, self.entities)).masklets
        self.duration_s = running.truth.duration_s
        self.video_sha256 = running.truth.video_sha256
        self._checker = Checker(Judge(running.truth), self.entities, self.masklets)

    @classmethod
    def of(cls, path: Path) -> VideoJudge:
        """Of a video with its truth beside it. Raises InputError where there is none."""
        return cls(_running(path))

    def entity_under(self, region: Region) -> str | None:
        """The entity whose masks a region has, as they are; None where it has nobody's."""
        for one in self.masklets:
            if region and all(one.masks[place] == mask for place, mask in region.items()):
                return one.entity_id
        return None

    def right_pairs(self, pairs: Sequence[dm.Instruction]) -> list[Verdict]:
        """Those of one question that are right in all they say."""
        verdicts = [self._checker.check(pair) for pair in pairs if len(pair.turns) == 2]
        return [one for one in verdicts if one.is_right]

    def said(self, pair: dm.Instruction, answer: str) -> Said | None:
        """The pair with another answer; None where that cannot be read as an answer to its question."""
        turns = (pair.turns[0], dm.Turn(role="gpt", text=answer))
        asked = replace(pair, turns=turns, region_entity_ids=_of_question(pair), start_s=None, end_s=None)
        if any("<start_time>" in turn.text for turn in turns):
            asked = replace(asked, start_s=pair.start_s, end_s=pair.end_s)
        verdict = self._checker.check(asked)
        if not verdict.readings or any(fault.kind in ("malformed", "unreadable") for fault in verdict.faults):
            return None
        return Said(pair=asked, readings=verdict.readings)

    def faults(
        self, said: Said, region_ids: Sequence[str] | None = None, interval_s: Interval | None = None
    ) -> list[Fault]:
        """What is wrong with an answer, about these entities and this interval where they are given."""
        pair = said.pair
        if region_ids is not None:
            pair = replace(pair, region_entity_ids=tuple(region_ids))
        if interval_s is not None:
            pair = replace(pair, start_s=interval_s[0], end_s=interval_s[1])
        found = self._checker.faults(said.readings, self._checker.reference(pair))
        return [fault for fault in found if fault.kind not in _OF_FORM]


def _of_question(pair: dm.Instruction) -> tuple[str, ...]:
    """The regions that the question points at; an option that names one of them again has none of its own."""
    return pair.region_entity_ids[: pair.turns[0].text.count("<region>")]


def _running(path: Path) -> Running:
    return Running.of(path, load_checked(path), PipelineConfig(), Noise.none(), 0)


def judged_pairs(path: Path) -> tuple[VideoJudge, list[Verdict]]:
    """The judge of a video, and the pairs that the instruction engine makes of its truth, the right ones.

    Raises:
        InputError: the video or its truth cannot be read.
        Filtered: a stage goes no further with it.
    """
    running = _running(path)
    perceive(running, "world")
    running.run("transcript", dm.TranscriptResult)
    pairs = running.run("instructions", dm.InstructionsResult).instructions
    judge = VideoJudge(running)
    return judge, judge.right_pairs(pairs)
