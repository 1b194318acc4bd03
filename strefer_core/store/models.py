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


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownModel:
    """A model as the pages show it: with its newest evaluation and what was decided on it last."""

    version: str
    dataset_version: str
    base: str | None
    preset: str
    options: dict[str, Any]
    job_id: str | None
    created_at: datetime
    bench_id: str | None  # None: not evaluated yet
    figures: dict[str, Any] | None
    is_promoted: bool | None  # None: not decided yet
    decided_by: str | None
    comparison: dict[str, Any] | None
    is_champion: bool | None  # None: there is no champion

    @property
    def standing(self) -> str:
        """In one or two words."""
        if self.is_champion:
            return "champion"
        return {None: "undecided", True: "was champion", False: "not promoted"}[self.is_promoted]

    def figure(self, *path: str) -> float | None:
        """One figure of the evaluation; None where it is not there."""
        found: Any = self.figures
        for name in (*path, "value"):
            found = found.get(name) if isinstance(found, dict) else None
        return float(found) if isinstance(found, int | float) else None


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

    def shown_models(self, version: str = "", count: int = 100) -> list[ShownModel]:
        """Models newest first, or the one of this version."""
        rows = self.all("shown_models", version=version, count=count)
        return [ShownModel(**row) for row in rows]

    def model_drops(self, version: str) -> dict[str, int]:
        """What a model saw: `{drop_id: videos of it in the model's dataset}`."""
        return {row["drop_id"]: row["videos"] for row in self.all("model_drops", version=version)}
