"""What a real Celery worker of the tests runs: our app and task, with states in a folder instead of Postgres.

    WORKER_FOLDER=folder STREFER_BROKER_URL=redis://... celery -A tests.worker_app worker -Q cpu,llm -c 1

The stage `videos` does with a video what the file `act/<video id>` says, the stage `entities` asks the served
model `llm` one question. `marks/` says what ran in which process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from strefer_core import pipeline, worker
from strefer_core.config import ServedModel
from strefer_core.data_model import EntitiesResult, Result, VideosResult
from strefer_core.pipeline import StageTask
from strefer_core.served import pressure
from strefer_core.served.client import Ask, ask_all
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from strefer_core.warm.keeper import keeper
from strefer_core.warm.memory import in_batches
from tests import sample_results

FOLDER = Path(os.environ["WORKER_FOLDER"])
POLL_S = 0.02


class Catalog(FolderLedger):
    """Asked for is whatever has not ended."""

    def is_requested(self, *key: str) -> bool:
        return not pipeline.is_settled(self.find(*key))

    def finish_requests(self, *_: str) -> None:
        """There are none."""


class Answer(BaseModel):
    number: int


def mark(name: str) -> int:
    """Note this process under a name; how often it was noted by now."""
    path = FOLDER / "marks" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(path.read_text().splitlines())


def compute(memory: int) -> list[int]:
    """Eight items in batches of eight on a device that has memory for so many; the model is a kept one."""
    import torch

    def call(items: Sequence[int]) -> list[int]:
        if len(items) > memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        mark(f"batch-of-{len(items)}")
        return [item + model for item in items]

    def load() -> int:
        mark("loaded")
        return 1

    model = keeper().get("model", load, lambda _: 100)
    found = in_batches(call, range(8), 8)
    assert found == [1, 2, 3, 4, 5, 6, 7, 8]
    return found


def videos(task: StageTask) -> Result:
    act, times = (FOLDER / "act" / task.video_id).read_text(), mark(f"begun-{task.video_id}")
    while act == "wait" and not (FOLDER / "go").exists():
        time.sleep(POLL_S)
    if act == "poison" or (act == "poison once" and times == 1):  # as older versions of PyTorch raise it
        raise RuntimeError("CUDA error: device-side assert triggered")
    if act.startswith("memory"):
        compute(int(act.removeprefix("memory ")))
    if act == "fail":
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    mark(f"ended-{task.video_id}")
    return VideosResult(video=sample_results.video(task.video_id * 4))


def entities(task: StageTask) -> Result:
    model = ServedModel(model="a-model")
    question: Ask[Answer] = Ask(
        server="llm", model=model, prompt="parse.v1", reply=Answer, fields={"video": task.video_id}
    )
    mark(f"begun-{task.video_id}")
    ask_all([question])
    mark(f"ended-{task.video_id}")
    return EntitiesResult(entities=())


app = worker.app
ledger, blobs = Catalog(FOLDER / "runs"), FolderObjects(FOLDER / "objects")
vars(pipeline.STAGES["videos"])["run"] = videos
vars(pipeline.STAGES["entities"])["run"] = entities
pressure.HOLD_S = 0.3
worker.catalog = lambda: ledger  # type: ignore[assignment]
worker.objects = lambda: blobs  # type: ignore[assignment]
worker._fetch = lambda video_id: FOLDER / video_id
