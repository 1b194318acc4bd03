"""The pages on a real catalog: what they show, whom they let in, what they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.routing import APIRoute
from httpx import Response

from strefer_core import data_model as dm
from strefer_core.dashboards.access import Viewer, run_viewer, viewer
from strefer_core.store.catalog import Catalog, DropObject, Evaluation, Review
from strefer_core.store.gates import Gate
from strefer_core.store.validations import Validation
from strefer_core.validation.pages import docs_key, write
from tests import sample_results as sample
from tests.dashboard_site import ANN, BASE, CSRF, PAGE, Site, estimate, fill, new_site
from tests.integration.test_catalog_learning import promotion, with_models
from tests.postgres import rows, statement

pytest_plugins = ["tests.integration.catalog_fixtures"]

PAGES = ("/", "/drops", "/quality", "/videos", "/review", "/review?queue=sample", "/datasets", "/models")
OF_VIDEO = f"/videos/{sample.VIDEO_ID}"
VALUES = {
    "name": "strefer.css",
    "wanted": "7.0.0",
    "drop_id": "monday",
    "dataset_version": "v1",
    "video_id": sample.VIDEO_ID,
    "instruction_id": "ins-0",
    "entity_id": "ent-0",
    "index": "1",
    "validation_id": "v",
    "model_version": "m1",
}


@pytest.fixture
def site(pg_catalog: Catalog, tmp_path: Path) -> Site:
    return new_site(pg_catalog, tmp_path)


def get(site: Site, path: str) -> Response:
    return site.client.get(BASE + path, headers=PAGE)


def post(site: Site, headers: dict[str, str] | None = None, **changes: Any) -> Response:
    body = {
        "review_id": "0" * 32,
        "instruction_id": "ins-0",
        "pair_key": "key-ins-0",
        "decision": "reject",
        "queue": "borderline",
    }
    return site.client.post(
        f"{BASE}/reviews", json=body | changes, headers=CSRF if headers is None else headers
    )


def routes(site: Site) -> list[tuple[str, str]]:
    """(method, address with values put in) of every route that the application has."""
    found = []
    for route in site.app.routes:
        assert isinstance(route, APIRoute), f"{route} is no route with dependencies"
        path = re.sub(r"{(\w+)(?::\w+)?}", lambda match: VALUES[match[1]], route.path)
        if path == "/runs":
            path += "?dag_id=curate_dataset&run_id=r"
        found += [(method, path) for method in route.methods]
    return found


@pytest.fixture(scope="module")
def airflow_users() -> Iterator[Any]:
    """Airflow's own login, with its tables: a token per role."""
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.settings import engine

    import_all_models()
    Base.metadata.create_all(engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "AIRFLOW__API_AUTH__JWT_SECRET", "of the tests alone, long enough for SHA-512: " + "x" * 64
        )
        manager = create_auth_manager()
        manager.init()
        yield lambda role: manager.generate_jwt(SimpleAuthManagerUser(username=f"a-{role}", role=role))


@pytest.fixture
def real_login(site: Site, airflow_users: Any) -> Any:
    """The site without overridden users; hands out tokens per role."""
    del site.app.dependency_overrides[viewer]
    del site.app.dependency_overrides[run_viewer]
    return airflow_users


@pytest.mark.usefixtures("real_login")
def test_no_route_answers_without_a_login(site: Site) -> None:
    fill(site.catalog)
    asked = routes(site)
    assert len(asked) >= 17
    for method, path in asked:
        answer = site.client.request(method, BASE + path)
        assert (answer.status_code, "json" in answer.headers["content-type"]) == (401, True), path
        assert answer.json() == {"detail": "Not authenticated"}
        page = site.client.request(method, BASE + path, headers=PAGE)
        if method == "GET":
            assert page.status_code == 307, path
            assert page.headers["location"].startswith("/auth/login?next="), path
        else:
            assert page.status_code == 401


