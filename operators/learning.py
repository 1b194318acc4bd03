"""The tasks of `finetune_video_llm` around its jobs: is one due, which is better, who decides, what stays."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Metadata, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from operators.assets import MODELS
from operators.jobs import result_of
from strefer_core.config import settings
from strefer_core.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context


log = logging.getLogger(__name__)

_PASSED_ON = ("seed", "steps", "epochs", "learning_rate", "region_mode", "time_mode")


@task
def plan() -> dict[str, Any]:
    """What to train, from the form and the settings; skips the run where too few pairs are new.

    A run that a person started trains whatever there is, unless the form says otherwise.
    """
    from strefer_core import worker
    from strefer_core.learning.deciding import look

    context: Any = get_current_context()
    given, now, catalog = context["params"], settings().learning, worker.catalog()
    newest, champion = catalog.latest_dataset(), catalog.champion()
    if newest is None:
        raise AirflowSkipException("no dataset has been published yet")
    least = now.min_new_pairs if given.get("min_new_pairs") is None else int(given["min_new_pairs"])
    due = look(worker.objects(), newest.version, champion.dataset_version if champion else None, least)
    log.info("%s", due.why)
    if not due.is_due:
        raise AirflowSkipException(due.why)
    base = given.get("base") or None
    if base == "champion":
        base = champion.version if champion else None
    return {
        "dataset_version": newest.version,
        "preset": given.get("preset") or now.preset,
        "base": base,
        "weights": given.get("weights") or now.weights,
        **now.options,
        **{name: given[name] for name in _PASSED_ON if given.get(name) is not None},
    }


@task
def to_evaluate(trained: Any) -> list[dict[str, Any]]:
    """The challenger, and the champion with it: asked before, it answers at once from what is kept."""
    from strefer_core import worker

    champion = worker.catalog().champion()
    versions = [result_of(trained)["model_version"], *([champion.version] if champion else [])]
    bench = settings().learning.bench.model_dump()
    return [{"model_version": one, "bench": bench} for one in dict.fromkeys(versions)]


@task
def compare(trained: Any, evaluated: Sequence[Any]) -> dict[str, Any]:
    """What the rule says of the challenger; nothing is decided yet."""
    from strefer_core import worker
    from strefer_core.evaluation.comparing import Rule
    from strefer_core.learning.promoting import judge

    now = settings().learning
    bench_id, challenger = result_of(next(iter(evaluated)))["bench_id"], result_of(trained)["model_version"]
    try:
        found = judge(
            worker.catalog(), worker.objects(), challenger, bench_id,
            Rule(margin=now.margin, confidence=now.confidence), promotion_id=_identity(),
        )  # fmt: skip
    except InputError as error:
        raise AirflowFailException(str(error)) from error
    log.info("model=%s promoted=%s: %s", found.model_version, found.is_promoted, found.comparison["reason"])
    return {
        "model_version": found.model_version,
        "champion_version": found.champion_version,
        "is_better": found.is_promoted,
        "comparison": found.comparison,
        "bench_id": bench_id,
        "promotion_id": found.promotion_id,
    }


def _identity() -> str:
    """One per run: a retry decides the same once."""
    context: Any = get_current_context()
    run = context["dag_run"]
    return hashlib.sha256(f"{run.dag_id}|{run.run_id}".encode()).hexdigest()[:32]


class PromoteOperator(ApprovalOperator):
    """Asks a person whether a challenger that the rule finds better is promoted.

    Where nobody is to be asked, or the challenger is no better, the rule's word holds.

    Args:
        compared: what `compare` found; a template.
        asks: whether a person is asked; a template.
    """

    template_fields: Sequence[str] = ("compared", "asks")
    ui_color = "#f8ecd8"

    def __init__(self, *, compared: Any, asks: Any = False, **kwargs: Any) -> None:
        super().__init__(subject="Promote a model?", defaults=self.REJECT, **kwargs)
        self.compared = compared
        self.asks = asks

    def execute(self, context: Context) -> Any:
        """Ask, or decide at once."""
        from datetime import timedelta

        if not self.compared["is_better"] or str(self.asks).lower() not in ("true", "1"):
            return self._decide(self.compared["is_better"], "")
        version, reason = self.compared["model_version"], self.compared["comparison"]["reason"]
        self.subject = f"Promote model {version}?"
        self.body = f"{reason}.\n\nApprove makes it the champion; Reject, or no answer in time, does not."
        self.response_timeout = timedelta(seconds=settings().gate.answer_wait_s)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Decide as the person says."""
        user = event.get("responded_by_user") or {}
        name = str(user.get("name") or user.get("id") or "nobody")
        return self._decide(event["chosen_options"] == [self.APPROVE], name)

    def _decide(self, is_promoted: bool, by: str) -> dict[str, Any]:
        from strefer_core import worker
        from strefer_core.learning.promoting import write_card
        from strefer_core.store.catalog import Promotion

        promotion = Promotion(
            promotion_id=self.compared["promotion_id"],
            model_version=self.compared["model_version"],
            champion_version=self.compared["champion_version"],
            is_promoted=is_promoted,
            comparison=self.compared["comparison"],
            decided_by=by,
        )
        worker.catalog().record_promotion(promotion)
        key = write_card(worker.catalog(), worker.objects(), promotion, self.compared["bench_id"])
        self.log.info("model=%s promoted=%s card=%s", promotion.model_version, is_promoted, key)
        return {"model_version": promotion.model_version, "is_promoted": is_promoted, "card_key": key}


@task(outlets=[MODELS])
def announce(decided: dict[str, Any]) -> Iterator[Metadata]:
    """Tell of the new champion; a challenger that was not promoted is not told of."""
    if not decided["is_promoted"]:
        raise AirflowSkipException(f"model {decided['model_version']} was not promoted")
    yield Metadata(MODELS, {"version": decided["model_version"], "card_key": decided["card_key"]})


@task(trigger_rule=TriggerRule.NONE_FAILED)
def drop_old_models() -> list[str]:
    """Delete the files of old models, as the settings say."""
    from strefer_core import worker
    from strefer_core.learning.retention import drop_old

    now = settings().learning
    dropped = drop_old(
        worker.catalog(), worker.objects(), newest=now.keep_newest, champions=now.keep_champions
    )
    log.info("dropped the files of %d models: %s", len(dropped), ", ".join(dropped) or "none")
    return dropped
