"""Everything that the rules write can be read, and the reader knows nothing of how it is written."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from strefer_core import data_model as dm
from strefer_core import reading
from strefer_core.audit.perceiving import Running, perceive
from strefer_core.backends.interfaces import Observed
from strefer_core.backends.rules import RulesTranscriber, RulesWriter
from strefer_core.backends.world import Noise
from strefer_core.config import InstructionsConfig, PipelineConfig
from strefer_core.probe.videos import load_checked
from strefer_core.reading import Unreadable, read
from strefer_core.stages import transcript
from strefer_core.world.render import render_video
from tests.samples import Sample, minimal, mover, rich, task

SEEDS = range(8)
VIDEOS = 2


@cache
def sample(name: str) -> Sample:
    return {"minimal": minimal, "mover": mover, "rich": rich}[name]()


def seen_of(given: Sample) -> Observed:
    return Observed(
        video=given.video,
        video_path=Path("not-read.mp4"),
        clips=given.clips,
        camera=(),
        entities=given.entities,
        masklets=given.masklets,
    )


def refused(items: list[dm.Instruction], seen: Observed) -> list[tuple[str, list[str], str]]:
    """The pairs that cannot be read, with the reason."""
    known = [entity.expression for entity in seen.entities]
    found = []
    for item in items:
        try:
            readings = read(item.turns, known)
        except Unreadable as error:
            found.append((item.template_id, [turn.text for turn in item.turns], str(error)))
        else:
            assert len(readings) == len(item.turns) // 2
            assert all(reading.claims for reading in readings)
    return found


@pytest.mark.parametrize("name", ["minimal", "mover", "rich"])
def test_every_pair_of_the_samples_is_read(name: str) -> None:
    segments = transcript.run(task("transcript", sample(name), RulesTranscriber())).segments
    seen = seen_of(sample(name))
    for seed in SEEDS:
        written = RulesWriter().offer(seen, segments, InstructionsConfig(), str(seed))
        assert written
        assert refused(written, seen) == []


@pytest.mark.parametrize("index", range(VIDEOS))
def test_every_pair_of_a_world_video_is_read(index: int, tmp_path: Path) -> None:
    path = render_video(5, index, tmp_path)
    running = Running.of(path, load_checked(path), PipelineConfig(), Noise(), 1)
    perceive(running, "world")
    segments = running.run("transcript", dm.TranscriptResult).segments
    clips = running.result("clips", dm.ClipsResult)
    seen = Observed(
        video=running.result("videos", dm.VideosResult).video,
        video_path=path,
        clips=clips.clips,
        camera=clips.camera,
        entities=running.result("entities", dm.EntitiesResult).entities,
        masklets=running.result("masklets", dm.MaskletsResult).masklets,
    )
    written = RulesWriter().offer(seen, segments, InstructionsConfig(), "0")
    assert written
    assert refused(written, seen) == []
    for segment in segments:
        if segment.text:
            told = (dm.Turn(role="human", text="What happens?"), dm.Turn(role="gpt", text=segment.text))
            assert read(told, [entity.expression for entity in seen.entities])


def test_the_reader_shares_nothing_with_what_writes() -> None:
    folder = Path(reading.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if "backends" in name or "stages" in name], path.name
        assert "templates" not in path.read_text("utf-8").replace("and not from templates", "")
