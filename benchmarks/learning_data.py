"""Rendered worlds to learn from, as exported versions in their folders, and the bench of a held-out one.

`python -m benchmarks.learning_data --out FOLDER` writes what `strefer ablate dataset` compares; their videos
lie in `videos`:

| folder | pairs |
|---|---|
| `plain` | of the truth; questions with a region do not say what it is (pronoun replacement) |
| `named` | the same, but they do: "the red heart <region>" |
| `noisy` | of `world-noisy` perception of other videos, wrong pairs and all |
| `filtered` | those of `noisy` that the shipped filter accepts |
| `held_out` | the bench of still other videos |

The shipped filter was fitted to videos of seed 11: what it is to filter is of another seed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from strefer_core import data_model as dm
from strefer_core.audit.auditing import NOISE
from strefer_core.audit.perceiving import PerceptionName, Running, perceive
from strefer_core.backends.world import Noise
from strefer_core.config import PipelineConfig
from strefer_core.evaluation import world_bench
from strefer_core.evaluation.items import WorldBench
from strefer_core.experiments.controls import named
from strefer_core.pipeline import Filtered
from strefer_core.probe.pool import one_thread, run_all
from strefer_core.probe.videos import NONE, WorldVideo, knobs_of, load_checked
from strefer_core.released_format import to_record

LEARNED_SEED, NOISY_SEED, HELD_OUT_SEED = 11, 5, 7
PAIRS_PER_VIDEO = 120


@dataclass(frozen=True, kw_only=True)
class Written:
    """One video's pairs: records in the released format, and their lines with provenance."""

    records: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    named: list[dict[str, Any]]  # the records with the things' names in the questions, and their lines
    named_lines: list[dict[str, Any]]
    accepted: list[bool]  # by the filter; of the truth all

    @property
    def kept(self) -> list[int]:
        return [place for place, is_kept in enumerate(self.accepted) if is_kept]


def write_pairs(video: WorldVideo, perception: PerceptionName = "world") -> Written | None:
    """Render a video and write its pairs with the pipeline's own stages; None where a stage filters it."""
    with one_thread():
        path = video.fetch()
        noise = Noise.parse(NOISE) if perception == "world-noisy" else Noise()
        running = Running.of(path, load_checked(path), _config(perception), noise, 0)
        try:
            perceive(running, perception)
            running.run("transcript", dm.TranscriptResult)
            pairs = running.run("instructions", dm.InstructionsResult).instructions
        except Filtered:
            return None
    masklets = {one.entity_id: one for one in running.result("masklets", dm.MaskletsResult).masklets}
    names = {one.entity_id: one.expression for one in running.result("entities", dm.EntitiesResult).entities}
    told = [named(item, names) for item in pairs]
    return Written(
        records=[to_record(item, path.name, masklets) for item in pairs],
        lines=[asdict(item) for item in pairs],
        named=[to_record(item, path.name, masklets) for item in told],
        named_lines=[asdict(item) for item in told],
        accepted=_accepted(running, pairs, perception),
    )


def _config(perception: PerceptionName) -> PipelineConfig:
    config = PipelineConfig()
    instructions = config.instructions.model_copy(update={"max_per_video": PAIRS_PER_VIDEO})
    quality = config.quality.model_copy(update={"filter": "" if perception == "world" else perception})
    return config.model_copy(update={"instructions": instructions, "quality": quality})


def _accepted(running: Running, pairs: Sequence[dm.Instruction], perception: PerceptionName) -> list[bool]:
    if perception == "world":
        return [True] * len(pairs)
    accepted = set(running.run("quality", dm.QualityResult).accepted_ids)
    return [one.instruction_id in accepted for one in pairs]


def written(
    folder: Path, seed: int, videos: int, knobs: str, perception: PerceptionName = "world"
) -> list[Written]:
    """Of all videos that gave pairs; rendered ones are kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        WorldVideo(seed=seed, index=index, knobs=knobs_of(knobs, seed, index), folder=folder)
        for index in range(videos)
    ]
    made = run_all(partial(write_pairs, perception=perception), wanted, os.cpu_count() or 1)
    return [one for one in made if one]


def save(folder: Path, records: Iterable[dict[str, Any]], lines: Iterable[dict[str, Any]]) -> None:
    """As an exported version lies in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "[\n" + ",\n".join(json.dumps(record) for record in records) + "\n]\n"
    (folder / "instructions.json").write_text(text, "utf-8")
    (folder / "instructions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def learned(folder: Path, videos: int, knobs: str) -> None:
    """Pairs of the truth beside their videos; those that are there are kept."""
    if (folder / "instructions.jsonl").exists():
        return
    made = written(folder, LEARNED_SEED, videos, knobs)
    save(folder, _all(made, "records"), _all(made, "lines"))


def _all(made: Sequence[Written], name: str, *, kept: bool = False) -> list[dict[str, Any]]:
    return [
        getattr(one, name)[place] for one in made for place in (one.kept if kept else range(len(one.lines)))
    ]


def held_out(folder: Path, videos: int, knobs: str) -> WorldBench:
    """The bench of other videos; one that is there is kept."""
    path = folder / world_bench.BENCH_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = world_bench.WorldBenchOptions(seed=HELD_OUT_SEED, videos=videos, knobs=knobs)
        world_bench.save(world_bench.build(options, folder), path)
    return world_bench.load(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=240, help="to learn from")
    parser.add_argument("--held-out", type=int, default=24)
    parser.add_argument("--knobs", default=NONE, help="of the world, as of `strefer audit`")
    given = parser.parse_args()
    held_out(given.out / "held_out", given.held_out, given.knobs)
    videos = given.out / "videos"
    truth = written(videos, LEARNED_SEED, given.videos, given.knobs)
    noisy = written(videos, NOISY_SEED, given.videos, given.knobs, "world-noisy")
    for name, made, columns, kept in (
        ("plain", truth, ("records", "lines"), False),
        ("named", truth, ("named", "named_lines"), False),
        ("noisy", noisy, ("records", "lines"), False),
        ("filtered", noisy, ("records", "lines"), True),
    ):
        records, lines = (_all(made, column, kept=kept) for column in columns)
        save(given.out / name, records, lines)
        print(f"{name}: {len(records)} pairs")


if __name__ == "__main__":
    main()
