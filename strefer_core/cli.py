"""The `strefer` command. Results on stdout, progress on stderr, `--json` for machines.

Exit codes: 0 done; 1 the work ended with failures; 2 the call or the settings are wrong; 3 a service or
part did not answer. Everything heavy is imported inside its command, so that `--help` is instant.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from strefer_core import __version__
from strefer_core.errors import ConfigError, InputError, StackError, StoreError, StreferError

FILE = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
perception = click.option(
    "--perception",
    type=click.Choice(["classical", "gpu"]),
    help="What finds and follows things: OpenCV, or neural models. Default: as the settings say.",
)
models = click.option(
    "--models", type=FOLDER, help="Of gpu: folder with groundingdino/, sam2/ and clip/ in it."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
P = ParamSpec("P")
R = TypeVar("R")


def loads_models(command: Callable[P, R]) -> Callable[P, R]:
    """Stops a command that may load models where an installed torchvision would break every one of them."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        from strefer_core.torchvision_guard import check_torchvision

        check_torchvision()
        return command(*args, **kwargs)

    return guarded


class Commands(click.Group):
    """Turns expected errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StreferError as error:
            click.echo(f"strefer: {error}", err=True)
            code = {ConfigError: 2, InputError: 2, StackError: 3, StoreError: 3}
            sys.exit(next((c for kind, c in code.items() if isinstance(error, kind)), 1))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="strefer")
def main() -> None:
    """Space-time instruction data from raw video: ingest, annotate, check, publish."""


@main.command()
@click.option("--cpu", default=1, show_default=True, help="Processes on the cpu queue.")
@click.option("--gpu", default=1, show_default=True, help="Processes on the gpu queue.")
@click.option("--llm", default=1, show_default=True, help="Processes on the llm queue.")
@as_json
def up(cpu: int, gpu: int, llm: int, as_json: bool) -> None:
    """Start the embedded stack (or find the one that runs) and wait until it is ready."""
    from strefer_core.commands import stack

    stack.up({"cpu": cpu, "gpu": gpu, "llm": llm}, as_json=as_json)


@main.command()
def down() -> None:
    """Stop the embedded stack; its state stays for the next `up`."""
    from strefer_core.commands import stack

    stack.down()


@main.command()
@as_json
def status(as_json: bool) -> None:
    """Show each part of the embedded stack: state, health, memory, log. Exits 1 if one is down."""
    from strefer_core.commands import stack

    sys.exit(0 if stack.status(as_json=as_json) else 1)


@main.command()
@as_json
def config(as_json: bool) -> None:
    """Show the settings in force and the variable that sets each. Secrets are masked."""
    from strefer_core.commands import config as command

    command.show(as_json=as_json)


@main.command()
@click.option("--gpu", is_flag=True, help="Instead: which models run where, and what they lack.")
@as_json
def doctor(gpu: bool, as_json: bool) -> None:
    """Check what this machine can run and what it can reach. Exits 1 if something is broken."""
    if gpu:
        from strefer_core.commands import doctor_gpu

        sys.exit(0 if doctor_gpu.check(as_json=as_json) else 1)
    from strefer_core.commands import doctor as command

    sys.exit(0 if command.check(as_json=as_json) else 1)


@main.command()
@click.argument("source")
@click.option("--sha256", default="", help="Checksum that they must have.")
@as_json
def weights(source: str, sha256: str, as_json: bool) -> None:
    """Fetch weights (a folder, s3://bucket/prefix, owner/name[@revision]) and print their checksum."""
    from strefer_core.commands import weights as command

    command.show(source, sha256, as_json=as_json)


@main.command()
@click.argument("videos", nargs=-1, required=True, type=FILE)
@click.option("--out", "out_dir", required=True, type=FOLDER, help="Folder for dataset and overlays.")
@perception
@models
@as_json
@loads_models
def run(videos: tuple[Path, ...], out_dir: Path, as_json: bool, **given: Any) -> None:
    """Run every stage on VIDEOS (files or folders) in this process: no Airflow, no server."""
    from strefer_core.commands import run as command

    sys.exit(0 if command.run(list(videos), out_dir, as_json=as_json, **given) else 1)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=FILE)
@click.option("--name", help="Name of the drop; default: the time.")
@click.option("--failure-tolerance", type=click.FloatRange(0, 1), help="Share of failed videos to accept.")
@as_json
def drop(paths: tuple[Path, ...], name: str | None, failure_tolerance: float | None, as_json: bool) -> None:
    """Upload PATHS (files or folders) as one drop, start the DAGs and follow them to the end."""
    from strefer_core.commands import drop as command

    sys.exit(0 if command.drop(list(paths), name, failure_tolerance, as_json=as_json) else 1)


