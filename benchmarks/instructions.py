"""Pairs per second of the rules writer, and of reading and judging what it wrote, on one core."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from strefer_core import data_model as dm
from strefer_core.audit.checking import Checker
from strefer_core.audit.judging import Judge
from strefer_core.audit.perceiving import Running, perceive
from strefer_core.backends.world import Noise
from strefer_core.config import PipelineConfig
from strefer_core.probe.videos import load_checked
from strefer_core.reading import read
from strefer_core.world import render_worlds

VIDEOS = 6


def measure(folder: Path) -> None:
    """Print pairs per second of writing, reading, and reading with judging."""
    seconds = dict.fromkeys(("transcribing", "writing", "reading", "checking"), 0.0)
    pairs = 0
    for path in render_worlds(11, VIDEOS, folder / "instructions"):
        running = Running.of(path, load_checked(path), PipelineConfig(), Noise.none(), 0)
        perceive(running, "world")
        pairs += len(_time(running, seconds))
    print(f"instructions, {pairs} pairs of {VIDEOS} videos of the world, perfect perception")
    for name, spent_s in seconds.items():
        ratio = spent_s / seconds["writing"]
        print(f"  {name:14} {pairs / spent_s:7.0f} pairs/s, {ratio:.2f} of writing")


def _time(running: Running, seconds: dict[str, float]) -> tuple[dm.Instruction, ...]:
    """Add up the seconds of each step on one video; checking is reading and judging."""
    marks = [time.perf_counter()]
    running.run("transcript", dm.TranscriptResult)
    marks.append(time.perf_counter())
    pairs = running.run("instructions", dm.InstructionsResult).instructions
    marks.append(time.perf_counter())
    entities = running.result("entities", dm.EntitiesResult).entities
    for pair in pairs:
        read(pair.turns, [one.expression for one in entities])
    marks.append(time.perf_counter())
    checker = Checker(Judge(running.truth), entities, running.result("masklets", dm.MaskletsResult).masklets)
    for pair in pairs:
        checker.check(pair)
    marks.append(time.perf_counter())
    for name, (began, ended) in zip(seconds, pairwise(marks), strict=True):
        seconds[name] += ended - began
    return pairs
