"""Jobs, models and promotions on a real catalog: asked once, ended once, and who is the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from strefer_core.errors import StreferError
from strefer_core.store.catalog import Catalog, Evaluation, Model, Promotion, TrainingFigure
from tests import sample_results as sample
from tests.dashboard_site import fill
from tests.postgres import rows

pytest_plugins = ["tests.integration.catalog_fixtures"]


def test_a_job_is_asked_for_once(pg_catalog: Catalog) -> None:
    first = pg_catalog.open_job("j", "train", {"preset": "tiny"})
    assert (first.status, first.attempts, first.spec) == ("open", 0, {"preset": "tiny"})
    assert pg_catalog.start_job("j") == 1
    assert pg_catalog.open_job("j", "train", {"preset": "tiny"}).status == "running"
    pg_catalog.finish_job("j", {"model_version": "m"})
    done = pg_catalog.open_job("j", "train", {"preset": "tiny"})
    assert (done.status, done.result) == ("done", {"model_version": "m"})
    assert pg_catalog.start_job("j") == 0
    assert pg_catalog.find_job("unknown") is None


def test_a_failed_job_is_begun_anew_when_it_is_asked_for_again(pg_catalog: Catalog) -> None:
    pg_catalog.open_job("j", "train", {})
    pg_catalog.start_job("j")
    pg_catalog.finish_job("j", None, ("WorkerLost", "out of memory"))
    found = pg_catalog.find_job("j")
    assert found is not None
    assert (found.status, found.error_class, found.reason) == ("failed", "WorkerLost", "out of memory")
    again = pg_catalog.open_job("j", "train", {})
    assert (again.status, again.attempts, again.reason) == ("open", 0, None)


def test_a_start_after_a_death_counts_and_an_outage_does_not(pg_catalog: Catalog) -> None:
    pg_catalog.open_job("j", "train", {})
    assert [pg_catalog.start_job("j"), pg_catalog.start_job("j")] == [1, 2]
    pg_catalog.reopen_job("j")
    assert pg_catalog.start_job("j") == 2


def test_a_cancelled_job_is_not_begun_and_not_finished(pg_catalog: Catalog) -> None:
    pg_catalog.open_job("j", "evaluate", {})
    pg_catalog.start_job("j")
    pg_catalog.cancel_job("j")
    assert pg_catalog.start_job("j") == 0
    pg_catalog.finish_job("j", {})
    found = pg_catalog.find_job("j")
    assert found is not None
    assert found.status == "cancelled"


def test_a_job_is_running_while_its_lock_is_held(pg_catalog: Catalog, pg_url: str) -> None:
    other = Catalog(pg_url)
    with pg_catalog.lock_job("j") as is_ours:
        assert is_ours
        assert other.is_job_running("j")
        with other.lock_job("j") as is_theirs:
            assert not is_theirs
    assert not other.is_job_running("j")
    other.close()


def test_figures_said_again_take_their_own_place(pg_catalog: Catalog) -> None:
    pg_catalog.open_job("j", "train", {})
    pg_catalog.note_training("j", 10, {"loss": 3.5, "learning_rate": 0.1})
    pg_catalog.note_training("j", 20, {"loss": 2.5})
    pg_catalog.note_training("j", 10, {"loss": 3.25})
    assert pg_catalog.training_figures("j") == [
        TrainingFigure(step=10, name="learning_rate", value=0.1),
        TrainingFigure(step=10, name="loss", value=3.25),
        TrainingFigure(step=20, name="loss", value=2.5),
    ]


def model(version: str) -> Model:
    return Model(
        version=version, manifest_key=f"models/{version}/manifest.json", dataset_version="d1", base=None,
        preset="tiny", options={"seed": 1}, job_id=None,
    )  # fmt: skip


def with_models(catalog: Catalog, *versions: str) -> None:
    fill(catalog)
    counts: Mapping[str, int] = {"instructions": 3}
    catalog.record_dataset("d1", "k", counts, {sample.VIDEO_ID: sample.CHAIN["quality"]})
    for version in versions:
        catalog.record_model(model(version))


def promotion(version: str, name: str, *, is_promoted: bool) -> Promotion:
    return Promotion(
        promotion_id=name, model_version=version, champion_version=None, is_promoted=is_promoted,
        comparison={"reason": "because"}, decided_by="ada",
    )  # fmt: skip


def test_the_newest_that_was_promoted_is_the_champion(pg_catalog: Catalog, pg_url: str) -> None:
    with_models(pg_catalog, "m1", "m2", "m3")
    assert pg_catalog.champion() is None
    decisions = [("m1", True), ("m2", True), ("m3", False)]
    for place, (version, is_promoted) in enumerate(decisions):
        pg_catalog.record_promotion(promotion(version, f"p{place}", is_promoted=is_promoted))
    pg_catalog.record_promotion(promotion("m3", "p2", is_promoted=True))  # a retry decides nothing new
    champion = pg_catalog.champion()
    assert champion is not None
    assert replace(champion, created_at=None) == model("m2")
    assert [(one.model_version, one.is_promoted) for one in pg_catalog.promotions()] == decisions
    pg_catalog.record_model(model("m1"))
    assert [one.version for one in pg_catalog.models()] == ["m1", "m2", "m3"]
    assert rows(pg_url, "select count(*) from models") == [(3,)]


def test_a_model_leads_to_the_drops_that_it_saw(pg_catalog: Catalog) -> None:
    with_models(pg_catalog, "m1")
    assert pg_catalog.model_drops("m1") == {"monday": 1}
    assert pg_catalog.find_model("another") is None
    with pytest.raises(StreferError, match="refuses these rows"):
        pg_catalog.record_model(replace(model("m9"), dataset_version="never published"))


def test_an_evaluation_is_of_one_model_on_one_bench(pg_catalog: Catalog) -> None:
    with_models(pg_catalog, "m1")
    for accuracy in (0.5, 0.75):
        pg_catalog.record_evaluation(
            Evaluation(model_version="m1", bench_id="b", figures={"accuracy": accuracy}, items_key="k")
        )
    found = pg_catalog.find_evaluation("m1", "b")
    assert found is not None
    assert found.figures == {"accuracy": 0.75}
    assert pg_catalog.find_evaluation("m1", "another bench") is None