@main.command()
@click.argument("video")
@click.option("--out", "out_dir", type=FOLDER, help="Write the overlay pictures here.")
@click.option("--animate", is_flag=True, help="Write an animation as well.")
@click.option(
    "--regions",
    type=click.Choice(["point", "box", "scribble", "polygon"]),
    help="Write the masklets' regions in this format, as JSON in pixels.",
)
@click.option(
    "--prompt",
    type=click.Choice(["som", "numberit"]),
    help="Write the frames with Set-of-Mark marks or with NumberIt numbers.",
)
@as_json
def show(video: str, out_dir: Path | None, animate: bool, regions: Any, prompt: Any, as_json: bool) -> None:
    """Show what is known of VIDEO (a file or a video id), with an overlay of its masklets."""
    from strefer_core.commands import show as command

    command.show(video, out_dir, animate=animate, regions=regions, prompt=prompt, as_json=as_json)


@main.command()
@click.argument("version", required=False)
@click.option("--out", "out_dir", required=True, type=FOLDER)
@click.option("--pronouns/--no-pronouns", default=True, help="Without: questions say what their regions are.")
@click.option("--filter/--no-filter", "filtered", default=True, help="Without: all pairs that were written.")
@as_json
def export(version: str | None, out_dir: Path, pronouns: bool, filtered: bool, as_json: bool) -> None:
    """Copy a dataset VERSION (default: the latest) to a folder, checksums verified; or a control of it, for
    `strefer ablate dataset` to hold it against."""
    from strefer_core.commands import export as command

    command.export(version, out_dir, pronouns=pronouns, filtered=filtered, as_json=as_json)


@main.group()
def world() -> None:
    """Rendered videos whose truth is known exactly."""


@world.command()
@click.option("--seed", default=0, show_default=True)
@click.option("--videos", default=6, show_default=True, type=click.IntRange(1))
@click.option("--out", "out_dir", required=True, type=FOLDER)
@click.option(
    "--knob",
    "knobs",
    multiple=True,
    metavar="NAME",
    help="A difficulty that every video has (repeatable), `plan`: those of the probe's plan, `plain`: none. "
    "Default: six scenarios in turn.",
)
@as_json
def render(seed: int, videos: int, out_dir: Path, knobs: tuple[str, ...], as_json: bool) -> None:
    """Write MP4s and their truth (JSON with run-length masks)."""
    from strefer_core.commands import world as command

    command.render(seed, videos, out_dir, knobs, as_json=as_json)


@main.command()
@click.argument("paths", nargs=-1, type=FILE, metavar="[VIDEO]...")
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Of the world.")
@click.option("--videos", default=200, show_default=True, type=click.IntRange(1), help="How many to render.")
@click.option(
    "--perception",
    default="world-noisy",
    show_default=True,
    type=click.Choice(["world-noisy", "world-exact", "classical"]),
    help="What the cascades see with: the truth with errors, the truth, or the pictures.",
)
@click.option(
    "--cascade",
    "cascades",
    multiple=True,
    type=click.Choice(["first_frame", "paper", "strefer"]),
    help="Repeatable; default: all three.",
)
@click.option(
    "--knobs",
    default="plan",
    show_default=True,
    help="Difficulties: plan (all, alone and mixed), default, none, or names with commas between.",
)
@click.option("--noise", default="", help="Error rates of world-noisy: miss=0.2,switch=0.05.")
@click.option("--sweep", default="", help="Compare again with all error rates times each: 0.5,1,2.")
@click.option("--videos-dir", type=FOLDER, help="Keep the rendered videos here and use them again.")
@click.option("--jobs", type=click.IntRange(1), help="Processes; default: one per core.")
@click.option("--out", "out_dir", type=FOLDER, help="Write pictures of the worst cases here.")
@as_json
@loads_models
def probe(
    paths: tuple[Path, ...], cascades: tuple[str, ...], sweep: str, as_json: bool, **given: Any
) -> None:
    """Measure the masklet cascades against known truth: rendered videos, or VIDEO with its truth beside."""
    from strefer_core.commands import probe as command

    sys.exit(0 if command.run(command.options(paths, cascades, sweep, **given), as_json=as_json) else 1)


