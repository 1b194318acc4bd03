"""What the pages read: kept in step with the views, and counted right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.errors import StreferError
from strefer_core.ingest import video_id_of
from strefer_core.masks import encode
from strefer_core.pipeline import StageRequest, dump_document
from strefer_core.store.catalog import Catalog, DropObject, Review, migrate
from tests import sample_results as sample
from tests.dashboard_site import BASE, estimate, fill, new_site
from tests.integration import scenes
from tests.postgres import rows, statement

pytest_plugins = ["tests.integration.catalog_fixtures"]

NOTED = "select instruction_id, status, verdict, failed_checks, error_estimate, decision from {} order by 1"


def review(index: int, decision: str = "reject", **changes: Any) -> Review:
    """A decision about the sample's instruction of this number."""
    known: dict[str, Any] = {
        "review_id": f"r-{index}",
        "video_id": sample.VIDEO_ID,
        "pair_key": f"key-ins-{index}",
        "instruction_id": f"ins-{index}",
        "decision": decision,
        "reviewer": "ann",
    }
    return Review(**known | changes)


def test_the_tables_say_what_the_views_say_whatever_happens(pg_catalog: Catalog, pg_url: str) -> None:
    def both() -> list[tuple[object, ...]]:
        noted = rows(pg_url, NOTED.format("pair_status"))
        assert noted == rows(pg_url, NOTED.format("instruction_status"))
        return noted

    assert both() == []
    fill(pg_catalog, estimate("ins-0", 0.2))
    assert [row[1] for row in both()] == ["quarantined", "accepted", "quarantined"]
    pg_catalog.record_review(review(0, "accept"))
    pg_catalog.record_review(review(1))
    assert [(row[1], row[3]) for row in both()] == [
        ("accepted", None),
        ("quarantined", ["review"]),
        ("quarantined", ["area_jump"]),
    ]
    pg_catalog.finish(replace(sample.failed("quality")), None)
    assert [row[1] for row in both()] == ["unchecked"] * 3
    pg_catalog.finish(sample.failed("instructions"), None)
    assert both() == []


def test_the_funnel_follows_reviews(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_catalog)
    query = "select accepted, quarantined from drop_funnel where drop_id = 'monday'"
    assert rows(pg_url, query) == [(2, 1)]
    pg_catalog.record_review(review(0))
    assert rows(pg_url, query) == [(1, 2)]


def test_pairs_of_before_the_tables_are_noted_by_the_migration(pg_empty_url: str, pg_url: str) -> None:
    migrate(pg_empty_url, to="0006")
    run = (
        "insert into stage_runs (video_id, stage, fingerprint, status, result_key, finished_at)"
        f" values ('{sample.VIDEO_ID}', 'instructions', 'f', 'done', 'k', now())"
    )
    pair = (
        "insert into instructions (instruction_id, video_id, fingerprint, group_name, task_type, turns,"
        " region_entity_ids, is_negative, template_id, source_ids)"
        f" values ('i', '{sample.VIDEO_ID}', 'f', 'G1', 't', '[]', '{{}}', false, '', '{{}}')"
    )
    statement(pg_empty_url, run)
    statement(pg_empty_url, pair)
    migrate(pg_empty_url)
    assert rows(pg_empty_url, "select instruction_id, status, review_rank from pair_status") == [
        ("i", "unchecked", None)
    ]


def test_only_what_was_drawn_by_chance_tells_the_error(pg_catalog: Catalog) -> None:
    fill(pg_catalog, estimate("ins-0", 0.02), estimate("ins-1", 0.06))
    figures = pg_catalog.drop_figures("monday")
    assert figures is not None
    assert (figures.pairs, figures.accepted, figures.quarantined, figures.reviewed) == (3, 2, 1, 0)
    assert figures.estimated_error == pytest.approx(0.04)
    assert figures.audited_error is None
    pg_catalog.record_review(review(0, queue="borderline"))
    pg_catalog.record_review(review(1, "accept", queue="sample"))
    figures = pg_catalog.drop_figures("monday")
    assert figures is not None
    assert (figures.reviewed, figures.sampled, figures.audited_error) == (2, 1, 0.0)
    pg_catalog.record_review(review(1, "reject", review_id="again", queue="sample"))
    figures = pg_catalog.drop_figures("monday")
    assert figures is not None
    assert figures.audited_error == 1.0


