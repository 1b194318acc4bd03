"""Does a tiny Video LLM, trained from scratch on world data, use the mask and the clock?

`python -m benchmarks.learning --seeds 3 --json` renders a world to learn from and another one that is held
out, writes pairs from the truth with the pipeline's own stages, trains the preset `tiny` once per seed, and
asks closed questions about the held-out videos: with the right mask and times, with the mask of another thing
of the same video, with another interval of the same video, and blind (black frames, no masks, the whole video
as interval).

An answer is right where the right option is the likeliest one. Options come from the data set: those that the
question lists; else the answers of the pairs that are asked in the same words (twins); else the answer with
its direction turned round; else, where one answer alone can be true (colour, kind, part of the video), those
to other questions of the same template. What has none of these is not asked, false premises (G8) among them.
Intervals are of 95 %, resampled by video.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from strefer_core import data_model as dm
from strefer_core.audit.perceiving import Running, perceive
from strefer_core.backends.world import Noise
from strefer_core.config import PipelineConfig
from strefer_core.pipeline import Filtered
from strefer_core.probe.pool import one_thread
from strefer_core.probe.videos import NONE, WorldVideo, knobs_of, load_checked
from strefer_core.released_format import to_record
from strefer_core.video_llm.samples import Choice, Sample

LEARNED_SEED, HELD_OUT_SEED = 11, 7
OPTIONS = 4
RESAMPLES = 1000
_ONE_WAY = {"left": "right", "upward": "downward", "upper": "lower", "top": "bottom"}
_OPPOSITES = {**_ONE_WAY, **{other: one for one, other in _ONE_WAY.items()}}
_DIRECTION = re.compile(rf"\b({'|'.join(_OPPOSITES)})\b")
_EXCLUSIVE = ("coarse_when.", "describe_entity.colour.", "describe_entity.what.")  # one answer alone is true
_LISTED = re.compile(r"^\([A-H]\) .*$", re.MULTILINE)


# --- the data -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A pair, with what its options are made from."""

    sample: Sample
    template_id: str
    set_key: str
    name: str  # of the thing that it is about, "" where that is none or several


@dataclass(frozen=True, kw_only=True)
class Written:
    """One video's share of a data set."""

    path: Path
    records: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    names: dict[str, str]  # entity id -> expression


def write_pairs(video: WorldVideo, pairs_per_video: int) -> Written | None:
    """Render a video and write its pairs from the truth; None where a stage filters it."""
    with one_thread():
        path = video.fetch()
        config = PipelineConfig()
        instructions = config.instructions.model_copy(update={"max_per_video": pairs_per_video})
        config = config.model_copy(update={"instructions": instructions})
        running = Running.of(path, load_checked(path), config, Noise(), 0)
        try:
            perceive(running, "world")
            running.run("transcript", dm.TranscriptResult)
            written = running.run("instructions", dm.InstructionsResult).instructions
        except Filtered:
            return None
    masklets = {one.entity_id: one for one in running.result("masklets", dm.MaskletsResult).masklets}
    entities = running.result("entities", dm.EntitiesResult).entities
    return Written(
        path=path,
        records=[to_record(item, path.name, masklets) for item in written],
        lines=[asdict(item) for item in written],
        names={one.entity_id: one.expression for one in entities},
    )


