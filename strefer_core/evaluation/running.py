"""One evaluation from its options to its report: which model, which bench, where results go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from strefer_core.config import ServedEndpoint, ServedModel
from strefer_core.errors import ConfigError, InputError
from strefer_core.evaluation import asking, world_bench, world_report
from strefer_core.evaluation.items import WorldBench
from strefer_core.evaluation.prompting import EvaluationModes
from strefer_core.evaluation.published import (
    judge,
    questions,
    qvhighlights,
    tempcompass,
    videomme,
    videorefer,
)
from strefer_core.evaluation.results import ResultsFile
from strefer_core.video_llm.samples import Answerer

BenchName = Literal["world", "videorefer-d", "videorefer-q", "qvhighlights", "tempcompass", "videomme"]
BENCHES: tuple[BenchName, ...] = get_args(BenchName)

REPORT_FILE = "report.json"
Advance = Callable[[int, int], None]

_URL = "url:"


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What to evaluate. Raises ConfigError where something cannot be."""

    model: str  # a model's folder, or "url:http://host:8000/v1"
    bench: BenchName
    data: Path | None  # of the bench; of the world's: its file, or a folder of rendered videos
    out_dir: Path
    videos_dir: Path | None = None  # None: beside the world's bench file, or `videos` beside other data
    modes: EvaluationModes = field(default_factory=EvaluationModes)
    world: world_bench.WorldBenchOptions = field(default_factory=world_bench.WorldBenchOptions)
    free: bool = False  # of the world's: also answers in the model's own words
    multi_frame: bool = False  # of videorefer-d: all masks instead of one
    served_model: str = ""  # the server's name of the model behind a url
    judge_model: str = ""  # behind STREFER_LLM__BASE_URL; "": nothing is judged
    frames: int = 16  # pictures per question, of a model behind a url
    jobs: int | None = None  # processes that make the world's bench
    seed: int = 0  # of bootstraps and of chosen windows

    def __post_init__(self) -> None:
        if self.bench not in BENCHES:
            raise ConfigError(f"there is no bench {self.bench!r}; known: {', '.join(BENCHES)}")
        if self.data is None and self.bench != "world":
            raise ConfigError(f"--data says where {self.bench} lies; its files are not shipped")
        if self.model.startswith(_URL) and not self.served_model:
            raise ConfigError("a server needs the name of its model: --served-model NAME")

    def plain(self) -> dict[str, Any]:
        """What results hang on."""
        told = {
            "model": self.model,
            "bench": self.bench,
            "data": str(self.data) if self.data else None,
            "modes": asdict(self.modes),
            "served_model": self.served_model,
            "multi_frame": self.multi_frame,
            "seed": self.seed,
        }
        return told | ({"world": asdict(self.world)} if self.bench == "world" else {})


def load_model(options: EvalOptions) -> Answerer:
    """The answerer behind the options' model. Raises InputError or ConfigError where there is none."""
    if options.model.startswith(_URL):
        from strefer_core.evaluation.served_answerer import ServedAnswerer

        return ServedAnswerer(
            endpoint=ServedEndpoint(base_url=options.model.removeprefix(_URL)),
            model=ServedModel(model=options.served_model, frames=options.frames),
            region_mode=options.modes.region_mode or "som",
            time_mode=options.modes.time_mode or "number",
        )
    path = Path(options.model)
    if not path.is_dir():
        raise InputError(f"no model at {path}: name a folder that `save_pretrained` wrote, or url:http://...")
    from strefer_core.video_llm.answering import load_answerer

    loaded: Answerer = load_answerer(
        path, region_mode=options.modes.region_mode, time_mode=options.modes.time_mode
    )
    return loaded


def evaluate(
    options: EvalOptions,
    advance: Advance = lambda *_: None,
    *,
    load: Callable[[EvalOptions], Answerer] = load_model,
) -> dict[str, Any]:
    """Ask, score, write the report beside the results, and return it as JSON has it.

    Interrupted and started again, it goes on where it stopped.

    Args:
        options: what.
        advance: told how many of the questions are answered.
        load: makes the answerer.

    Raises:
        ConfigError: the options contradict each other or a kept run, or a served model cannot be asked.
        InputError: model or data are missing or not as they must be.
        BackendError: a served model does not answer; what was answered is kept.
    """
    answerer = load(options)  # first: what has no model needs no bench and leaves no folder
    ask = _world if options.bench == "world" else _published
    found = {"model": options.model, **ask(options, answerer, advance)}
    path = options.out_dir / REPORT_FILE
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return found


# --- the world's ------------------------------------------------------------------------------------------


def world(options: EvalOptions) -> WorldBench:
    """The bench in the options' file, or made from its videos and kept in the folder of the run.

    Raises InputError where a video is missing or another one than the items were made from.
    """
    bench = _world_bench(options)
    world_bench.check_videos(bench)
    return bench


def _world_bench(options: EvalOptions) -> WorldBench:
    data = options.data
    if data is not None and data.is_file():
        return world_bench.load(data, options.videos_dir)
    folder = data or options.out_dir / "videos"
    kept = options.out_dir / world_bench.BENCH_FILE
    if kept.exists():
        return world_bench.load(kept, folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = world_bench.build(options.world, folder, options.jobs)
    world_bench.save(made, kept)
    return made


def _world(options: EvalOptions, answerer: Answerer, advance: Advance) -> dict[str, Any]:
    bench = world(options)
    file = ResultsFile(options.out_dir, options.plain())
    asking.ask_closed(bench, answerer, file, advance)
    if options.free:
        asking.ask_free(bench, answerer, file, advance=advance)
    found = world_report.make_report(bench, file.results, seed=options.seed)
    return {"bench": "world", **found.plain()}


# --- published ones -----------------------------------------------------------------------------------------


def _published(options: EvalOptions, answerer: Answerer, advance: Advance) -> dict[str, Any]:
    bench = published(options)
    file = ResultsFile(options.out_dir, options.plain())
    questions.ask(bench, answerer, file, advance)
    model = ServedModel(model=options.judge_model, temperature=0.0) if options.judge_model else None
    if model and options.bench == "videorefer-d":
        judge.grade_descriptions(bench, file, model)
    elif model and options.bench == "tempcompass":
        judge.judge_answers(bench, file, model)
    results = judge.with_verdicts(file.results, options.judge_model)
    found = questions.report(bench, results, options.seed, _more(options, bench, file))
    return found.plain()


def published(options: EvalOptions) -> questions.Bench:
    """The questions of a published bench. Raises InputError where its files are not as published."""
    data = options.data
    assert data is not None  # checked by the options
    videos = options.videos_dir or (data if data.is_dir() else data.parent) / "videos"
    match options.bench:
        case "videorefer-d":
            return videorefer.load_d(data, videos, "multi" if options.multi_frame else "single")
        case "videorefer-q":
            return videorefer.load_q(data, videos)
        case "qvhighlights":
            return qvhighlights.load(data, videos, options.seed)
        case "tempcompass":
            return tempcompass.load(data, videos)
        case _:
            return videomme.load(data, videos)


def _more(options: EvalOptions, bench: questions.Bench, file: ResultsFile) -> dict[str, Any]:
    match options.bench:
        case "videorefer-d":
            found = judge.grades(bench, file.results, options.judge_model, options.seed)
            figures = {name: asdict(figure) for name, figure in found["grades"].items()}
            return found | {"grades": figures, "judge": options.judge_model or None}
        case "qvhighlights":
            return qvhighlights.more(file.results, options.seed)
        case "tempcompass":
            return tempcompass.more(file.results) | {"judge": options.judge_model or None}
        case _:
            return {}