@main.command()
@click.option("--seed", default=11, show_default=True, type=click.IntRange(0), help="Of the world.")
@click.option("--videos", default=200, show_default=True, type=click.IntRange(1), help="How many to render.")
@click.option(
    "--perception",
    default="world",
    show_default=True,
    type=click.Choice(["world", "world-noisy", "classical"]),
    help="What pairs are made from: the truth, masklets that a cascade gets with errors, or the pictures.",
)
@click.option(
    "--knobs",
    default="plan",
    show_default=True,
    help="Difficulties: plan (all, alone and mixed), default, none, or names with commas between.",
)
@click.option("--noise", default="", help="Error rates of world-noisy: x1.5 (the default), miss=0.2.")
@click.option("--videos-dir", type=FOLDER, help="Keep the rendered videos here and use them again.")
@click.option("--jobs", type=click.IntRange(1), help="Processes; default: one per core.")
@click.option("--out", "out_dir", type=FOLDER, help="Write every wrong pair here, as lines of JSON.")
@click.option(
    "--filter",
    is_flag=False,
    flag_value="",
    help="Judge what a filter accepts, too: its name or file; alone: the one for the perception.",
)
@as_json
def audit(as_json: bool, **given: Any) -> None:
    """Hold every generated pair against the truth of rendered videos, and report what is wrong."""
    from strefer_core.commands import audit as command

    sys.exit(0 if command.run(command.options(**given), as_json=as_json) else 1)


@main.command()
@click.option("--seed", "seeds", multiple=True, default=[7], show_default=True, type=click.IntRange(0))
@click.option("--videos", default=120, show_default=True, type=click.IntRange(5), help="Per seed and noise.")
@click.option(
    "--perception",
    default="world-noisy",
    show_default=True,
    type=click.Choice(["world-noisy", "classical"]),
    help="What pairs are made from: masklets that a cascade gets with errors, or the pictures.",
)
@click.option("--noise", "noises", multiple=True, default=[""], help="As of audit; repeatable.")
@click.option("--knobs", default="plan", show_default=True, help="As of audit.")
@click.option("--without-knob", default="", help="Leave out videos with this difficulty.")
@click.option(
    "--drop-videos",
    type=click.IntRange(5),
    help="Meet targets on drops of so few videos, 9 times of 10; default: as many as it learns from.",
)
@click.option("--reviews", is_flag=True, help="Learn from what people decided in the catalog, too.")
@click.option("--leave-one-out", "leave_out", is_flag=True, help="Fit again without each signal, too.")
@click.option("--videos-dir", type=FOLDER, help="Keep the rendered videos here and use them again.")
@click.option("--jobs", type=click.IntRange(1), help="Processes; default: one per core.")
@click.option("--out", required=True, type=FILE, help="Where to write the filter, a .json file.")
@as_json
def calibrate(out: Path, reviews: bool, leave_out: bool, as_json: bool, **given: Any) -> None:
    """Fit the noise filter to pairs whose truth is known."""
    from strefer_core.commands import calibrate as command

    command.run(command.options(**given), out, reviews=reviews, leave_out=leave_out, as_json=as_json)


@main.command(name="eval")
@click.argument("model")
@click.option(
    "--bench",
    required=True,
    type=click.Choice(["world", "videorefer-d", "videorefer-q", "qvhighlights", "tempcompass", "videomme"]),
)
@click.option("--data", type=FILE, help="Where the bench lies; of world: its file or a folder of videos.")
@click.option(
    "--videos-dir", type=FOLDER, help="Where its videos lie; default: beside the data, or in videos there."
)
@click.option("--out", "out_dir", required=True, type=FOLDER, help="Results; a run that stopped goes on.")
@click.option(
    "--region",
    "region_mode",
    type=click.Choice(["connector", "som", "none"]),
    help="How regions are shown: tokens, drawn marks, or not at all. Default: as the model was trained.",
)
@click.option(
    "--time-tokens",
    "time_mode",
    type=click.Choice(["31", "ours", "number", "text"]),
    help="How times are told: tokens, drawn frame numbers, or seconds. Default: as the model was trained.",
)
@click.option("--world-seed", default=11, show_default=True, type=click.IntRange(0), help="Of the world.")
@click.option(
    "--first-index", default=0, show_default=True, type=click.IntRange(0), help="First world video."
)
@click.option("--videos", default=40, show_default=True, type=click.IntRange(1), help="World videos.")
@click.option(
    "--per-task", default=6, show_default=True, type=click.IntRange(1), help="Items per task, video."
)
@click.option("--free", is_flag=True, help="World: also judge answers in the model's own words.")
@click.option("--multi-frame", is_flag=True, help="VideoRefer-Bench D: all masks instead of one.")
@click.option("--served-model", default="", help="Name of the model behind url:http://host:8000/v1.")
@click.option("--judge", "judge_model", default="", help="Name of the judge behind STREFER_LLM__BASE_URL.")
@click.option("--jobs", type=click.IntRange(1), help="Processes that make items; default: one per core.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the intervals.")
@as_json
@loads_models
def evaluate(model: str, as_json: bool, **given: Any) -> None:
    """Evaluate MODEL (a folder, or url:http://...) on a bench. Exits 1 if videos were missing."""
    from strefer_core.commands import eval as command

    sys.exit(0 if command.run(command.options(model=model, **given), as_json=as_json) else 1)