@pytest.mark.usefixtures("real_login")
@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_wrong_token_is_no_login(site: Site, token: str) -> None:
    site.client.cookies.set("_token", token)
    assert site.client.get(f"{BASE}/datasets").status_code == 401


@pytest.mark.parametrize(("role", "seen", "decided"), [("VIEWER", 200, 403), ("USER", 200, 201)])
def test_viewers_look_and_users_decide(
    site: Site, real_login: Any, role: str, seen: int, decided: int
) -> None:
    fill(site.catalog)
    site.client.cookies.set("_token", real_login(role))
    assert get(site, "/review?queue=sample").status_code == seen
    assert post(site).status_code == decided
    assert [r.reviewer for r in site.catalog.reviews([sample.VIDEO_ID]).values()] == (
        ["a-USER"] if role == "USER" else []
    )


def test_somebody_without_a_role_sees_nothing(site: Site, real_login: Any) -> None:
    site.client.cookies.set("_token", real_login(None))
    for method, path in routes(site):
        assert site.client.request(method, BASE + path, headers=PAGE).status_code == 403, path


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_catalog_has_pages_that_say_so(site: Site, path: str) -> None:
    answer = get(site, path)
    assert answer.status_code == 200
    assert 'class="empty"' in answer.text


@pytest.mark.parametrize("path", [*PAGES[:1], "/drops/monday", *PAGES[2:-1], OF_VIDEO, "/pairs/ins-1"])
def test_pages_of_a_filled_catalog(site: Site, path: str) -> None:
    fill(site.catalog, estimate("ins-0", 0.2), estimate("ins-1", 0.05))
    answer = get(site, path)
    assert answer.status_code == 200
    assert 'class="empty error"' not in answer.text


def test_links_and_files_are_below_the_prefix(site: Site) -> None:
    fill(site.catalog, estimate("ins-0", 0.2))
    for path in (*PAGES, "/drops/monday", OF_VIDEO, "/pairs/ins-0"):
        found = re.findall(r'(?:href|src|action)="(/[^"]*)"', get(site, path).text)
        assert all(link.startswith(f"{BASE}/") for link in found)
    moved = get(site, "/drops")
    assert (moved.status_code, moved.headers["location"]) == (303, f"{BASE}/drops/monday")


def test_every_link_of_every_page_leads_somewhere(site: Site) -> None:
    fill(site.catalog, estimate("ins-0", 0.2), estimate("ins-1", 0.05))
    lineage = {sample.VIDEO_ID: sample.CHAIN["quality"]}
    counts = {"instructions": 2, "groups": {"G1": 2}, "task_types": {"verify": 2}}
    site.catalog.record_dataset("v1", "datasets/v1/manifest.json", counts, lineage)
    to_see, seen = {f"{BASE}/"}, set()
    while to_see - seen:
        link = (to_see - seen).pop()
        seen.add(link)
        answer = site.client.get(link, headers=PAGE, follow_redirects=True)
        assert answer.status_code == 200, link
        if "html" in answer.headers["content-type"]:
            found = re.findall(r'(?:href|src)="(/[^"#]*)', answer.text)
            to_see |= {one.replace("&amp;", "&") for one in found}
    assert {f"{BASE}{path}" for path in ("/datasets/v1", "/drops/monday", OF_VIDEO, "/pairs/ins-2")} <= seen


