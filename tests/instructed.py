"""The stage `instructions` with its LLM scripted, on two hand-made videos whose transcript is the rules'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from strefer_core import data_model as dm
from strefer_core import pipeline
from strefer_core.backends.rules import RulesTranscriber, RulesWriter
from strefer_core.config import InstructionsConfig, PipelineConfig, ServedModel
from strefer_core.stages import instructions, transcript
from tests.openai_server import Act, Asked, OpenAIServer, Script, connect, says
from tests.samples import Sample, mover, rich, task
from tests.settled import Settled

Change = Callable[[str], str]
Run = Callable[..., tuple[Settled, dm.StageRun, OpenAIServer]]


def config_of(backend: str = "llm", samples: int = 1, **changes: Any) -> PipelineConfig:
    section = {"backend": backend, "llm": ServedModel(model="tiny-llm", samples=samples), **changes}
    return PipelineConfig(instructions=InstructionsConfig.model_validate(section))


MOVER, RICH = mover(), rich()


@cache
def rules_transcript(video_id: str) -> tuple[dm.TranscriptSegment, ...]:
    (given,) = (one for one in (MOVER, RICH) if one.video.video_id == video_id)
    return transcript.run(task("transcript", given, RulesTranscriber())).segments


def with_transcript(
    folder: Path, given: Sample, config: PipelineConfig, texts: dict[tuple[int, int], str] | None = None
) -> Settled:
    """A bench that lacks instructions only; `texts`: a model's words, by clip and entity index."""
    bench = Settled(folder, given, config)
    count = len(given.masklets)
    segments = [
        replace(segment, text=(texts or {}).get(divmod(i, count), segment.text))
        for i, segment in enumerate(rules_transcript(given.video.video_id))
    ]
    bench.put("transcript", dm.TranscriptResult(segments=tuple(segments)))
    return bench


def written(bench: Settled) -> list[dm.Instruction]:
    """The stage's pairs, without their ids, which hold the fingerprint."""
    result = bench.result("instructions")
    assert isinstance(result, dm.InstructionsResult)
    return [replace(item, instruction_id="") for item in result.instructions]


def rules_pairs(given: Sample, turns: int = 1) -> list[dm.Instruction]:
    return list(_rules_pairs(given.video.video_id, turns))


@cache
def _rules_pairs(video_id: str, turns: int) -> tuple[dm.Instruction, ...]:
    (given,) = (one for one in (MOVER, RICH) if one.video.video_id == video_id)
    told = dm.TranscriptResult(segments=rules_transcript(video_id))
    config = config_of("rules", turns=turns)
    result = instructions.run(task("instructions", given, RulesWriter(), config, transcript=told))
    return tuple(replace(item, instruction_id="") for item in result.instructions)


def run_written(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    given: Sample,
    config: PipelineConfig | None = None,
    texts: dict[tuple[int, int], str] | None = None,
    **limits: Any,
) -> tuple[Settled, dm.StageRun, OpenAIServer]:
    """Run the stage against a scripted server.

    Args:
        folder: for states and documents.
        monkeypatch: of the test.
        script: what the server answers.
        given: `MOVER` or `RICH`.
        config: of the pipeline.
        texts: of the transcript, where a model wrote them, by clip and entity index.
        limits: of the server's settings.
    """
    monkeypatch.setattr(pipeline, "RETRY_WAITS", wait_none())
    with OpenAIServer(script) as server:
        connect(monkeypatch, server.url, **limits)
        bench = with_transcript(folder / "llm", given, config or config_of(), texts)
        return bench, bench.run("instructions"), server


def rewords(change: Change) -> Script:
    """A model that gives every text as `change` makes it."""

    def script(asked: Asked) -> Act:
        items = [{"id": item["id"], "text": change(item["text"])} for item in asked.fields["items"]]
        return says({"items": items})

    return script


SYNONYMS = {
    "moves to the left": "goes left",
    "going to the left": "travelling left",
    "moving to the left": "going left",
    "between <start_time> and <end_time>": "from <start_time> to <end_time>",
    "remains in place": "stays still",
    "stays in place": "remains in place",
}


def fluently(text: str) -> str:
    """What a good model does, for some texts."""
    for old, new in SYNONYMS.items():
        text = text.replace(old, new)
    return text
