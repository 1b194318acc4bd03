"""Does a tiny Video LLM, trained from scratch on world data, use the mask and the clock?

`python -m benchmarks.learning --seeds 3 --json` renders a world to learn from and another one that is held
out, writes pairs from the truth with the pipeline's own stages, trains the preset `tiny` once per seed, and
asks it the world's bench (`strefer_core.evaluation.world_bench`) of the held-out videos: closed questions, of
which the likeliest option (nats per token) is the answer.

The mask effect is the accuracy with the right masks minus that with the masks of other things of the same
video, on the questions whose right answer that makes wrong; the time effect likewise with other intervals.
Text only is the better of two predictors that see no video. Values are means over seeds, intervals of 95 %
over resampled videos; `seeds` has each seed's own.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import learning_data
from strefer_core.evaluation import asking, figures, world_bench, world_report
from strefer_core.evaluation.items import RIGHT, SHIFTED, SHUFFLED, Condition, Item, WorldBench
from strefer_core.evaluation.results import Result, ResultsFile
from strefer_core.probe.pool import run_all
from strefer_core.probe.videos import NONE

WEIGHTS = {"G1": 0.2, "G2": 0.2, "G3": 2.0, "G4": 0.7, "G5": 1.0, "G6": 0.4, "G7": 3.0, "G8": 0.2}
"""Of the groups: what happens when is learned slowest, since wording gives nothing away of it."""


# --- training and asking ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Run:
    """One seed's training and answers."""

    seed: int
    loss: float
    results: list[Result]
    cpu_seconds: int


def run(seed: int, folder: Path, steps: int) -> Run:
    """Train and ask, on one core."""
    import torch

    begun_s = _cpu_s()
    torch.set_num_threads(1)
    from strefer_core.training.options import TrainingOptions
    from strefer_core.training.training import train
    from strefer_core.video_llm.answering import VideoLlmAnswerer

    out = folder / f"seed-{seed}"
    options = TrainingOptions(
        dataset=folder / "learned",
        out=out,
        cache=folder / "cache",
        weights=WEIGHTS,
        seed=seed,
        steps=steps,
        arguments={"save_strategy": "no"},
    )
    trained = train(options)
    bench = world_bench.load(folder / "held_out" / world_bench.BENCH_FILE)
    file = ResultsFile(out / "answers", {"model": str(trained.model)})
    asking.ask_closed(bench, VideoLlmAnswerer.load(trained.model, folder / "cache" / "frames"), file)
    return Run(seed=seed, loss=trained.loss, results=file.results, cpu_seconds=_cpu_s() - begun_s)


def _cpu_s(who: int = resource.RUSAGE_SELF) -> int:
    used = resource.getrusage(who)
    return round(used.ru_utime + used.ru_stime)


# --- figures ------------------------------------------------------------------------------------------------


def told(bench: WorldBench, runs: Sequence[Run]) -> dict[str, Any]:
    """What is reported; every figure as [value, low, high]."""
    text = world_report.make_report(bench, runs[0].results).groups
    return {
        **_effects(bench, [result for one in runs for result in one.results]),
        "groups": {
            group: {
                "accuracy": _accuracy(bench, runs, lambda item, g=group: item.group == g),  # type: ignore[misc]
                "chance": row.chance,
                "text_only": _triple(row.text_only),
            }
            for group, row in text.items()
        },
        "accuracy": _accuracy(bench, runs, lambda _: True),
        "seeds": {str(one.seed): {**_effects(bench, one.results), "loss": one.loss} for one in runs},
        "items": len(bench.items),
        "videos": len(bench.videos),
    }


def _effects(bench: WorldBench, results: Sequence[Result]) -> dict[str, list[float | None]]:
    return {
        "mask_effect_points": _effect(bench, results, SHUFFLED),
        "time_effect_points": _effect(bench, results, SHIFTED),
    }


def _effect(bench: WorldBench, results: Sequence[Result], condition: Condition) -> list[float | None]:
    right, changed = (_rights(results, one) for one in (RIGHT, condition))
    items = [item for item in bench.items if item.item_id in changed]
    values = [right[item.item_id] - changed[item.item_id] for item in items]
    return _triple(figures.points(figures.mean(values, [item.video for item in items], 0)))


def _accuracy(bench: WorldBench, runs: Sequence[Run], wanted: Callable[[Item], bool]) -> list[float | None]:
    right = _rights([result for one in runs for result in one.results], RIGHT)
    items = [item for item in bench.items if wanted(item)]
    values = [right[item.item_id] for item in items]
    return _triple(figures.mean(values, [item.video for item in items], 0))


def _rights(results: Sequence[Result], condition: Condition) -> dict[str, float]:
    """By item, how often it was answered right over the seeds."""
    found: dict[str, list[bool]] = defaultdict(list)
    for one in results:
        if one.condition == condition.name:
            found[one.item_id].append(one.right is True)
    return {item: sum(rights) / len(rights) for item, rights in found.items()}


def _triple(figure: figures.Figure) -> list[float | None]:
    values = figure.value, figure.low, figure.high
    return [None if value is None else round(value, 3) for value in values]


# --- the run ------------------------------------------------------------------------------------------------


def measure(
    seeds: int, videos: int, asked_about: int, steps: int, folder: Path, knobs: str
) -> dict[str, Any]:
    """Make the worlds, train once per seed, and ask."""
    begun = time.perf_counter()
    learning_data.learned(folder / "learned", videos, knobs)
    bench = learning_data.held_out(folder / "held_out", asked_about, knobs)
    made_s, made_cpu_s = time.perf_counter() - begun, _cpu_s() + _cpu_s(resource.RUSAGE_CHILDREN)
    # All at once: three seeds that share two cores are done sooner than two and then one.
    runs = run_all(partial(run, folder=folder, steps=steps), range(seeds), seeds)
    return {
        **told(bench, runs),
        "data_seconds": round(made_s),
        "data_cpu_seconds": made_cpu_s,
        "seed_cpu_seconds": [one.cpu_seconds for one in runs],
        "seconds": round(time.perf_counter() - begun),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=240, help="to learn from")
    parser.add_argument("--held-out", type=int, default=24)
    parser.add_argument("--steps", type=int, default=600, help="of training")
    parser.add_argument("--knobs", default=NONE, help="of the world, as of `strefer audit`")
    parser.add_argument("--folder", type=Path, help="keep the worlds and models here, and use them again")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strefer-learning-") as scratch:
        folder = given.folder or Path(scratch)
        found = measure(given.seeds, given.videos, given.held_out, given.steps, folder, given.knobs)
    print(json.dumps(found, indent=2) if given.json else _lines(found))


def _lines(found: dict[str, Any]) -> str:
    names = ("mask_effect_points", "time_effect_points", "accuracy", "seconds")
    lines = [f"{name}: {found[name]}" for name in names]
    return "\n".join([*lines, *(f"{group}: {values}" for group, values in found["groups"].items())])


if __name__ == "__main__":
    main()