def test_a_drop_counts_lost_videos_compute_and_tokens(pg_catalog: Catalog) -> None:
    fill(pg_catalog)
    pg_catalog.finish(sample.done("transcript"), sample.RESULTS["transcript"], [sample.call("one")])
    figures = pg_catalog.drop_figures("monday")
    assert figures is not None
    assert (figures.videos, figures.failed_videos, figures.tokens) == (1, 0, 1050)
    assert figures.compute_s == pytest.approx(7 * 1.5)
    pg_catalog.finish(sample.failed("videos"), None)
    figures = pg_catalog.drop_figures("monday")
    assert figures is not None
    assert figures.failed_videos == 1


def test_the_borderline_queue_begins_nearest_the_threshold(pg_catalog: Catalog) -> None:
    fill(pg_catalog, estimate("ins-0", 0.3), estimate("ins-1", 0.01), estimate("ins-2", 0.5))
    # ins-2 fails another check as well: no estimate to argue about.
    assert queued(pg_catalog) == ["ins-0", "ins-1"]
    first = pg_catalog.review_queue("borderline", count=1)[0]
    assert queued(pg_catalog, after=first.after) == ["ins-1"]
    assert queued(pg_catalog, group="G5") == ["ins-1"]
    assert queued(pg_catalog, task_type="describe_video") == ["ins-0"]
    pg_catalog.record_review(review(0, "accept"))
    assert queued(pg_catalog) == ["ins-1"]


def test_the_sample_is_of_accepted_pairs_in_a_fixed_order(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_catalog, estimate("ins-0", 0.01), estimate("ins-1", 0.01))
    query = "select instruction_id from pair_status where verdict = 'accepted' order by md5(instruction_id)"
    order = rows(pg_url, query)
    items = pg_catalog.review_queue("sample")
    assert [(item.pair.instruction_id,) for item in items] == order
    assert [i.pair for i in pg_catalog.review_queue("sample", after=items[0].after)] == [items[1].pair]


def queued(catalog: Catalog, **chosen: str) -> list[str]:
    return [item.pair.instruction_id for item in catalog.review_queue("borderline", **chosen)]  # type: ignore[arg-type]


def test_a_pair_without_a_key_waits_in_no_queue(pg_catalog: Catalog) -> None:
    fill(pg_catalog)
    pg_catalog.finish(sample.done("instructions"), sample.RESULTS["instructions"])
    pg_catalog.finish(sample.done("quality"), sample.RESULTS["quality"])
    assert queued(pg_catalog) == []
    assert pg_catalog.review_queue("sample") == []


def test_a_decision_without_a_key_or_turns_is_refused(pg_catalog: Catalog) -> None:
    for wrong in (review(0, pair_key=""), review(0, "fix"), review(0, reviewer=""), review(0, queue="x")):
        with pytest.raises(StreferError, match="reviews_"):
            pg_catalog.record_review(wrong)


def test_reviews_come_newest_per_pair(pg_catalog: Catalog) -> None:
    turns = (dm.Turn(role="human", text="Who?"), dm.Turn(role="gpt", text="Ann."))
    pg_catalog.record_review(review(0))
    pg_catalog.record_review(review(1, "fix", turns=turns))
    pg_catalog.record_review(review(0, "accept", review_id="later"))
    found = pg_catalog.reviews([sample.VIDEO_ID, "another"])
    assert {key: one.decision for key, one in found.items()} == {
        (sample.VIDEO_ID, "key-ins-0"): "accept",
        (sample.VIDEO_ID, "key-ins-1"): "fix",
    }
    assert found[sample.VIDEO_ID, "key-ins-1"].turns == turns
    assert pg_catalog.reviews([]) == {}


