"""The pages' figures, scenes and plugin, without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib import util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import plotly.graph_objects as go
import pytest

from strefer_core.colours import entity_colour
from strefer_core.dashboards import charts, rendering
from strefer_core.dashboards.app import create_app
from strefer_core.dashboards.reviewing import mended
from strefer_core.dashboards.scenes import best_frame, colour_of, frame_times, scene, turn_parts
from strefer_core.errors import InputError
from strefer_core.store.catalog import StageProgress
from strefer_core.store.pages import Distribution, DropFigures, Pair, Share, ShownEntity, VideoPage

PLUGIN = Path(__file__).parents[2] / "plugins" / "strefer_plugin.py"

DROP = DropFigures(
    drop_id="monday/<b>",
    created_at=datetime(2026, 11, 25, 2, 3, tzinfo=UTC),
    videos=10,
    failed_videos=1,
    filtered_videos=2,
    pairs=60,
    accepted=40,
    quarantined=15,
    unchecked=5,
    reviewed=8,
    estimated_error=0.015,
    sampled=8,
    sampled_wrong=2,
    compute_s=100.0,
    tokens=8000,
    is_open=True,
)


def entity(index: int, visible: list[bool], areas: list[int]) -> ShownEntity:
    return ShownEntity(
        entity_id=f"ent-{index}",
        index=index,
        expression=f"thing {index}",
        noun="thing",
        masklet_id=f"msk-{index}",
        frames_pts_s=[0.0, 0.5, 1.0],
        visible=visible,
        areas_px=areas,
        visible_frames=sum(visible),
        detector_score=0.5,
        assignment_margin=None,
        forward_backward_iou=None,
        start_frame_index=0,
    )


PAIR = Pair(
    instruction_id="ins-0",
    video_id="0" * 16,
    group_name="G7",
    task_type="entity_at_time",
    turns=[
        {"role": "human", "text": "Where is <region> beside <region> at <start_time>?"},
        {"role": "gpt", "text": "Until <end_time> it is left of <region>."},
    ],
    region_entity_ids=["ent-0", "ent-1", "ent-0"],
    start_s=0.5,
    end_s=1.5,
    is_negative=False,
    template_id="t",
    source_ids=["ent-0"],
    pair_key="k",
    status="accepted",
    verdict="accepted",
    failed_checks=None,
    error_estimate=None,
    error_threshold=None,
    decision=None,
)


def page(*entities: ShownEntity, **facts: float) -> VideoPage:
    return VideoPage(
        video_id="0" * 16,
        names=(),
        facts=facts or None,
        runs=(),
        clips=(),
        entities=entities,
        segments=(),
        pairs=(),
        flags=(),
        broken=(),
        reviews=(),
        models=(),
    )


def figures() -> Iterator[charts.Figure]:
    other = replace(DROP, drop_id="tuesday", accepted=0, estimated_error=None, sampled=0, tokens=0)
    drops = [DROP, other]
    yield charts.videos_of_drops(drops)
    yield charts.pairs_of_drops(drops)
    yield charts.errors_of_drops(drops, 0.02)
    yield charts.errors_of_drops([], None)
    yield charts.costs_of_drops(drops)
    progress = StageProgress(
        stage="videos", videos=10, done=7, filtered=2, failed=1, running=0, compute_s=1.0
    )
    yield charts.funnel_of_drop([progress], "monday")
    yield charts.drift({"G1": 0.5, "G2": 0.5}, {"G1": 1.0})
    yield charts.drift({"G1": 1.0}, {})
    found = Distribution(
        objects=3,
        low=0.0,
        high=1.0,
        highest=9.0,
        low_threshold=0.1,
        high_threshold=0.2,
        counts=(2, 1),
        findings=(0, 1),
    )
    yield charts.histogram(found, "leak")
    yield charts.reliability(
        [
            {"low": 0.0, "high": 0.1, "pairs": 10, "estimated": 0.04, "wrong": 0.05},
            {"low": 0.1, "high": 0.2, "pairs": 0, "estimated": 0.0, "wrong": 0.0},
        ]
    )
    yield charts.counts({"G1": 3}, "pairs")


def coloured(value: Any) -> Any:
    """A figure with a colour in place of every name of one."""
    if isinstance(value, dict):
        return {key: coloured(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [coloured(inner) for inner in value]
    return "#123456" if isinstance(value, str) and value.startswith("var:") else value


@pytest.mark.parametrize("figure", list(figures()))
def test_plotly_knows_every_property_of_every_figure(figure: charts.Figure) -> None:
    assert go.Figure(coloured(figure)).to_dict()["data"] is not None
    json.dumps(figure, allow_nan=False)


def test_figures_say_what_the_drops_are() -> None:
    through, filtered, failed = charts.videos_of_drops([DROP])["data"]
    assert (through["y"], filtered["y"], failed["y"]) == ([7], [2], [1])
    assert through["customdata"] == ["/drops/monday%2F%3Cb%3E"]
    assert through["x"] == ["monday/&lt;b&gt;"]
    estimated, audited = charts.errors_of_drops([DROP], 0.02)["data"]
    assert (estimated["y"], audited["y"], audited["text"]) == ([0.015], [0.25], ["2 of 8 sampled pairs"])
    seconds, tokens = charts.costs_of_drops([DROP])["data"]
    assert (seconds["y"], tokens["y"]) == ([2.5], [200.0])


def test_shares_are_of_all_pairs() -> None:
    mixture = [
        Share(group_name="G2", task_type="b", pairs=1),
        Share(group_name="G1", task_type="a", pairs=2),
        Share(group_name="G1", task_type="b", pairs=1),
    ]
    assert charts.shares(mixture, "group_name") == {"G1": 0.75, "G2": 0.25}
    assert charts.shares(mixture, "task_type") == {"a": 0.5, "b": 0.5}
    assert charts.shares([], "group_name") == {}


def test_a_pair_is_shown_where_most_of_its_entities_are_seen_in_its_time() -> None:
    first = entity(0, [True, True, True], [90, 5, 9])
    second = entity(1, [True, False, True], [90, 0, 1])
    times_s = [0.0, 0.5, 1.0]
    assert best_frame([first, second], None, times_s) == 0
    assert best_frame([first, second], PAIR, times_s) == 2  # frame 0 lies before its time
    assert best_frame([], PAIR, []) == 0


def test_a_scene_shows_the_entities_of_its_pair() -> None:
    found = scene(page(entity(0, [True] * 3, [1] * 3), entity(2, [False] * 3, [0] * 3)), PAIR)
    assert [(one["id"], one["shown"]) for one in found["entities"]] == [("ent-0", True), ("ent-2", False)]
    assert found["times_s"] == [0.0, 0.5, 1.0]
    everything = scene(page(entity(0, [True] * 3, [1] * 3)), frame=31)
    assert (everything["start"], everything["entities"][0]["shown"]) == (2, True)


def test_times_follow_the_rate_where_no_masklet_tells_them() -> None:
    assert frame_times(page(frame_count=3, fps=2.0)) == [0.0, 0.5, 1.0]
    assert frame_times(page(frame_count=1, fps=2.0)) == [0.0]
    assert len(frame_times(page(frame_count=1000, fps=25.0))) == 32
    assert frame_times(page()) == []


def test_placeholders_are_told_apart_with_the_colour_of_their_entity() -> None:
    entities = [entity(0, [True] * 3, [1] * 3), entity(1, [True] * 3, [1] * 3)]
    question, answer = turn_parts(PAIR, entities)
    kinds = [(part["kind"], part["text"], part["colour"]) for part in question["parts"]]
    assert kinds == [
        ("text", "Where is ", ""),
        ("region", "region", colour_of(0)),
        ("text", " beside ", ""),
        ("region", "region", colour_of(1)),
        ("text", " at ", ""),
        ("time", "0.50 s", ""),
        ("text", "?", ""),
    ]
    said = [part["text"] for part in answer["parts"]]
    assert said == ["Until ", "1.50 s", " it is left of ", "region", "."]
    assert answer["parts"][3]["colour"] == colour_of(0)


def test_a_colour_is_that_of_the_pictures() -> None:
    assert colour_of(3) == "#{:02x}{:02x}{:02x}".format(*entity_colour(3))


def test_a_fix_gives_every_answer_and_keeps_every_placeholder() -> None:
    turns = mended(PAIR, ["It is right of <region> until <end_time>."])
    assert [turn.text for turn in turns] == [
        PAIR.turns[0]["text"],
        "It is right of <region> until <end_time>.",
    ]
    for answers in ([], ["Until <end_time>."], ["<region> <region> <end_time>"], ["<region>", "<end_time>"]):
        with pytest.raises(InputError):
            mended(PAIR, answers)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.5, "0.50 s"), (59.6, "60 s"), (600.0, "10 min"), (9000.0, "2.5 h")],
)
def test_seconds_have_a_fitting_unit(value: float | None, text: str) -> None:
    assert rendering.seconds(value) == text


def test_numbers_are_readable() -> None:
    assert rendering.number(1234567) == "1,234,567"
    assert rendering.share(0.0234, 2) == "2.34 %"
    assert rendering.figure(0.123456) == "0.1235"
    assert rendering.when(DROP.created_at) == "2026-11-25 02:03"
    assert {rendering.number(None), rendering.share(None), rendering.figure(None)} == {"–"}


@pytest.fixture(scope="module")
def plugin() -> Any:
    """The plugin's module, loaded by its path as Airflow does."""
    spec = util.spec_from_file_location("strefer_plugin", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_view_of_the_plugin_is_a_page(plugin: Any) -> None:
    paths = {route.path for route in create_app().routes}  # type: ignore[attr-defined]
    views = plugin.StreferPlugin.external_views
    for view in views:
        assert urlsplit(view["href"]).path.removeprefix(plugin.MOUNT) in paths
    assert len({view["url_route"] for view in views}) == len(views)
    assert {view["destination"] for view in views} == {"nav", "dag_run", "task_instance"}
    assert {view["category"] for view in views if view["destination"] == "nav"} == {plugin.CATEGORY}


def test_views_are_below_airflows_own_prefix(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://host/team/airflow/")
    spec = util.spec_from_file_location("strefer_plugin_behind_a_proxy", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {view["href"].startswith("/team/airflow/strefer/") for view in module.StreferPlugin.external_views}
    assert plugin.PREFIX == ""
