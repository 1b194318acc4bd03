"""The catalog: what happened to every video, in PostgreSQL. The one door to it.

    find lock start finish states set_filtered      runs.py      stage_runs and the results' tables
    open_batch finished_batches unfinished ...      batches.py   requests
    register_drop known_objects drop_progress ...   drops.py     drops, drop_objects
    record_dataset latest_dataset ...               datasets.py  datasets, dataset_videos
    record_probe probe_history ...                  probes.py    probes, probe_figures
    record_review reviews                           reviews.py   reviews
    newest_drop_figures video_page ...              pages.py     what the dashboards read
    record_validation validations ...               validations.py  validations, and the views validated_*
    record_gate newest_gates held_video_ids ...     gates.py     gates
    open_job start_job finish_job note_training ... jobs.py      jobs, training_figures
    record_model champion record_promotion ...      models.py    models, evaluations, promotions

Every method is one short transaction. Raises StoreError where the database does not answer (a retry can
help), ConfigError where its schema is older than this code, StreferError where it refuses rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from strefer_core import data_model as dm
from strefer_core.store.batches import Batches, BatchFailure, BatchOutcome
from strefer_core.store.database import execute
from strefer_core.store.datasets import Dataset, Datasets
from strefer_core.store.drops import Drop, DropObject, DroppedVideo, Drops, StageProgress, VideoHashes
from strefer_core.store.gates import Gate, GateFigures, Gates, StoppedBy, Witness
from strefer_core.store.jobs import Job, Jobs, TrainingFigure
from strefer_core.store.migrations import check_version, migrate
from strefer_core.store.models import Evaluation, Model, Models, Promotion
from strefer_core.store.pages import Pages
from strefer_core.store.probes import Probe, ProbeFigure, ProbePoint, Probes
from strefer_core.store.reviews import Review, Reviews
from strefer_core.store.validations import Subject, Validation, Validations

__all__ = [
    "BatchFailure",
    "BatchOutcome",
    "Catalog",
    "CheckCount",
    "Dataset",
    "Drop",
    "DropObject",
    "DroppedVideo",
    "Evaluation",
    "Gate",
    "GateFigures",
    "Job",
    "Model",
    "Probe",
    "ProbeFigure",
    "ProbePoint",
    "Promotion",
    "Review",
    "StageProgress",
    "StoppedBy",
    "Subject",
    "TrainingFigure",
    "Validation",
    "VideoHashes",
    "VideoReport",
    "Witness",
    "migrate",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckCount:
    """On how many objects of a video one check warned or failed."""

    check: str
    severity: str
    objects: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoReport:
    """What is known of one video; its results are in the documents that `runs` name."""

    video_id: str
    names: tuple[tuple[str, str], ...]  # (drop_id, key), oldest first
    runs: tuple[dm.StageRun, ...]  # the newest of each stage, in the order in which they began
    instructions: dict[str, int]  # by status: accepted, quarantined, unchecked
    checks: tuple[CheckCount, ...]


class Catalog(Batches, Drops, Datasets, Probes, Reviews, Pages, Validations, Gates, Jobs, Models):
    """One catalog database, by its address `postgresql+psycopg2://user:password@host/name`."""

    def check(self) -> None:
        """Raise ConfigError where the schema is not this code's, StoreError where nothing answers."""
        with self.transaction() as connection:
            check_version(connection)

    def describe_video(self, video_id: str) -> VideoReport:
        """Names, states and counts of one video; all empty where it is unknown."""
        with self.transaction() as connection:
            names = execute(connection, "drops_of_video", video_id=video_id)
            runs = execute(connection, "current_runs", video_id=video_id)
            counts = execute(connection, "instruction_counts", video_id=video_id)
            checks = execute(connection, "failed_checks", video_id=video_id)
        return VideoReport(
            video_id=video_id,
            names=tuple((row["drop_id"], row["key"]) for row in names),
            runs=tuple(dm.StageRun(**row) for row in runs),
            instructions={row["status"]: row["instructions"] for row in counts},
            checks=tuple(
                CheckCount(check=row["check_name"], severity=row["severity"], objects=row["objects"])
                for row in checks
            ),
        )
