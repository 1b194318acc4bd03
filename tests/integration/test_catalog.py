"""The catalog as a ledger, on a real PostgreSQL: states, rows of results, and what goes wrong."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace

import pytest

from strefer_core import data_model as dm
from strefer_core.errors import ConfigError, MismatchError, StoreError, StreferError
from strefer_core.store.catalog import Catalog
from tests import sample_results as sample
from tests.ledger_contract import KEY, LedgerContract
from tests.postgres import rows, statement

pytest_plugins = ["tests.integration.catalog_fixtures"]

TABLES = (
    "stage_runs",
    "videos",
    "clips",
    "entities",
    "masklets",
    "transcript_segments",
    "instructions",
    "flags",
    "model_calls",
)


END_OTHER_SESSIONS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where pid <> pg_backend_pid() and datname = current_database()
"""


@pytest.fixture
def catalog(pg_catalog: Catalog) -> Catalog:
    return pg_catalog


def fill(catalog: Catalog) -> None:
    for stage, result in sample.RESULTS.items():
        catalog.start(sample.VIDEO_ID, stage, sample.CHAIN[stage])
        catalog.finish(sample.done(stage), result)


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    return {table: sorted(rows(url, f"select t::text from {table} t")) for table in TABLES}


class TestCatalogAsLedger(LedgerContract):
    @pytest.fixture
    def ledger(self, catalog: Catalog) -> Catalog:
        return catalog

    @pytest.fixture
    def opener(self, pg_url: str) -> str:
        return f"Catalog({pg_url!r})"


def test_every_stage_writes_its_rows(catalog: Catalog, pg_url: str) -> None:
    fill(catalog)
    counts = {table: len(found) for table, found in contents(pg_url).items()}
    assert counts == {
        "stage_runs": 7, "videos": 1, "clips": 2, "entities": 2, "masklets": 2, "transcript_segments": 2,
        "instructions": 3, "flags": 4, "model_calls": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "select fps_numerator, fps_denominator, round(fps::numeric, 3)::text, motion_px, "
            "perceptual_hashes from videos",
            (30000, 1001, "29.970", None, ["00ff00ff00ff00ff", "0123456789abcdef"]),
        ),
        ("select start_s, end_s from clips where index = 1", (1.25, 2.002)),
        ("select attributes from entities where index = 0", ({"colour": "red"},)),
        (
            "select frames_pts_s, visible, boxes_px, areas_px, visible_frames, assignment_margin "
            "from masklets where masklet_id = 'msk-0'",
            (
                [0.0, 0.1, 1 / 3],
                [False, True, True],
                [None, [1, 2, 3.5, 4], [5, 6, 7, 8]],
                [0, 5, 4],
                2,
                None,
            ),
        ),
        (
            "select assignment_score, redetection_share, area_jump, position_jump, loss_sharpness "
            "from masklets where masklet_id = 'msk-0'",
            (0.875, 1.0, 1.25, 0.0, 1.5),
        ),
        (
            "select assignment_score, redetection_share, area_jump, position_jump, loss_sharpness "
            "from masklets where masklet_id = 'msk-1'",
            (None, None, None, None, None),
        ),
        (
            "select count(*) from information_schema.columns "
            "where table_name = 'masklets' and column_name ~ 'mask(s|_rle)|counts'",
            (0,),
        ),
        (
            "select text, actions->0->>'direction' from transcript_segments where segment_id = 'seg-0'",
            (sample.NASTY, "left"),
        ),
        (
            "select text, actions, samples, agreement from transcript_segments where segment_id = 'seg-1'",
            (None, [], ["It rolls.", None], 0.5),
        ),
        (
            "select group_name, turns, region_entity_ids, source_ids from instructions "
            "where instruction_id = 'ins-1'",
            (
                "G5",
                [
                    {"role": "human", "text": f"What? {sample.NASTY}"},
                    {"role": "gpt", "text": "A square."},
                ],
                ["ent-0"],
                ["seg-0"],
            ),
        ),
        (
            "select object_kind, check_name, value, threshold, severity from flags where object_id = 'msk-1'",
            ("masklet", "area_jump", 0.25, 0.5, "fail"),
        ),
    ],
)
def test_rows_hold_what_the_result_said(
    catalog: Catalog, pg_url: str, query: str, expected: tuple[object, ...]
) -> None:
    fill(catalog)
    assert rows(pg_url, query) == [expected]


