"""A served model is gone while videos are annotated: real workers, Postgres, Redis, S3; no Airflow is needed.

Its server answers for one video, goes away, and comes back once every other video has been sent back for it.
Nothing may be lost, and nothing computed twice.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from strefer_core import local, worker
from strefer_core.config import EntitiesConfig, PipelineConfig, ServedModel, settings
from strefer_core.ingest import video_id_of, video_key
from strefer_core.pipeline import fingerprints
from strefer_core.store.catalog import Catalog
from strefer_core.store.objects import ObjectStore, open_objects
from tests.integration import scenes
from tests.integration.platform_drops import wait_for
from tests.openai_server import OpenAIServer, always, by_schema, says

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

VIDEOS = 6
MODEL = ServedModel(model="a-model", frames=2)
CONFIG = PipelineConfig(entities=EntitiesConfig(backend="vlm", recognizer=MODEL, parser=MODEL))
ANSWERS = by_schema(
    Description=always(says({"paragraph": "A red square moves to the right."})),
    Listing=always(
        says({"entities": [{"expression": "red square", "noun": "square", "generalized_noun": "shape"}]})
    ),
)


class Lean:
    """Catalog, objects and broker of a stack that has workers and no Airflow."""

    def __init__(self, catalog: Catalog, objects: ObjectStore, port: int) -> None:
        self.catalog, self.objects, self.port = catalog, objects, port

    def ask(self, batch: str, stage: str, video_ids: list[str]) -> dict[str, str]:
        """What the operator of a stage does; the fingerprints by video."""
        pairs = {video_id: fingerprints(video_id, CONFIG)[stage] for video_id in video_ids}
        for video_id in self.catalog.open_batch(batch, stage, pairs, pairs):
            worker.send(stage, [(video_id, pairs[video_id])], CONFIG)
        return pairs

    def wait(self, batch: str) -> None:
        wait_for(batch, lambda: batch in self.catalog.finished_batches([batch]), timeout_s=240)

    def runs(self, stage: str, pairs: dict[str, str]) -> list[Any]:
        return [self.catalog.find(video_id, stage, pairs[video_id]) for video_id in pairs]


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lean]:
    home = tmp_path_factory.mktemp("lean")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("STREFER_"):
                patch.delenv(name)
        patch.setenv("STREFER_HOME", str(home))
        for server in ("VLM", "LLM"):
            patch.setenv(f"STREFER_{server}__BASE_URL", f"http://127.0.0.1:{port}/v1")
            patch.setenv(f"STREFER_{server}__MAX_TRIES", "1")
        parts = ("worker-cpu", "worker-llm")
        try:
            local.up(home, options=local.StackOptions(parts=parts, concurrency={"llm": 2}))
            settings.cache_clear()
            now = settings()
            patch.setattr(worker.app.conf, "broker_url", now.broker_url.get_secret_value())
            worker.app._after_fork()  # pools of connections to the broker of other tests
            catalog = Catalog(now.database_url.get_secret_value())
            yield Lean(catalog, open_objects(now), port)
            catalog.close()
        finally:
            local.down(home)
    worker.app._after_fork()
    settings.cache_clear()


@pytest.fixture(scope="module")
def video_ids(lean: Lean, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Videos whose first stage is done."""
    folder, ids = tmp_path_factory.mktemp("videos"), []
    for seed in range(VIDEOS):
        path = scenes.write_tiny(folder / f"{seed}.mp4", seed)
        ids.append(video_id_of(path))
        lean.objects.put_file(video_key(ids[-1]), path)
    lean.ask("first", "videos", ids)
    lean.wait("first")
    return ids


def found(lean: Lean, video_ids: list[str]) -> list[dict[str, Any]]:
    """What the videos' entities are, without their accounting."""
    columns = "video_id, entity_id, index, expression, noun, generalized_noun"
    statement = f"select {columns} from entities where video_id = any(%s) order by entity_id"
    with lean.catalog.transaction() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(statement, (video_ids,))
        return [dict(zip(columns.split(", "), row, strict=True)) for row in cursor.fetchall()]


def test_a_server_that_goes_away_in_the_middle_costs_nothing(lean: Lean, video_ids: list[str]) -> None:
    with OpenAIServer(ANSWERS, lean.port) as served:
        pairs = lean.ask("undisturbed", "entities", video_ids[:1])
        lean.wait("undisturbed")
        per_video = len(served.asked)
    # Gone: the first message waits for it in the worker, goes back, and so on; all end up so.
    pairs = lean.ask("disturbed", "entities", video_ids)
    waiting = {video_id: pairs[video_id] for video_id in video_ids[1:]}
    sent_back: set[str] = set()

    def all_were_sent_back() -> bool:
        sent_back.update(run.video_id for run in lean.runs("entities", waiting) if run and run.reason)
        return sent_back == set(waiting)

    wait_for("every video to be sent back once", all_were_sent_back, timeout_s=300)
    assert {run.status for run in lean.runs("entities", waiting)} == {"running"}
    assert lean.catalog.batch_outcome("disturbed").open == len(waiting), "nothing counts as failed"
    with OpenAIServer(ANSWERS, lean.port) as served:
        lean.wait("disturbed")
        asked = len(served.asked)
    outcome = lean.catalog.batch_outcome("disturbed")
    assert (outcome.done, outcome.failed, outcome.open) == (VIDEOS, 0, 0)
    assert {(run.status, run.attempts, run.reason) for run in lean.runs("entities", pairs)} == {
        ("done", 1, None)
    }
    assert asked == per_video * len(waiting), "each question was answered once"
    rows = found(lean, video_ids)
    assert [row["video_id"] for row in rows] == sorted(video_ids, key=lambda v: f"ent-{pairs[v][:12]}")
    assert {row["expression"] for row in rows} == {"the red square"}
    for video_id in waiting:
        outcomes = [call.outcome for call in lean.catalog.calls(video_id, "entities", pairs[video_id])]
        assert outcomes.count("used") == per_video
        assert set(outcomes) <= {"used", "failed"}
    wait_for("an empty queue", lambda: worker.queue_length("llm") == 0)