@main.command()
@click.option("--preset", default="tiny", show_default=True, type=click.Choice(["tiny", "phi3", "qwen3"]))
@click.option(
    "--dataset", required=True, help="A version, an exported folder, or a file in the released format."
)
@click.option(
    "--out", required=True, type=FOLDER, help="For the model; a training that was cut off goes on there."
)
@click.option("--videos", type=FOLDER, help="Where the records' videos lie; default: beside the dataset.")
@click.option("--cache", type=FOLDER, help="For decoded frames, shared by trainings; default: OUT/cache.")
@click.option("--base", type=FOLDER, help="A trained model to start from.")
@click.option("--vision", type=FOLDER, help="A pre-trained vision tower to start from.")
@click.option(
    "--language", type=FOLDER, help="A pre-trained language model to start from, with its tokenizer."
)
@click.option(
    "--add", "others", multiple=True, metavar="NAME=FILE", help="Another set, in the released format."
)
@click.option("--weight", "weights", multiple=True, metavar="NAME=NUMBER", help="Of a group or added set.")
@click.option("--first", multiple=True, metavar="NAME=NUMBER", help="Likewise, for the first steps alone.")
@click.option("--steps", type=click.IntRange(1), help="Default: one epoch.")
@click.option("--epochs", default=1.0, show_default=True, type=float)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--region", "region_mode", default="connector", show_default=True, help="Or som, none.")
@click.option("--time-tokens", "time_mode", default="31", show_default=True, help="Or ours, text, number.")
@click.option("--batch", "videos_per_batch", type=click.IntRange(1), help="Videos in a batch.")
@click.option("--learning-rate", type=float)
@click.option("--tensorboard", is_flag=True, help="Write its event files, too.")
@click.option("--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="Of TrainingArguments.")
@as_json
@loads_models
def train(as_json: bool, **given: Any) -> None:
    """Train a Video LLM on a dataset; cut off and asked for again, it goes on from its last checkpoint."""
    from strefer_core.commands import train as command

    command.run(command.options(**given), as_json=as_json)


@main.command()
@click.argument(
    "name",
    type=click.Choice(["groups", "leave-one-out", "time-tokens", "region", "dataset", "mixture"]),
    metavar="STUDY",
)
@click.option("--dataset", required=True, type=FILE, help="An exported folder, or a released-format file.")
@click.option("--bench", required=True, type=FILE, help="The world's bench that every model is asked.")
@click.option("--out", required=True, type=FOLDER, help="For the page, its figure, and all that was run.")
@click.option("--videos", type=FOLDER, help="Where the records' videos lie; default: beside the dataset.")
@click.option("--add", "others", multiple=True, metavar="NAME=FILE", help="Another set: the base recipe.")
@click.option("--variant", "named", multiple=True, metavar="NAME=FOLDER", help="Of the study dataset.")
@click.option("--preset", default="tiny", show_default=True, type=click.Choice(["tiny", "phi3", "qwen3"]))
@click.option("--weight", "weights", multiple=True, metavar="NAME=NUMBER", help="Of a group or added set.")
@click.option("--steps", type=click.IntRange(1), help="Default: one epoch.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="So many: 0, 1, 2, ...")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Trainings at once.")
@click.option("--draws", default=16, show_default=True, type=click.IntRange(2), help="Of mixtures.")
@click.option("--region", "region_mode", default="connector", show_default=True, help="Or som, none.")
@click.option("--time-tokens", "time_mode", default="31", show_default=True, help="Or ours, text, number.")
@as_json
@loads_models
def ablate(name: Any, bench: Path, jobs: int, as_json: bool, **given: Any) -> None:
    """Train variants side by side, with seeds and intervals: groups, leave-one-out, time-tokens, region,
    dataset (filtered or not, pronouns or not), mixture (and which one a regression proposes)."""
    from strefer_core.commands import ablate as command

    asked = command.study(name, bench=bench, **given)
    command.run(asked, bench, name=name, jobs=jobs, as_json=as_json)


@main.command()
@click.option("--videos", type=FILE, help="Folder of your own videos instead of the rendered world.")
@click.option("--keep", is_flag=True, help="Leave the stack up.")
@perception
@models
def demo(videos: Path | None, keep: bool, **given: Any) -> None:
    """Bring the stack up, drop six videos, follow them to a dataset, say where everything is."""
    from strefer_core.commands import demo as command

    sys.exit(0 if command.demo(videos, keep=keep, **given) else 1)


@main.command()
def password() -> None:
    """Print the password of Airflow's user, as the embedded stack made it."""
    from strefer_core.commands import config as command

    command.password()


@main.command()
def init() -> None:
    """Prepare outside services: the catalog's schema and the bucket (`strefer up` does so by itself)."""
    from strefer_core.commands import config as command

    command.init()