def test_a_distribution_counts_every_finite_value(pg_catalog: Catalog) -> None:
    values = (0.0, 0.05, 0.3, float("inf"), float("nan"))
    flags = [replace(estimate(f"o-{i}", value), check="x") for i, value in enumerate(values)]
    fill(pg_catalog, *flags)
    found = pg_catalog.distribution("x")
    assert found is not None
    assert (found.objects, found.low, found.high, found.highest) == (3, 0.0, 0.3, 0.3)
    assert (sum(found.counts), sum(found.findings)) == (3, 1)
    assert (found.counts[0], found.counts[-1], found.findings[-1]) == (1, 1, 1)
    assert pg_catalog.distribution("unknown") is None
    totals = {total.check_name: (total.objects, total.failed) for total in pg_catalog.check_totals()}
    assert totals["x"][0] == 5
    assert totals["area_jump"] == (1, 1)
    assert [flag.value for flag in pg_catalog.worst_flags("area_jump", is_floor=False)] == [0.25]


def test_videos_are_found_by_drop_name_and_state(pg_catalog: Catalog) -> None:
    fill(pg_catalog)
    assert [video.key for video in pg_catalog.listed_videos()] == ["drops/monday/a video.mp4"]
    for chosen in (
        {"drop_id": "monday"},
        {"text": "A VIDEO"},
        {"text": sample.VIDEO_ID},
        {"state": "through"},
    ):
        assert len(pg_catalog.listed_videos(**chosen)) == 1, chosen
    for chosen in ({"drop_id": "x"}, {"text": "%"}, {"state": "failed"}, {"state": "filtered"}):
        assert pg_catalog.listed_videos(**chosen) == [], chosen
    last = pg_catalog.listed_videos()[0]
    assert pg_catalog.listed_videos(after=(last.key, last.drop_id, last.video_id)) == []


def test_a_real_frame_and_its_mask_are_drawn_once(pg_catalog: Catalog, tmp_path: Path) -> None:

    path = scenes.write_scene(tmp_path / "scene.mp4", 1)
    video_id = video_id_of(path)
    site = new_site(pg_catalog, tmp_path)
    site.objects.put_file(f"videos/{video_id}", path)
    mask = np.zeros((180, 320), bool)
    mask[40:80, 100:160] = True
    one = replace(sample.masklet(0), video_id=video_id, masks=(None, encode(mask), encode(mask)))
    result = dm.MaskletsResult(masklets=(one,))
    request = StageRequest.make(video_id, "masklets", PipelineConfig())
    key = site.objects.put_content(dump_document(request, result), "results", ".masklets.parquet")
    pg_catalog.register_drop("d", "drops/d/")

    pg_catalog.add_drop_objects(
        "d", [DropObject(key="drops/d/a.mp4", etag="", size_bytes=1, video_id=video_id)]
    )
    entities = dm.EntitiesResult(entities=(replace(sample.entity(0, "red"), video_id=video_id),))
    pg_catalog.finish(sample.done("entities", video_id=video_id), entities)
    pg_catalog.finish(replace(sample.done("masklets", video_id=video_id), result_key=key), result)
    frame = site.client.get(f"{BASE}/frames/{video_id}/0.jpg")
    assert frame.status_code == 200
    drawn = site.client.get(f"{BASE}/masks/{video_id}/ent-0/1.png")
    assert drawn.status_code == 200
    (tmp_path / "mask.png").write_bytes(drawn.content)
    with Image.open(tmp_path / "mask.png") as image:
        alpha = np.asarray(image)[..., 3]
    assert alpha.shape == (180, 320)
    assert (alpha[45:75, 105:155] > 0).all()
    outside = alpha.copy()
    outside[38:82, 98:162] = 0
    assert not outside.any()
    site.objects.delete(f"videos/{video_id}")
    assert site.client.get(f"{BASE}/frames/{video_id}/31.jpg").status_code == 200
    assert (
        site.client.get(f"{BASE}/masks/{video_id}/ent-0/0.png").status_code == 200
    )  # not visible: all clear
