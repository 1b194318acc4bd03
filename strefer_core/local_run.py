"""`strefer run`: every stage in this process, no Airflow, no server; state is files in the output folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.drop import names_in_drop
from strefer_core.errors import InputError
from strefer_core.ingest import video_id_of
from strefer_core.near_duplicates import near_duplicates
from strefer_core.pipeline import STAGES, StageRequest, fingerprints, is_settled, load_result, run_stage
from strefer_core.publish import publish_folder
from strefer_core.stages.dataset import export_dataset
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects

STATE_FOLDER = ".strefer-run"


@dataclass(frozen=True, kw_only=True)
class VideoOutcome:
    """Where one input ended: the last stage that settled it, and what came of it."""

    name: str
    video_id: str
    stage: str
    status: str
    reason: str | None
    masklets: int = 0
    instructions: int = 0
    accepted: int = 0
    overlay: str | None = None


@dataclass(kw_only=True)
class RunReport:
    """What a run did. `computed` and `already` count stage runs by stage."""

    out_dir: str
    dataset: str | None = None
    videos: list[VideoOutcome] = field(default_factory=list)
    computed: dict[str, int] = field(default_factory=dict)
    already: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> list[VideoOutcome]:
        return [video for video in self.videos if video.status == "failed"]


@dataclass(frozen=True)
class LocalRun:
    """Runs in one output folder; run again there, it computes only what is missing."""

    out_dir: Path
    config: PipelineConfig

    @cached_property
    def ledger(self) -> FolderLedger:
        return FolderLedger(self.out_dir / STATE_FOLDER / "runs")

    @cached_property
    def objects(self) -> FolderObjects:
        return FolderObjects(self.out_dir / STATE_FOLDER / "objects")

    def run(self, paths: Sequence[Path], advance: Callable[[str, str], None] = lambda *_: None) -> RunReport:
        """Run all stages on each file and export the dataset to the output folder.

        Args:
            paths: video files; the same bytes under two names are one video.
            advance: called with (stage, file name) after each video of each stage.
        """
        report = RunReport(out_dir=str(self.out_dir))
        files: dict[str, tuple[str, Path]] = {}
        for name, path in names_in_drop(paths).items():
            files.setdefault(video_id_of(path), (name, path))
        for stage in STAGES:
            for video_id, (name, path) in files.items():
                self._settle(stage, video_id, path, report)
                advance(stage, name)
            if stage == "videos":
                self._filter_near_duplicates(list(files))
        names = {video_id: name for video_id, (name, _) in files.items()}
        report.dataset = self._publish(names)
        report.videos = [self._outcome(video_id, *files[video_id]) for video_id in files]
        return report

    def result(self, video_id: str, stage: str) -> dm.Result:
        """A stage's result on one video. Raises MissingInput where it is not done."""
        fingerprint = fingerprints(video_id, self.config)[stage]
        return load_result(self.ledger, self.objects, video_id, stage, fingerprint)

    def _settle(self, stage: str, video_id: str, path: Path, report: RunReport) -> None:
        states = self.states(video_id)
        if any((need := states[n]) is None or need.status != "done" for n in STAGES[stage].needs):
            return  # its state stands in the stage that it did not get through
        count = report.already if is_settled(states[stage]) else report.computed
        count[stage] = count.get(stage, 0) + 1
        request = StageRequest.make(video_id, stage, self.config)
        run_stage(request, ledger=self.ledger, blobs=self.objects, fetch_video=lambda _: path)

    def states(self, video_id: str) -> dict[str, dm.StageRun | None]:
        """The state of a video in every stage; None where it was not begun."""
        chain = fingerprints(video_id, self.config)
        return {stage: self.ledger.find(video_id, stage, chain[stage]) for stage in STAGES}

    def _filter_near_duplicates(self, video_ids: list[str]) -> None:
        states = {video_id: self.states(video_id)["videos"] for video_id in video_ids}
        done = [v for v, run in states.items() if run is not None and run.status == "done"]
        results = {v: cast(dm.VideosResult, self.result(v, "videos")) for v in done}
        hashes = [(v, result.video.figures.perceptual_hashes) for v, result in results.items()]
        repeats = near_duplicates(hashes, self.config.near_duplicates.max_distance_bits)
        for video_id, first in repeats.items():
            run = states[video_id]
            assert run is not None
            self.ledger.set_filtered(video_id, "videos", run.fingerprint, f"near-duplicate of {first}")

    def _publish(self, names: dict[str, str]) -> str | None:
        try:
            version = publish_folder(self.ledger, self.objects, names, self.config)
        except InputError:
            return None  # nothing was accepted: each video's outcome says why
        export_dataset(self.objects, version, self.out_dir)
        return version

    def _outcome(self, video_id: str, name: str, path: Path) -> VideoOutcome:
        settled = [run for run in self.states(video_id).values() if run is not None]
        last = settled[-1]
        outcome = VideoOutcome(
            name=name, video_id=video_id, stage=last.stage, status=last.status, reason=last.reason
        )
        if last.stage != "quality" or last.status != "done":
            return outcome
        masklets = cast(dm.MaskletsResult, self.result(video_id, "masklets")).masklets
        quality = cast(dm.QualityResult, self.result(video_id, "quality"))
        return VideoOutcome(
            name=name,
            video_id=video_id,
            stage=last.stage,
            status=last.status,
            reason=None,
            masklets=len(masklets),
            instructions=len(quality.accepted_ids) + len(quality.quarantined_ids),
            accepted=len(quality.accepted_ids),
            overlay=str(self._overlay(video_id, name, path)),
        )

    def _overlay(self, video_id: str, name: str, path: Path) -> Path:
        from strefer_core.overlay import write_contact_sheet

        entities = cast(dm.EntitiesResult, self.result(video_id, "entities")).entities
        masklets = cast(dm.MaskletsResult, self.result(video_id, "masklets")).masklets
        target = self.out_dir / "overlays" / f"{Path(name).stem}.png"
        return write_contact_sheet(path, entities, masklets, target)
