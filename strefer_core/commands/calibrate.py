"""`strefer calibrate`: fit a filter, and say how far it can be trusted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from strefer_core.config import Settings, settings
from strefer_core.console import emit, progress, say, table
from strefer_core.errors import ConfigError
from strefer_core.quality.calibrating import (
    CalibrateOptions,
    Material,
    WithoutSignal,
    fit,
    gather,
    leave_one_out,
)
from strefer_core.quality.filters import Filter
from strefer_core.store.files import whole_file


def options(**given: Any) -> CalibrateOptions:
    """Options as typed."""
    return CalibrateOptions(config=settings().pipeline, **given)


def run(options: CalibrateOptions, out: Path, *, reviews: bool, leave_out: bool, as_json: bool) -> None:
    """Gather, fit, write. Raises ConfigError where the file cannot be written."""
    if out.suffix != ".json":
        raise ConfigError(f"a filter is a .json file, not {out}")
    total = len(options.audits()) * options.videos
    with progress() as bars:
        task = bars.add_task("audit", total=total)
        material = gather(options, lambda done, _: bars.update(task, completed=done))
    if reviews:
        material = _with_reviews(material, settings())
    fitted = fit(material, options.drop_videos)
    lost = _leave_one_out(material, fitted, settings().pipeline.quality.target_error) if leave_out else []
    _write(fitted, out)
    plain = fitted.model_dump(mode="json", exclude={"trees", "curve"})
    plain["leave_one_out"] = [asdict(one) for one in lost]
    emit(plain, as_json=as_json, human=tables(fitted, lost))
    say(f"  filter: {out}; use it with STREFER_PIPELINE__QUALITY__FILTER={out}")


def _with_reviews(material: Material, given: Settings) -> Material:
    from strefer_core.quality.reviewed import reviewed_examples
    from strefer_core.store.catalog import Catalog
    from strefer_core.store.objects import open_objects

    catalog, objects = Catalog(given.database_url.get_secret_value()), open_objects(given)
    found = tuple(reviewed_examples(catalog, objects, given.pipeline))
    source = {"perception": "reviews", "videos": len({one.video for one in found})}
    return Material(examples=(*material.examples, *found), sources=(*material.sources, source))


def _leave_one_out(material: Material, fitted: Filter, target_error: float) -> list[WithoutSignal]:
    signals = material.signals()
    found = []
    with progress() as bars:
        task = bars.add_task("without", total=len(signals))
        for one in leave_one_out(material, fitted, target_error, signals):
            found.append(one)
            bars.advance(task)
    return sorted(found, key=lambda one: -one.lost)


def _write(fitted: Filter, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(out) as part:
            part.write_text(fitted.text(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write to {out}: {error.strerror}") from error


def tables(fitted: Filter, lost: list[WithoutSignal]) -> Group:
    """What was found, for people."""
    parts = [_bars(fitted), _reliability(fitted), _signals(fitted)]
    if lost:
        rows = [[one.signal, _share(one.lost), _share(one.yield_of_right_pairs)] for one in lost]
        parts.append(table("Without a signal", ["signal", "yield lost", "yield left"], rows))
    return Group(*(item for part in parts for item in (part, Text())))


def _bars(fitted: Filter) -> Table:
    data = fitted.data
    title = f"{data.pairs} pairs of {data.videos} videos, {data.wrong} wrong"
    rows = [
        [_share(bar.target_error), _share(bar.threshold), _share(bar.error), _share(bar.yield_of_right_pairs)]
        for bar in fitted.bars
    ]
    return table(title, ["target error", "threshold", "error", "right pairs accepted"], rows)


def _reliability(fitted: Filter) -> Table:
    rows = [
        [f"{one.low:.1f} to {one.high:.1f}", one.pairs, _share(one.estimated), _share(one.wrong)]
        for one in fitted.reliability
    ]
    return table("Reliability, on videos not fitted to", ["estimate", "pairs", "estimated", "wrong"], rows)


def _signals(fitted: Filter) -> Table:
    rows = [
        [one.check, _share(one.precision), _share(one.recall), _share(one.area_under_roc)]
        for one in fitted.signals
    ]
    return table("Each signal alone", ["signal", "precision", "recall", "area under ROC"], rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
