"""Migrations from every earlier version, the names in the schema, and rows that it must refuse."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import strefer_sql

from strefer_core.errors import ConfigError
from strefer_core.store import sql
from strefer_core.store.catalog import Catalog, migrate
from strefer_core.validation.suites import VIEWS as VIEWS_OF_SUITES
from tests import sample_results as sample
from tests.postgres import rows, statement

pytest_plugins = ["tests.integration.catalog_fixtures"]

TABLES = {
    "alembic_version", "check_counts", "clips", "dataset_videos", "datasets", "drop_objects", "drops",
    "entities", "evaluations", "filters", "flags", "gates", "instructions", "jobs", "masklets", "model_calls",
    "models", "pair_status", "probe_figures", "probes", "promotions", "requests", "reviews", "stage_runs",
    "training_figures", "transcript_segments", "validations", "videos",
}  # fmt: skip
VIEWS = {
    "current_stage_runs", "drop_funnel", "drop_progress", "drop_videos", "dropped_videos", "failures",
    "current_flags", "drop_figures", "video_pairs", "video_work",
    "drop_baselines", "drop_drift", "expectation_flags", "gate_figures", "subject_shares",
    "validated_instructions", "validated_masklets", "validated_mixtures", "validated_segments",
    "validated_videos",
    "validation_subjects",
    "instruction_status", "newest_stage_runs", "probe_history", "stage_cost",
}  # fmt: skip

RELATIONS = "select relname, relkind from pg_class where relnamespace = 'public'::regnamespace order by 1"
COLUMNS = """
    select table_name, column_name, data_type, is_nullable, column_default
    from information_schema.columns where table_schema = 'public' order by 1, 2
"""
CONSTRAINTS = """
    select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
    where connamespace = 'public'::regnamespace order by 1, 2