def test_finishing_again_changes_nothing(catalog: Catalog, pg_url: str) -> None:
    fill(catalog)
    before = contents(pg_url)
    for stage, result in sample.RESULTS.items():
        catalog.finish(sample.done(stage), result)
    assert contents(pg_url) == before


def test_a_result_replaces_the_rows_of_its_fingerprint_only(catalog: Catalog, pg_url: str) -> None:
    fill(catalog)
    catalog.finish(sample.done("clips", fingerprint="f" * 32), sample.clips(name="other"))
    fewer = dm.ClipsResult(clips=sample.clips(name="again").clips[:1])
    catalog.finish(sample.done("clips", fingerprint="f" * 32), fewer)
    found = rows(pg_url, "select clip_id from clips order by clip_id")
    assert found == [("again-0",), ("clip-0",), ("clip-1",)]


def test_a_filtered_video_has_its_row(catalog: Catalog, pg_url: str) -> None:
    run = replace(sample.done("videos"), status="filtered", reason="nothing moves", result_key=None)
    catalog.finish(run, sample.RESULTS["videos"])
    assert rows(pg_url, "select video_id from videos") == [(sample.VIDEO_ID,)]


def test_a_failure_takes_the_rows_of_its_fingerprint_away(catalog: Catalog, pg_url: str) -> None:
    catalog.finish(sample.done("clips"), sample.RESULTS["clips"])
    catalog.finish(sample.failed("clips"), None)
    assert rows(pg_url, "select * from clips") == []


def test_text_and_numbers_that_postgres_cannot_hold_are_made_fit(catalog: Catalog, pg_url: str) -> None:
    turns = (dm.Turn(role="human", text="a\0b \ud800"), dm.Turn(role="gpt", text="\\u0000"))
    odd = replace(sample.instruction(0, ("x\0",)), turns=turns)
    catalog.finish(sample.done("instructions"), dm.InstructionsResult(instructions=(odd,)))
    flags = tuple(
        replace(sample.flag("ins-0", "instruction", "info", name), value=float(name))
        for name in ("nan", "inf", "-inf")
    )
    result = dm.QualityResult(flags=flags, accepted_ids=(), quarantined_ids=())
    catalog.finish(sample.done("quality"), result)
    assert rows(pg_url, "select turns->0->>'text', turns->1->>'text', source_ids from instructions") == [
        ("a\ufffdb ?", "\\u0000", ["x\ufffd"])
    ]
    assert rows(pg_url, "select value::text from flags order by check_name") == [
        ("-Infinity",), ("Infinity",), ("NaN",)
    ]  # fmt: skip


def test_ten_thousand_instructions_go_in_by_copy(catalog: Catalog, pg_url: str) -> None:
    many = tuple(sample.instruction(index, ("clip-0", sample.NASTY)) for index in range(10_000))
    catalog.finish(sample.done("instructions"), dm.InstructionsResult(instructions=many))
    query = "select count(distinct instruction_id), min(source_ids[2]), max(source_ids[2]) from instructions"
    assert rows(pg_url, query) == [(10_000, sample.NASTY, sample.NASTY)]


def test_another_videos_result_is_refused_and_noted(catalog: Catalog, pg_url: str) -> None:
    with pytest.raises(MismatchError, match="aaaaaaaaaaaaaaaa"):
        catalog.finish(sample.done("clips"), sample.clips(video_id="a" * 16))
    run = catalog.find(*KEY)
    assert run is not None
    assert (run.status, run.error_class) == ("failed", "MismatchError")
    assert rows(pg_url, "select * from clips") == []


