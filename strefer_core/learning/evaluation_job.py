"""A job of the kind "evaluate": a published model asked the world's fixed bench.

Its specification has `model_version` and `bench`, the fields of `WorldBenchOptions`. The bench is made once
per machine; its id is a hash of what is asked, so that only the same questions are ever compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strefer_core import __version__
from strefer_core.config import settings
from strefer_core.errors import InputError
from strefer_core.evaluation import world_bench
from strefer_core.evaluation.results import RESULTS_FILE
from strefer_core.evaluation.running import EvalOptions, evaluate
from strefer_core.learning.jobs import Running
from strefer_core.learning.registry import fetch_model
from strefer_core.store.catalog import Evaluation

PREFIX = "evaluations"


def bench_id(bench: Mapping[str, Any]) -> str:
    """Hash of a bench's options and of the code that makes it, 12 hex digits."""
    name = json.dumps([dict(bench), __version__], sort_keys=True)
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def items_key(model_version: str, bench: str) -> str:
    """Object key of every answer of a model to a bench."""
    return f"{PREFIX}/{bench}/{model_version}.jsonl"


def run_evaluation(running: Running) -> dict[str, Any]:
    """Ask, keep the answers and the figures.

    Returns:
        `{model_version, bench_id, accuracy}`.
    """
    version, asked = running.job.spec["model_version"], running.job.spec["bench"]
    name = bench_id(asked)
    known = running.catalog.find_evaluation(version, name)
    if known is None:
        known = _evaluate(running, version, asked, name)
        running.catalog.record_evaluation(known)
    return {"model_version": version, "bench_id": name, "figures": known.figures}


def _evaluate(running: Running, version: str, asked: Mapping[str, Any], name: str) -> Evaluation:
    model = fetch_model(running.objects, version, running.folder / "model")
    out, path = running.folder / "out", _bench(asked, name)
    _check_held_out(running, version, path)
    options = EvalOptions(
        model=str(model),
        bench="world",
        data=path,
        out_dir=out,
        world=world_bench.WorldBenchOptions(**asked),
        jobs=1,
    )
    report = evaluate(options)
    key = items_key(version, name)
    running.objects.put_file(key, out / RESULTS_FILE)
    return Evaluation(model_version=version, bench_id=name, figures=report, items_key=key)


def _check_held_out(running: Running, version: str, path: Path) -> None:
    """A model that learned from the bench's own videos is not tested by them."""
    model = running.catalog.find_model(version)
    if model is None:
        raise InputError(f"model {version} is not in the catalog")
    lineage = running.catalog.dataset_lineage(model.dataset_version)
    if seen := world_bench.trained_on(world_bench.load(path), lineage):
        raise InputError(
            f"model {version} learned from {len(seen)} videos of the bench, {seen[0]} among them: choose "
            "another world for it, STREFER_LEARNING__BENCH__SEED"
        )


def _bench(asked: Mapping[str, Any], name: str) -> Path:
    """The bench's file on this machine, made where it is not there yet."""
    folder = settings().job_folder / "benches" / name
    path = folder / world_bench.BENCH_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        world_bench.save(world_bench.build(world_bench.WorldBenchOptions(**asked), folder, 1), path)
    return path