"""
INDEXES = "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public' order by 1, 2"
VIEW_TEXTS = "select viewname, definition from pg_views where schemaname = 'public' order by 1"


def fill(catalog: Catalog) -> None:
    for stage, result in sample.RESULTS.items():
        catalog.finish(sample.done(stage), result)


def schema(url: str) -> list[object]:
    return [rows(url, query) for query in (RELATIONS, COLUMNS, CONSTRAINTS, INDEXES, VIEW_TEXTS)]


@pytest.mark.parametrize("before", [None, *(file.number for file in sql.numbered("migrations"))])
def test_every_earlier_version_ends_at_the_same_schema(
    pg_empty_url: str, pg_url: str, before: str | None
) -> None:
    if before:
        migrate(pg_empty_url, to=before)
    migrate(pg_empty_url)
    once = schema(pg_empty_url)
    migrate(pg_empty_url)
    assert schema(pg_empty_url) == once == schema(pg_url)


def test_rows_of_the_first_version_live_on(pg_empty_url: str) -> None:
    migrate(pg_empty_url, to="0001")
    statement(pg_empty_url, "insert into drops (drop_id, prefix) values ('monday', 'drops/monday/')")
    migrate(pg_empty_url)
    assert [drop.drop_id for drop in Catalog(pg_empty_url).drops()] == ["monday"]


def test_masklets_of_an_older_version_have_no_figures_of_quality(pg_empty_url: str) -> None:
    migrate(pg_empty_url, to="0002")
    key = f"'{sample.VIDEO_ID}'"
    for stage in ("entities", "masklets"):
        run = "insert into stage_runs (video_id, stage, fingerprint, status, result_key, finished_at) "
        statement(pg_empty_url, run + f"values ({key}, '{stage}', 'f', 'done', 'k', now())")
    entity = (
        "insert into entities (entity_id, video_id, fingerprint, index, expression, noun, generalized_noun)"
    )
    statement(pg_empty_url, entity + f" values ('e', {key}, 'f', 0, 'the square', 'square', 'object')")
    masklet = (
        "insert into masklets (masklet_id, video_id, fingerprint, entity_id, frames_pts_s, visible, boxes_px,"
        " areas_px, detector_score, start_frame_index)"
    )
    values = f" values ('m', {key}, 'f', 'e', '{{0}}', '{{true}}', '[[0, 0, 1, 1]]', '{{1}}', 0.5, 0)"
    statement(pg_empty_url, masklet + values)
    migrate(pg_empty_url)
    query = "select masklet_id, assignment_score, redetection_share, area_jump, loss_sharpness from masklets"
    assert rows(pg_empty_url, query) == [("m", None, None, None, None)]


def test_an_older_schema_says_what_to_do(pg_empty_url: str) -> None:
    migrate(pg_empty_url, to="0001")
    catalog = Catalog(pg_empty_url)
    with pytest.raises(ConfigError, match=r"is at 0001.*strefer init"):
        catalog.check()
    with pytest.raises(ConfigError, match="strefer init"):
        catalog.is_requested("a", "b", "c")


def test_a_newer_schema_is_left_alone(pg_url: str) -> None:
    statement(pg_url, "update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigError, match="newer"):
        migrate(pg_url)
    with pytest.raises(ConfigError, match="newer"):
        Catalog(pg_url).check()


def test_many_may_migrate_at_once(pg_empty_url: str, pg_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate, [pg_empty_url] * 4)) == [None] * 4
    assert schema(pg_empty_url) == schema(pg_url)


def test_views_follow_their_files_and_keep_what_was_granted(pg_url: str) -> None:
    statement(pg_url, "do $$ begin create role watcher; exception when duplicate_object then null; end $$")
    statement(pg_url, "grant select on stage_cost to watcher")
    before = schema(pg_url)
    migrate(pg_url)
    granted = "select has_table_privilege('watcher', 'stage_cost', 'select')"
    assert rows(pg_url, granted) == [(True,)]
    statement(pg_url, "drop view stage_cost")
    statement(pg_url, "create view stage_cost as select 1 as other")  # no replacing can drop this column
    migrate(pg_url)
    assert schema(pg_url) == before


def test_the_schema_has_the_documented_tables_and_views(pg_url: str) -> None:
    kinds = dict(rows(pg_url, RELATIONS))
    assert {name for name, kind in kinds.items() if kind == "r"} == TABLES
    assert {name for name, kind in kinds.items() if kind == "v"} == VIEWS


def test_constraints_and_indexes_are_named_after_their_tables(pg_url: str) -> None:
    for table, name, _ in [*rows(pg_url, CONSTRAINTS), *rows(pg_url, INDEXES)]:
        if table == "alembic_version":
            continue
        assert str(name).startswith(f"{table}_"), name
        assert not re.search(r"_check\d*$|_key\d+$", str(name)), f"{name} was named by PostgreSQL"


@pytest.mark.parametrize("folder", ["migrations", "views"])
def test_files_are_numbered_without_gaps(folder: str) -> None:
    numbers = [int(file.number) for file in sql.numbered(folder)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_sql_read_is_the_repositorys() -> None:
    assert strefer_sql.__file__ is not None
    assert Path(strefer_sql.__file__).parent == Path(__file__).parents[2] / "sql"


def test_every_query_is_used_and_every_use_is_there() -> None:
    folder = Path(__file__).parents[2] / "strefer_core" / "store"
    code = "\n".join(path.read_text() for path in folder.glob("*.py"))
    used = re.findall(r'(?:\.all\(|execute\(\s*connection,)\s*"(\w+)"', code)
    assert {*used, *VIEWS_OF_SUITES} == set(sql.queries())


@pytest.fixture(scope="module")
def filled_url(pg_server: Any, pg_template: str) -> str:
    """A database with a row in every table, for statements that must change nothing."""
    statement(pg_server.get_uri(), f"create database filled template {pg_template}")
    url = str(pg_server.get_uri(database="filled"))
    catalog = Catalog(url)
    fill(catalog)
    lineage = {sample.VIDEO_ID: sample.CHAIN["quality"]}
    catalog.record_dataset("v1", "datasets/v1/manifest.json", {}, lineage)
    catalog.close()
    statement(url, "insert into drops values ('d', 'drops/d/')")
    statement(url, f"insert into drop_objects values ('d', 'k', 'e', 1, '{sample.VIDEO_ID}')")
    statement(
        url, "insert into probes values ('p', now(), '1', 7, 'world-noisy', 'plan', '{}', '{}', 3, 9, '[]')"
    )
    statement(url, "insert into probe_figures values ('p', 'paper', 'all', 'j', 0.5, 0.4, 0.6)")
    return url


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("update stage_runs set status = 'lost'", "stage_runs_status_known"),
        ("update stage_runs set result_key = null", "stage_runs_done_has_result"),
        (
            "update stage_runs set status = 'running', finished_at = null",
            "stage_runs_unsettled_has_no_result",
        ),
        ("update stage_runs set finished_at = null", "stage_runs_running_is_open"),
        ("update stage_runs set status = 'failed', result_key = null", "stage_runs_failed_says_why"),
        ("update stage_runs set error_class = 'X'", "stage_runs_failed_says_why"),
        ("update stage_runs set status = 'filtered'", "stage_runs_filtered_says_why"),
        ("update stage_runs set is_retryable = true", "stage_runs_only_failures_retry"),
        ("update stage_runs set attempts = 0", "stage_runs_attempts_from_one"),
        ("update stage_runs set compute_s = -1", "stage_runs_compute_s_not_negative"),
        ("update videos set sha256 = repeat('0', 64)", "videos_id_is_hash"),
        ("update videos set width_px = 0", "videos_sizes_positive"),
        ("update videos set rotation_deg = 45", "videos_rotation_is_quarter_turns"),
        ("update videos set fps_denominator = 0", "division by zero"),
        ("update videos set black_share = 1.5", "videos_shares_in_range"),
        ("update clips set end_s = start_s", "clips_interval"),
        ("update clips set index = 0", "clips_place_unique"),
        ("update clips set fingerprint = 'unknown'", "clips_run_fkey"),
        ("update entities set expression = ''", "entities_words_not_empty"),
        ("update masklets set visible = visible[:2]", "masklets_arrays_align"),
        ("update masklets set boxes_px = '[]'", "masklets_arrays_align"),
        ("update masklets set start_frame_index = 3", "masklets_start_in_frames"),
        ("update masklets set assignment_score = 1.01", "masklets_shares_in_range"),
        ("update masklets set redetection_share = -0.01", "masklets_shares_in_range"),
        ("update masklets set assignment_score = 'nan'", "masklets_shares_in_range"),
        ("update masklets set area_jump = 0.99", "masklets_jumps_in_range"),
        ("update masklets set area_jump = 'infinity'", "masklets_jumps_in_range"),
        ("update masklets set position_jump = 'nan'", "masklets_jumps_in_range"),
        ("update masklets set loss_sharpness = -1", "masklets_loss_sharpness_in_range"),
        ("update masklets set entity_id = 'ent-9' where entity_id = 'ent-0'", "masklets_entity_fkey"),
        ("update masklets set entity_id = 'ent-0'", "masklets_entity_unique"),
        (
            "update transcript_segments set clip_id = 'clip-9' where clip_id = 'clip-0'",
            "transcript_segments_clip_fkey",
        ),
        ("update transcript_segments set clip_id = 'clip-0'", "transcript_segments_pair_unique"),
        ("update instructions set group_name = 'G9'", "instructions_group_known"),
        ("update instructions set turns = '{}'", "instructions_turns_are_a_list"),
        ("update flags set severity = 'fatal'", "flags_severity_known"),
        ("update flags set object_kind = 'video'", "flags_object_kind_known"),
        ("delete from stage_runs where stage = 'quality'", "dataset_videos_run_fkey"),
        ("update drop_objects set size_bytes = -1", "drop_objects_size_not_negative"),
        ("update drop_objects set video_id = 'x'", "drop_objects_video_id_is_hash"),
        ("update drop_objects set drop_id = 'none'", "drop_objects_drop_fkey"),
        ("update probes set videos = -1", "probes_counts_not_negative"),
        ("update probes set failed = '{}'", "probes_failed_is_a_list"),
        ("update probe_figures set low = 0.9, high = 0.1", "probe_figures_interval"),
        ("update probe_figures set high = null", "probe_figures_interval"),
        ("update probe_figures set probe_id = 'none'", "probe_figures_probe_fkey"),
    ],
)
def test_wrong_rows_are_refused(filled_url: str, change: str, constraint: str) -> None:
    with pytest.raises(psycopg2.Error, match=constraint):
        statement(filled_url, change)


def test_deleting_a_run_takes_its_rows_and_what_hangs_on_them(pg_catalog: Catalog, pg_url: str) -> None:
    fill(pg_catalog)
    statement(pg_url, "delete from stage_runs where stage = 'entities'")
    tables = ("entities", "masklets", "transcript_segments", "clips")
    left = {table: len(rows(pg_url, f"select from {table}")) for table in tables}
    assert left == {"entities": 0, "masklets": 0, "transcript_segments": 0, "clips": 2}