def test_rows_that_a_constraint_refuses_make_a_failed_run(catalog: Catalog) -> None:
    upside_down = replace(sample.clips().clips[0], start_s=2.0, end_s=1.0)
    with pytest.raises(StreferError, match="clips_interval") as caught:
        catalog.finish(sample.done("clips"), dm.ClipsResult(clips=(upside_down,)))
    assert not caught.value.is_retryable
    run = catalog.find(*KEY)
    assert run is not None
    assert (run.status, run.is_retryable) == ("failed", False)
    assert "clips_interval" in (run.reason or "")


def test_states_of_many_videos_come_in_one_look(catalog: Catalog) -> None:
    ids = [f"{index:016x}" for index in range(3)]
    for video_id in ids[:2]:
        catalog.finish(sample.failed("videos", video_id=video_id), None)
    catalog.finish(sample.failed("clips", video_id=ids[2]), None)
    found = catalog.states(dict.fromkeys(ids, sample.CHAIN["videos"]), "videos")
    assert found == {video_id: sample.failed("videos", video_id=video_id) for video_id in ids[:2]}
    assert catalog.states(dict.fromkeys(ids, "another fingerprint"), "videos") == {}
    assert catalog.states({}, "videos") == {}


def test_the_worker_of_a_run_is_noted(catalog: Catalog, pg_url: str) -> None:
    catalog.start(*KEY)
    (worker,) = rows(pg_url, "select worker from stage_runs")[0]
    host, _, pid = str(worker).rpartition(":")
    assert host
    assert pid.isdigit()


def test_connections_survive_a_restart_of_the_server(catalog: Catalog, pg_url: str) -> None:
    fill(catalog)
    with catalog.lock(*KEY) as is_ours:
        assert is_ours
        statement(pg_url, END_OTHER_SESSIONS)
        assert catalog.find(*KEY) == sample.done("clips")
    with catalog.lock(*KEY) as is_ours:
        assert is_ours


def _in_a_fork(catalog: Catalog, answers: multiprocessing.Queue[object]) -> None:
    with catalog.lock(*KEY) as is_ours:
        answers.put((catalog.find(*KEY), is_ours))


def test_a_forked_child_leaves_its_parents_connections_alone(catalog: Catalog, pg_url: str) -> None:
    catalog.finish(sample.done("clips"), sample.RESULTS["clips"])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with catalog.lock(*KEY):
        child = context.Process(target=_in_a_fork, args=(catalog, answers))
        child.start()
        assert answers.get(timeout=20) == (sample.done("clips"), False)
        child.join(timeout=20)
        assert catalog.find(*KEY) == sample.done("clips")
        with Catalog(pg_url).lock(*KEY) as is_free:
            assert not is_free  # the child's end did not end the parent's session


def test_a_silent_server_is_a_store_error_without_the_password() -> None:
    catalog = Catalog("postgresql+psycopg2://user:geheim@127.0.0.1:1/catalog")
    with pytest.raises(StoreError) as caught:
        catalog.find(*KEY)
    assert "geheim" not in f"{caught.value!r} {caught.value.__cause__!r}"
    with pytest.raises(StoreError), catalog.lock(*KEY):
        pass


@pytest.mark.parametrize("url", ["", "nonsense", "postgresql://host:port/name", "sqlite:///file"])
def test_a_wrong_address_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError):
        Catalog(url)


def test_a_database_without_tables_says_what_to_do(pg_empty_url: str) -> None:
    catalog = Catalog(pg_empty_url)
    for ask in (lambda: catalog.find(*KEY), catalog.check):
        with pytest.raises(ConfigError, match="strefer init"):
            ask()
    catalog.close()