def data_set(folder: Path, seed: int, videos: int, pairs_per_video: int, knobs: str) -> list[Written]:
    """A world and its pairs, written as an exported version is; kept ones are read again."""
    kept = folder / "written.json"
    if kept.exists():
        found = json.loads(kept.read_text("utf-8"))
        return [Written(**{**one, "path": Path(one["path"])}) for one in found]
    wanted = [
        WorldVideo(seed=seed, index=index, knobs=knobs_of(knobs, seed, index), folder=folder)
        for index in range(videos)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        made = [one for one in pool.map(write_pairs, wanted, [pairs_per_video] * videos) if one]
    records = [json.dumps(record) for one in made for record in one.records]
    (folder / "instructions.json").write_text("[\n" + ",\n".join(records) + "\n]\n", "utf-8")
    lines = "".join(json.dumps(line) + "\n" for one in made for line in one.lines)
    (folder / "instructions.jsonl").write_text(lines, "utf-8")
    kept.write_text(json.dumps([asdict(one) for one in made], default=str), "utf-8")
    return made


def pairs_of(written: Written) -> list[Pair]:
    """The pairs of a video as samples."""
    from strefer_core.training.reading import of_record

    found = []
    for record, line in zip(written.records, written.lines, strict=True):
        sample = of_record(record, written.path, line["instruction_id"], line["group"], line["task_type"])
        about = set(line["region_entity_ids"]) or set(line["source_ids"]) & set(written.names)
        name = written.names[next(iter(about))] if len(about) == 1 else ""
        found.append(Pair(sample=sample, template_id=line["template_id"], set_key=line["set_key"], name=name))
    return found


# --- the questions ------------------------------------------------------------------------------------------


def choices(pairs: Sequence[Pair], pool: Sequence[Pair], rng: random.Random) -> list[Choice]:
    """Closed questions about one video; `pool` are the pairs of all, whose answers serve as options."""
    sets: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.set_key:
            sets[pair.set_key, pair.sample.turns[-1][0]].append(pair)
    templates: dict[str, list[Pair]] = defaultdict(list)
    for pair in pool:
        templates[pair.template_id].append(pair)
    found = []
    for pair in pairs:
        options = _options(
            pair, sets[pair.set_key, pair.sample.turns[-1][0]], templates[pair.template_id], rng
        )
        question, answer = pair.sample.turns[-1]
        if answer in options and len(options) > 1 and "<start_time>" not in answer:
            asked = replace(pair.sample, turns=(*pair.sample.turns[:-1], (question, "")))
            found.append(Choice(sample=asked, options=tuple(options), right=options.index(answer)))
    return found


def _options(pair: Pair, twins: Sequence[Pair], others: Sequence[Pair], rng: random.Random) -> list[str]:
    question, answer = pair.sample.turns[-1]
    if listed := _LISTED.findall(question):
        return list(listed)
    if pair.sample.task_type == "verify":
        return [answer, *sorted({twin.sample.turns[-1][1] for twin in twins} - {answer})]
    if pair.sample.group == "G8":
        return []
    if opposite := _opposite(answer):
        return [answer, opposite]
    if not pair.template_id.startswith(_EXCLUSIVE):
        return []  # what others are told may be true here as well
    said = sorted({_renamed(other, pair) for other in others} - {answer})
    return [answer, *rng.sample(said, min(OPTIONS - 1, len(said)))]


def _opposite(answer: str) -> str | None:
    """The answer with its one direction turned round, None where it has none or several."""
    found = _DIRECTION.findall(answer)
    return _DIRECTION.sub(lambda match: _OPPOSITES[match[0]], answer) if len(found) == 1 else None


def _renamed(other: Pair, pair: Pair) -> str:
    """The other's answer as if it were about this thing."""
    answer = other.sample.turns[-1][1]
    if not (other.name and pair.name):
        return answer
    bare, own = other.name.removeprefix("the "), pair.name.removeprefix("the ")
    return answer.replace(bare, own)


Change = Callable[[Sample], Sample | None]


def other_mask(pairs: Sequence[Pair], elsewhere: Sequence[Pair], rng: random.Random) -> Change:
    """The masks of another thing of the same video; of another video where there is no other thing."""

    def change(sample: Sample) -> Sample | None:
        if not sample.regions:
            return None
        shown = [region for pair in pairs for region in pair.sample.regions]
        other = [region for region in shown if region not in sample.regions]
        other = other or [region for pair in elsewhere for region in pair.sample.regions]
        if len(sample.regions) > 1:  # which of several: the same regions in another order
            return replace(sample, regions=(*sample.regions[1:], sample.regions[0]))
        return replace(sample, regions=(rng.choice(other),))

    return change


def other_time(pairs: Sequence[Pair], rng: random.Random) -> Change:
    """Another interval that is asked about in the same video, without overlap; None where there is none."""
    intervals = sorted(
        {(p.sample.start_s, p.sample.end_s) for p in pairs if p.sample.start_s is not None and p.sample.end_s}
    )

    def change(sample: Sample) -> Sample | None:
        start_s, end_s = sample.start_s, sample.end_s
        if start_s is None or end_s is None:
            return None
        apart = [
            (a, b) for a, b in intervals if a is not None and b is not None and (b <= start_s or a >= end_s)
        ]
        if not apart:
            return None
        a, b = rng.choice(apart)
        return replace(sample, start_s=a, end_s=b)

    return change


# --- answers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question as it was answered; None: this could not be asked."""

    seed: int
    video: str
    group: str
    chance: float
    right: bool
    shuffled: bool | None
    shifted: bool | None
    blind: bool


def answer_all(model: Path, cache: Path, held_out: Sequence[Written], seed: int) -> Iterator[Asked]:
    """Every closed question about the held-out videos in all four ways."""
    from strefer_core.video_llm.answering import VideoLlmAnswerer
    from strefer_core.video_llm.frames import Footage, FrameStore

    class Blind(FrameStore):
        def footage(self, video: Path) -> Footage:
            shown = super().footage(video)
            return replace(shown, video_id=shown.video_id + "-", pictures=np.zeros_like(shown.pictures))

    answerer = VideoLlmAnswerer.load(model, cache)
    blind = VideoLlmAnswerer(
        answerer.model, answerer.processor, Blind(cache, answerer.processor.settings.image_size)
    )
    by_video = [pairs_of(written) for written in held_out]
    pool = [pair for pairs in by_video for pair in pairs]
    rng = random.Random(seed)  # noqa: S311  (no secret)
    for written, pairs in zip(held_out, by_video, strict=True):
        asked = choices(pairs, pool, rng)
        changes = (other_mask(pairs, pool, rng), other_time(pairs, rng))
        right = _right(answerer, asked, lambda sample: sample)
        shuffled, shifted = (_right(answerer, asked, change) for change in changes)
        sightless = _right(blind, asked, _unseen)
        for place, one in enumerate(asked):
            yield Asked(
                seed=seed,
                video=written.path.name,
                group=one.sample.group,
                chance=1 / len(one.options),
                right=bool(right[place]),
                shuffled=shuffled[place],
                shifted=shifted[place],
                blind=bool(sightless[place]),
            )


def _unseen(sample: Sample) -> Sample:
    whole = {} if sample.start_s is None else {"start_s": 0.0, "end_s": 1e9}
    return replace(sample, regions=tuple({} for _ in sample.regions), **whole)  # type: ignore[arg-type]


def _right(answerer: Any, asked: Sequence[Choice], change: Change) -> list[bool | None]:
    """Whether the right option is the likeliest after a change of the sample; None where it has none."""
    changed = [change(one.sample) for one in asked]
    left = [(sample, one.options) for sample, one in zip(changed, asked, strict=True) if sample]
    scores = iter(answerer.log_likelihoods_of(left))
    return [
        int(np.argmax(next(scores))) == one.right if sample else None
        for sample, one in zip(changed, asked, strict=True)
    ]


# --- figures ------------------------------------------------------------------------------------------------


def figures(asked: Sequence[Asked]) -> dict[str, Any]:
    """What is reported; every figure as [value, low, high]."""
    groups = sorted({one.group for one in asked})
    return {
        "mask_effect_points": _interval([one for one in asked if one.shuffled is not None], _mask_effect),
        "time_effect_points": _interval([one for one in asked if one.shifted is not None], _time_effect),
        "groups": {group: _of_group([one for one in asked if one.group == group]) for group in groups},
        "questions": len(asked),
    }


def _of_group(asked: Sequence[Asked]) -> dict[str, Any]:
    return {
        "accuracy": _interval(asked, lambda some: _mean([one.right for one in some])),
        "chance": _mean([one.chance for one in asked]),
        "text_only": _interval(asked, lambda some: _mean([one.blind for one in some])),
        "questions": len(asked),
    }


def _mask_effect(asked: Sequence[Asked]) -> float:
    return 100 * (_mean([one.right for one in asked]) - _mean([bool(one.shuffled) for one in asked]))


def _time_effect(asked: Sequence[Asked]) -> float:
    return 100 * (_mean([one.right for one in asked]) - _mean([bool(one.shifted) for one in asked]))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _interval(asked: Sequence[Asked], figure: Callable[[Sequence[Asked]], float]) -> list[float]:
    """The figure and its 95 % interval over resampled videos."""
    by_video: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        by_video[one.video].append(one)
    names, rng = sorted(by_video), np.random.default_rng(0)
    drawn = [
        figure([one for place in rng.integers(len(names), size=len(names)) for one in by_video[names[place]]])
        for _ in range(RESAMPLES if names else 0)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (float("nan"),) * 2
    return [round(value, 3) for value in (figure(asked), float(low), float(high))]


# --- the run ------------------------------------------------------------------------------------------------


def measure(
    seeds: int, videos: int, held_out: int, steps: int | None, folder: Path, knobs: str
) -> dict[str, Any]:
    """Make the worlds, train once per seed, and ask."""
    from strefer_core.training.options import TrainingOptions
    from strefer_core.training.training import train

    begun = time.perf_counter()
    data_set(folder / "learned", LEARNED_SEED, videos, 120, knobs)
    asked_about = data_set(folder / "held_out", HELD_OUT_SEED, held_out, 60, knobs)
    made_s = time.perf_counter() - begun
    asked: list[Asked] = []
    for seed in range(seeds):
        options = TrainingOptions(
            dataset=folder / "learned",
            out=folder / f"seed-{seed}",
            cache=folder / "cache",
            seed=seed,
            steps=steps,
            arguments={"save_strategy": "no"},
        )
        trained = train(options)
        asked += answer_all(trained.model, folder / "cache" / "frames", asked_about, seed)
        print(f"seed {seed}: loss {trained.loss:.3f}, {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    by_seed = {str(seed): figures([one for one in asked if one.seed == seed]) for seed in range(seeds)}
    return {
        **figures(asked),
        "seeds": {name: {key: one[key] for key in list(one)[:2]} for name, one in by_seed.items()},
        "data_seconds": round(made_s),
        "seconds": round(time.perf_counter() - begun),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=240, help="to learn from")
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--steps", type=int, default=1200, help="of training")
    parser.add_argument("--knobs", default=NONE, help="of the world, as of `strefer audit`")
    parser.add_argument("--folder", type=Path, help="keep the worlds and models here, and use them again")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strefer-learning-") as scratch:
        found = measure(
            given.seeds, given.videos, given.held_out, given.steps, given.folder or Path(scratch), given.knobs
        )
    print(json.dumps(found, indent=2) if given.json else _told(found))


def _told(found: dict[str, Any]) -> str:
    lines = [f"{name}: {found[name]}" for name in ("mask_effect_points", "time_effect_points", "seconds")]
    return "\n".join([*lines, *(f"{group}: {values}" for group, values in found["groups"].items())])


if __name__ == "__main__":
    main()