def test_text_from_outside_is_text(site: Site) -> None:
    attack = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
    entities = dm.EntitiesResult(entities=(replace(sample.entity(0, "red"), expression=attack),))
    turns = (dm.Turn(role="human", text=f"{attack} <region>?"), dm.Turn(role="gpt", text=attack))
    pair = replace(sample.instruction(0, ("clip-0",)), turns=turns, pair_key="k")
    site.catalog.register_drop(attack.replace("/", "|"), "drops/x/")
    site.catalog.add_drop_objects(
        attack.replace("/", "|"),
        [DropObject(key=f"drops/{attack}.mp4", etag="", size_bytes=1, video_id=sample.VIDEO_ID)],
    )
    site.catalog.finish(sample.done("videos"), sample.RESULTS["videos"])
    site.catalog.finish(sample.done("entities"), entities)
    site.catalog.finish(sample.done("instructions"), dm.InstructionsResult(instructions=(pair,)))
    flags = (estimate("ins-0", 0.9),)
    site.catalog.finish(
        sample.done("quality"), dm.QualityResult(flags=flags, accepted_ids=(), quarantined_ids=("ins-0",))
    )
    for path in ("/", OF_VIDEO, "/pairs/ins-0", "/review", "/videos", f"/videos?text={attack}&drop={attack}"):
        text = get(site, path).text
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/videos/0000000000000000", 404),
        ("/videos/..%2f..%2fetc%2fpasswd", 404),
        ("/videos/ABCDEFABCDEFABCD", 422),
        ("/videos/0000000000000000'--", 422),
        (f"/videos/{sample.VIDEO_ID}?frame=32", 422),
        ("/pairs/ins-999", 404),
        ("/pairs/%2e%2e", 422),
        ("/pairs/%00", 422),
        ("/pairs/a%22b", 422),
        ("/drops/tuesday", 404),
        ("/drops/%00", 422),
        ("/datasets/v9", 404),
        ("/datasets/..%5c..", 422),
        ("/quality?check=a;drop%20table%20drops", 422),
        ("/videos?state=lost", 422),
        ("/videos?text=%00", 422),
        ("/review?queue=other", 422),
        ("/review/items?after=nonsense", 400),
        ("/review/items?after=1:2", 400),
        ("/frames/0000000000000000/0.jpg", 404),
        (f"/frames/{sample.VIDEO_ID}/32.jpg", 422),
        (f"/frames/{sample.VIDEO_ID}/-1.jpg", 422),
        (f"/frames/{sample.VIDEO_ID}/1e1.jpg", 422),
        (f"/masks/{sample.VIDEO_ID}/ent-9/0.png", 404),
        (f"/masks/{sample.VIDEO_ID}/..%2fent-0/0.png", 404),
        (f"/masks/{sample.VIDEO_ID}/%2e%2e/0.png", 422),
        ("/static/..%2fapp.py", 404),
        ("/static/app.py", 404),
        ("/plotly-0.0.1.min.js", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
    ],
)
def test_odd_addresses_are_refused(site: Site, path: str, status: int) -> None:
    fill(site.catalog)
    answer = get(site, path)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_every_answer_forbids_scripts_from_elsewhere(site: Site) -> None:
    for path in ("/", "/static/strefer.css", "/nothing"):
        headers = get(site, path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_chart_library_comes_from_its_wheel(site: Site) -> None:
    found = re.search(rf'src="{BASE}(/plotly-[^"]+)"', get(site, "/quality").text)
    assert found
    answer = get(site, found[1])
    assert answer.headers["content-type"].startswith("text/javascript")
    assert b"plotly.js" in answer.content[:300]


def test_no_page_names_another_host(site: Site) -> None:
    fill(site.catalog)
    for path in (*PAGES, OF_VIDEO, "/static/charts.js", "/static/viewer.js", "/static/strefer.css"):
        assert not re.search(r"https?://|//cdn", get(site, path).text), path


def test_a_closed_gate_says_which_bar_and_shows_the_rows(site: Site) -> None:
    fill(site.catalog)
    bars = [
        {"bar": "failed_share", "means": "failed", "value": None, "limit": 0.5, "is_met": True, "rows": []},
        {
            "bar": "estimated_error",
            "means": "mean chance",
            "value": 0.034,
            "limit": 0.02,
            "is_met": False,
            "rows": [
                {"id": "ins-0", "why": "0.3"},
                {"id": sample.VIDEO_ID, "why": ""},
                {"id": "G4", "why": ""},
            ],
        },
    ]
    gate = Gate(gate_id="g", drop_id="monday", dag_run_id="", is_open=False, bars=bars)
    site.catalog.record_gate(gate)
    result = {
        "name": "turns",
        "view": "validated_instructions",
        "column": "turns",
        "expects": "every pair has turns",
        "severity": "critical",
        "is_success": False,
        "rows": 3,
        "unexpected": 1,
        "ids": [{"id": "ins-1", "value": None}],
        "error": None,
    }
    found = Validation(
        validation_id="v", suite="drop", subject_kind="drop", subject_id="monday", dag_run_id="run-7",
        is_success=False, results=[result], docs_key=docs_key("v"),
    )  # fmt: skip
    write(found, site.objects)
    site.catalog.record_validation(found)
    text = get(site, "/drops/monday").text
    assert text.count('class="badge not-met"') == 3
    for link in ("/pairs/ins-0", f"/videos/{sample.VIDEO_ID}", "/pairs/ins-1", "/validations/v"):
        assert f'href="{BASE}{link}"' in text
    assert "<code>G4</code>" in text
    assert "every pair has turns" in text
    assert 'class="badge closed"' in get(site, "/").text
    shown = get(site, OF_VIDEO).text
    assert "Broken expectations" in shown
    assert "every pair has turns" in shown
    assert "every pair has turns" in get(site, "/validations/v").text
    assert get(site, "/validations/another").status_code == 404
    task = get(site, "/runs?dag_id=curate_dataset&run_id=run-7&task_id=validate_drops")
    assert task.headers["location"] == f"{BASE}/validations/v"


def test_what_breaks_no_expectation_shows_none(site: Site) -> None:
    fill(site.catalog)
    assert "Broken expectations" not in get(site, OF_VIDEO).text


def test_a_model_shows_its_scores_its_training_and_what_it_saw(site: Site) -> None:
    with_models(site.catalog, "m1", "m2")
    figure = {"items": 4, "value": 0.75, "low": 0.5, "high": 1.0}
    row = {"accuracy": figure, "chance": 0.25, "text_only": {**figure, "value": 0.4}}
    report = {"overall": row, "groups": {"G5": row}, "mask_effect_points": {**figure, "value": 31.5}}
    site.catalog.record_evaluation(
        Evaluation(model_version="m1", bench_id="b", figures=report, items_key="k")
    )
    site.catalog.record_promotion(promotion("m1", "p", is_promoted=True))
    found = get(site, "/models").text
    assert 'class="badge champion"' in found
    assert 'class="badge undecided"' in found
    assert "75.0 %" in found
    assert "31.5" in found
    shown = get(site, "/models/m1").text
    for text in ("because Decided by ada.", f'{BASE}/datasets/d1"', f'{BASE}/drops/monday"'):
        assert text in shown
    assert "Not evaluated yet" in get(site, "/models/m2").text
    assert get(site, "/models/another").status_code == 404


# Reviews


def test_a_decision_is_a_row_and_holds_at_once(site: Site, pg_url: str) -> None:
    fill(site.catalog, estimate("ins-0", 0.2))
    assert [row[0] for row in waiting(site)] == ["ins-0"]
    assert post(site, decision="accept").status_code == 201
    query = "select instruction_id, video_id, pair_key, decision, reviewer, queue from reviews"
    assert rows(pg_url, query) == [("ins-0", sample.VIDEO_ID, "key-ins-0", "accept", "ann", "borderline")]
    assert waiting(site) == []
    pair = site.catalog.find_pair("ins-0")
    assert pair is not None
    assert (pair.status, pair.verdict, pair.decision) == ("accepted", "quarantined", "accept")


def waiting(site: Site, **chosen: str) -> list[tuple[str, str]]:
    """(id, verdict) of the queue without what the filter let through."""
    answer = site.client.get(f"{BASE}/review/items", params=chosen)
    assert answer.status_code == 200
    found = [(item["instruction_id"], item["verdict"]) for item in answer.json()]
    return [item for item in found if item[1] == "quarantined"]


def test_a_decision_sent_twice_is_one_row(site: Site, pg_url: str) -> None:
    fill(site.catalog)
    assert [post(site).status_code, post(site, decision="accept").status_code] == [201, 201]
    assert rows(pg_url, "select decision from reviews") == [("reject",)]


def test_the_newest_decision_wins(site: Site) -> None:
    fill(site.catalog)
    post(site)
    post(site, review_id="1" * 32, decision="accept")
    assert site.catalog.reviews([sample.VIDEO_ID])[sample.VIDEO_ID, "key-ins-0"].decision == "accept"


@pytest.mark.parametrize(
    ("headers", "changes", "status"),
    [
        ({}, {}, 403),
        ({"X-Strefer-Review": "0"}, {}, 403),
        ({**CSRF, "Sec-Fetch-Site": "cross-site"}, {}, 403),
        ({**CSRF, "Sec-Fetch-Site": "same-site"}, {}, 403),
        (CSRF, {"instruction_id": "ins-9"}, 404),
        (CSRF, {"pair_key": "another"}, 409),
        (CSRF, {"decision": "delete"}, 422),
        (CSRF, {"review_id": "x"}, 422),
        (CSRF, {"reviewer": "somebody else"}, 422),
        (CSRF, {"decision": "fix"}, 400),
        (CSRF, {"decision": "fix", "answers": [" "]}, 400),
        (CSRF, {"decision": "fix", "answers": ["One.", "Two."]}, 400),
        (CSRF, {"decision": "fix", "answers": ["At <start_time>."]}, 400),
    ],
)
def test_what_is_no_decision_writes_nothing(
    site: Site, pg_url: str, headers: dict[str, str], changes: dict[str, Any], status: int
) -> None:
    fill(site.catalog)
    assert post(site, headers, **changes).status_code == status
    assert rows(pg_url, "select * from reviews") == []


def test_who_may_only_look_is_told_so(site: Site, pg_url: str) -> None:
    fill(site.catalog)
    site.app.dependency_overrides[viewer] = lambda: Viewer(name="bob", may_review=False)
    assert "your role is viewer" in get(site, "/review?queue=sample").text
    assert post(site).status_code == 403
    assert rows(pg_url, "select * from reviews") == []
    site.app.dependency_overrides[viewer] = lambda: ANN


def test_a_fix_keeps_the_question_and_mends_the_answer(site: Site) -> None:
    fill(site.catalog)
    assert post(site, decision="fix", answers=[" A red square. "], note="colour").status_code == 201
    found = site.catalog.reviews([sample.VIDEO_ID])[sample.VIDEO_ID, "key-ins-0"]
    question = sample.instruction(0, ()).turns[0]
    assert found.turns == (question, dm.Turn(role="gpt", text="A red square."))
    assert (found.note, found.queue) == ("colour", "borderline")


def test_a_mask_that_the_store_lost_is_told(site: Site) -> None:
    fill(site.catalog)
    answer = site.client.get(f"{BASE}/frames/{sample.VIDEO_ID}/0.jpg")
    assert answer.status_code == 503
    assert "no such" in answer.json()["detail"].lower()


def test_a_catalog_that_does_not_answer_is_told(site: Site, pg_url: str) -> None:
    statement(pg_url, "alter table pair_status rename to hidden")
    answer = get(site, "/")
    assert answer.status_code == 503
    assert "strefer init" in answer.text


def test_review_is_kept_by_content(site: Site) -> None:
    fill(site.catalog)
    site.catalog.record_review(
        Review(
            review_id="r", video_id=sample.VIDEO_ID, pair_key="key-ins-0", instruction_id="ins-0",
            decision="reject", reviewer="ann",
        )
    )  # fmt: skip
    again = replace(sample.instruction(0, ("clip-0",)), instruction_id="ins-new", pair_key="key-ins-0")
    site.catalog.finish(
        sample.done("instructions", fingerprint="f" * 32), dm.InstructionsResult(instructions=(again,))
    )
    pair = site.catalog.find_pair("ins-new")
    assert pair is not None
    assert (pair.status, pair.decision) == ("unchecked", "reject")
    assert site.catalog.find_pair("ins-0") is None
