"""What people decided, as examples of a calibration: on a real catalog, with the results behind the pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.pipeline import fingerprints
from strefer_core.quality.fitting import Example
from strefer_core.quality.reviewed import reviewed_examples
from strefer_core.store.catalog import Catalog
from strefer_core.store.reviews import Decision, Review
from tests.samples import rich
from tests.settled import Settled

pytest_plugins = ["tests.integration.catalog_fixtures"]
CONFIG = PipelineConfig()


def fill(catalog: Catalog, folder: Path) -> tuple[Settled, list[dm.Instruction]]:
    """A video whose pairs are written, known to the catalog; its results and its pairs."""
    settled = Settled(folder, rich(), CONFIG)
    for stage in ("transcript", "instructions"):
        assert settled.run(stage).status == "done"
    for stage in ("videos", "clips", "entities", "masklets", "transcript", "instructions"):
        run = settled.ledger.find(settled.video_id, stage, fingerprints(settled.video_id, CONFIG)[stage])
        assert run is not None
        catalog.finish(run, settled.result(stage))
    found = settled.result("instructions")
    assert isinstance(found, dm.InstructionsResult)
    return settled, list(found.instructions)


def decide(catalog: Catalog, number: int, pair: dm.Instruction, decision: Decision) -> None:
    catalog.record_review(
        Review(
            review_id=f"{number:032x}",
            video_id=pair.video_id,
            pair_key=pair.pair_key,
            instruction_id=pair.instruction_id,
            decision=decision,
            reviewer="ann",
            turns=pair.turns if decision == "fix" else None,
        )
    )


def examples(catalog: Catalog, settled: Settled, config: PipelineConfig = CONFIG) -> list[Example]:
    return list(reviewed_examples(catalog, settled.blobs, config))


def test_rejected_and_mended_pairs_were_wrong_and_accepted_ones_right(
    pg_catalog: Catalog, tmp_path: Path
) -> None:
    settled, pairs = fill(pg_catalog, tmp_path)
    assert examples(pg_catalog, settled) == []
    for number, decision in enumerate(("accept", "reject", "fix")):
        decide(pg_catalog, number, pairs[number], decision)  # type: ignore[arg-type]
    found = examples(pg_catalog, settled)
    assert sorted(one.is_wrong for one in found) == [False, True, True]
    assert {one.video for one in found} == {settled.video_id}
    assert all(one.features[f"type_{kind}"] in (0, 1) for one in found for kind in ("verify", "when_entity"))


def test_of_two_decisions_the_newest_counts(pg_catalog: Catalog, tmp_path: Path) -> None:
    settled, pairs = fill(pg_catalog, tmp_path)
    decide(pg_catalog, 0, pairs[0], "reject")
    decide(pg_catalog, 1, pairs[0], "accept")
    assert [one.is_wrong for one in examples(pg_catalog, settled)] == [False]


def test_pairs_that_the_settings_no_longer_make_are_left_out(pg_catalog: Catalog, tmp_path: Path) -> None:
    settled, pairs = fill(pg_catalog, tmp_path)
    decide(pg_catalog, 0, pairs[0], "reject")
    instructions = CONFIG.instructions.model_copy(update={"max_per_video": 7})
    other = CONFIG.model_copy(update={"instructions": instructions})
    assert examples(pg_catalog, settled, other) == []
    decide(pg_catalog, 1, replace(pairs[1], pair_key="of other words"), "reject")
    assert len(examples(pg_catalog, settled)) == 1
