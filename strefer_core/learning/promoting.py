"""Promote or keep: a challenger held against the champion on the same questions; and the model card."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strefer_core.evaluation.comparing import Rule, compare
from strefer_core.evaluation.results import Result, read_results
from strefer_core.learning.registry import CARD, PREFIX
from strefer_core.store.catalog import Evaluation, Model, Promotion

if TYPE_CHECKING:
    from strefer_core.store.catalog import Catalog
    from strefer_core.store.objects import ObjectStore

FIRST = "there is no champion: the first model that is through becomes it"


def judge(
    catalog: Catalog,
    objects: ObjectStore,
    model_version: str,
    bench_id: str,
    rule: Rule,
    *,
    promotion_id: str,
) -> Promotion:
    """What the rule says of a challenger; nothing is written.

    Raises:
        InputError: an evaluation is missing, or the two were not asked the same.
        StoreError: the catalog or the object store did not answer.
    """
    champion = catalog.champion()
    if champion is None or champion.version == model_version:
        found = {"decision": "promote", "reason": FIRST}
        return _promotion(promotion_id, model_version, None, found)
    old = _results(catalog, objects, champion.version, bench_id)
    new = _results(catalog, objects, model_version, bench_id)
    compared = compare(old, new, rule)  # by the answers with the right regions and times
    return _promotion(promotion_id, model_version, champion.version, asdict(compared))


def _promotion(identity: str, model: str, champion: str | None, found: dict[str, Any]) -> Promotion:
    return Promotion(
        promotion_id=identity,
        model_version=model,
        champion_version=champion,
        is_promoted=found["decision"] == "promote",
        comparison=found,
    )


def _results(catalog: Catalog, objects: ObjectStore, model_version: str, bench_id: str) -> list[Result]:
    from strefer_core.errors import InputError

    evaluation = catalog.find_evaluation(model_version, bench_id)
    if evaluation is None:
        raise InputError(f"model {model_version} was not asked bench {bench_id}: evaluate it first")
    with tempfile.TemporaryDirectory(prefix="strefer-results-") as folder:
        path = Path(folder) / "results.jsonl"
        objects.fetch(evaluation.items_key, path)
        return list(read_results(path))


def card(model: Model, drops: dict[str, int], evaluation: Evaluation, promotion: Promotion) -> str:
    """The model card, Markdown: what it is, what it saw, how good it is, what was decided."""
    base = f"trained from `{model.base}`" if model.base else "trained from the preset's own start"
    saw = "\n".join(f"| {drop_id} | {videos} |" for drop_id, videos in drops.items())
    groups = evaluation.figures.get("groups", {})
    rows = "\n".join(_row(name, row) for name, row in sorted(groups.items()))
    decided = "promoted" if promotion.is_promoted else "kept the champion"
    return f"""# Model {model.version}

Preset `{model.preset}`, {base}, on dataset `{model.dataset_version}`.
Options: `{model.options}`.

## What it saw
| drop | videos |
|---|---|
{saw}

## How good it is
On the world's held-out bench `{evaluation.bench_id}`: rendered videos with known truth.

| group | accuracy | chance | text alone |
|---|---|---|---|
{rows}

These figures say whether masks and times are used, not how well the model does on films.

## What was decided
{decided} by {promotion.decided_by or "the rule"}: {promotion.comparison.get("reason", "")}
"""


def _row(name: str, row: dict[str, Any]) -> str:
    return f"| {name} | {_told(row, 'accuracy')} | {_told(row, 'chance')} | {_told(row, 'text_only')} |"


def _told(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    value = value.get("value") if isinstance(value, dict) else value
    return "-" if value is None else f"{value:.3f}"


def write_card(catalog: Catalog, objects: ObjectStore, promotion: Promotion, bench_id: str) -> str:
    """Write the card of a model that was decided on beside its files; returns its object key."""
    model = catalog.find_model(promotion.model_version)
    evaluation = catalog.find_evaluation(promotion.model_version, bench_id)
    assert model is not None
    assert evaluation is not None
    key = f"{PREFIX}/{model.version}/{CARD}"
    text = card(model, catalog.model_drops(model.version), evaluation, promotion)
    objects.put_bytes(key, text.encode())
    return key
