"""Models: what was trained on which dataset, how good it is, and which one is the champion."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from strefer_core.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A trained model; never changed."""

    version: str
    manifest_key: str
    dataset_version: str
    base: str | None  # what it was trained from; None: from scratch
    preset: str
    options: dict[str, Any]
    job_id: str | None  # the training; None: brought from elsewhere
    created_at: datetime | None = None  # None: not stored yet


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One model asked one fixed bench."""

    model_version: str
    bench_id: str
    figures: dict[str, Any]
    items_key: str  # object key of every answer
    created_at: datetime | None = None  # None: not stored yet


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """One decision on one model; the newest that promotes names the champion."""

    promotion_id: str
    model_version: str
    champion_version: str | None  # before
    is_promoted: bool
    comparison: dict[str, Any]
    decided_by: str = ""  # "": the rule
    decided_at: datetime | None = None  # None: not stored yet


class Models(Database):
    """Rows of `models`, `evaluations` and `promotions`."""

    def record_model(self, model: Model) -> None:
        """Note a model; one that is known changes nothing. Raises StreferError for an unknown dataset."""
        row = asdict(model)
        del row["created_at"]
        self.all("add_model", **{**row, "options": json.dumps(model.options)})

    def find_model(self, version: str) -> Model | None:
        rows = self.all("find_model", version=version)
        return Model(**rows[0]) if rows else None

    def models(self) -> list[Model]:
        """All models, oldest first."""
        return [Model(**row) for row in self.all("models")]

    def champion(self) -> Model | None:
        """The model that was promoted last; None where none ever was."""
        rows = self.all("champion")
        return Model(**rows[0]) if rows else None

    def record_evaluation(self, evaluation: Evaluation) -> None:
        """Write an evaluation in the place of one of the same model on the same bench."""
        row = asdict(evaluation)
        del row["created_at"]
        self.all("add_evaluation", **{**row, "figures": json.dumps(evaluation.figures)})

    def find_evaluation(self, model_version: str, bench_id: str) -> Evaluation | None:
        rows = self.all("find_evaluation", model_version=model_version, bench_id=bench_id)
        return Evaluation(**rows[0]) if rows else None

    def record_promotion(self, promotion: Promotion) -> None:
        """Append a decision; again under the same id it changes nothing."""
        row = asdict(promotion)
        del row["decided_at"]
        self.all("add_promotion", **{**row, "comparison": json.dumps(promotion.comparison)})

    def promotions(self) -> list[Promotion]:
        """All decisions, oldest first."""
        return [Promotion(**row) for row in self.all("promotions")]

    def model_drops(self, version: str) -> dict[str, int]:
        """What a model saw: `{drop_id: videos of it in the model's dataset}`."""
        return {row["drop_id"]: row["videos"] for row in self.all("model_drops", version=version)}
