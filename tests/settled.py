"""Whole stages run on hand-made videos: through `pipeline.run_stage`, with states and documents in folders.

run = Settled(tmp_path, given, config).run("transcript")
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from strefer_core import data_model as dm
from strefer_core.config import PipelineConfig
from strefer_core.masks import decode
from strefer_core.pipeline import STAGES, StageRequest, dump_document, fingerprints, load_result, run_stage
from strefer_core.store import documents
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from tests.media import write_video
from tests.samples import HEIGHT_PX, WIDTH_PX, Sample

RATE_HZ = 4
FILMED_S = 8.0
FILMED_TIMES_S = tuple(i / RATE_HZ for i in range(dm.FRAME_COUNT))
"""For `sample(times_s=...)`: every frame of the video that `film` writes is a sampled one."""

COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200), "orange": (240, 150, 20)}
GROUND = (110, 120, 110)


def film(path: Path, given: Sample) -> Path:
    """A video of the sample's masks in their entities' colours, white where an entity has none."""
    masks = [[decode(rle) if rle else None for rle in one.masks] for one in given.masklets]
    colours = [COLOURS.get(dict(one.attributes).get("colour", ""), (255, 255, 255)) for one in given.entities]

    def paint(number: int) -> NDArray[np.uint8]:
        image = np.full((HEIGHT_PX, WIDTH_PX, 3), GROUND, np.uint8)
        for own, colour in zip(masks, colours, strict=True):
            if own[number] is not None:
                image[own[number]] = colour
        return image

    return write_video(path, len(given.masklets[0].masks), paint=paint, rate=Fraction(RATE_HZ))


@dataclass
class Settled:
    """A folder in which the stages before one are done with the sample's results."""

    folder: Path
    given: Sample
    config: PipelineConfig
    video_path: Path = Path("not-read.mp4")

    def __post_init__(self) -> None:
        self.ledger = FolderLedger(self.folder / "runs")
        self.blobs = FolderObjects(self.folder / "objects")
        self.video_id = self.given.video.video_id
        self._chain = fingerprints(self.video_id, self.config)
        self.put("videos", dm.VideosResult(video=self.given.video))
        self.put("clips", dm.ClipsResult(clips=self.given.clips))
        self.put("entities", dm.EntitiesResult(entities=self.given.entities))
        self.put("masklets", dm.MaskletsResult(masklets=self.given.masklets))

    def put(self, stage: str, result: dm.Result) -> None:
        """Let a stage be done with this result."""
        request = StageRequest.make(self.video_id, stage, self.config)
        suffix = documents.suffix(STAGES[stage].result_type)
        key = self.blobs.put_content(dump_document(request, result), "results", suffix)
        state = dm.StageRun(
            video_id=self.video_id,
            stage=stage,
            fingerprint=request.fingerprint,
            status="done",
            result_key=key,
        )
        self.ledger.finish(state, result)

    def run(self, stage: str) -> dm.StageRun:
        return run_stage(
            StageRequest.make(self.video_id, stage, self.config),
            ledger=self.ledger,
            blobs=self.blobs,
            fetch_video=lambda _: self.video_path,
        )

    def result(self, stage: str) -> dm.Result:
        return load_result(self.ledger, self.blobs, self.video_id, stage, self._chain[stage])

    def calls(self, stage: str) -> list[dm.ModelCall]:
        return self.ledger.calls(self.video_id, stage, self._chain[stage])
