"""The loop around a training: jobs, models in the store, checkpoints, whether one is due, what is kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from strefer_core.errors import BackendError, InputError, StoreError
from strefer_core.evaluation.comparing import Rule
from strefer_core.evaluation.results import Result
from strefer_core.learning import registry
from strefer_core.learning.checkpoints import Checkpoints
from strefer_core.learning.deciding import look
from strefer_core.learning.jobs import Cancelled, Running, run_job
from strefer_core.learning.promoting import card, judge
from strefer_core.learning.retention import drop_old, to_keep
from strefer_core.store.catalog import Evaluation, Job, Model, Promotion
from strefer_core.store.objects import FolderObjects

OPEN = Job(
    job_id="j", kind="train", spec={"preset": "tiny"}, status="open", attempts=0, result=None,
    error_class=None, reason=None,
)  # fmt: skip


@dataclass
class FakeCatalog:
    """Jobs and models in memory, with the methods of the catalog that are used here."""

    job: Job = OPEN
    is_locked: bool = False
    kept: list[Model] = field(default_factory=list)
    decided: list[Promotion] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)

    @contextmanager
    def lock_job(self, job_id: str) -> Iterator[bool]:
        yield not self.is_locked

    def start_job(self, job_id: str) -> int:
        if self.job.is_over:
            return 0
        self.job = replace(self.job, status="running", attempts=self.job.attempts + 1)
        return self.job.attempts

    def find_job(self, job_id: str) -> Job:
        return self.job

    def finish_job(self, job_id: str, result: Any, error: tuple[str, str] | None = None) -> None:
        kind, reason = error or (None, None)
        status: Any = "failed" if error else "done"
        self.job = replace(self.job, status=status, result=result, error_class=kind, reason=reason)

    def reopen_job(self, job_id: str) -> None:
        self.job = replace(self.job, status="open", attempts=self.job.attempts - 1)

    def models(self) -> list[Model]:
        return self.kept

    def promotions(self) -> list[Promotion]:
        return self.decided

    def champion(self) -> Model | None:
        ruled = [one.model_version for one in self.decided if one.is_promoted]
        return next((model for model in self.kept if ruled and model.version == ruled[-1]), None)

    def find_evaluation(self, version: str, bench: str) -> Evaluation | None:
        return next((one for one in self.evaluations if one.model_version == version), None)


def run(catalog: FakeCatalog, folder: Path, work: Any, *, max_attempts: int = 3) -> Job:
    run_job(
        "j",
        catalog=catalog,  # type: ignore[arg-type]
        objects=FolderObjects(folder / "objects"),
        folder=folder / "jobs",
        max_attempts=max_attempts,
        find_runner=lambda kind: work,
    )
    return catalog.job


def test_a_job_ends_with_its_result(tmp_path: Path) -> None:
    def work(running: Running) -> dict[str, Any]:
        assert running.is_wanted()
        assert running.folder.is_dir()
        return {"did": running.job.spec["preset"]}

    done = run(FakeCatalog(), tmp_path, work)
    assert (done.status, done.result, done.attempts) == ("done", {"did": "tiny"}, 1)


@pytest.mark.parametrize(
    ("catalog", "max_attempts"),
    [(FakeCatalog(is_locked=True), 3), (FakeCatalog(job=replace(OPEN, status="cancelled")), 3)],
    ids=["runs elsewhere", "cancelled"],
)
def test_a_job_that_is_not_ours_is_left_alone(
    tmp_path: Path, catalog: FakeCatalog, max_attempts: int
) -> None:
    before = catalog.job
    assert run(catalog, tmp_path, lambda running: pytest.fail("it ran"), max_attempts=max_attempts) == before


def test_a_job_whose_process_dies_again_and_again_fails_with_that_reason(tmp_path: Path) -> None:
    catalog = FakeCatalog(job=replace(OPEN, status="running", attempts=3))
    failed = run(catalog, tmp_path, lambda running: pytest.fail("it ran"))
    assert (failed.status, failed.error_class) == ("failed", "WorkerLost")


def test_an_outage_is_no_attempt_and_goes_up_to_the_queue(tmp_path: Path) -> None:
    def work(running: Running) -> dict[str, Any]:
        raise StoreError("s3 is away")

    catalog = FakeCatalog()
    with pytest.raises(StoreError):
        run(catalog, tmp_path, work)
    assert (catalog.job.status, catalog.job.attempts) == ("open", 0)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (BackendError("no such preset"), "failed", "no such preset"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
        (Cancelled("by ada"), "running", None),
    ],
)
def test_an_error_is_the_jobs_reason(tmp_path: Path, error: Exception, status: str, reason: str) -> None:
    def work(running: Running) -> dict[str, Any]:
        raise error

    ended = run(FakeCatalog(), tmp_path, work)
    assert (ended.status, ended.reason) == (status, reason)


def test_a_worker_without_torch_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "strefer_core.learning.training_job", None)
    catalog = FakeCatalog()
    run_job(
        "j",
        catalog=catalog,  # type: ignore[arg-type]
        objects=FolderObjects(tmp_path),
        folder=tmp_path / "jobs",
        max_attempts=3,
    )
    assert (catalog.job.status, catalog.job.error_class) == ("failed", "ConfigError")
    assert "need strefer[training,video]" in str(catalog.job.reason)


# --- models in the store ---


def saved(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text("{}")
    return folder


def publish(folder: Path, objects: FolderObjects, **changes: Any) -> registry.ModelManifest:
    given = {"dataset_version": "d1", "base": None, "preset": "tiny", "options": {"seed": 1}}
    return registry.publish_model(folder, objects, **{**given, **changes})


def test_a_model_is_named_by_its_content_and_comes_back_checked(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    first = publish(saved(tmp_path / "a"), objects)
    assert publish(saved(tmp_path / "b"), objects) == first
    others = [publish(saved(tmp_path / "c", b"other"), objects), publish(tmp_path / "a", objects, base="x")]
    assert len({first.version, *(one.version for one in others)}) == 3
    fetched = registry.fetch_model(objects, first.version, tmp_path / "here")
    assert (fetched / "model.safetensors").read_bytes() == b"weights"
    (fetched / "config.json").write_text("spoiled")
    registry.fetch_model(objects, first.version, fetched)
    assert (fetched / "config.json").read_text() == "{}"


def test_a_damaged_or_absent_model_is_told(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "objects")
    version = publish(saved(tmp_path / "a"), objects).version
    objects.put_bytes(f"models/{version}/config.json", b"spoiled")
    with pytest.raises(StoreError, match=r"config\.json is not what was published"):
        registry.fetch_model(objects, version, tmp_path / "here")
    with pytest.raises(InputError, match="no model 'another'"):
        registry.open_model(objects, "another")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling.py", "state.pkl"])
def test_what_could_run_code_is_no_model(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "a")
    (folder / name).write_bytes(b"")
    with pytest.raises(InputError, match=name):
        publish(folder, FolderObjects(tmp_path / "objects"))


# --- checkpoints ---


def checkpoint(folder: Path, step: int, *, is_whole: bool = True) -> None:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"%d" % step)
    if is_whole:
        (path / "trainer_state.json").write_text("{}")


def test_the_newest_whole_checkpoint_comes_back_on_another_machine(tmp_path: Path) -> None:
    objects, here, there = FolderObjects(tmp_path / "objects"), tmp_path / "here", tmp_path / "there"
    checkpoint(here, 10)
    assert Checkpoints(objects, "j", here).keep() == 10
    checkpoint(here, 20)
    checkpoint(here, 30, is_whole=False)
    kept = Checkpoints(objects, "j", here)
    assert kept.keep() == 20
    assert Checkpoints(objects, "another job", there).restore() is None
    assert Checkpoints(objects, "j", there).restore() == 20
    assert [path.name for path in there.iterdir()] == ["checkpoint-20"]
    assert (there / "checkpoint-20" / "model.safetensors").read_bytes() == b"20"
    kept.drop()
    assert list(objects.list("trainings/")) == []


def test_an_upload_that_was_cut_off_is_no_checkpoint(tmp_path: Path) -> None:
    objects, here = FolderObjects(tmp_path / "objects"), tmp_path / "here"
    checkpoint(here, 10)
    Checkpoints(objects, "j", here).keep()
    objects.delete("trainings/j/checkpoint-10/complete")
    assert Checkpoints(objects, "j", tmp_path / "there").restore() is None


# --- is one due ---


def dataset(objects: FolderObjects, version: str, keys: list[str]) -> None:
    """A version as far as it is looked at: its manifest and its lines."""
    from hashlib import sha256

    lines = "".join(
        json.dumps({"video_id": "v", "pair_key": key, "instruction_id": key}) + "\n" for key in keys
    )
    digest, size = sha256(lines.encode()).hexdigest(), len(lines.encode())
    entry = {"name": "instructions.jsonl", "sha256": digest, "bytes": size}
    manifest = {
        "format": "strefer-dataset/1", "version": version, "strefer_version": "0", "counts": {},
        "files": [entry], "lineage": {},
    }  # fmt: skip
    objects.put_bytes(f"datasets/{version}/instructions.jsonl", lines.encode())
    objects.put_bytes(f"datasets/{version}/manifest.json", json.dumps(manifest).encode())


def test_only_pairs_that_the_champion_never_saw_make_a_training_due(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    dataset(objects, "old", ["a", "b", "c"])
    dataset(objects, "new", ["b", "c", "d", "e"])
    assert (look(objects, "new", "old", 2).new_pairs, look(objects, "new", "old", 2).is_due) == (2, True)
    assert not look(objects, "new", "old", 3).is_due
    assert look(objects, "new", None, 4).is_due
    assert not look(objects, "new", "new", 1).is_due
    assert "2 of them new against dataset old of the champion" in look(objects, "new", "old", 3).why


# --- promote, and keep ---


def model(version: str) -> Model:
    return Model(
        version=version,
        manifest_key="k",
        dataset_version="d",
        base=None,
        preset="tiny",
        options={},
        job_id=None,
    )


def promoted(version: str, *, is_promoted: bool = True) -> Promotion:
    return Promotion(
        promotion_id=version, model_version=version, champion_version=None, is_promoted=is_promoted,
        comparison={"reason": "because"},
    )  # fmt: skip


def answered(objects: FolderObjects, version: str, right: list[bool]) -> Evaluation:
    lines = []
    for place, one in enumerate(right):
        result = Result(
            item_id=str(place), video=f"v{place % 10}", group="G5", condition="regions=right,times=right",
            answer="A", right=one,
        )  # fmt: skip
        lines.append(json.dumps({name: getattr(result, name) for name in result.__slots__}))
    objects.put_bytes(f"evaluations/{version}.jsonl", "\n".join([*lines, ""]).encode())
    return Evaluation(
        model_version=version, bench_id="b", items_key=f"evaluations/{version}.jsonl",
        figures={"groups": {"G5": {"accuracy": {"value": 0.75}, "chance": 0.25, "text_only": None}}},
    )  # fmt: skip


@pytest.mark.parametrize(("better", "is_promoted"), [(True, True), (False, False)])
def test_only_a_better_challenger_is_promoted(tmp_path: Path, better: bool, is_promoted: bool) -> None:
    objects = FolderObjects(tmp_path)
    often, seldom = [place % 10 != 0 for place in range(100)], [place % 3 == 0 for place in range(100)]
    catalog = FakeCatalog(kept=[model("old"), model("new")], decided=[promoted("old")])
    catalog.evaluations = [
        answered(objects, "old", seldom if better else often),
        answered(objects, "new", often if better else seldom),
    ]
    found = judge(catalog, objects, "new", "b", Rule(), promotion_id="p")  # type: ignore[arg-type]
    assert (found.is_promoted, found.champion_version) == (is_promoted, "old")
    assert found.comparison["items"] == 100
    with pytest.raises(InputError, match="model third was not asked"):
        judge(catalog, objects, "third", "b", Rule(), promotion_id="p")  # type: ignore[arg-type]


def test_the_first_model_becomes_the_champion(tmp_path: Path) -> None:
    catalog: Any = FakeCatalog(kept=[model("new")])
    assert judge(catalog, FolderObjects(tmp_path), "new", "b", Rule(), promotion_id="p").is_promoted


def test_the_card_says_what_the_model_saw_and_how_good_it_is(tmp_path: Path) -> None:
    evaluation = answered(FolderObjects(tmp_path), "new", [True])
    text = card(model("new"), {"monday": 6}, evaluation, promoted("new"))
    for line in (
        "# Model new",
        "| monday | 6 |",
        "| G5 | 0.750 | 0.250 | - |",
        "promoted by the rule: because",
    ):
        assert line in text


def test_champions_and_the_newest_keep_their_files(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    versions = [publish(saved(tmp_path / str(i), b"%d" % i), objects).version for i in range(6)]
    models = [model(version) for version in versions]
    decided = [promoted(versions[i], is_promoted=i in (0, 1, 2)) for i in range(6)]
    assert to_keep(models, decided, newest=1, champions=2) == {versions[2], versions[1], versions[5]}
    objects.put_bytes(f"models/{versions[0]}/README.md", b"# card")
    catalog: Any = FakeCatalog(kept=models, decided=decided)
    dropped = drop_old(catalog, objects, newest=1, champions=2)
    assert set(dropped) == {versions[0], versions[3], versions[4]}
    left = {one.key for one in objects.list(f"models/{versions[0]}/")}
    assert left == {f"models/{versions[0]}/README.md"}
    assert drop_old(catalog, objects, newest=1, champions=2) == []
